r"""Quantities whose names the grammar can't read, before their values: `\lim_{x \to 2} f(x) = 7` is 7.

A letter, `f(x)`, `AB` and `|v|` are read as names (`shape.is_name`). Here are names in TeX that calculate nothing by
themselves: a limit, sum or integral of an unknown function, an expected value, a determinant, a rank, an extreme. The
list is closed: any other left side is part of the answer.
"""

from __future__ import annotations

import math
import re

_GROUP = r"\{(?:[^{}=]|\{[^{}=]{0,30}\}){1,40}\}"
_BOUND = r"\{(?:[^{}]|\{[^{}]{0,30}\}){1,40}\}"
_ARGUMENT = r"\s?(?:\\left)?[(\[](?:[^()\[\]]|\([^()]{0,20}\)){1,60}(?:\\right)?[)\]]"
_LETTER = r"\s?\\?[A-Za-z](?:_\w|_\{\w{1,3}\})?(?![A-Za-z])"
_OF = rf"(?:{_ARGUMENT}|\s?\\?{_GROUP[:-2]}\\?\}}|{_LETTER}(?:\([a-z](?:,\s?[a-z])?\))?)"
_WORD = r"\\(?:operatorname\*?|mathrm|text)\s?\{\s?[A-Za-z]{2,9}\s?\}"
_UNKNOWN = r"(?:[fgh]'{0,2}\([^()=]{1,20}\)|[a-z]_(?:[a-z]|\{[^{}]{1,6}\}))"
_SET = r"(?:[A-Z](?:'|\^c)?)"
_VECTOR = (
    r"(?:\\(?:vec|mathbf|overrightarrow|boldsymbol|hat)\s?(?:\{\s?[A-Za-z]{1,2}\s?\}|[a-z](?![a-z]))|"
    r"\{\s?\\bf\s[a-z]\s?\})"
)
_NAME = re.compile(
    rf"""(?:
      \\(?:lim|sum|prod|int)(?:\\limits)?(?:\s?[_^]\s?(?:{_BOUND}|\\?[A-Za-z\d]+)){{1,2}}\s?\\?,?\s?{_UNKNOWN}
        (?:\s?(?:\\[,;]|\\,)?\s?\\?(?:mathrm\{{d\}}|d)\s?[a-z])?
      | \\(?:min|max|inf|sup)(?:_{_GROUP}|_[a-z])?{_OF}?
      | \([^()=]{{1,30}}\)_(?:\\(?:min|max)|\{{\\?(?:text\{{)?(?:min|max)\}}{{1,2}})
      | (?:\\(?:det|deg|dim|ker|gcd|Pr)|{_WORD}){_OF}
      | \\mathbb\s?\{{?[EPV]\}}?{_ARGUMENT}
      | P\s?\([^()=|]{{1,20}}(?:\||\\mid)[^()=|]{{1,20}}\)
      | \\frac\s?\{{\s?\\partial[^{{}}]{{0,12}}\}}\s?\{{\s?\\partial[^{{}}]{{1,12}}\}}
      | \\nabla{_OF}
      | \(\s?[fgh]\s?\\circ\s?[fgh]\s?\)\s?\([^()=]{{1,12}}\)
      | (?:[A-Z]|\([A-Z]\s?\\c[au]p\s?[A-Z]\))(?:'|\^c|\^\{{c\}})?\s?(?:\\(?:cup|cap|setminus|triangle)|[∪∩∖])
        \s?[A-Z](?:'|\^c|\^\{{c\}})?
      | \\complement(?:_[A-Z]|_\{{[A-Z]\}})?\s?[A-Z]
      | \\\#\s?[A-Z]
      | P\s?\([A-Z](?:'|\^\{{?c\}}?|\^\{{?\\(?:prime|complement)\}}?)\)
      | \|\s?{_SET}(?:\s?(?:\\(?:cup|cap|setminus)|[∪∩])\s?{_SET}){{0,2}}\s?\|
      | \\\|\s?{_VECTOR}(?:\s?(?:[-+]|\\times)\s?{_VECTOR})?\s?\\\|
      | \\frac\s?\{{\s?d(?:\^2)?\s?[a-z]?\s?\}}\s?\{{\s?d[a-z](?:\^2)?\s?\}}
        (?:\\[Bb]igg?)?\s?(?:\\(?:left|right)\s?)?[|.]\s?_\s?(?:\{{[^{{}}]{{1,20}}\}}|\d)
      | \\text\s?\{{\s?(?:[Tt]he\s)?(?:[Aa]rea|perimeter|volume|length|circumference|measure)\s(?:of\s)?
        (?:the\s)?(?:triangle\s|segment\s|arc\s)?\}}\s?\[?[A-Z]{{1,5}}\]?
      | \\(?:overarc|wideparen|overset\s?\{{\s?\\frown\s?\}})\s?\{{[A-Z]{{2,3}}\}}
      | \\\#\s?\\text\s?\{{[a-z ]{{1,20}}\}}
      | \[[A-Z]{{3,6}}\]
      | \\frac\s?\{{\s?\[[A-Z]{{3,6}}\]\s?\}}\s?\{{\s?\[[A-Z]{{3,6}}\]\s?\}}
    )\s?=\s?(?=[^=\s])""",
    re.VERBOSE,
)
_OPERAND = r"(?:\d{1,4}|[a-z]|\(\s?-?\d{1,4}\s?\))"
_OPERATION = re.compile(
    rf"{_OPERAND}\s?(?:\\(?:star|bigstar|oplus|otimes|ominus|odot|diamond|Diamond|heartsuit|spadesuit|clubsuit|Box|square|"
    rf"bigtriangleup|triangle|\#|@)|[@★☆⊕⊗◇♦♥#])(?![A-Za-z])\s?{_OPERAND}\s?=\s?(?=[^=\s])"
)
"""An operation that the question defines: `5 \\star 3 =`."""
_OF_VECTORS = re.compile(
    rf"-?\d?\s?(?:{_VECTOR}|[a-z](?=\s?[×x]))\s?(?:[-+]\s?\d?|\\times|[×])\s?(?:{_VECTOR}|[a-z])\s?=\s?"
    r"(?=\(|<|\\(?:langle|left|begin|binom))"
)
"""A sum or a product of vectors, before a vector."""
_OF_MATRICES = re.compile(r"\d?[A-Z]\s?(?:[-+]\s?\d?)?[A-Z]\s?=\s?(?=\\begin)")
_LABEL = re.compile(
    r"\A\\text\s?\{\s?(?:the )?(?:domain|range|maximum|minimum|max|min|solutions?|roots?|zeros?)\s?:?"
    r"\s?\}\s?:?\s?(?=\S)",
    re.IGNORECASE,
)


def without_name(written: str) -> str:
    """The answer without the names of such quantities before its values, each where the answer or an item begins."""
    if "=" not in written:
        return _LABEL.sub("", written) if "\\text" in written else written
    if (choices := _CHOICES.match(written)) is not None:
        return written[choices.end() :] if _counted(choices) else written
    for pattern in (_OPERATION, _OF_VECTORS, _OF_MATRICES):
        if (named := pattern.match(written)) is not None:
            return written[named.end() :]
    first = _NAME.match(written)
    if first is None or _is_calculation(first[0]):
        return written
    rest = written[first.end() :]
    return ", ".join(_NAME.sub("", item, count=1) for item in _ITEMS.split(rest)) if _ITEMS.search(rest) else rest


def _is_calculation(name: str) -> bool:
    """Whether what stands before the equals sign calculates something, which is checked: `\\gcd(12, 18) =`."""
    arguments = _COMMAND.sub("", name)
    return re.search(r"\d", arguments) is not None and re.search(r"[A-Za-z]", arguments) is None


def _counted(choices: re.Match[str]) -> bool:
    """Whether there are so many choices or arrangements: `C_5^2 = 10`, `{}_5P_2 = 20`."""
    kind, one, other = (choices[name] or choices[f"{name}_marked"] for name in ("kind", "one", "other"))
    fewer, more = sorted((int(one), int(other)))
    return int(choices["value"]) == (math.comb if kind == "C" else math.perm)(more, fewer)


_CHOICES = re.compile(
    r"(?:(?P<kind>[CPA])_\{?(?P<one>\d{1,3})\}?\^\{?(?P<other>\d{1,3})\}?|"
    r"(?:\{\})?\s?[_^]\{?(?P<one_marked>\d{1,3})\}?\s?(?P<kind_marked>[CP])_\{?(?P<other_marked>\d{1,3})\}?)"
    r"\s?=\s?(?=(?P<value>\d{1,15})\b)"
)
_COMMAND = re.compile(r"\\[A-Za-z]+")
_ITEMS = re.compile(r",\s?(?=\\(?:min|max|det|lim)(?![A-Za-z]))")
