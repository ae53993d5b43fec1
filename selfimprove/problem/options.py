"""Multiple choice: the options of a row in any of their forms, and the letter of the right one.

Options stand in one field (a list, `{text, label}`, objects by letter, a text such as `a ) 38 , b ) 27`, scores) or in
several (`A` … `D`, `option1` …, `ending0` …), or a right answer has its wrong ones beside it (`Correct Answer` with
`Incorrect Answer 1…`, `distractor1…`). The model sees them below the question with letters, in the order of the file;
where a file puts the right one first they are shuffled, by a seed that depends on problem and recipe alone.

What says which one is right is a label of the file, a letter, the text itself, or a number. Whether numbers count from
0 or from 1 no row can say for itself: `Numbering` looks at all rows of a source first, and where they leave it open the
rows are set aside rather than guessed.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from selfimprove.problem.names import OPTIONS, Names, Row, bare_name, opened

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_OWN = re.compile(r"\s*[(\[]?([A-Za-z]|\d{1,2})\s*(?:[).:\]]\s*|\s-\s)")
_INLINE = re.compile(r"(?:^|(?<=[\s,;\n]))[(\[]?([A-Za-z])\s*[).:\]]\s*")
_TITLE = re.compile(r"^\s*(?:answer\s+)?(?:choices|options)\s*:\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"(q?(?:option|opt|op)|choice|(?:mc)?answer|ans|sol|ending|candidate|)([a-j]|\d)")
_WRONG = re.compile(r"(?:incorrectanswers?|distractors?|wronganswers?|incorrectoptions?)\d*")
NAMED_SO = re.compile(r"(?!correct|right|gold|num|n)\w*(?:choices|options|candidates|alternatives)")
"""Bare names of fields that hold options, whatever stands before."""
_RIGHT = ("correctanswer", "bestanswer", "rightanswer", "correctoption", "correctchoice")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a row: their texts, the file's own labels (empty: none), and the right one where the form says it.

    `fields` are the names they stand under; `separate` is true of options in a field each.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    right: int | None = None
    fields: tuple[str, ...] = ()
    separate: bool = False

    def rendered(self, question: str, seed: int) -> tuple[str, str]:
        """The options as lines with letters, and the letter of the right one; in a seeded order if `right` is given.

        The order depends on the seed, the question and the options, whatever order the row gives them in.
        """
        order = list(range(len(self.texts)))
        if self.right is not None:
            order.sort(key=lambda place: self.texts[place])
            random.Random(f"{seed}:{question}:{[self.texts[place] for place in order]}").shuffle(order)
        letters = self.letters()
        lines = [f"{letter}. {self.texts[place]}" for letter, place in zip(letters, order, strict=True)]
        return "\n".join(lines), "" if self.right is None else letters[order.index(self.right)]

    def letters(self) -> tuple[str, ...]:
        """The letters that the options are shown with: the file's, where its labels are distinct capitals."""
        upper = tuple(label.upper() for label in self.labels)
        if len(upper) == len(self.texts) == len(set(upper)) and all(len(one) == 1 and one in LETTERS for one in upper):
            return upper
        return tuple(LETTERS[: len(self.texts)])


def options_in(row: Row, names: Names, named: str, value: object) -> Options | None:
    """The options of a row; `names` are its fields by their bare names, `value` is what the field `named` holds."""
    if named:
        found = read_options(value)
        return None if found is None else replace(found, fields=(named,))
    return _several_fields(row, names)


def read_options(value: object) -> Options | None:
    """The options that one field holds, or None if it holds none in any known form."""
    value = opened(value)
    if isinstance(value, str):
        listed = _python_list(value)
        return _from_text(value) if listed is None else _from_texts(listed)
    if isinstance(value, dict):
        return _from_object({bare_name(key): inner for key, inner in value.items()}, value)
    if isinstance(value, (list, tuple)):
        items = [opened(item) if isinstance(item, (list, tuple)) else item for item in value]
        if items and all(isinstance(item, dict) for item in items):
            return _from_objects([item for item in items if isinstance(item, dict)])
        return _from_texts(items)
    return None


def _python_list(text: str) -> list[object] | None:
    """The items of a list as Python prints it, which is how lists come out of a CSV."""
    if len(text) > 20_000 or not (text.strip().startswith("[") and text.strip().endswith("]")):
        return None
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _from_texts(items: Sequence[object]) -> Options | None:
    if not 2 <= len(items) <= len(LETTERS) or not all(_is_plain(item) for item in items):
        return None
    texts = [str(item).strip() for item in items]
    own = [_OWN.match(text) for text in texts]
    labels = [match[1].upper() for match in own if match]
    if labels == list(LETTERS[: len(texts)]) or labels == [str(n) for n in range(1, len(texts) + 1)]:
        bare = tuple(text[match.end() :].strip() for text, match in zip(texts, own, strict=True) if match)
        if all(bare):
            return Options(texts=bare, labels=tuple(labels))
    return Options(texts=tuple(texts)) if all(texts) else None


def _from_text(text: str) -> Options | None:
    """`a ) 38 , b ) 27` or a line each, perhaps under a title."""
    text = _TITLE.sub("", text)
    marks: list[re.Match[str]] = []
    for match in _INLINE.finditer(text):
        if match[1].upper() == LETTERS[len(marks) : len(marks) + 1]:
            marks.append(match)
    if len(marks) < 2 or text[: marks[0].start()].strip("[('\" "):
        return None
    ends = [match.start() for match in marks[1:]] + [len(text)]
    texts = tuple(
        text[match.end() : end].strip().strip(",;'\"])").strip() for match, end in zip(marks, ends, strict=True)
    )
    return Options(texts=texts, labels=tuple(match[1].upper() for match in marks)) if all(texts) else None


def _from_object(value: dict[str, object], written: Row) -> Options | None:
    texts = value.get("text") or value.get("texts") or value.get("choices") or value.get("options")
    labels = value.get("label") or value.get("labels") or value.get("key") or value.get("keys")
    if isinstance(texts, (list, tuple)) and all(_is_plain(text) for text in texts) and 2 <= len(texts) <= len(LETTERS):
        shown = tuple(str(text).strip() for text in texts)
        if not isinstance(labels, (list, tuple)) or len(labels) != len(texts):
            return Options(texts=shown)
        if _is_score(labels):
            return Options(texts=shown, right=list(labels).index(1))
        return Options(texts=shown, labels=tuple(str(label).strip() for label in labels))
    if len(value) < 2 or len(value) > len(LETTERS):
        return None
    if all(isinstance(inner, (int, float)) for inner in value.values()):
        scores = list(written.values())
        return Options(texts=tuple(str(key) for key in written), right=scores.index(1)) if _is_score(scores) else None
    keys = [str(key).strip().upper() for key in written]
    if all(_is_plain(inner) for inner in written.values()) and _consecutive(keys):
        texts_by_key = {key: str(inner).strip() for key, inner in zip(keys, written.values(), strict=True)}
        ordered = sorted(texts_by_key)
        return Options(texts=tuple(texts_by_key[key] for key in ordered), labels=tuple(ordered))
    return None


def _from_objects(items: Sequence[Row]) -> Options | None:
    """A list of objects with a label and a text each, whatever the two are called."""
    if not 2 <= len(items) <= len(LETTERS):
        return None
    names = [name for name in items[0] if all(_is_plain(item.get(name)) for item in items)]
    columns = {name: [str(item[name]).strip() for item in items] for name in names}
    labels = next((name for name in names if _consecutive([cell.upper() for cell in columns[name]])), None)
    texts = next((name for name in names if name != labels and bare_name(name) in ("text", "content", "option")), None)
    texts = texts or next((name for name in names if name != labels), None)
    if texts is None or not all(columns[texts]):
        return None
    return Options(texts=tuple(columns[texts]), labels=tuple(columns[labels]) if labels else ())


def _several_fields(row: Row, names: Names) -> Options | None:
    if not _may_be_several(tuple(names)):
        return None
    wrong = [name for bare, name in sorted(names.items()) if _WRONG.fullmatch(bare)]
    right = next((names[bare] for bare in _RIGHT if bare in names), None)
    if wrong and right is not None:
        return _with_distractors(row, right, wrong)
    groups: dict[str, dict[str, str]] = {}
    for bare, name in names.items():
        match = _NUMBERED.fullmatch(bare)
        if match and (match[1] or not match[2].isdigit()) and _is_plain(row[name]) and str(row[name]).strip():
            groups.setdefault(match[1], {})[match[2]] = name
    for group in groups.values():
        keys = sorted(group)
        if len(keys) >= 2 and _consecutive([key.upper() for key in keys]):
            texts = tuple(str(row[group[key]]).strip() for key in keys)
            return Options(
                texts=texts, labels=tuple(key.upper() for key in keys), fields=tuple(group[key] for key in keys),
                separate=True,
            )  # fmt: skip
    return None


@lru_cache(maxsize=1000)
def _may_be_several(names: tuple[str, ...]) -> bool:
    """Whether options may stand in fields of their own, judged by the row's bare names."""
    return any(_WRONG.fullmatch(name) for name in names) or sum(bool(_NUMBERED.fullmatch(one)) for one in names) > 1


def _with_distractors(row: Row, right: str, wrong: Sequence[str]) -> Options | None:
    others: list[str] = []
    for name in wrong:
        value = row[name]
        cells = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(value, str) and name.rstrip(" _").endswith("s"):
            cells = value.split(";")
        others += [str(cell).strip() for cell in cells if _is_plain(cell) and str(cell).strip()]
    correct = opened(row[right])
    if not others or not _is_plain(correct) or not str(correct).strip() or str(correct).strip() in others:
        return None
    texts = (str(correct).strip(), *dict.fromkeys(others))
    return Options(texts=texts[: len(LETTERS)], right=0, fields=(right, *wrong), separate=True)


def _consecutive(keys: Sequence[str]) -> bool:
    """Whether the keys, sorted, are A, B, … or 0, 1, … or 1, 2, …"""
    ordered = sorted(keys)
    n = len(ordered)
    counted = [[str(place) for place in range(first, first + n)] for first in (0, 1)]
    return n >= 2 and (ordered == list(LETTERS[:n]) or ordered in [sorted(one) for one in counted])


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _is_score(values: Sequence[object]) -> bool:
    """Whether the values are ones and zeros with a single one: the scores of options."""
    return all(value in (0, 1) for value in values) and sum(value == 1 for value in values) == 1


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
            return ""
        return self._open(options, bare_name(name), written=written)

    def _open(self, options: Options, name: str, *, written: bool) -> str:
        """Both fit every row: a list's positions count from 0, the numbers in the names of fields are labels."""
        if not options.separate or (options.labels and options.labels[0] == "0"):
            return "zero"
        if options.labels and options.labels[0] == "1":
            return "one" if written or name != "label" else "zero"
        return ""


def _by_text(options: Options, text: str) -> int | None:
    places = [place for place, one in enumerate(options.texts) if one.casefold() == text.strip().casefold()]
    return places[0] if len(places) == 1 else None


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
    if number is not None:
        place = {"text": _by_text(options, text), "zero": number, "one": number - 1}.get(counts_from)
        return place if place is not None and 0 <= place < len(options.texts) else None
    spelt = _by_text(options, text)
    letter = re.fullmatch(r"(?:(?:option|choice|answer)\s*)?[(\[]?([A-Za-z])[)\].:]?", text, re.IGNORECASE)
    if letter is not None:
        letters = options.letters()
        lettered = letters.index(letter[1].upper()) if letter[1].upper() in letters else None
        return lettered if spelt is None or spelt == lettered else None
    if spelt is None and (own := _OWN.match(text)) is not None:
        inner = _by_text(options, text[own.end() :])
        letters = options.letters()
        return inner if inner is not None and own[1].upper() == letters[inner] else None
    if spelt is None:  # answer0 … answer3 or option1 …, named by the field
        named = [
            place for place, one in enumerate(options.fields) if options.separate and bare_name(one) == bare_name(text)
        ]
        return named[0] if named else None
    return spelt


def is_label(options: Options, value: object) -> bool:
    """Whether the value is a label that the row itself gives one of its options."""
    return not options.separate and str(value).strip().upper() in {label.upper() for label in options.labels}


def shows(question: str, options: Options) -> bool:
    """Whether the question already ends on these options with their letters."""
    tail = question[-sum(len(text) + 12 for text in options.texts) :]
    pairs = zip(options.letters(), options.texts, strict=True)
    return options.right is None and all(
        re.search(rf"(?<![A-Za-z]){letter}\s*[).:\]]+\s*{re.escape(text)}", tail) for letter, text in pairs
    )


@lru_cache(maxsize=1000)
def option_fields(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, of a row's bare ones, under which options may stand."""
    beside = {"label", "correct", "answerkey", "ra", "correctanswerid", "correctansweridx"} & set(names)
    found = [name for name in names if name in OPTIONS or NAMED_SO.fullmatch(name)]
    return tuple(name for name in found if name != "answers" or beside)
