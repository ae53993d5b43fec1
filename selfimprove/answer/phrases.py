"""Where a number stands in its sentence: in a phrase behind another one, in a bound, a heading or a list.

"$98 on 16 jars", "more than 3", "step 3" and "for 3 dozen donuts, 2 dozen cupcakes" state 98 and nothing else. Such a
number is not what its sentence states. Nor is one that the sentence goes on to calculate with ("2 times the square root
of 3"), or that bounds a set in words.
"""

from __future__ import annotations

import re

_MODIFIER = re.compile(r"\b(?:in|for|after|over|per|within|every|each|from|than|with|on|at|by|before|during|until)\s+$")
_PHRASE = re.compile(
    r"\b(?:in|on|for|from|by|with|of|over|after|to|per|at|during|within|among|between)\b", re.IGNORECASE
)
_CLAUSE = re.compile(
    r"[,;:=—]|\b(?:is|are|was|were|be|equals?|makes?|gives?|giving|leaves?|leaving|totals?|costs?|has|have|had|needs?|"
    r"spends?|earns?|gets?|sum|altogether|so|then|therefore|which|and|or|remaining|left|answer|result|total|who|"
    r"but|only|find|get|obtain|up to|equal to|comes? to|adds? up to|amounts? to)\b",
    re.IGNORECASE,
)
_PARTICIPLE = re.compile(
    r"\b(?:are|is|were|was)\s\w+(?:ed|en)\s(?:for|in|on|at|from|among|during)\s(?:(?:the|all|each|her|his|their)\s)?\Z|"
    r"\b(?:after|before|by|when|while|without)\s+(?:\w+\s)?\w+ing\b[^,;:.=]*\Z",
    re.IGNORECASE,
)
_OF_WHOLE = re.compile(
    r"\b(?:left|remaining)\s+out\s+of\s+[$€£]?\Z|"
    r"\b(?:left|remaining|over|behind|among|out)\s+(?:from|of|out of|among)\s+(?:the|all|her|his|its|their|our|my|"
    r"those|these|a total of)\s+(?:\w+\s+)?[$€£]?\Z|\b(?:among|out of)\s+(?:the|all|those|these)\s+(?:\w+\s+)?[$€£]?\Z|"
    r",?\s+(?:and|while|whereas)\s+the\s+other\s+[$€£]?\Z",
    re.IGNORECASE,
)  # what stands before the number that the stated one is a part of, or before that of the other part
_PURPOSE = re.compile(
    r"\bto (?:make|buy|fill|feed|serve|cover|finish|read|bake|pay for|build|visit|complete|produce)\s+"
    r"(?:the |all |her |his |their )?\Z",
    re.IGNORECASE,
)
_FOREIGN_PHRASE = re.compile(
    r"\s(?:[^\W\d]+\s|[$€£]\s)?(?:von|sur|de|dos|das|из|за|van|su|di|mit|en|por|con|avec|für|pour)\s"
    r"(?:(?:den|les|los|las|de|le|der|die|um|i)\s)?|\s(?:[^\W\d]+\s|[$€£]\s)?(?:von|sur|de|из|за|van|su|di|mit|en|z|ze)",
    re.IGNORECASE,
)
_COMBINES = re.compile(r"\b(?:add|combin|multipl|divid|subtract|put|join|sum)\w*", re.IGNORECASE)


def in_phrase(prose: str, end: int, start: int) -> bool:
    """Whether a number stands in a phrase ("for 3 boxes", "on ice cream for 16 jars") behind an earlier number."""
    if _MODIFIER.search(prose[max(0, start - 12) : start]) or _FOREIGN_PHRASE.fullmatch(prose, end, start):
        return True
    between = prose[end:start]
    if len(between) < 120 and _OF_WHOLE.search(between):
        return True
    if len(between) < 120 and _PARTICIPLE.search(between):
        return True
    if len(between) < 120 and _PURPOSE.search(between) and not _COMBINES.search(prose[:end]):
        return True
    return len(between) < 120 and bool(_PHRASE.search(between)) and not _CLAUSE.search(between)


def is_next_item(prose: str, aside: int, start: int, end: int) -> bool:
    """Whether a number is that of the next item of a list in a phrase, whose last number ended at `aside`."""
    if _NEXT_ITEM.fullmatch(prose, aside, start) is None:
        return False
    return not _STATES.search(prose[aside:start] + re.split(r"[,.;\d]", prose[end:], maxsplit=1)[0])


_NEXT_ITEM = re.compile(r"(?:\s[a-z'-]+){1,4}(?:,(?:\sand)?|\sand)\s?[$€£]?", re.IGNORECASE)
"""What stands between the items of a list: "for 3 dozen donuts, 2 dozen cupcakes and 6 cakes"."""
_STATES = re.compile(
    r"\b(?:is|are|was|were|so|then|total|left|remain\w*|makes?|leaves?|gives?|has|have|had|altogether|answer|gets?|got|"
    r"needs?|needed|pays?|paid|costs?|earns?|spends?|spent|he|she|they|it|we|you|which|who)\b",
    re.IGNORECASE,
)


_RANGE = re.compile(
    r"\b(?:numbers?|integers?|values?|pages?|terms?|digits?|range\w{0,2}|days?|[kni])\s+(?:\w+\s+)?from\s+\d+\s+(?:to|through)\s+\Z",
    re.IGNORECASE,
)
_THAN = re.compile(r"\b(?:more|less|fewer|\w+er)\s+than\s+(?:or\s+equal\s+to\s+)?[$€£]?\Z", re.IGNORECASE)
_WHICH_IS = re.compile(r"\d[^\d.]*,\s+(?:which|and that) (?:is|was)\s+[$€£]?\Z", re.IGNORECASE)
BY_WHICH = re.compile(r"\s+(?:\w+\s+)?(?:more|less|fewer|\w+er|times)\b", re.IGNORECASE)
_WITHIN_VALUE = re.compile(
    r"(?:\b(?:one|two|three)\s(?:in|out\sof)\s(?:every\s)?|\b(?:sqrt|root)\s?|\d°\s?)\Z", re.IGNORECASE
)
"""What says before a number that it is a part of a value: "one in 4", "root 3", "30° 30′"."""
_OPERAND = re.compile(
    r"\s(?:times\s(?:(?:the\s)?(?:square|cube)\sroot|ten\b|pi\b|π|√|sqrt)|(?:[a-z]\s)?(?:squared|cubed|factorial)[.!\s]*\Z|"
    r"and\s(?:an?|one|two|three|four|five|six|seven|eight|nine)\s(?:hal(?:f|ves)|thirds?|quarters?|fifths?|eighths?)\b|"
    r"(?:raised\s)?to\sthe\s(?:power\s(?:of\s)?\d|\d+(?:th|rd|nd)|(?:third|fourth|fifth|sixth|tenth)(?:\spower)?[.!\s]*\Z)|"
    r"(?:less|more)\sthan\s(?:twice|half|double|triple)\b|(?:sqrt|(?:square\s|cube\s)?root)\s?(?:of\s)?\d|over\s\d+[.!\s]*\Z|"
    r"(?:mille|mila|tausend|duizend|mill[ioó]+n\w*|miljo\w+|милли\w+|тысяч\w*)\b)|(?<=\d)(?-i:[MB])(?![A-Za-z])|"
    r"\s?°?\s?\d+\s?[′']",
    re.IGNORECASE,
)
_SET_IN_WORDS = re.compile(
    r"\b(?:all\s(?:(?:real|rational|positive|negative|possible)\s)?(?:numbers|reals|integers|values|x)\b"
    r"[^.,;:=$\\]{0,30}|defined\severywhere\s)\b(?:except|other\sthan|greater|less|larger|smaller|above|below)\b"
    r"(?!.*(?:\bso\b|\bthat is\b|i\.e|\\cup|∪|\\infty|∞))",
    re.IGNORECASE,
)


def is_operand(prose: str, end: int) -> bool:
    """Whether the sentence goes on to calculate with the number that ends here: "2 times pi"."""
    return _OPERAND.match(prose, end) is not None


def is_set_in_words(sentence: str) -> bool:
    """Whether a sentence describes a set of numbers by a bound: "all real numbers except 2"."""
    return _SET_IN_WORDS.search(sentence) is not None


def set_in_signs(sentence: str) -> str | None:
    """The set of reals that a sentence ends on, "all real numbers except $x = 2$", as the grammar has it."""
    if _NOT.search(sentence):
        return None
    if _ALL_REALS.search(sentence):
        return "\\mathbb{R}"
    found = _BOUNDED_REALS.search(sentence)
    if found is None:
        return None
    bound, value, other = found[1].lower(), found[2], found[3]
    if bound in _HOLES:
        return f"\\mathbb{{R}}\\setminus\\{{{value}{',' + other if other else ''}\\}}"
    return None if other else _HALF_LINES[bound].format(value)


_NOT = re.compile(r"\bnot\b|n['’]t\b", re.IGNORECASE)
_OF_SETS = (
    r"^(?!.*\b(?:here|note|undefined|exclud\w*|where)\b)(?:\W*|.*\b(?:domain|range|solutions?|answer|set|interval|values)\b[^.]{0,40}"
    r"\b(?:is|are|includes|contains)\s(?:the set of )?\**)"
)
_ALL_REALS = re.compile(rf"{_OF_SETS}all (?:real numbers|reals)\W*\Z", re.IGNORECASE)
_HOLES = ("except", "except for", "other than")
_HALF_LINES = {
    "greater than or equal to": "[{},\\infty)", "at least": "[{},\\infty)", "greater than": "({},\\infty)",
    "less than or equal to": "(-\\infty,{}]", "at most": "(-\\infty,{}]", "less than": "(-\\infty,{})",
}  # fmt: skip
_OF_SET = r"\$?(?:[a-z]\s?=\s?)?(-?(?:\d+(?:[./]\d+)?|\\[dt]?frac\{\d+\}\{\d+\}))\$?"
_BOUNDED_REALS = re.compile(
    rf"{_OF_SETS}all real(?: number)?s(?: \$?[a-z]\$?)?(?: that are)? ({'|'.join((*_HALF_LINES, *_HOLES[::-1]))}) "
    rf"{_OF_SET}(?: (?:and|or) {_OF_SET})?\W*\Z",
    re.IGNORECASE,
)
_OF_THEM = re.compile(r"\s+of\s+(?:whom|which)\b", re.IGNORECASE)
_HEADED = re.compile(
    r"\b(?:step|case|part|question|problem|exercise|example|page|figure|equation|theorem|chapter|line|section|method|"
    r"statements?|claims?|conditions?|rules?|premises?|clues?|facts?|axioms?|option|note|#)\s+(?:\d+\s+and\s+)?#?\Z",
    re.IGNORECASE,
)
_CONVERTED = re.compile(
    r"\d\s?[a-z]+(?:/[a-z]+)?,?\s(?:which is|or)\s(?:about|approximately|roughly|around)\s\Z", re.IGNORECASE
)  # "75 km/h, which is about 46.6 mph"
_TAKEN_OF = re.compile(
    r"\b(?:(?:square|cube|fourth)\s(?:root\s)?|root\s|logarithm\s|log\s|sine\s|cosine\s|tangent\s|factorial\s|reciprocal\s|"
    r"inverse\s|negative\s|opposite\s|(?:half|thirds?|quarters?|fourths?|fifths?|tenths?)\s)of\s+[$€£(]{0,2}\Z",
    re.IGNORECASE,
)


def may_be_stated(prose: str, match: re.Match[str]) -> bool:
    """Whether a number is no heading's ("step 3"), no bound ("more than 3") and no aside ("3 of whom")."""
    before = prose[max(0, match.start() - 60) : match.start()]
    if _WHICH_IS.search(before) and BY_WHICH.match(prose, match.end()):
        return False
    return not (
        _TAKEN_OF.search(before)
        or _CONVERTED.search(before)
        or _RANGE.search(before)
        or _HEADED.search(before[-12:])
        or _THAN.search(before)
        or _WITHIN_VALUE.search(before)
        or _OF_THEM.match(prose, match.end())
    )
