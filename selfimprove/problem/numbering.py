"""Which option a row says is right: by a label of the file, a letter, the text itself, or a number.

Whether numbers count from 0 or from 1 no row can say for itself: `Numbering` looks at all rows of a source first, and
where they leave it open the rows are set aside rather than guessed.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from dataclasses import dataclass, field

from selfimprove.problem.names import Group, bare_name
from selfimprove.problem.options import OWN_LABEL, Options

INDEXES = Group(
    (
        "answeridx answerindex correctidx correctindex correctanswerindex correctoptionindex goldindex "
        "correctansweridx correctanswerid label goldlabel correctlabel cop answerid"
    ).split()
)
"""Names of what says by a position or a label, and never by its text, which option is right."""
FEW_OUT_OF_RANGE, MANY_AGAINST = 0.05, 0.1
"""Shares of the rows: of those that may name an option that isn't there, and of those that decide against a start."""
_AN_INDEX = re.compile(r"(?:idx|index|indices|pos|position)$")


def is_index(name: str) -> bool:
    """Whether a field of this name holds a position or a label, and never the answer itself."""
    bare = bare_name(name)
    return bare in INDEXES or bool(_AN_INDEX.search(bare))


@dataclass
class Numbering:
    """Where the numbers of a field that names the right option count from, learnt from all rows of a source."""

    rows: int = 0
    fits: dict[str, int] = field(default_factory=lambda: {"text": 0, "zero": 0, "one": 0})
    differ: int = 0

    def learn(self, options: Options, number: int, *, written: bool) -> None:
        """Count a row: `number` is what the field holds, `written` says that it is a text of digits."""
        places = {"text": _by_text(options, str(number)), "zero": number, "one": number - 1}
        fitting = {name for name, place in places.items() if place is not None and 0 <= place < len(options.texts)}
        self.rows += 1
        for name in fitting:
            self.fits[name] += 1
        self.differ += "text" in fitting and len({places[name] for name in fitting}) > 1

    def join(self, other: Numbering) -> None:
        """Count the rows that another has counted."""
        self.rows += other.rows
        self.differ += other.differ
        self.fits = {name: count + other.fits[name] for name, count in self.fits.items()}

    def first(self, options: Options, name: str, *, written: bool) -> str:
        """`text`, `zero` or `one`; empty where the rows leave it open."""
        whole = [way for way, count in self.fits.items() if count == self.rows]
        if "text" in whole and (written or len(whole) == 1):
            return "text" if len(whole) == 1 or not self.differ else ""
        counts = [way for way in whole if way != "text"]
        if "text" in whole and self.differ:
            return ""
        if len(counts) == 1:
            return counts[0]
        if not counts:
            return self._mostly()
        return self._open(options, bare_name(name), written=written)

    def _mostly(self) -> str:
        """Where all but a few rows count from, if many rows speak against the other start: the few are out of range."""
        few, many = FEW_OUT_OF_RANGE * self.rows, MANY_AGAINST * self.rows
        if self.fits["text"] > few:
            return ""
        for way, other in (("zero", "one"), ("one", "zero")):
            if self.rows - self.fits[way] <= few and self.rows - self.fits[other] >= many:
                return way
        return ""

    def _open(self, options: Options, name: str, *, written: bool) -> str:
        """Both fit every row: a list's positions count from 0, the numbers in the names of fields are labels.

        A number that is written as text, in a field that may hold an answer as well, says neither.
        """
        if written and not options.separate and not options.labels and not is_index(name):
            return ""
        if not options.separate or (options.labels and options.labels[0] == "0"):
            return "zero"
        if options.labels and options.labels[0] == "1":
            return "one" if written or name != "label" else "zero"
        return ""


def _by_text(options: Options, text: str) -> int | None:
    places = [place for place, one in enumerate(options.texts) if one.casefold() == text.strip().casefold()]
    if not places and not text.isdigit() and (bare := _bare(text)):
        places = [place for place, one in enumerate(options.texts) if _bare(one) == bare]
    return places[0] if len(places) == 1 else None


def _bare(text: str) -> str:
    """The text without dollar signs, spaces and a full stop at its end."""
    return "".join(text.replace("$", "").split()).rstrip(".").casefold()


def as_number(value: object) -> int | None:
    """The whole number that a value is or spells, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"-?\d{1,3}", value.strip()) else None
    return value if isinstance(value, int) else None


def place_of(options: Options, value: object, counts_from: str) -> int | None:
    """The position of the option that a value names: a label of the file, a letter, its text, or a number; or None."""
    text = str(value).strip()
    if options.labels and not options.separate:
        upper = [label.upper() for label in options.labels]
        bare = text.strip("().: ").upper()
        if bare in upper:
            return upper.index(bare)
    number = as_number(value)
    if number is not None and options.gapped:
        return None
    if number is not None:
        place = {"text": _by_text(options, text), "zero": number, "one": number - 1}.get(counts_from)
        return place if place is not None and 0 <= place < len(options.texts) else None
    spelt = _by_text(options, text)
    if options.separate and (named := [name.casefold() for name in options.fields]).count(text.casefold()) == 1:
        return named.index(text.casefold()) if spelt is None else spelt
    letter = re.fullmatch(r"(?:(?:option|choice|answer)\s*)?[(\[]?([A-Za-z])[)\].:]?", text, re.IGNORECASE)
    if letter is not None:
        letters = options.letters()
        lettered = letters.index(letter[1].upper()) if letter[1].upper() in letters else None
        return lettered if spelt is None or spelt == lettered else None
    if spelt is None and (own := OWN_LABEL.match(text)) is not None:
        inner = _by_text(options, text[own.end() :])
        letters = options.letters()
        return inner if inner is not None and own[1].upper() == letters[inner] else None
    return _by_name(options, text) if spelt is None else spelt


def _by_name(options: Options, text: str) -> int | None:
    """The option whose field or key the text names (`answer0`, `option 1`), perhaps with the option behind a colon."""
    named, colon, rest = text.partition(":")
    bare = bare_name(named)
    names = options.fields if options.separate else options.labels
    for place, name in enumerate(names[: len(options.texts)]):
        if bare_name(name) == bare and not (colon and _bare(rest) != _bare(options.texts[place])):
            return place
    return None


def is_label(options: Options, value: object) -> bool:
    """Whether the value is a label that the row itself gives one of its options."""
    return not options.separate and str(value).strip().upper() in {label.upper() for label in options.labels}


def order_of(options: Options, value: object) -> str:
    """The letters of all options in the order that the value gives, in brackets, since their order counts; or empty."""
    letters = options.letters()
    if not isinstance(value, str) or len(letters) < 3 or len(value) > 8 * len(letters):
        return ""
    given = re.findall(r"[A-Z]", value)
    marks = re.fullmatch(r"[(\[]?[A-Z](?:\s*(?:,|;|>|->|-|→)\s*[A-Z])+[)\]]?", value.strip())
    return f"({', '.join(given)})" if marks and sorted(given) == sorted(letters) else ""
