"""Multiple choice: options in any of their forms, and how the model is shown them.

Options stand in one field (a list, `{text, label}`, objects by letter, a text such as `a ) 38 , b ) 27`, scores), which
`read_options` reads, or in several (`option_fields`). The model sees them below the question with letters, in the order
of the file; where a file puts the right one first or marks it, they are shuffled, by a seed that depends on problem and
recipe alone. Options that speak of others (`all of the above`, `both A and C`) stay in the order of the file. What says
which one is right is read by `numbering`.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.problem.names import Row, bare_name, opened

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

OWN_LABEL = re.compile(r"\s*[(\[]?([A-Za-z]|\d{1,2})\s*(?:[).:\]]\s*|\s-\s)")
_INLINE = re.compile(r"(?:^|(?<=[\s,;\n]))[(\[]?([A-Za-z])\s*[).:\]]\s*")
_LINE = re.compile(r"[(\[（]?([A-Za-z])(?:[).:\]、．：）]\s*|\s+)(.*\S)\s*")
_FIRST = re.compile(r"(?:^|(?<=[\s:?.]))[(\[]?[Aa]\s*[).:\]]")
_PROMPTED = re.compile(r"\s*(?:answer|a)\s*:\s*$", re.IGNORECASE)
_NUMBERED_LINE = re.compile(r"[(\[（]?(\d{1,2})[).:\]、．：）]\s*(.*\S)\s*")
_CLOSING = 300
"""Characters behind the options of a question, such as how the answer is to be given."""
_FLAGS = ("iscorrect", "correct", "isright", "right", "isanswer", "istrue")
_TEXTS = ("text", "content", "option", "answer", "choice", "value")
_OF_OTHERS = re.compile(
    r"(?i:\b(?:all|none|both|neither|either|any|two|some) (?:of )?(?:the )?"
    r"(?:above|below|these|options|choices|answers)\b)"
    r"|\b(?i:both|neither|either|only|all)\s+\(?[A-F]\b"
    r"|^\(?[A-F]\)?\s*(?:,\s*\(?[A-F]\)?\s*)*(?:,|and|&|or|nor)\s*\(?[A-F]\)?(?: only)?\.?$"
)
"""What an option says that speaks of other options by their places."""
_TITLE = re.compile(r"^\s*(?:answer\s+)?(?:choices|options)\s*:\s*", re.IGNORECASE)


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

    @property
    def speak_of_others(self) -> bool:
        """Whether an option names others by their places, so that it means something else in another order."""
        return any(_OF_OTHERS.search(text) for text in self.texts)

    @property
    def gapped(self) -> bool:
        """Whether a letter is left out between those of the options: numbers may count it or not."""
        return bool(self.labels) and self.labels[0].isalpha() and not consecutive([one.upper() for one in self.labels])

    def rendered(self, question: str, seed: int) -> tuple[str, str]:
        """The options as lines with letters, and the letter of the right one; in a seeded order if `right` is given.

        The order depends on the seed, the question and the options, whatever order the row gives them in; it is the
        row's if options speak of others.
        """
        order = list(range(len(self.texts)))
        if self.right is not None and not self.speak_of_others:
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


def shows(question: str, options: Options) -> bool:
    """Whether the question already ends on these options with their letters."""
    letters = options.letters()
    if options.texts == letters:
        return all(re.search(rf"(?<![A-Za-z]){letter}\s*[).:\]]", question) for letter in letters)
    tail = question[-_CLOSING - sum(len(text) + 12 for text in options.texts) :]
    return options.right is None and all(
        re.search(rf"(?<![A-Za-z]){letter}\s*[).:\]]+\s*{re.escape(text)}", tail)
        for letter, text in zip(letters, options.texts, strict=True)
    )


def options_shown(question: str) -> Options | None:
    """The options that the question ends on, each behind its letter; None without any."""
    for mark in reversed(list(_FIRST.finditer(question))):
        found = _from_text(_PROMPTED.sub("", question[mark.start() :]))
        if found is not None:
            return found
    return None


def read_options(value: object) -> Options | None:
    """The options that one field holds, or None if it holds none in any known form."""
    value = opened(value)
    if isinstance(value, str):
        listed = _array(value) or _python_list(value)
        return _from_text(value) if listed is None else _from_texts(listed)
    if isinstance(value, dict):
        return _from_object({bare_name(key): inner for key, inner in value.items()}, value)
    if isinstance(value, (list, tuple)):
        items = [opened(item) if isinstance(item, (list, tuple)) else item for item in value]
        if items and all(isinstance(item, (list, tuple)) and len(item) == 2 for item in items):
            return _of_pairs([{str(item[0]): item[1]} for item in items if isinstance(item, (list, tuple))])
        if items and all(isinstance(item, dict) for item in items):
            return _from_objects(objects := [item for item in items if isinstance(item, dict)]) or _of_pairs(objects)
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


def _array(text: str) -> list[object] | None:
    """The texts of an array as numpy prints it, without commas; None for any other text."""
    if len(text) > 20_000 or _ARRAY.fullmatch(text.strip()) is None:
        return None
    try:
        return [ast.literal_eval(part) for part in _QUOTED.findall(text)]
    except (ValueError, SyntaxError):
        return None


_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_ARRAY = re.compile(rf"\[\s*(?:{_QUOTED.pattern})(?:\s+(?:{_QUOTED.pattern}))+\s*\]")


def _from_texts(items: Sequence[object]) -> Options | None:
    if not 2 <= len(items) <= len(LETTERS) or not all(is_plain(item) for item in items):
        return None
    texts = [str(item).strip() for item in items]
    while texts and not texts[-1]:
        texts.pop()
    own = [OWN_LABEL.match(text) for text in texts]
    labels = [match[1].upper() for match in own if match]
    if labels == list(LETTERS[: len(texts)]) or labels == [str(n) for n in range(1, len(texts) + 1)]:
        bare = tuple(text[match.end() :].strip() for text, match in zip(texts, own, strict=True) if match)
        if all(bare):
            return Options(texts=bare, labels=tuple(labels))
    return Options(texts=tuple(texts)) if len(texts) > 1 and all(texts) else None


def _from_text(text: str) -> Options | None:
    """`a ) 38 , b ) 27` or a line each, perhaps under a title."""
    text = _TITLE.sub("", text)
    lines = [_LINE.fullmatch(line.strip()) for line in text.strip().splitlines() if line.strip()]
    if len(lines) > 1 and [line and line[1].upper() for line in lines] == list(LETTERS[: len(lines)]):
        return Options(texts=tuple(line[2] for line in lines if line), labels=tuple(LETTERS[: len(lines)]))
    numbered = [_NUMBERED_LINE.fullmatch(line.strip()) for line in text.strip().splitlines() if line.strip()]
    if len(numbered) > 1 and [line and line[1] for line in numbered] == [str(n + 1) for n in range(len(numbered))]:
        texts = tuple(line[2] for line in numbered if line)
        return Options(texts=texts, labels=tuple(str(n + 1) for n in range(len(texts))))
    marks: list[re.Match[str]] = []
    for match in _INLINE.finditer(text):
        if match[1].upper() == LETTERS[len(marks) : len(marks) + 1]:
            marks.append(match)
    if len(marks) < 2 or text[: marks[0].start()].strip("[('\" "):
        return None if marks else _parted(text)
    ends = [match.start() for match in marks[1:]] + [len(text)]
    texts = tuple(_without_marks(text[match.end() : end]) for match, end in zip(marks, ends, strict=True))
    return Options(texts=texts, labels=tuple(match[1].upper() for match in marks)) if all(texts) else None


def _without_marks(text: str) -> str:
    """An option without what parts it from the next one; a bracket that it opens itself is its own."""
    text = text.strip().strip(",;'\"").strip()
    while text[-1:] in (")", "]") and text.count(text[-1]) > text.count("(" if text[-1] == ")" else "["):
        text = text[:-1].rstrip(" ,;'\"")
    return text


def _parted(text: str) -> Options | None:
    """Options without letters, a line each or with bars or semicolons between them."""
    for sign in ("\n", "|", ";"):
        parts = [part.strip() for part in text.strip().strip(sign).split(sign)]
        if 2 <= len(parts) <= 10:
            return Options(texts=tuple(parts)) if all(parts) and len(set(parts)) == len(parts) else None
    return None


def _from_object(value: dict[str, object], written: Row) -> Options | None:
    texts = value.get("text") or value.get("texts") or value.get("choices") or value.get("options")
    labels = value.get("label") or value.get("labels") or value.get("key") or value.get("keys")
    if isinstance(texts, (list, tuple)) and all(is_plain(text) for text in texts) and 2 <= len(texts) <= len(LETTERS):
        shown = tuple(str(text).strip() for text in texts)
        if not isinstance(labels, (list, tuple)) or len(labels) != len(texts):
            return Options(texts=shown)
        if _is_score(labels):
            return Options(texts=shown, right=list(labels).index(1))
        return Options(texts=shown, labels=tuple(str(label).strip() for label in labels))
    if (parallel := _parallel(value)) is not None:
        return parallel
    if len(value) < 2 or len(value) > len(LETTERS):
        return None
    if all(isinstance(inner, (int, float)) for inner in value.values()):
        scores = list(written.values())
        return Options(texts=tuple(str(key) for key in written), right=scores.index(1)) if _is_score(scores) else None
    keys = _bare_keys([str(key).strip().upper() for key in written])
    texts_by_name = {name: "" if inner is None else str(inner).strip() for name, inner in written.items()}
    filled = {key: (str(name), texts_by_name[name]) for key, name in zip(keys, written, strict=True)}
    if all(inner is None or is_plain(inner) for inner in written.values()) and consecutive(keys):
        order = sorted(filled, key=lambda key: (len(key), key))
        while order and filled[order[-1]][1] in ("", "nan"):
            order.pop()
        if len(order) > 1 and all(filled[key][1] for key in order):
            labels = tuple(filled[key][0].strip() for key in order)
            return Options(texts=tuple(filled[key][1] for key in order), labels=labels)
    return None


def _parallel(value: Row) -> Options | None:
    """Two lists of one length, whatever they are called, of which one holds labels and the other texts."""
    lists = [inner for inner in value.values() if isinstance(inner, (list, tuple))]
    if len(lists) != 2 or len(lists[0]) != len(lists[1]) or not all(is_plain(one) for each in lists for one in each):
        return None
    columns = [[str(one).strip() for one in each] for each in lists]
    places = [place for place in (0, 1) if consecutive([one.upper() for one in columns[place]])]
    if len(places) != 1 or not 2 <= len(columns[0]) <= len(LETTERS) or not all(texts := columns[1 - places[0]]):
        return None
    return Options(texts=tuple(texts), labels=tuple(columns[places[0]]))


def _bare_keys(keys: list[str]) -> list[str]:
    """The numbers or letters of keys that are all of one name (`choice_1`, `choice_2`), else the keys."""
    parts = [re.fullmatch(r"(.*?[^\W\d_])[\W_]*(\d{1,2}|(?<=[\W_])[A-J])", key) for key in keys]
    same = len({part[1] if part else "" for part in parts}) == 1
    return [part[2] for part in parts if part] if same and all(parts) else keys


def read_flagged(value: object) -> Options | None:
    """Options with a flag in each that says whether it is right, where one is; else None."""
    items = value if isinstance(value, (list, tuple)) else ()
    if not 2 <= len(items) <= len(LETTERS) or not all(isinstance(item, dict) for item in items):
        return None
    options = _from_objects(items)
    return options if options is not None and options.right is not None else None


def _right_of(items: Sequence[Row]) -> int | None:
    """The place of the one object that has a flag to say that it is right."""
    flags = [name for name in items[0] if bare_name(name) in _FLAGS]
    values = [item.get(flags[0]) for item in items] if len(flags) == 1 else []
    return values.index(1) if values and _is_score(values) else None


def _from_objects(items: Sequence[Row]) -> Options | None:
    """A list of objects with a label and a text each, whatever the two are called."""
    if not 2 <= len(items) <= len(LETTERS):
        return None
    names = [name for name in items[0] if all(is_plain(item.get(name)) for item in items)]
    columns = {name: [str(item[name]).strip() for item in items] for name in names}
    counted = [name for name in names if consecutive([cell.upper() for cell in columns[name]])]
    known = [name for name in names if bare_name(name) in _TEXTS]
    beside = [name for name in counted if name not in known] or (counted if len(known) > 1 or not known else [])
    labels = next(iter(beside), None) or _ids(names, columns)
    texts = next((name for name in names if name != labels and bare_name(name) in _TEXTS), None)
    texts = texts or next((name for name in names if name != labels), None)
    if texts is None or not all(columns[texts]):
        return None
    right = _right_of(items)
    return Options(texts=tuple(columns[texts]), labels=tuple(columns[labels]) if labels else (), right=right)


def _ids(names: Sequence[str], columns: dict[str, list[str]]) -> str | None:
    """The field with a different name for each option, such as `opt1` or `choice_b`; None without one."""
    found = (name for name in names if bare_name(name) in _IDS and len(set(columns[name])) == len(columns[name]))
    return next(found, None)


_IDS = ("id", "key", "label", "optionid", "choiceid")


def _of_pairs(items: Sequence[Row]) -> Options | None:
    """Objects of one key each, which is the option's label."""
    pairs = [next(iter(item.items())) for item in items if len(item) == 1]
    merged: Row = dict(pairs)
    whole = len(pairs) == len(items) == len(merged) and list(merged) == sorted(merged, key=lambda key: (len(key), key))
    return _from_object({bare_name(key): text for key, text in pairs}, merged) if whole else None


def consecutive(keys: Sequence[str]) -> bool:
    """Whether the keys, sorted, are A, B, … or 0, 1, … or 1, 2, …"""
    ordered = sorted(keys)
    n = len(ordered)
    counted = [[str(place) for place in range(first, first + n)] for first in (0, 1)]
    return n >= 2 and (ordered == list(LETTERS[:n]) or ordered in [sorted(one) for one in counted])


def is_plain(value: object) -> bool:
    """Whether the value is a text or a number."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _is_score(values: Sequence[object]) -> bool:
    """Whether the values are ones and zeros with a single one: the scores of options."""
    return all(value in (0, 1) for value in values) and sum(value == 1 for value in values) == 1
