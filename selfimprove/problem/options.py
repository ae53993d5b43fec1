"""Multiple choice: options in any of their forms, and how the model is shown them.

Options stand in one field (a list, `{text, label}`, objects by letter, a text such as `a ) 38 , b ) 27`, scores), which
`read_options` reads, or in several (`option_fields`). The model sees them below the question with letters, in the order
of the file; where a file puts the right one first they are shuffled, by a seed that depends on problem and recipe
alone. What says which one is right is read by `numbering`.
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


def shows(question: str, options: Options) -> bool:
    """Whether the question already ends on these options with their letters."""
    tail = question[-sum(len(text) + 12 for text in options.texts) :]
    pairs = zip(options.letters(), options.texts, strict=True)
    return options.right is None and all(
        re.search(rf"(?<![A-Za-z]){letter}\s*[).:\]]+\s*{re.escape(text)}", tail) for letter, text in pairs
    )


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
    if not 2 <= len(items) <= len(LETTERS) or not all(is_plain(item) for item in items):
        return None
    texts = [str(item).strip() for item in items]
    own = [OWN_LABEL.match(text) for text in texts]
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
    if isinstance(texts, (list, tuple)) and all(is_plain(text) for text in texts) and 2 <= len(texts) <= len(LETTERS):
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
    if all(is_plain(inner) for inner in written.values()) and consecutive(keys):
        texts_by_key = {key: str(inner).strip() for key, inner in zip(keys, written.values(), strict=True)}
        ordered = sorted(texts_by_key)
        return Options(texts=tuple(texts_by_key[key] for key in ordered), labels=tuple(ordered))
    return None


def _from_objects(items: Sequence[Row]) -> Options | None:
    """A list of objects with a label and a text each, whatever the two are called."""
    if not 2 <= len(items) <= len(LETTERS):
        return None
    names = [name for name in items[0] if all(is_plain(item.get(name)) for item in items)]
    columns = {name: [str(item[name]).strip() for item in items] for name in names}
    labels = next((name for name in names if consecutive([cell.upper() for cell in columns[name]])), None)
    texts = next((name for name in names if name != labels and bare_name(name) in ("text", "content", "option")), None)
    texts = texts or next((name for name in names if name != labels), None)
    if texts is None or not all(columns[texts]):
        return None
    return Options(texts=tuple(columns[texts]), labels=tuple(columns[labels]) if labels else ())


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
