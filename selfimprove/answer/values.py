"""The value that a sentence states: its last formula, point, number, quantity, list or relation.

Plain text is searched by shape: a number may have a root, pi, a power, a power of ten, a clock's or ratio's colon and
a known unit behind it, so that `3√2`, `2^10`, `7:45` and `5 minutes` are not read as 2, 10, 45 and 5. Numbers or
relations that are only joined ("2 and 3", "x = 2 or x = 3") are one list. A number in a phrase behind another one ("$98
on 16 jars") is not the one that is stated.
"""

from __future__ import annotations

import re

from selfimprove.answer.chances import chance_or_ratio
from selfimprove.answer.compounds import compound_end, spelt, with_compound
from selfimprove.answer.counted import same_measure
from selfimprove.answer.delimited import JOINED, MATH, inner, listed
from selfimprove.answer.durations import duration_at
from selfimprove.answer.numerals import stated_numeral
from selfimprove.answer.phrases import BY_WHICH, in_phrase, is_next_item, is_operand, is_set_in_words, may_be_stated
from selfimprove.answer.reading import read
from selfimprove.answer.tongues import MYRIAD
from selfimprove.answer.words import BARE_UNITS

_VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_DIGITS = (
    rf"(?:(?<=[$€£])\d{{1,3}}(?:\s\d{{3}})++(?!\d)|(?=\d{{1,3}}[ \u00a0\u202f]\d{{3}})(?:(?<=[:=≈~]\s)|(?<=\bis\s)|"
    rf"(?<=\bare\s)|(?<=\bof\s)|(?<=\bde\s)|(?<=\bholds\s)|(?<=\bhas\s)|(?<=\bcosts\s)|(?<=\bmakes\s)|"
    rf"(?<=i\.e\.\s)|(?<=\babout\s))[1-9]\d{{0,2}}(?:[ \u00a0\u202f]\d{{3}})++(?!\d|[./,]\d)|"
    rf"\d{{1,3}}(?:\.\d{{3}})++,\d++(?![\d,])|\d{{1,3}}(?:,\d{{3}})++(?!\d)(?:\.\d++)?|\d++,\d++(?![\d,])|"
    rf"\d++\.\d++|\.\d++|(?:\d++\s?)?[{_VULGAR}]|\d++)"
)
_ROOT = r"(?:√\s?(?:\d++|\([^()\n]{1,20}\))|sqrt\s?\([\w+*/^ .-]{1,20}\)|π|pi\b)(?:\^\d++|[⁰¹²³⁴-⁹]++)?"
_POWER_OF_TEN = r"\s?[×x*·]\s?10\s?(?:\^\s?[({]?[-−+]?\d++[)}]?|[⁻⁺]?[⁰¹²³⁴-⁹]++)"
_RAISED = r"(?:\^\s?[({]?[-−+]?\d++[)}]?|[⁻⁺]?[⁰¹²³⁴-⁹]++)"
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_À-ɏ.\\/^√])(?:[-−–+](?!\s[^\n]{0,12}\s(?:works?|fits|checks|is right)\b)\s?)?[$€£]?\s?"
    rf"(?:\d\d?/\d\d?/\d{{4}}(?![\d/])|\d{{4}}-[01]\d-[0-3]\d(?![\d/-])|\d++(?:\sand)?\s\d++/\d++(?![\d/])|"
    r"\d++\sand\s(?:a|one)[\s-](?:half|third|quarter)\b|"
    rf"{_DIGITS}?\s?[*·]?\s?{_ROOT}|\d++(?::\d++)++(?:\s?[ap]\.?m\b\.?|\sin\sthe\s(?:morning|afternoon|evening)\b|\sat\snight\b)?|"
    rf"{_DIGITS}(?:{_POWER_OF_TEN}|{_RAISED}|[kK](?![A-Za-z])|{MYRIAD})?)"
    r"(?!(?:st|nd|rd|th)\b|(?<=\d)[\d])"
    rf"(?:\s?/\s?(?:{_ROOT}|\d+(?!\d|\.\d)))?(?:\s?%)?",
    re.IGNORECASE,
)
_WORD = "|".join(sorted(BARE_UNITS - {"percents", "unit", "units"}, key=len, reverse=True))
_SYMBOL = (
    r"(?:[gmshLJNWVKACFT]|[kM]?Ω|[µμn](?:m|s|F|C|A|V|g|mol)|pF|m?M|m?mol|[kMGT]?eV|[kMG]?Hz|[kMG]?Pa|"
    r"[kM]J|[kM]W|kN|kV|mV|mA)"
)
_UNIT = re.compile(
    r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen|lakh|crore)\b)?(?:\s?€|\s?°(?:\s?(?-i:[CF])(?![A-Za-z]))?|"
    r"\sdegrees\s(?:Celsius|Fahrenheit)\b)?"
    r"(?:\s(?:newton[ -]met(?:er|re)s?|(?:kilo)?watt[ -]hours?|joule[ -]seconds?)\b|"
    r"\s(?-i:kg|N|J|W|A|V|C|Pa)\s?[·⋅]\s?(?-i:m|s|h|K)(?:\^?-?[23]|[²³])?(?:\s?/\s?(?:s|m|kg|K)(?:\^?2|²)?)?(?![\w/^])|"
    rf"\s?(?:(?:square|cubic|sq\.?)\s)?(?:(?:{_WORD})(?:\^?[23](?!\d)|[²³])?"
    rf"(?:\s?(?:/|per\s)\s?(?:{_WORD}|s|h)(?:\^?2|²|\ssquared)?)?|(?<=\s)(?-i:{_SYMBOL})|(?<=\s)(?-i:min)(?!\s?[({{a-z])|m/s(?:\^?2|²)?)(?![\w/^]))?",
    re.IGNORECASE,
)
_NEAR = re.compile(rf"\s?(?:≈|\\approx)\s?[$€£]?{_DIGITS}")
_TUPLE = re.compile(
    r"\[\s*\[[^\[\]\n]{1,60}\](?:\s*,\s*\[[^\[\]\n]{1,60}\]){1,7}\s*\]|"
    r"[(\[]\s*[-−]?[\w./√^]{1,20}(?:\s*[,;]\s*[-−]?[\w./√^]{1,20}){1,7}\s*[)\]]|"
    r"\[\s*-?(?:[\w./^*]|\(\w{1,6}\)){1,20}(?:\s*,\s*-?(?:[\w./^*]|\(\w{1,6}\)){1,20}){1,7}\s*\]"
)
_POINTS = re.compile(
    r"(?:\bis|\bare|\bat|\bpoints?|\bpair|\bvertex|\bcent(?:er|re)|\bfocus|\bset|\binterval|\bsolution|\bcoordinates|"
    r"\bto|=|:)"
    r"[\s*]*$",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"(?<=[\w.,$%*]) \([^()]{1,120}\)")
_GOES_ON = re.compile(
    r"\b(?:which (?:leaves|gives|makes|means)|leaving|giving|is (?:indeed|actually|really)|"
    r"so (?:there|that leaves|the|he|she|they|(?-i:[A-Z][a-z]+)))\b|"
    r",\s+(?:so|thus|hence)\s+(?:(?:it|this|that) (?:is|equals|becomes) "
    r"(?:written (?:as )?)?)?[$€£]?\Z",
    re.I,
)
_IS = re.compile(
    r"[\s*_]*(?:is|was|equals|becomes|will be|must be)\s+(?:(?:then|therefore|thus|hence|exactly|just|simply|about|"
    r"equal to)\s+)*[*_]*",
    re.IGNORECASE,
)
_TERM = r"[\w./\\{}^()√πÀ-ɏ²³⁴]++"
_RELATION = re.compile(
    rf"(?:(?<![\d./])[-−]?[\d./]++\s?(?:<=?|≤|>=?|≥)\s?)?(?<![\w\\])(?:[A-Za-z](?:_?\d)?|[A-Za-zα-ω][₀-₉])\s*(?:<=|>=|!=|==|=|<|>|≤|≥|≠|\\[a-z]+)\s*[-+−]?\s?{_TERM}"
    rf"(?:\s?[-+−*/·]\s?(?![A-Za-z]{{3,}}){_TERM})*"
)
_SUBJECT = re.compile(
    r"\W*(?:(?:so|thus|therefore|hence)\W+)?([$€£]?\d[\d,.]*)\s+(?:is|are|was)\s+(?:the|our|your|my)\s"
    r"[^,;=\d]*\d[^,;=]*\Z",
    re.IGNORECASE,
)
_PIECE = (
    r"(?>(?:sqrt|log|ln|sin|cos|tan|exp)(?:_\{?\w+\}?)?\s?|\d++(?:\.\d++)?|(?<![A-Za-z])[A-Za-z]{1,2}+(?![A-Za-z])|"
    r"\([^()\n]{1,30}\)|[√π²³!]|\^[({]?-?\w++[)}]?)"
)
_EXPRESSION = re.compile(
    rf"(?<![\w.$^_])-?{_PIECE}{{1,8}}+(?:\s?[-+*/·−]\s?{_PIECE}{{1,8}}+){{0,8}}+(?![\w^])", re.IGNORECASE
)
_VARIABLE = re.compile(r"(?:sqrt|log|ln|sin|cos|tan|exp)(?![a-z])|(?<![A-Za-z])[A-Za-z](?![A-Za-z])")
_BOLD = re.compile(r"\*\*([^*\n]{1,120})\*\*")
_FROM = re.compile(r"\b(?:by|from)\s+[$€£]?\Z", re.IGNORECASE)
_TO = re.compile(r"[\w\s%°]{0,25}\bto\s+", re.IGNORECASE)
Span = tuple[int, int]


def last_formula(sentence: str) -> str | None:
    """The last formula, point or number of a sentence, whichever stands later; a bold one before others."""
    return None if is_set_in_words(sentence) else emphasised(sentence) or _last(sentence)


def emphasised(sentence: str) -> str | None:
    """The last formula, point or number in bold; None without one, or if the sentence concludes another behind it."""
    bold = [
        (found, match.end())
        for match in _BOLD.finditer(sentence)
        if (found := _last(match[1])) and not match[1].rstrip().endswith(":")
    ]
    return bold[-1][0] if bold and not _CONCLUDES.search(sentence, bold[-1][1]) else None


_CONCLUDES = re.compile(r",?\s(?:so|thus|therefore|hence|leaving|which leaves)\b[^.]*\d", re.IGNORECASE)


def _last(sentence: str) -> str | None:
    if (interval := _WORDED_INTERVAL.search(sentence)) is not None:
        low, first, high, last = interval.groups()
        return f"{'[' if first == 'inclusive' else '('}{low}, {high}{']' if last == 'inclusive' else ')'}"
    if "∪" in sentence and (unions := list(_UNION.finditer(sentence))):
        rest = sentence[unions[-1].end() :]
        if "∪" not in rest and not re.search(r"\d", rest):
            return unions[-1][0]
    math = None
    for match in MATH.finditer(sentence):
        if not re.fullmatch(r"\\?[A-Za-z]{1,8}", inner(match)) or math is None:
            math = match
    prose = MATH.sub(lambda m: " " * len(m[0]), sentence)
    if math is None and (shared := chance_or_ratio(prose)) is not None:
        return shared
    point: Span | None = None
    for match in _TUPLE.finditer(prose):
        joined = point is not None and JOINED.fullmatch(prose, point[1], match.start()) is not None
        told = match.start() == 0 or _POINTS.search(prose[max(0, match.start() - 30) : match.start()])
        if re.search(r"\d", match[0]) and (joined or told):
            point = (point[0] if joined and point is not None else match.start()), match.end()
    if (height := _FEET_AND_INCHES.search(prose)) is not None:
        return height[0]
    if point is None:
        outside = _ASIDE.sub(lambda m: " " * len(m[0]), prose)
        prose = outside if _NUMBER.search(outside) else prose
    found = _last_value(prose)
    if math is not None and (pair := _with_decimal(sentence, math)) is not None:
        return pair
    if math is not None and (near := _NEAR_ASIDE.match(sentence, math.end())) is not None:
        return f"{inner(math)} \\approx {near[1]}"
    if point is not None and (found is None or found[1] <= point[1]):
        found = point
    if math is not None and (found is None or math.start() > found[0]):
        return measured(listed(sentence, math), sentence, math.end())
    if found is None:
        return None
    operator = _OPERATOR.search(prose, max(0, found[0] - 40), found[0])
    if is_operand(prose, found[1]):
        return prose[found[0] if operator is None else operator.start() :].strip(" .!")
    if operator is not None and operator["word"]:
        return prose[operator.start() : found[1]]
    lasting = duration_at(prose, *found) if "m" in prose else None
    return lasting or _in_both_units(sentence, found, _written(prose, *found))


def _in_both_units(sentence: str, found: Span, written: str) -> str:
    """A quantity with the equal one in another unit that stands in brackets behind it: "3 weeks (21 days)"."""
    beside = _BESIDE.match(sentence, found[1])
    if beside is None or not written[:1].isdigit() or written[-1:].isdigit():
        return written
    one, other = read(written).node, read(beside[1]).node
    equal = one is not None and other is not None and same_measure(one, other)
    return f"{written} or {beside[1]}" if equal else written


_BESIDE = re.compile(r"\s\((?:or |i\.e\.,? |that is,? |which is )?(\d[\d.,]*\s[a-z]{2,12})\)", re.IGNORECASE)
_OPERATOR = re.compile(
    r"(?:\b[\w.]+\s+)?\b(?:(?P<word>(?:raised )?to the power(?: of)?|choose|root of)|"
    r"times|plus|minus|negative|over|divided by)\s+\Z",
    re.IGNORECASE,
)
"""In front of a number that the sentence calculates with: "2 times 5 squared", "ten to the power of 6"."""
_FEET_AND_INCHES = re.compile(r"(?<![\w.])\d{1,2}['′]\s?\d{1,2}[\"″](?=\W*\Z)")
_INTERVAL = r"[(\[]\s?[^()\[\],$]{1,20},\s?[^()\[\],$]{1,20}[)\]]"
_UNION = re.compile(rf"{_INTERVAL}(?:\s?∪\s?{_INTERVAL}){{1,6}}+")
"""Intervals joined in plain text: `(−∞, 1] ∪ [4, ∞)`."""
_ENDS = r"[$\\(]*(-?[\w./\\]{1,20})[$\\)]*\s\((inclusive|exclusive)\)"
_WORDED_INTERVAL = re.compile(rf"\bfrom {_ENDS} to {_ENDS}")
"""An interval in words: "from 2 (inclusive) to 5 (exclusive)"."""


def measured(formula: str, sentence: str, end: int) -> str:
    """A value between dollar signs with the unit in words that stands behind it: "$30$ radians"."""
    unit = sentence[end : _with_unit(sentence, end)].strip()
    return f"{formula} \\text{{ {spelt(unit)}}}" if unit and _ONE_VALUE.fullmatch(formula) else formula


_ONE_VALUE = re.compile(r"(?:[A-Za-z]\s?=\s?)?-?(?:\d[\d.,]*|\\[dt]?frac\s?\{[^{}]*\}\s?\{[^{}]*\}|(?:\d+)?\\pi)")


def _with_decimal(sentence: str, decimal: re.Match[str]) -> str | None:
    """The formula before "which is approximately $1.41$" together with that decimal, as one around ≈; None without."""
    exact = None
    for match in MATH.finditer(sentence, 0, decimal.start()):
        exact = match
    between = "" if exact is None else sentence[exact.end() : decimal.start()].replace("(", "", 1)
    if exact is None or not _ROUGHLY.fullmatch(between):
        return None
    return f"{inner(exact)} \\approx {inner(decimal)}" if _IS_DECIMAL.fullmatch(inner(decimal)) else None


_NEAR_ASIDE = re.compile(
    r"[^()$\\]{0,20}\((?:which is |or |i\.e\.,? )?(?:approximately|about|roughly|around|≈|~)\s?"
    r"[$\\(]{0,2}(-?\d[\d,]*\.\d+)",
    re.IGNORECASE,
)
_IS_DECIMAL = re.compile(r"-?\d[\d,]*\.\d+")
_ROUGHLY = re.compile(
    r"(?:,?\s+(?:(?:which|that|and this)\s+is|or|i\.e\.,?))?,?\s*(?:approximately|about|"
    r"roughly|around|nearly|≈|\\approx)\s*(?:equal to\s+)?",
    re.IGNORECASE,
)


def _written(prose: str, start: int, end: int) -> str:
    """The value as it is compared: "minus 5" is -5, "1 and 1/2" a mixed number."""
    text = prose[start:end].strip().strip("+")
    text = _ROUGHLY.sub(" ≈ ", text, count=1) if _IRRATIONAL.search(text) and " " in text else text
    text = re.sub(r"^(\d+)\sand\s(?=\d+/\d+)", r"\1 ", text)
    text = _AND_A_PART.sub(lambda part: f"{part[1]} {_PARTS[part[2].lower()]}", text)
    text = _SYMBOL_BEHIND.sub(r"\\text{ \1}", with_compound(text))
    negative = _MINUS.search(prose[max(0, start - 30) : start]) or _BELOW_ZERO.match(prose, end)
    return f"-{text}" if negative and text[:1].isdigit() else text


_PARTS = {"half": "1/2", "third": "1/3", "quarter": "1/4"}
_AND_A_PART = re.compile(r"^(\d+)\sand\s(?:a|one)[\s-](half|third|quarter)\b", re.IGNORECASE)
_SYMBOL_BEHIND = re.compile(rf"(?<=[\d.)}}⁰¹²³⁴-⁹]) ({_SYMBOL})$")
_BELOW_ZERO = re.compile(r"\s(?:degrees?\s)?(?:below|under)\s(?:zero|0)\b", re.IGNORECASE)
_MINUS = re.compile(r"(?<![\d)%°])\s(?:minus|negative)\s*\Z", re.IGNORECASE)


def _last_value(prose: str) -> Span | None:
    """The last number, relation or list of them that is not part of a phrase behind an earlier one."""
    subject = _SUBJECT.match(prose)
    if subject is not None:
        return subject.span(1)
    numbers = [match.span() for match in _NUMBER.finditer(prose) if may_be_stated(prose, match)]
    if (pair := _exact_and_decimal(prose, numbers)) is not None:
        return pair
    found = _last_number(prose, numbers)
    relations = [match.span() for match in _RELATION.finditer(prose)]
    for start, end in relations:
        wider = found is None or end > found[1] or (end == found[1] and start < found[0])
        if wider and (found is None or start < found[1] or not in_phrase(prose, found[1], start)):
            found = start, end
    if found is None:
        return None
    approximate = _NEAR.match(prose, found[1])
    if approximate is not None:
        return found[0], approximate.end()
    if found in relations and (more := _MORE_VALUES.match(prose, found[1])) and not _WHEN.search(prose, 0, found[0]):
        return found[0], more.end(1)
    if found not in relations and (expression := _expression(prose, found)) is not None:
        return _alternatives(prose, expression)
    end = _with_unit(prose, found[1])
    return _joined(prose, (found[0], end), relations if found in relations else numbers, measured=end > found[1])


def _exact_and_decimal(prose: str, numbers: list[Span]) -> Span | None:
    """An exact value with a root or pi and the decimal that the sentence gives for it; None without them."""
    if len(numbers) < 2 or not _IS_DECIMAL.fullmatch(prose[slice(*numbers[-1])].strip()):
        return None
    exact, decimal = numbers[-2:]
    if not _IRRATIONAL.search(prose, *exact) or not _ROUGHLY.fullmatch(prose, _with_unit(prose, exact[1]), decimal[0]):
        return None
    start = (_expression(prose, exact) or exact)[0]
    before = _TERMS.search(prose, max(0, start - 60), start)
    return (start if before is None else before.start()), _with_unit(prose, decimal[1])


_WHEN = re.compile(r"\b(?:when|at|for|if|where|with|of)\s\$?\Z", re.IGNORECASE)
_MORE_VALUES = re.compile(r"((?:,\s[-−]?\d+(?:[./]\d+)?){0,8}(?:,?\s(?:and|or)|,)\s[-−]?\d+(?:[./]\d+)?)[\s.!*]*\Z")
"""The other values of an unknown at the end of a sentence: "x = 2, 3, and 5."."""
_IRRATIONAL = re.compile(r"√|π|sqrt|pi", re.IGNORECASE)
_TERMS = re.compile(r"(?<![\w.])(?:(?:\d++[.,]?\d*+|\d*\s?[*·]?\s?(?:√|sqrt\s?)\(?\d++\)?|\d*π)\s?[-+−*/·×]?\s?)+\Z")


def _last_number(prose: str, numbers: list[Span]) -> Span | None:
    result = prose.rfind("=")
    found: Span | None = None
    aside = 0  # where the last number ended that stands in a phrase behind the one that was found
    for start, end in numbers:
        if found is not None and _OR_ABOUT.search(prose, max(0, start - 24), start):
            continue
        if found is not None:
            ranged = _BETWEEN.search(prose, max(0, start - 40), start)
            if ranged is not None and ranged.start() >= found[1] - 1:
                continue
            if ":" in prose[start:end] and ":" in prose[slice(*found)]:
                found, aside = (start, end), 0  # of two times of day the later one
                continue
            moved = _FROM.search(prose, max(0, found[0] - 12), found[0]) and _TO.fullmatch(prose, found[1], start)
            listed = aside and is_next_item(prose, aside, start, end)
            behind = in_phrase(prose, found[1], start) or (aside and in_phrase(prose, aside, start))
            if not moved and (behind or listed):
                aside = end
                continue
            said = _IS.fullmatch(prose, found[1], start) and not BY_WHICH.match(prose, end)
            goes_on = _GOES_ON.search(prose, found[1], start) and not BY_WHICH.match(prose, end)
            if 0 <= result < found[1] and not said and not goes_on:
                continue
        found, aside = (start, end), 0
    return found


_OR_ABOUT = re.compile(r",?\s+or\s+(?:about|approximately|roughly|around|nearly)\s+[$€£]?\Z", re.IGNORECASE)
_BETWEEN = re.compile(
    r"[a-z\d]\s+between\s+(?:[-−]?\d[\d,.]*\s+and\s+)?[-−]?\Z|\d\s+(?:≤|<|<=)\s+[a-z]\s+(?:≤|<|<=)\s+\Z"
)


def _expression(prose: str, found: Span) -> Span | None:
    """The expression with variables or functions that the number is a part of: the 3 of "2x + 3"; else None."""
    start = max(0, found[0] - 80)
    for match in _EXPRESSION.finditer(prose, start, found[1] + 80):
        if match.start() <= found[0] + 1 and match.end() >= found[1] and _VARIABLE.search(match[0]):
            return match.span()
    return None


def _alternatives(prose: str, last: Span) -> Span:
    """The expression together with the one that and, or joins to it: "2 + 3i and 2 - 3i"."""
    for match in _EXPRESSION.finditer(prose, max(0, last[0] - 60), last[0]):
        names = set(_VARIABLE.findall(match[0]))
        joined = JOINED.fullmatch(prose, match.end(), last[0])
        if joined and joined[0].strip(" ,;") and names and names == set(_VARIABLE.findall(prose[slice(*last)])):
            return match.start(), last[1]
    return last


def _with_unit(prose: str, end: int) -> int:
    unit = _UNIT.match(prose, end)
    return max(end if unit is None else unit.end(), compound_end(prose, end) or 0)


def _joined(prose: str, last: Span, spans: list[Span], *, measured: bool) -> Span:
    """The span together with those before it that only commas, and, or join to it; `measured`: it has a unit."""
    start, end = last
    for before in reversed([span for span in spans if span[1] <= start]):
        unit = _with_unit(prose, before[1]) if measured else before[1]
        composed = unit > before[1] and prose[unit:start].isspace()  # 3 hours 30 minutes
        if not composed and (not JOINED.fullmatch(prose, unit, start) or _LEADS.search(prose[: before[0]])):
            break
        start = before[0]
    return start, end


_LEADS = re.compile(
    r"^\W*(?:so,?\s+)?(?:out of|of|from|with|in|after|for|by|on|at)\s+(?:the\s|all\s|a total of\s)?[$€£]?\Z",
    re.IGNORECASE,
)


def in_words(sentence: str) -> tuple[str, str] | None:
    """The number in words that a sentence states, as it is written and in digits with its unit; None without one.

    One before or beside a numeral counts only if the numeral is in a phrase behind it: "nine boxes of 6 muffins".
    """
    found = None if MATH.search(sentence) else stated_numeral(sentence)
    if found is None:
        return None
    start, end, value = found
    numbers = [match.span() for match in _NUMBER.finditer(sentence) if may_be_stated(sentence, match)]
    if any(number[0] < start for number in numbers) or (numbers and not in_phrase(sentence, end, numbers[0][0])):
        return None
    return sentence[start:end], value + sentence[end : _with_unit(sentence, end)]


def only_number(plain: str) -> str | None:
    """The number of a sentence that has one and no more."""
    numbers = _NUMBER.findall(plain)
    return str(numbers[0]).strip() if len(numbers) == 1 else None
