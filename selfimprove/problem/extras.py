"""Fields of which no name says what they are to a question: what all rows of a source together say of them.

A passage under a name that nobody has listed is lost without a word if such fields are passed over, and an explanation
gives the answer away if they are put before the question. So a field with texts, a list of texts or a table is read as
context where it can be nothing else: it stands before the question in its row, or several questions share it. Behind
the answer it is passed over, as explanations and remarks stand there, unless it is long and holds the answer's words. A
list in which the answer is found at different places is the options. What is left open is refused, and the field is
named.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeGuard

from selfimprove.problem.context import CLAIMS, flat
from selfimprove.problem.families import Family, families
from selfimprove.problem.guess import size_of
from selfimprove.problem.likeness import ANSWERING, ASKING, CODING, GIVEN, is_beside, is_of
from selfimprove.problem.names import (
    ANSWERS,
    CHOSEN,
    LABELS,
    QUESTIONS,
    SOLUTIONS,
    Group,
    Names,
    Row,
    bare_name,
    opened,
)
from selfimprove.problem.numbering import as_number, is_index, place_of
from selfimprove.problem.option_fields import own_fields, sure_fields
from selfimprove.problem.options import read_options

MOST_ROWS = 300
"""Rows of a part of a source in which such fields are looked at."""
LEAST_ROWS = 3
"""Rows from which on they say something."""
LONG = 5
"""Words of a text that may be a passage."""
LEAST_PART = 3
"""Words of each of several numbered texts that may be parts of a passage, on average."""
PASSAGE = 15
"""Words of a text that is rather a passage than a remark."""
_LONGER_BY = 2
"""Times that a wording of a question is longer than another one, at most."""
_LONGER = re.compile(r"(?!(?:the|and|for|are|was|did|does|what|which|who|how|when|where)\b)\w{3,}")
MOST_LEADS = 3
"""Different beginnings that are told apart."""
_COUNTING = re.compile(_LONGER.pattern + r"|\d+|[^\W\d_](?!\w)")
_PROSE = 9
"""Words of a text in an object that may be a passage under any key."""
_NOT_SO = GIVEN | frozenset("previous prior main parent root first history base following".split())
"""Words of fields that hold no other wording of the question: a passage, or a question that it goes on from."""
_TEXTS = frozenset("text content body passage paragraph context document story article sentences rows table".split())
"""Keys of an object that is a passage."""
_ANSWERING = Group((*ANSWERS, *SOLUTIONS, *CHOSEN, *LABELS))

Role = Literal["context", "options", "unsure", ""]


@dataclass
class Leads:
    """What stands before the question in texts that hold all of it: the same in all rows if it is an instruction."""

    rows: int = 0
    values: set[int] = field(default_factory=set)

    def look(self, whole: str, question: str) -> None:
        """Note the lead of a text that holds the question; of any other nothing."""
        at = whole.find(question)
        if at >= 0:
            self.rows += 1
            if len(self.values) < MOST_LEADS:
                self.values.add(zlib.crc32(whole[:at].encode("utf-8", "surrogatepass")))

    def join(self, other: Leads) -> None:
        """Count what another has counted."""
        self.rows += other.rows
        self.values |= other.values

    @property
    def alike(self) -> bool:
        """Whether several texts begin in the same way."""
        return self.rows > 1 and len(self.values) == 1


@dataclass
class Extra:
    """What one such field holds: how much, where it stands, by which questions, and where the answer is in it.

    `quoted` counts the rows whose answer in words it holds, `picks` the places of the answer in its lists, `indexed`
    the lists that an index goes into, `counted` those into which a number goes that may be an answer as well;
    `reworded` counts the rows in which it asks what the question asks, `leads` what stands before the question in it.
    `family` are the fields whose texts were looked at as one.
    """

    rows: int = 0
    filled: int = 0
    words: int = 0
    places: Counter[str] = field(default_factory=Counter)
    asked: dict[int, set[int]] = field(default_factory=dict)
    quoted: int = 0
    lists: int = 0
    picks: Counter[int] = field(default_factory=Counter)
    indexed: int = 0
    counted: int = 0
    reworded: int = 0
    leads: Leads = field(default_factory=Leads)
    family: Family = ()

    def join(self, other: Extra) -> None:
        """Count what another has counted."""
        self.rows += other.rows
        self.filled += other.filled
        self.words += other.words
        self.quoted += other.quoted
        self.lists += other.lists
        self.indexed += other.indexed
        self.counted += other.counted
        self.reworded += other.reworded
        self.leads.join(other.leads)
        self.family = self.family or other.family
        self.places.update(other.places)
        self.picks.update(other.picks)
        for value, questions in other.asked.items():
            self.asked.setdefault(value, set()).update(questions)

    def role(self, name: str) -> Role:
        """What the field is to the question; `unsure` where it may be something that the question needs."""
        if self.rows < LEAST_ROWS or not self.filled:
            return ""
        if (offered := self._offered()) is not None:
            return offered
        if self.reworded >= self.filled or (self.leads.rows == self.filled and self.leads.alike):
            return ""
        between = self.places["between"] == self.filled and not is_of(name, CODING)
        beside = is_beside(name) and not is_of(name, GIVEN)
        if self.family and self.words >= LEAST_PART * len(self.family) * self.filled:
            told: dict[str, Role] = {"before": "unsure" if beside else "context", "after": ""}
            return next((told[place] for place in told if self.places[place] == self.filled), "unsure")
        if beside and self.words < PASSAGE * self.filled:
            return ""
        if self.words < LONG * self.filled:
            varied = 5 * len(self.asked) >= 4 * self.filled and self.words >= 2 * self.filled
            return "unsure" if between and varied and not is_beside(name) else ""
        shared = sum(len(questions) > 1 for questions in self.asked.values())
        if is_of(name, GIVEN) or self.places["before"] == self.filled or (shared > 1 and 2 * shared >= len(self.asked)):
            return "unsure" if beside or "." in name else "context"
        quotes = 5 * self.quoted >= 4 * self.filled and self.words >= PASSAGE * self.filled
        return "" if (self.places["after"] == self.filled and not quotes) or is_of(name, CODING) else "unsure"

    def _offered(self) -> Role | None:
        """Whether these are lists of options; None where nothing says so."""
        most = 9 * self.lists
        if not self.lists or 10 * self.lists < 9 * self.filled:
            return None
        if 10 * self.indexed >= most:
            return "options"
        if 10 * self.picks.total() >= most and set(self.picks) != {0}:  # one answer's names have the usual one first
            return "options" if len(self.picks) > 1 else "unsure"
        return "unsure" if 10 * self.counted >= most else None


def why_taken(role: Role) -> str:
    """Why a field is taken for what it is, in words."""
    if role == "options":
        return "it lists texts, of which the answer is one"
    return "it holds texts that stand before the question, or that several questions share"


@lru_cache(maxsize=1000)
def _to_look_at(names: Names) -> tuple[str, ...]:
    apart = own_fields(names) | {name for family in _families(names) for name in family}
    return tuple(name for name in names.doubtful if name not in apart)


@lru_cache(maxsize=1000)
def _families(names: Names) -> tuple[Family, ...]:
    """The numbered fields that are looked at as one: none of a name that is known for what the question needs."""
    apart = {*names.contexts, *names.told, *sure_fields(names)}
    return tuple(family for family in families(names) if apart.isdisjoint(family))


def looks(extras: dict[str, Extra], names: Names) -> bool:
    """Whether one of these fields is to be looked at in another row."""
    doubtful, holders = _to_look_at(names), names.holders
    firsts = tuple(family[0] for family in _families(names))
    if not doubtful and not holders and not firsts:
        return False
    return any(name not in extras or extras[name].rows < MOST_ROWS for name in (*doubtful, *holders, *firsts))


def look(
    extras: dict[str, Extra], row: Row, names: Names, question: str, text: str, offered: frozenset[str] = frozenset()
) -> None:
    """Look at the fields of a row that are not known by name; `question` is the field with its question, the `text`.

    `offered` are those that hold an option each.
    """
    order = list(row)
    top = question.split(".")[0]
    asked = order.index(top) if top in row else -1
    others = [order.index(name) for name in names.among(_ANSWERING) if name != question]
    answered = min(others, default=asked if top != question else len(order))
    told = asked >= 0 and (len(order) < LEAST_ROWS or order != sorted(order))
    for name in names.holders:
        extras.setdefault(name, Extra()).rows += not isinstance(row[name], str)
    joined = {family[0]: family for family in _families(names)}
    for name, value in _looked_at(row, names, joined, offered):
        found = extras.setdefault(name, Extra(family=joined.get(name, ())))
        if found.rows >= MOST_ROWS:
            continue
        found.rows += 1
        shown = flat(value) if _may_be_given(value) else ""
        if (
            name.partition(".")[0] == top
            or (bare_name(name) == "evidence" and is_of(question, CLAIMS))
            or not shown
            or shown in text
            or _alike(shown, text)
            or (is_of(name, ASKING) and not is_of(name, _NOT_SO) and _adds_nothing(shown, text))
            or (isinstance(value, list) and text in shown)
        ):
            continue
        if _may_reword(name) and _asks_alike(shown, text):
            found.reworded += 1
            continue
        found.leads.look(shown, text)
        found.filled += 1
        found.words += size_of(shown)
        at = order.index(name if name in row else name.partition(".")[0])
        found.places["before" if told and at < asked else "after" if told and asked < answered < at else "between"] += 1
        digest = zlib.crc32(shown.encode("utf-8", "surrogatepass"))
        found.asked.setdefault(digest, set()).add(zlib.crc32(text.encode("utf-8", "surrogatepass")))
        found.quoted += any(_is_words(row[one]) and str(row[one]) in shown for one in names.among(_ANSWERING))
        if isinstance(value, (list, tuple)) and not found.family:
            _pick(found, value, {one: row[one] for one in names.among(_ANSWERING)})


def has_families(names: Names) -> bool:
    """Whether numbered fields are looked at as one, which may as well be options."""
    return bool(_families(names))


def _looked_at(
    row: Row, names: Names, joined: Mapping[str, Family], offered: frozenset[str]
) -> Iterator[tuple[str, object]]:
    """The fields to look at with what they hold: numbered ones as one, objects by the passages in them."""
    yield from ((name, row[name]) for name in _to_look_at(names))
    yield from ((name, opened(row[name])) for name in names.holders if isinstance(row[name], str))
    yield from _inside(row, names)
    for name, family in joined.items():
        if not offered.isdisjoint(family):
            continue
        texts = [row[one] for one in family if row[one] not in (None, "")]
        answers = [row[one] for one in names.among(_ANSWERING)]
        whole = all(isinstance(one, str) for one in texts) and not any(one in texts for one in answers)
        yield name, texts if whole else ""


def _inside(row: Row, names: Names) -> list[tuple[str, object]]:
    """The passages in the objects of a row, by their names, which are dotted."""
    return [
        (f"{name}.{key}", inner)
        for name in names.holders
        if isinstance(value := row[name], dict)
        for key, inner in value.items()
        if is_of(str(key), GIVEN) and not is_beside(str(key))
    ]


def _is_words(answer: object) -> bool:
    """Whether this is an answer in words, which a passage may hold as they stand."""
    return (
        isinstance(answer, str)
        and len(answer) > 2
        and answer.casefold() not in ("yes", "true", "false")
        and (answer.replace(" ", "").isalpha())
    )


def _alike(one: str, other: str) -> bool:
    """Whether the two have most of their words in common: one question, worded twice."""
    words, others = set(one.split()), set(other.split())
    return 2 * len(words & others) >= len(words | others)


@lru_cache(maxsize=1000)
def _may_reword(name: str) -> bool:
    """Whether the name is like that of a question, and no usual one: a field with that may ask about the other."""
    return is_of(name, ASKING) and not is_of(name, _NOT_SO) and bare_name(name) not in QUESTIONS


def _asks_alike(one: str, other: str) -> bool:
    """Whether two questions of about a length have half of one's words, by how they begin, in common."""
    sizes = sorted((size_of(one), size_of(other)))
    if sizes[1] > _LONGER_BY * sizes[0]:
        return False
    words, others = ({word[:5] for word in _LONGER.findall(text.casefold())} for text in (one, other))
    return 0 < min(len(words), len(others)) <= 2 * len(words & others)


def _adds_nothing(one: str, other: str) -> bool:
    """Whether all that counts in a text, long words by how they begin and numbers, is in the other too."""
    words, others = ({word[:5] for word in _COUNTING.findall(text.casefold())} for text in (one, other))
    return len(words) > 2 and words <= others


def _pick(found: Extra, value: Sequence[object], answers: dict[str, object]) -> None:
    """Note where in the list the answer stands."""
    options = read_options(value) if all(isinstance(one, str) for one in value) else None
    if options is None:
        return
    found.lists += 1
    numbers = {name: number for name, one in answers.items() if (number := as_number(one)) is not None}
    fitting = [name for name, number in numbers.items() if 0 <= number <= len(options.texts)]
    if any(is_index(name) for name in fitting):
        found.indexed += 1
        return
    plain = [one for one in answers.values() if isinstance(one, (str, int)) and not isinstance(one, bool) and one != ""]
    places = [place_of(options, one, "") for one in plain]
    if found_at := [place for place in places if place is not None]:
        found.picks[found_at[0]] += 1
    elif fitting:
        found.counted += 1


def _may_be_given(value: object) -> bool:
    """Whether this may be a passage, paragraphs or a table."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(one, (str, list, tuple)) or _is_passage(one) for one in value)
    if isinstance(value, dict):
        prose = any(isinstance(one, str) and len(one.split()) > _PROSE for one in value.values())
        return _tells_no_answer(value) and (prose or not _TEXTS.isdisjoint(value))
    return isinstance(value, str)


def _is_passage(value: object) -> bool:
    """Whether this is an object with a text in it, as paragraphs and turns are."""
    return _tells_no_answer(value) and any(isinstance(one, str) and len(one.split()) > 2 for one in value.values())


def _tells_no_answer(value: object) -> TypeGuard[Row]:
    """Whether this is an object in which no key says that it holds an answer."""
    return isinstance(value, dict) and not any(is_of(str(key), ANSWERING) for key in value)
