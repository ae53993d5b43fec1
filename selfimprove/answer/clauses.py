"""The clause of a sentence that states its number, without reasons, comparisons, conditions and parts behind it."""

from __future__ import annotations

import re
from fractions import Fraction


def without_reason(sentence: str) -> str:
    """A sentence without the calculation that it begins with as a reason: "Since 2 + 2 = 4, we get 12"."""
    found = _SINCE.match(sentence)
    return sentence if found is None or not re.search(r"\d", sentence[found.end() :]) else sentence[found.end() :]


_SINCE = re.compile(
    r"\W*(?:(?:and|but|so)\s)?(?:since|because|as|given that)\b[^,\n]*=[^,\n]*,\s+(?=[A-Za-z])", re.IGNORECASE
)


def main_clause(sentence: str) -> str:
    """The sentence without the reason, condition or comparison that it adds to the number it states, if it does."""
    if "(" in sentence and (defined := _DEFINED.search(sentence)) is not None:
        sentence = sentence[: defined.start()]
    sentence = _FAILING.sub("", sentence)
    main = _RELATIVE.sub("", _PART_OF_IT.sub("", sentence))
    main = sentence if not re.search(r"\d", main) else main
    main = _PURPOSE.sub("", main) if "to " in main else main
    if (counted := _COUNT_OF.match(main) or _SHARE_OF.match(main)) is not None:
        return main[: counted.end()]
    main = _EXCLUDED.sub("", _REJECTED.sub("", _REASON.split(main, maxsplit=1)[0]))
    if (extreme := _EXTREME.match(main) or _EXTREME_OF.match(main)) is not None:
        main = extreme[1]
    main = _total(main)
    added = _COMPARED.search(main) or _CONDITION.search(main)
    if added is not None and not _HYPOTHETICAL.search(main, 0, added.start()):
        main = main[: added.start()]
    return main if main != sentence and re.search(r"\d", main) else sentence


def _total(sentence: str) -> str:
    """A sentence without the parts behind its colon, if they come to the number before it: "$30: $10 for ..."."""
    head, colon, parts = sentence.partition(": ")
    if not colon:
        head, colon, parts = sentence.partition("; ")
    before, behind = _PLAIN.findall(head), _PLAIN.findall(parts)
    if not colon or not before or len(behind) < 2 or "=" in parts:
        return sentence
    values = [Fraction(text.replace(",", "")) for text in (before[-1], *behind)]
    return head if values[0] == sum(values[1:]) else sentence


def total_of_list(text: str) -> str | None:
    """The line before the list of its parts that a text ends on, "It takes 160 minutes:"; None if they don't add up."""
    lines = [line for line in text.split("\n") if line.strip()]
    at = next((at for at in range(len(lines) - 1, -1, -1) if not _BULLET.match(lines[at])), -1)
    if at < 0 or len(lines) - at < 3 or not lines[at].rstrip(" *").endswith(":"):
        return None
    found = [_PLAIN.findall(line) for line in lines[at:]]
    if not all(found):
        return None
    values = [Fraction(numbers[-1].replace(",", "")) for numbers in found]
    return lines[at].rstrip(" *:") if values[0] == sum(values[1:]) else None


_PURPOSE = re.compile(
    r"(?<=[a-z])\s(?:in order )?to (?:cover|reach|pay|meet|afford|buy|earn|finish|complete|make up|break even)\b"
    r"(?=[^,;:=]*\Z)[^,;:=]*\d[^,;:=]*\Z"
)
"""What something is for, behind its number: "12 boxes to cover the cost of $36"."""
_COUNT_OF = re.compile(
    r"(?:(?:so|thus|therefore|hence),?\s)?there (?:are|is) (?:exactly )?[$*]{0,2}\d[\d,]*[$*]{0,2} (?:[a-z-]+ ){1,3}"
    r"(?=(?:(?:less|greater|more|fewer|smaller|larger) than|between|from|below|above|that (?:are|is|have|has)|"
    r"divisible)\b[^.=]*\d)",
    re.IGNORECASE,
)
"""How many there are of what the rest says: "There are 12 integers less than 100 that are multiples of 8"."""
_SHARE_OF = re.compile(r"\W{0,3}\d[\d,.]*(?= is \d[\d.]*(?:%| percent) of )")
"""What is said to be a share of something: "12 is 40% of 30"."""
_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s")
_FAILING = re.compile(
    r"(?<=\w)[,;]\s+(?:(?:but|and|while|whereas)\s+)?(?:[a-z]\s?=\s?)?"
    r"-?\d[\d.,/]*\s+(?:doesn't|does not|fails|isn't|is not)\b[^,;]*\Z"
)
_DEFINED = re.compile(
    r"(?<=[$)\]\d])\s*,?\s+(?:where|since|because|when|given(?: that)?|for|if|as|with)\s+(?:\$|\\\()?"
    r"[A-Za-z]\w{0,3}(?:\^\{?-?1\}?|'|\^\{?\\prime\}?)?\s?(?:\\left)?\([a-z]\s?(?:\\right)?\)\s?="
)
_PLAIN = re.compile(r"(?<![\w.])\d{1,12}(?:,\d{3})*(?:\.\d{1,6})?(?![\w/%])")
_REJECTED = re.compile(
    r"(?:\s*[,;])?\s*(?:or|and)\s+\$?(?:[a-z]\s*=\s*)?[-−]?[\d./]+\$?\s*\((?:rejected?|extraneous|invalid|discard(?:ed)?|ignored?|"
    r"impossible|not (?:valid|possible|allowed|a solution))[^()]*\)",
    re.IGNORECASE,
)
_EXCLUDED = re.compile(
    r"(?:(?:,\s+(?:and\s+)?|\s+and\s+)(?:not|rather than|instead of)|(?:,|\s(?:und|et|y|e|en|och|i|и))\s"
    r"(?:nicht|pas|no|non|não|niet|inte|nie|не))\s+[$€£\\(]{0,2}\d[\w.,]*(?:\s[a-z]+){0,2}[\s.!$)]*\Z"
)
_RELATIVE = re.compile(
    r",\s+which\s+(?:is|are|was)\s+(?:also\s+|indeed\s+|only\s+)?(?:an?\s+(?:multiple|factor|divisor|perfect|power|prime|reasonable|"
    r"little|bit)|divisible|between|within|close|the\s+(?:square|cube|smallest|largest|same)|(?:\w+er|less|more)\s+than)\b"
    r"[^;:=]*\Z",
    re.IGNORECASE,
)
_EXTREME = re.compile(
    r"(.{0,200}\b(?:maximum|minimum|max|min|largest|smallest|greatest|least|highest|lowest|maximal|minimal|optimal|"
    r"value)\b"
    r"(?:(?!\b(?:is|are|was|were)\b)[^,;.]){0,80}?\b(?:is|are|equals|becomes)\s.{0,40}?\d[^,]{0,40}?),?\s+"
    r"(?:(?:which|it|this|and it|and this)\s+(?:occurs|happens|is (?:attained|achieved|reached|obtained))\s+"
    r"|(?:attained|achieved|reached|obtained|occurring)\s+)?(?:when|at|for)\s+[$\\(]{0,2}[a-z][$)]{0,2}\s*(?:=|is\s)[^;:]{0,80}\Z",
    re.IGNORECASE,
)  # "The maximum is 10, which occurs when x = 2."
_EXTREME_OF = re.compile(
    r"(.{0,200}\b(?:maximum|minimum|max|min|largest|smallest|greatest|least|highest|lowest)(?: [a-z]+)? of "
    r"[$\\(]{0,2}-?\d[\d.,/]*[$\\)]{0,2})\s(?:occurs|happens|is (?:attained|achieved|reached|obtained))\b",
    re.IGNORECASE,
)
_PART_OF_IT = re.compile(r",?\s+(?:of which \d+ are|as of)\b[^;:=]*\Z", re.IGNORECASE)
_REASON = re.compile(r",?\s+because\b|,\s+(?:since|as otherwise)\b", re.IGNORECASE)
_PART = (
    r"(?:half|twice|double|triple|(?:a|one|two|three|four|five|six|seven|eight|nine|ten)[\s-](?:half|quarters?|"
    r"thirds?|\w+ths?)|\w+ times|[\d./]+ ?(?:times|%|percent))"
)
_COMPARED = re.compile(
    rf",\s+(?:(?:which|and that|and this)\s+(?:is|was)\s+)?(?:(?:only|just|exactly|about|roughly|nearly)\s+)?"
    rf"{_PART}\s+(?:of|as|the)\b[^,;:=]*\d[^,;:=]*\Z|"
    r",\s+(?:(?:which|and that|and this)\s+(?:is|was)\s+)?(?:(?:only|just|exactly)\s+)?"
    r"[$€£]?\d[\d.,]*\s+(?:\w+\s+)?(?:more|less|fewer|\w+er)\s+than\b[^,;:=]*\Z",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"(?<=[\w.%$)*])\s+(?:if|when|whenever|once|provided(?: that)?|as long as)\s+"
    r"(?:she|he|they|it|we|you|each|every|all|the|[A-Z][a-z]+|\d[\d,.]*\s(?:is|are))\s[^,;:=]*\Z"
)
_HYPOTHETICAL = re.compile(r"\b(?:would|could|might|may|if|suppose|assum\w+)\b", re.IGNORECASE)
