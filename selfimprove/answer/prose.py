"""The answer in free text: the last formula, number, point, word or choice of the last sentence that states one.

A text that breaks off (it ends on a word or sign that can't end a sentence), gives up ("no solution"), or whose last
statement is a promise, a supposition, a question or a denial has no answer in free text.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re

from selfimprove.answer.choices import lone_letter, named_letter, opening_letter
from selfimprove.answer.tongues import unconcluded
from selfimprove.answer.unfinished import denies, in_condition, promises, straight, supposes, taken_back
from selfimprove.answer.verdict import Candidate

_DENIED = re.compile(
    r"(?:\bnot|n't|\bnever)\s+(?:(?:be|equal|equals|to|exactly|just|the|at|a|an|is|point)\s+){0,4}[$\\(\[*]*$",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:do|does|did|is|are|was|were|can|could|will|would|has|have|had)(?:n't|\s+not)\s"
    r"(?:(?!\b(?:but|so|and|because|since|which|that|then)\b)[^,;:=])*$",
    re.IGNORECASE,
)
_GIVE_UP = re.compile(
    r"\b(?:no (?:solution|idea|answer)|not sure|(?:can ?not|can't|could not|couldn't|unable to|don't know how to) "
    r"(?:be )?(?:answer|solve|determine|know|say|do|tell|find)|\bno idea\b|don't know|do not know|idea how|fails\b)",
    re.IGNORECASE,
)
_DANGLING = frozenset(
    (
        "a an the and or but of to in on at by for from with as is are was were be been must should would could "
        "can will shall may might that which if then when so because than into about maybe perhaps let we i you "
        "our their its his her this these those have has had get gets now next also not plus minus equals how "
        "much many what where there"
    ).split()
)
MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$]{1,600})\$(?!\d)|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_À-ɏ.\\/])[-−–+]?\s?[$€£]?\s?(?:\d{1,3}(?:,\d{3})++(?!\d)(?:\.\d++)?|\d++,\d++(?![\d,])|\d++\.\d++|\.\d++|"
    r"(?:\d++\s?)?[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]|\d++(?!(?:st|nd|rd|th)\b))"
    r"(?:\s?/\s?\d+(?!\d|\.\d))?(?:\s?%)?"
)
_TUPLE = re.compile(r"[(\[]\s*[-−]?[\w./√^]{1,20}(?:\s*[,;]\s*[-−]?[\w./√^]{1,20}){1,7}\s*[)\]]")
_POINTS = re.compile(
    r"(?:\bis|\bare|\bat|\bpoints?|\bpair|\bvertex|\bcent(?:er|re)|\bfocus|\bset|\binterval|\bsolution|\bcoordinates|"
    r"\bto|=|:)"
    r"[\s*]*$",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"(?<=[\w.,$%*]) \([^()]{1,120}\)")
_CODE = re.compile(
    r"__\w{1,30}__|\w\s?\(\s?['\"]|\w\.\w{1,40}\(|['\"]\s?\)|\bdef \w+\(|\bprint\(|```\w+\n"
)  # program text has no answer in words
SENTENCE = re.compile(
    r"(?<!\n\d\.)(?<!\n\d\d\.)(?:(?<=[.?!])|(?<=\.\$)|(?<=\.\$\$)|(?<=\.\\[\])]))\s+(?=[A-Z\"'(*])|(?<=[。！？])|\n\s*\n|\n"
)
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
_RELATION = re.compile(r"(?<![\w\\])[A-Za-z]\d?\s*(?:<=|>=|!=|==|=|<|>|≤|≥|≠|\\[a-z]+)\s*[-+]?[\w./\\{}^]+")
_LISTED = re.compile(
    r"\s*(?:\(?\d{1,2}[.)]|[-*•])\s+(?=\S)|\s*\**\s*(?:step|part|case)\s+\d{1,2}\b\s*[:.)]?\**\s*", re.IGNORECASE
)
_HEADING = re.compile(r"\[[A-Za-z][^\[\]]{0,60}\]")
_BOLD = re.compile(r"\*\*([^*\n]{1,120})\*\*")
_COURTESY = re.compile(
    r"\W*(?:(?:please )?let me know|i hope|hope this|feel free|(?:is|are) there any|(?:do|would|can|could|"
    r"should) (?:you|i)\b|"
    r"any (?:other )?questions|thank)",
    re.IGNORECASE,
)
_PREDICATE = re.compile(
    r"(?:\bis|\bare|\bwas|\bwill be|\bmust be|\bbecomes)\s+(?:an?\s+|"
    r"the\s+)?([A-Za-z][\w'-]*(?:\s[A-Za-z][\w'-]*){0,2})\W*$"
)
_WRONG = re.compile(r"\(\s?(?:wrong|incorrect|false|no|nope)\b", re.IGNORECASE)
_WORDS = frozenset(
    (
        "odd even prime composite yes no true false increasing decreasing constant convergent divergent linear "
        "quadratic "
        "cubic ellipse parabola hyperbola circle line point isosceles equilateral scalene acute obtuse right rational "
        "irrational continuous injective surjective bijective symmetric parallel perpendicular positive negative zero "
        "undefined infinite finite infinity invertible singular independent dependent heads tails red blue green "
        "yellow black "
        "white orange purple pink brown north south east west square rectangle rhombus trapezoid kite cube "
        "tetrahedron sphere cone cylinder octahedron pyramid prism triangle pentagon hexagon octagon"
    ).split()
)
_NO_WORDS = re.compile(r"n't|\b(?:not|never|neither|nor|either|or|if|whether|cannot|unclear)\b", re.IGNORECASE)
_REPLY = re.compile(
    r"\W*(yes|no)\b(?:\W*(?:it|they|he|she|that|this|there)\s+(?:is|does|do|are|can|was|has|will)(?:n't|"
    r"\s+not)?)?\W*\Z",
    re.IGNORECASE,
)
_LOOKS = re.compile(r"\blet(?:'s|s| us| me)\s+(?!go with|choose|pick|select)", re.IGNORECASE)
_YES_NO = re.compile(r"\W*(yes|no)\b(?:[.!,;:]|\Z)(?!.*\b(?:yes|no|wrong)\b)", re.IGNORECASE | re.DOTALL)


def tidy(sentence: str) -> str:
    """A sentence without emphasis and its full stop."""
    text = re.sub(r"\s+", " ", sentence.replace("**", "").replace("__", "")).strip()
    text = text.strip("*_`").rstrip(".!").strip()
    if text.endswith(")") and text.count(")") > text.count("("):
        text = text[:-1].rstrip(".! ")
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def inner(match: re.Match[str]) -> str:
    """What a match of `MATH` holds."""
    return next(group for group in match.groups() if group is not None).strip()


def last_statement(text: str) -> Candidate | None:
    """The answer that a text without a marker states last, or None."""
    stripped = text.strip()
    listed = _LISTED.match(stripped)
    if listed is not None and "\n" not in stripped and listed.end() < len(stripped):
        stripped = stripped[listed.end() :]
    if _is_whole(stripped):
        return Candidate(tidy(stripped).lstrip("=> "), "whole")
    if _CODE.search(stripped):
        return Candidate(None, "extract", "program text is no answer")
    if _breaks_off(stripped):
        return Candidate(None, "extract", "the text breaks off")
    letter = opening_letter(stripped)
    if letter is not None and not taken_back(stripped[2:]):
        return Candidate(letter, "first line")
    sentences = [part for part in SENTENCE.split("\n" + stripped) if part and part.strip()]
    for place, sentence in enumerate(reversed(sentences[-40:])):
        found = _stated(sentence, last=place == 0)
        if found is not None:
            return found
    math = list(MATH.finditer(stripped))  # a formula over several lines, which the sentences cut apart
    return Candidate(inner(math[-1]), "last") if math else None


def _stated(sentence: str, *, last: bool) -> Candidate | None:
    """What a sentence states: an answer, that there is none, or nothing to the point (None)."""
    if _GIVE_UP.search(sentence):
        return Candidate(None, "extract", "the text gives up")
    if _COURTESY.match(sentence):
        return None
    listed = _LISTED.match(sentence)
    if listed is not None and listed.end() < len(sentence):
        sentence = sentence[listed.end() :]
    sentence = _HEADING.sub(" ", sentence)
    letter = lone_letter(sentence) if last else None
    if letter is not None:
        return Candidate(letter, "last")
    answered = _REPLY.match(straight(sentence))
    if answered is not None:
        return Candidate(answered[1], "last")
    if taken_back(sentence):
        return Candidate(None, "extract", "the answer is taken back")
    speaks, letter = named_letter(sentence)
    if speaks and letter is not None and not _weighs(sentence) and not in_condition(sentence, sentence.find(letter)):
        return Candidate(letter, "last")
    if speaks:
        return Candidate(None, "extract", "no one choice is stated")
    if promises(sentence) or unconcluded(sentence):
        return Candidate(None, "extract", "the text promises to go on")
    found, word = last_formula(sentence), _word_of(sentence)
    if word is not None and (found is None or re.fullmatch(r"[A-Za-z]", found)):
        return Candidate(word, "last")
    return None if found is None else _counted(sentence, found)


def _weighs(sentence: str) -> bool:
    """Whether a sentence about a choice only looks at it: "Let's evaluate option C."."""
    return supposes(sentence) or bool(_LOOKS.search(straight(sentence)))


def _counted(sentence: str, found: str) -> Candidate:
    """The last formula of a sentence as its answer, unless the sentence denies or only supposes it."""
    at = max(0, sentence.rfind(found))
    before = straight(sentence[:at])
    if (
        _DENIED.search(before[-60:])
        or _NEGATED.search(before[-120:])
        or denies(sentence)
        or _WRONG.search(sentence, at)
    ):
        return Candidate(None, "extract", "the answer is denied")
    if in_condition(sentence, at):
        return Candidate(None, "extract", "the answer is only supposed")
    return Candidate(found, "last")


def _word_of(sentence: str) -> str | None:
    """The word that a sentence without numbers says of its subject: "The function is odd.", "It is Evelyn."."""
    plain = tidy(MATH.sub(lambda m: inner(m) if len(inner(m)) < 8 else "?", sentence))
    answered = _YES_NO.match(plain)
    if answered is not None:
        return answered[1]
    found = _PREDICATE.search(plain)
    if found is None or _NO_WORDS.search(straight(plain)) or "?" in plain:
        return None
    words = found[1].split()
    if words[-1].lower() in _WORDS and len(words) <= 2:
        return found[1]
    return found[1] if all(word[0].isupper() for word in words) and len(words[0]) > 1 else None


def _is_whole(text: str) -> bool:
    """Whether the text is nothing but an answer: one line without a sentence in it."""
    if not text or "\n" in text or len(text) > 200 or " is " in text or text.endswith(("?", ":", "...", "…")):
        return False
    if re.search(
        r"\\boxed|^\W*(?:try|let)\b|\b(?:so|it|we|he)\b|\\[a-z]*frac\s*\{[^{}]*\}?\s*\{?[^{}]*$", text, re.IGNORECASE
    ):
        return False
    return (
        not re.search(r"(?<!\\)\b[A-Za-z]{3,}\b", re.sub(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?", " ", text))
        or len(text.split()) == 1
    )


def _breaks_off(text: str) -> bool:
    """Whether the text ends in the middle of a sentence or a formula."""
    if not text:
        return True
    if _open_brackets(text[-400:].rsplit("\n", 1)[-1]):
        return True
    word = re.search(r"([A-Za-z']+)$", text[-40:])
    if word is not None:
        return word[1].lower() in _DANGLING
    return (
        _opens_formula(text.rsplit("\n", 1)[-1]) or text[-1] in "+-*/=<>,({\\^_" or text.endswith(("\\cdot", "\\times"))
    ) and not text.endswith("**")


def _open_brackets(line: str) -> bool:
    """Whether braces of a TeX command are left open at the end of the line."""
    tail = re.sub(r"\\[{}]", "", line)
    return "\\" in tail and tail.count("{") > tail.count("}")


def last_formula(sentence: str) -> str | None:
    """The last formula, point or number of a sentence, whichever stands later; a bold one before others."""
    bold = [found for part in _BOLD.findall(sentence) if (found := _last(part)) and not part.rstrip().endswith(":")]
    return bold[-1] if bold else _last(sentence)


def _last(sentence: str) -> str | None:
    math = None
    for match in MATH.finditer(sentence):
        if not re.fullmatch(r"\\?[A-Za-z]{1,8}", inner(match)) or math is None:
            math = match
    prose = MATH.sub(lambda m: " " * len(m[0]), sentence)
    point = None
    for match in _TUPLE.finditer(prose):
        if re.search(r"\d", match[0]) and (
            match.start() == 0 or _POINTS.search(prose[max(0, match.start() - 30) : match.start()])
        ):
            point = match
    if point is None:
        outside = _ASIDE.sub(lambda m: " " * len(m[0]), prose)
        prose = outside if _NUMBER.search(outside) else prose
    number = _last_number(prose)
    if point is not None and (number is None or number.end() <= point.end()):
        number = point
    if math is not None and (number is None or math.start() > number.start()):
        return inner(math)
    return number[0].strip().strip("+") if number is not None else None


def _last_number(prose: str) -> re.Match[str] | None:
    """The last number or relation that is not part of a phrase behind an earlier one ("$98 on 16 jars")."""
    number: re.Match[str] | None = None
    result = prose.rfind("=")
    for pattern in (_NUMBER, _RELATION):
        for match in pattern.finditer(prose):
            if number is not None and _in_phrase(prose, number.end(), match.start()):
                continue
            if pattern is _NUMBER and 0 <= result < (number.end() if number is not None else 0):
                continue
            if (
                number is None
                or match.end() > number.end()
                or (match.end() == number.end() and match.start() < number.start())
            ):
                number = match
    return number


def _in_phrase(prose: str, end: int, start: int) -> bool:
    """Whether a number stands in a phrase ("for 3 boxes", "on ice cream for 16 jars") behind an earlier number."""
    if _MODIFIER.search(prose[max(0, start - 12) : start]):
        return True
    between = prose[end:start]
    return len(between) < 120 and bool(_PHRASE.search(between)) and not _CLAUSE.search(between)


def value_in_sentence(text: str) -> str | None:
    """The one number of a plain sentence, as a box may hold one ("There are 12 apples left."); else None."""
    if len(text) > 300:
        return None
    plain = re.sub(r"\\(?:text(?:bf|it|rm)?|mathrm|mbox)\s?\{|\}|\\(?=[$%,;: ])", " ", text)
    numbers = _NUMBER.findall(plain)
    if (
        len(numbers) != 1
        or "\\" in plain
        or _OPERATED.search(straight(plain))
        or not re.search(r"[A-Za-z]{3,}\W+[A-Za-z$\d]", plain)
    ):
        return None
    return None if promises(plain) or denies(plain) else numbers[0].strip()


_OPERATED = re.compile(
    r"[+*/^=<>?_|]|\b(?:not|n't|no|never|or|nor|neither|between|more|less|fewer|greater|least|most|than|about|around|"
    r"approximately|roughly|nearly|almost|maybe|perhaps|possibly|if|unless|half|third|quarter|twice|thrice|double|"
    r"triple|"
    r"times|root|squared|cubed|square of|cube of|plus|minus|divided|mod|log|sin|cos|tan|multiples?|factor|powers?|"
    r"wrong|every|each|all|"
    r"up to|over \$?\d|under|above|below|except|instead|try|think|guess|wait|don't|can't|isn't|doesn't|negative|"
    r"percent of|"
    r"[a-z] (?:is|are) (?:not|never))\b|n't\b",
    re.IGNORECASE,
)


def _opens_formula(line: str) -> bool:
    """Whether the line ends inside a formula: an odd dollar sign that opens one."""
    return line.count("$") % 2 == 1 and re.search(r"\$(?![\d\s])[^$]*$", line) is not None
