"""Answers in words: what a sentence says of its subject ("The function is odd.", "It is Evelyn."), or who did it.

The words are a closed list, or names. A sentence that denies, asks, or supposes says none.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re

from selfimprove.answer.delimited import MATH, inner
from selfimprove.answer.sentences import SENTENCE, tidy
from selfimprove.answer.unfinished import promises, straight

_PREDICATE = re.compile(
    r"(?:\bis|'s|\bare|\bwas|\bwill be|\bmust be|\bbecomes)\s+(?:on\s+)?"
    r"(?:(?:the\s)?(?:equation|graph|formula|shape)\sof\s)?(?:an?\s+|"
    r"the\s+)?([A-Za-z][\w'-]*(?:\s[A-Za-z][\w'-]*){0,2})\W*$"
)
_WORDS = frozenset(
    (
        "odd even prime composite yes no true false increasing decreasing constant convergent divergent linear "
        "quadratic cubic ellipse parabola hyperbola circle line point isosceles equilateral scalene acute obtuse right "
        "rational irrational continuous injective surjective bijective symmetric parallel perpendicular positive "
        "negative zero undefined infinite finite infinity invertible singular independent dependent heads tails red "
        "blue green yellow black white orange purple pink brown north south east west square rectangle rhombus "
        "trapezoid kite cube tetrahedron sphere cone cylinder octahedron pyramid prism triangle pentagon hexagon "
        "valid invalid plausible implausible entailed contradicted neutral "
        "octagon parallelogram trapezium cuboid consistent inconsistent monday tuesday wednesday thursday "
        "friday saturday sunday"
    ).split()
)
_NOUNS = frozenset(
    "function number integer day matrix series sequence graph curve polynomial statement one triangle".split()
)
_UNSURE = re.compile(r"\b(?:either|or|if|whether|cannot|unclear|maybe|perhaps|suppose|assume)\b", re.IGNORECASE)
_NO = re.compile(r"n't|\b(?:not|never|neither|nor)\b", re.IGNORECASE)
_NEITHER = re.compile(r"\b(?:is|are)\s+(neither)\s+\w+\s+nor\s+\w+\W*$", re.IGNORECASE)
_LACKING = {"valid": "invalid", "plausible": "implausible", "consistent": "inconsistent"}
_NOT_SO = re.compile(
    r"\b(?:is|are) (?:therefore |thus |hence |clearly |deductively |logically )?not (?:deductively |logically )?"
    rf"({'|'.join(_LACKING)})\W*\Z",
    re.IGNORECASE,
)
_EXCLUDED = re.compile(r",?\s+(?:and\s+)?(?:not|neither|rather than|instead of)\s+[A-Z][^,;.]{1,60}\Z")
_NOT_WORD = re.compile(r",?\s+(?:and\s+)?(?:not|rather than|instead of)\s+(?:an?\s)?[a-z]+\Z")
_WHERE = re.compile(r"\s(?:on|over|throughout|everywhere|for all|for every)\b(?:(?!\b(?:is|are|was|which)\b)[^.\d])*\Z")
_FACING = re.compile(
    r"\b(?:facing|faces|heading|heads|pointing|points)\s((?:north|south)(?:-?(?:east|west))?|east|west)\W*$",
    re.IGNORECASE,
)
_CLAUSES = re.compile(r"[,;]\s+(?:but\s+|and\s+|so\s+)?|\s+(?:but|so)\s+", re.IGNORECASE)
_CONCLUDES = re.compile(r"\W*(?:so|thus|therefore|hence|then|it(?:'s| is| will be| must be| was))\b", re.IGNORECASE)
_WINNER = re.compile(
    r"\W*(?:(?i:so|thus|therefore|hence|then|and)\b,?\s*)*([A-Z][a-z]+)\s+"
    r"(?:wins|won|will win|(?:is|has) the (?:winner|\w+est|most|least))\b[^,;.]*\W*$"
)
_NAME = r"[A-Z][a-z]+(?:\s[A-Z][a-z]+)?"
_CONTRAST = re.compile(
    rf"\W*(?:(?:So|Thus|Therefore|Hence),?\s+)?(?:[Ii]t\s(?:is|was)\s)?({_NAME}),?\s(?:and\s)?(?:not|rather\sthan|instead\sof)\s"
    rf"{_NAME}(?:,?\s[a-z][^,;]*)?\W*$"
)
_AGENT = re.compile(
    r"\b(?:is|was|were) (?:written|painted|invented|discovered|founded|directed|composed|built|designed|won|created|"
    rf"made|proposed|developed|first \w+ed) by ((?:{_NAME})(?:\s[A-Z][a-z]+)?)\W*$"
)
_CLEFT = re.compile(rf"\W*(?:[Tt]hus |[Ss]o )?[Ii]t (?:is|was) ({_NAME}(?:\s[A-Z][a-z]+)?) (?:who|that) [^;:,]*$")
_APPOSITION = re.compile(
    rf"\W*(?:[Ii]t(?:'s| is| was)|[Tt]hat(?:'s| is| was)) ({_NAME}), (?:the|an?|who|which|where) [^;:]*$"
)
_SO_REPLY = re.compile(
    r"(?:,\s+(?:so|therefore|thus|hence),?\s+|[a-z]:\s+|\b(?:but|so|hence|thus)\s+(?:the|this|that)\s(?:statement|claim|assertion|conclusion|"
    r"conjecture|argument)\sis\s)(yes|no|true|false)(?:,\s[A-Z][a-z]+\s[^,;.]*)?\W*$",
    re.IGNORECASE,
)
_PLACE = re.compile(rf"\b(?:is|was)\s(?:in\s)?({_NAME}),\s{_NAME}\W*$")
_SO_NAME = re.compile(
    rf",\s(?:so|thus|hence|therefore)(?:\sit(?:'s|\sis))?\s({_NAME})"
    r"(?:\s(?:is|has)\sthe\s(?:\w+est|most|least)\b[^,;.]*)?\W*$"
)
_NOT_BUT = re.compile(rf"\W*(?:[Ii]t(?:'s|\sis)\s)?[Nn]ot\s{_NAME},?\sbut(?:\srather)?\s({_NAME})\W*$")
_SO = re.compile(r"\bso\s+\Z", re.IGNORECASE)
_NAMELY = re.compile(
    r"[,;]\s(?:i\.\s?e\.?|that is|in other words|meaning|so it is)(?:,|\s)\s?([a-z-]+)\W*$", re.IGNORECASE
)
_NO_NAMES = frozenset(
    "The This That It He She There We They If Since Let Step Option Choice Who Neither Nobody".split()
)
_YES_NO = re.compile(
    r"\W*(yes|no)\b(?:[.!,;:]|\Z)(?!\W*(?:but )?(?:only )?(?:if|when|unless|provided|sometimes)\b)"
    r"(?!.*\b(?:yes|no|wrong)\b)",
    re.IGNORECASE | re.DOTALL,
)


def word_of(sentence: str, plain: str) -> tuple[str, bool] | None:
    """The word that a sentence says of its subject, and whether it stands before numbers earlier in the sentence.

    `plain` is the sentence without emphasis.
    """
    plain = straight(MATH.sub(lambda m: inner(m) if len(inner(m)) < 8 else "?", plain))
    answered = _YES_NO.match(plain)
    if answered is not None:
        return answered[1], False
    if (reply := _SO_REPLY.search(plain)) is not None and not _UNSURE.search(plain):
        return reply[1], True
    if "?" in plain or _UNSURE.search(plain):
        return None
    winner = _WINNER.match(plain)
    if winner is not None and winner[1] not in _NO_NAMES and not _NO.search(plain):
        return winner[1], False
    contrast = _CONTRAST.match(plain)
    if contrast is not None and contrast[1].split()[0] not in _NO_NAMES:
        return contrast[1], False
    if (namely := _NAMELY.search(plain)) is not None and namely[1].lower() in _WORDS:
        return namely[1], True
    if (turned := _NOT_BUT.match(plain) or (None if _NO.search(plain) else _FACING.search(plain))) is not None:
        return turned[1], False
    agent = (
        _CLEFT.match(plain)
        or _AGENT.search(plain)
        or _APPOSITION.match(plain)
        or _PLACE.search(plain)
        or _SO_NAME.search(plain)
    )
    if agent is not None and not _NO.search(plain):
        return agent[1], False
    if (lacking := _NOT_SO.search(plain)) is not None:
        return _LACKING[lacking[1].lower()], True
    neither = _NEITHER.search(plain)
    if neither is not None:
        return neither[1], False
    plain = _WHERE.sub("", _NOT_WORD.sub("", _EXCLUDED.sub("", plain).rstrip(" .!")))
    clauses = _CLAUSES.split(plain)
    found = _PREDICATE.search(clauses[-1])
    if found is None or _NO.search(clauses[-1]):
        return None
    words = found[1].split()
    if len(words) > 1 and words[-1].lower() in _NOUNS:
        del words[-1]
    known = words[-1].lower() in _WORDS and len(words) <= 2
    if not known and not (all(word[0].isupper() for word in words) and len(words[0]) > 1):
        return None
    words = words[-1:] if known and words[0].endswith("ly") else words
    said = _CONCLUDES.match(clauses[-1]) is not None or _SO.search(plain, 0, len(plain) - len(clauses[-1])) is not None
    concluded = len(clauses) > 1 and said and not re.search(r"\d", clauses[-1])
    weekday = len(words) == 1 and words[0].lower().endswith("day") and words[0].lower() in _WORDS
    return " ".join(words), (concluded and known) or weekday


def known_word(text: str, wanted: str) -> str | None:
    """What the last sentence of a text says of its subject, for a reference that is such a word ("97 is prime")."""
    if wanted not in _WORDS:
        return None
    sentences = [part for part in SENTENCE.split(text[-2_000:]) if part.strip()]
    if not sentences or promises(sentences[-1]):
        return None
    said = word_of(sentences[-1], tidy(sentences[-1]))
    return None if said is None else said[0]


def bold_word(sentence: str) -> str | None:
    """The words in bold on which a sentence ends behind a colon or a verb, or the only ones if it has no number.

    None if it has other bold parts, denies, asks or weighs.
    """
    bold = list(_BOLD.finditer(sentence))
    if len(bold) != 1 or _BOLD_WORDS.fullmatch(bold[0][1]) is None or _HEADING.match(bold[0][1]):
        return None
    before, behind = straight(sentence[: bold[0].start()]), straight(sentence[bold[0].end() :])
    if _NOT_BOLD.search(before) or _DENIED_BOLD.match(behind) or "?" in sentence or "**" in before + behind:
        return None
    if not behind.strip(" .!") and (_LEADS_TO.search(before) or bold[0][1].lower() in _WORDS):
        return bold[0][1]
    if (
        re.search(r"[\d$\\]", before + behind)
        or not (before.strip(" *_-") or _IS_ONE.match(behind))
        or not (_BY.search(before) or _LEADS_TO.search(before) or _COPULA.search(behind))
    ):
        return None
    return bold[0][1]


_BY = re.compile(r"\b(?:by|in|through|via|as|likely|clearly)(?:\s(?:an?|the))?\s*\Z", re.IGNORECASE)
_COPULA = re.compile(r"\A[^.;]*?\b(?:is|are|was|were|fits|applies|works|describes|explains)\b")
_IS_ONE = re.compile(r"\s(?:is|are|was|were)\s(?:the|an?)\b")
_BOLD = re.compile(r"\*\*([^*\n]{1,60})\*\*")
_BOLD_WORDS = re.compile(r"[A-Za-z][A-Za-z'-]*(?: [A-Za-z'-]+){0,3}")
_HEADING = re.compile(
    r"(?:the |final |in )?(?:answer|note|step|final|so|therefore|thus|hence|not|no|conclusion|explanation|"
    r"reasoning|solution|result|"
    r"only|all|each|both|total|exactly|any|every|same|must|important|given|units?|check|because|and|or|if)\b",
    re.IGNORECASE,
)
_NOT_BOLD = re.compile(
    r"n't\b|\b(?:not|never|neither|nor|rather than|instead of|unlike|no|than|without|either|or|if|whether|might|"
    r"may|could|"
    r"maybe|perhaps|suppose|assum\w+|let|need|should|wrong|incorrect|mistake|say|think|seems?|probably|likely|"
    r"depends|ask\w*|want\w*|know)\b",
    re.IGNORECASE,
)
_DENIED_BOLD = re.compile(
    r"\s*(?:(?:is|are|was|were|does|do|did|has|have|can|could|will|would|should|must)(?:n't|\s(?:not|also|"
    r"either)\b)|or\b|and\b|cannot|can't|"
    r"might|may|could|,?\s?(?:but|although|if|unless)\b|seems|fails|:)",
    re.IGNORECASE,
)
_LEADS_TO = re.compile(
    r"(?::|=|→|⇒|\b(?:is|are|was|be|becomes|called|named|on|of them)(?:\s(?:an?|the|all|therefore|thus|then))?)\s*\Z",
    re.IGNORECASE,
)


def labelled_choice(sentence: str) -> str | None:
    """The choice with its text on which a sentence ends, "(B) carbon dioxide"; None if it denies or weighs it."""
    found = _CHOICE_WITH_TEXT.search(sentence)
    if found is None or "?" in sentence or _NOT_CHOSEN.search(straight(sentence[: found.start()])):
        return None
    return None if re.search(r"\bor\b", found[3]) else f"({found[1] or found[2]}) {found[3].strip(' *_')}"


_CHOICE_WITH_TEXT = re.compile(
    r"(?:\b(?:is|are|was|were|be|called|means|becomes|it's)|\bso|\bthus|\bhence|\btherefore|[:,])\s[*_]{0,2}(?:\(([A-J])\)|(?:[Oo]ption\s|"
    r"[Cc]hoice\s)?([B-J])[).:,](?<!\sI[).:,]))\s"
    r"([A-Za-z](?:(?!\b(?:is|are|was|were|because|since|so)\b)[A-Za-z' -]){2,80}?)[*_]{0,2}"
    r"(?:,\s(?:and\s)?(?:not|rather|which|because|since|while|whereas|as)\b[^?]*)?[\s.!]*\Z"
)
_NOT_CHOSEN = re.compile(
    r"n't\b|\b(?:not|never|neither|nor|if|whether|unless|either|or|could|might|may|maybe|perhaps|cannot|suppose|"
    r"assum\w+|wrong|"
    r"incorrect|says?|distractor|trap|tempting|mistake|common|confuse\w*|often|"
    r"(?:one|another|first|second|next|other|last) (?:option|choice|candidate|possibility))\b|\([A-J]\)",
    re.IGNORECASE,
)


def in_parts(text: str) -> str | None:
    """The values of a text that is nothing but its parts, "(a) 5" and "(b) 7", or "x = 2" and "y = 3", as one list."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not 1 < len(lines) <= _MOST_PARTS:
        return None
    parts = [_PART.fullmatch(line) for line in lines]
    if not all(parts):
        return None
    names = [part[1] or part[2] for part in parts if part]
    labelled = all(part[1] for part in parts if part)
    if len(set(names)) < len(names) or (labelled and "".join(names) != _PART_NAMES[: len(names)]):
        return None
    if not labelled and not all(part[2] for part in parts if part):
        return None
    return ", ".join(part[3] if labelled else f"{part[2]} = {part[3]}" for part in parts if part)


def listed_values(text: str) -> str | None:
    """The values of a list on which a text ends behind a line that announces them, "The roots are:"; else None."""
    lines = [line for line in text.split("\n") if line.strip()]
    at = next((at for at in range(len(lines) - 1, -1, -1) if not _ITEM.fullmatch(lines[at])), -1)
    if at < 0 or not 2 <= len(lines) - at - 1 <= _MOST_PARTS:
        return None
    if not _ANNOUNCED.search(lines[at]) and not (_NAMED.match(lines[-1]) and _GOT.search(lines[at])):
        return None
    if _ONLY_TRIED.search(straight(lines[at])):
        return None
    items = [item[1] for item in map(_ITEM.fullmatch, lines[at + 1 :]) if item]
    return ", ".join(re.sub(r"[$*]|\\[()]", "", item).strip(" .,;") for item in items)


def sorted_words(lines: list[str]) -> str | None:
    """The words of a list, one in a line, behind a line that calls it sorted or the answer, or alone; else None."""
    at = next((at for at in range(len(lines) - 1, -1, -1) if not _WORD_ITEM.fullmatch(lines[at])), -1)
    if len(lines) - at - 1 < _FEWEST_WORDS or (at >= 0 and not _SORTED.search(lines[at])):
        return None
    return " ".join(item[1] for item in map(_WORD_ITEM.fullmatch, lines[at + 1 :]) if item)


_FEWEST_WORDS = 3
_WORD_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+([A-Za-z'-]+)\s*")
_SORTED = re.compile(
    r"\b(?:sorted|alphabetical|ordered|order)\b[^.\n?]*:[\s*_]*\Z|\banswer(?: is)?\s?:?[\s*_]*\Z", re.IGNORECASE
)
_NAMED = re.compile(r"\s*(?:[$*]|\\\()*[a-z]\s?=\s?-?[\d.,/]+(?:[$*.\s]|\\\))*\Z")
_GOT = re.compile(
    r"\b(?:we (?:get|have|find|obtain)|gives|giving|yields?|solving (?:the|this|these) [a-z ]{3,30}|"
    r"obtain(?:ing)?|solution)\b\W*\Z",
    re.IGNORECASE,
)
_ITEM = re.compile(
    r"\s*(?:(?:[-*•]|\(?\d{1,2}[.)]|\(?[ivx]{1,4}[.)])\s+|(?=[$\\(]{0,2}[a-z]\s?=\s?-?\d))((?:[$*]|\\\()*(?:[A-Za-z](?:_\{?\w\}?)?\s?=\s?)?"
    r"(?!\d{1,2}[.)]\s)(?:(?![A-Za-z]{2})[^=\s\\]|\\(?:[a-z]+|[^a-z\s])|(?<=\S)\s(?=[-+/*\\\d]))+)\s*(?:and|or)?\s*"
)
_ANNOUNCED = re.compile(
    r"\b(?:solutions?|roots?|zeros|zeroes|values? of \$?[a-z]\$?|eigenvalues|intercepts)\b[^.\n?]*"
    r"(?:\bare|:)[\s*_]*\Z",
    re.IGNORECASE,
)
_ONLY_TRIED = re.compile(
    r"n't\b|\b(?:not|no|possible|potential|candidates?|rational root|try|check|test|verify|whether|if|let|could|might|"
    r"may|steps?|extraneous)\b",
    re.IGNORECASE,
)


def numbered_choice(text: str) -> str | None:
    """The number of the one choice that a text calls the right one, "Option 2 is the best"; None without one."""
    named = {match[1] for match in _NUMBERED_CHOICE.finditer(text)}
    return named.pop() if len(named) == 1 else None


_NUMBERED_CHOICE = re.compile(
    r"\b(?:option|choice|answer)\s\(?(\d{1,2})\)?[*_]{0,2}\s(?:is|must be)\s(?:clearly\s|therefore\s)?(?:the\s)?"
    r"(?:best|correct|right|most\s\w+)\b",
    re.IGNORECASE,
)


def ranks(text: str) -> bool:
    """Whether a text puts things in an order: "from left to right", "the tallest to the shortest", "sorted"."""
    return _RANKS.search(text) is not None


_RANKS = re.compile(
    r"\bfrom (?:the )?(?:left|right|top|bottom|front|back|first|last|most|least|\w{2,}est|high|low|small|large)\b|"
    r"\b(?:sorted|ranked|ranking|alphabetical(?:ly)?|chronological(?:ly)?)\b|\b(?:in|the) (?:\w+ )?order\b",
    re.IGNORECASE,
)
_MOST_PARTS, _PART_NAMES = 6, "abcdef"
_PART = re.compile(r"(?:\(?([a-f])\)\s*|([a-z])\s?=\s?)([-−]?[$€£]?\d[\d.,/]*?)[.,;]?")
