"""The question of rows in which no field has a usual name for one, told by all rows of a source together.

A field is taken only where nothing else may be meant: the one whose name is like that of a question, or else the one
whose texts end in a question mark or have a blank, or else the only text that is left besides answers, options, ids and
what else stands beside them (`likeness`). Sentences that are numbered are read as one text, and so are the two of a
pair. Where two fields may be the question, or a text is left that may belong to it, the source is refused and both are
named.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from selfimprove.problem.likeness import ASKING, GIVEN, is_beside, is_of, may_be_given
from selfimprove.problem.names import CONTEXTS, Row, bare_name, listed

MOST_VALUES = 200
"""Different values of a field that are told apart, and rows in which fields are compared."""
PASSAGE = 5
"""Words of a text that may belong to a question."""
MOST_FIELDS = 40
"""Fields of a source that are looked at."""

_ASKS = re.compile(r"(?:[?？؟]|=)[\s\"'”’»)]*$|(?:^|\n)\s*(?:answer|a)\s*:\s*$", re.IGNORECASE)
_HAS_BLANK = re.compile(r"_{2,}|\bX{4,}\b|[\[<](?:mask|blank|[A-Z]{4,})[\]>]|@placeholder|[(（][ \u3000]*[)）]")
_CODE = re.compile(r"[(\[{<].*[)\]}>]", re.DOTALL)
_TAG = re.compile(r"</?\w[^<>]{0,200}>")
_TAIL = 200
_SENTENCES = 15
"""Words of a list of sentences that may be a passage."""


@dataclass
class TextField:
    """What the texts of one field look like: how many there are, ask something, have a blank, are in another one."""

    filled: int = 0
    asks: int = 0
    blanks: int = 0
    seen: int = 0
    inside: int = 0
    code: int = 0
    size: int = 0
    lists: int = 0
    values: set[int] = field(default_factory=set)

    def join(self, other: TextField) -> None:
        """Count what another has counted."""
        self.filled += other.filled
        self.asks += other.asks
        self.blanks += other.blanks
        self.seen += other.seen
        self.inside += other.inside
        self.code += other.code
        self.size += other.size
        self.lists += other.lists
        self.values |= other.values

    @property
    def varied(self) -> bool:
        """Whether most rows have a text of their own."""
        return 2 * len(self.values) > self.filled or len(self.values) >= MOST_VALUES

    @property
    def formed(self) -> bool:
        """Whether most of the texts ask something or have a blank."""
        return 2 * max(self.asks, self.blanks) > self.filled


@dataclass
class Texts:
    """The fields with texts in the rows that have no question under a usual name."""

    rows: int = 0
    compared: int = 0
    fields: dict[str, TextField] = field(default_factory=dict)

    def look(self, row: Row, names: Iterable[str]) -> None:
        """Look at a row, in which these fields may hold the question."""
        self.rows += 1
        texts = {name: text for name in names if (text := _text_of(row[name]))}
        for name, text in texts.items():
            if name not in self.fields and len(self.fields) >= MOST_FIELDS:
                continue
            found = self.fields.setdefault(name, TextField())
            found.filled += 1
            found.asks += bool(_ASKS.search(text[-_TAIL:]))
            found.blanks += bool(_HAS_BLANK.search(text))
            found.code += is_formal(text)
            found.size += size_of(text)
            found.lists += not isinstance(row[name], str)
            if len(found.values) < MOST_VALUES:
                found.values.add(zlib.crc32(text.encode("utf-8", "surrogatepass")))
        if self.compared < MOST_VALUES:
            self.compared += 1
            bare = {name: "".join(text.split()) for name, text in texts.items() if name in self.fields}
            for place, (name, text) in enumerate(bare.items()):
                others = [(at, other) for at, other in enumerate(bare.values()) if at != place]
                self.fields[name].seen += 1
                self.fields[name].inside += any(
                    text in other and (text != other or at < place) for at, other in others
                )  # of two that are equal the first counts

    def join(self, other: Texts) -> None:
        """Count what another has counted."""
        self.rows += other.rows
        self.compared += other.compared
        for name, found in other.fields.items():
            self.fields.setdefault(name, TextField()).join(found)


def _text_of(value: object) -> str:
    """The text, or the sentences of a list, if these are more than options are; else empty."""
    if isinstance(value, str):
        return value if value.strip() else ""
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(one, str) for one in value):
        return ""
    text = "\n".join(one for one in value if isinstance(one, str))
    return text if size_of(text) >= _SENTENCES else ""


def is_formal(text: object) -> bool:
    """Whether the text stands in brackets as a whole, as formulas, parse trees and printed lists do."""
    return isinstance(text, str) and bool(_CODE.fullmatch(text.strip()))


def size_of(text: str) -> int:
    """About how many words the text has, without tags; where words aren't parted, two letters count as one."""
    text = _TAG.sub(" ", text) if "<" in text else text
    wide = sum(char >= "\u2e80" for char in text[:1000])
    return len(text.split()) + wide // 2


@dataclass(frozen=True)
class Guess:
    """The fields whose texts are the question, and why; or those of which the user has to name one; or neither."""

    fields: tuple[str, ...] = ()
    why: str = ""
    unsure: tuple[str, ...] = ()


def guessed(texts: Texts) -> Guess:
    """The question of the rows that were looked at."""
    told = {
        name: found
        for name, found in texts.fields.items()
        if found.size >= 2 * found.filled and 2 * found.inside <= found.seen and 2 * found.code <= found.filled
    }
    formed_so = [name for name in told if is_beside(name) and may_be_given(name)]
    may_be = [
        name
        for name, found in told.items()
        if found.varied and not found.lists and 10 * found.filled >= 9 * texts.rows and name not in formed_so
    ]
    given = [name for name in told if bare_name(name) in CONTEXTS]
    given = given or [name for name in told if is_of(name, GIVEN) and name not in formed_so]
    like = [name for name in may_be if is_of(name, ASKING)]
    formed = [name for name in may_be if told[name].formed and name not in given]
    left = [name for name in may_be if name not in given]
    if numbered := _numbered(like) or _numbered([] if like or formed else left):
        return _sure(Guess(numbered, "as its texts are numbered"), told, given, 1)
    if like:
        found = Guess(tuple(like), "by its name")
    elif formed:
        found = Guess(tuple(formed), "as its texts ask something")
    elif left:
        found = Guess(tuple(left), "as the only text that is left")
    else:
        found = Guess(tuple(name for name in given if name in may_be), "as the only text that is left")
    if len(found.fields) > 1:
        return Guess(unsure=found.fields)
    if family := _family_of(found.fields, told):
        found = Guess(family, found.why)
    return _sure(found, told, given)


def _sure(found: Guess, told: Mapping[str, TextField], given: Sequence[str], least: int = PASSAGE) -> Guess:
    """The guess, unless a text of so many words is left that may belong to the question."""
    others = [
        name
        for name, one in told.items()
        if name not in (*found.fields, *given) and (one.formed or one.size >= least * one.filled)
    ]
    return Guess(unsure=(*found.fields, *others)) if others and found.fields else found


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """The fields, if they are all of one name with numbers from 1 or 0."""
    parts = [re.fullmatch(r"(.*?)[\W_]*(\d)", name) for name in names]
    if len(parts) < 2 or not all(parts) or len({part[1] for part in parts if part}) > 1:
        return ()
    ordered = sorted(zip((int(part[2]) for part in parts if part), names, strict=True))
    first = ordered[0][0]
    whole = first < 2 and [number for number, _ in ordered] == list(range(first, first + len(names)))
    return tuple(name for _, name in ordered) if whole else ()


def _family_of(fields: Sequence[str], told: Mapping[str, TextField]) -> tuple[str, ...]:
    """The fields that count on with this one, which is the first of a run; empty without any."""
    stems = {name: re.sub(r"[\W_]*\d\Z", "", name) for name in told}
    return _numbered([name for name in told if fields and name != stems[name] == stems.get(fields[0])])


def told_of(found: Guess) -> str:
    """What the user is told of a guess that was made."""
    return f"no field has a usual name for a question: {listed(found.fields)} was taken, {found.why}"
