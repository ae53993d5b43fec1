"""What belongs to a question besides its own field: passages, tables, the input of an instruction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.problem.families import stem_of
from selfimprove.problem.likeness import is_of
from selfimprove.problem.names import Names, Row, bare_name, find

CLAIMS = frozenset(("claim", "hypothesis", "statement"))
"""Words of fields that hold what evidence speaks for or against."""
_TITLE = 8
"""Words before a question that is written out again that are more than a title."""
_AFTER = ("input",)


@dataclass(slots=True)  # one a row, as `Final`
class Context:
    """Texts that go before and after the question, and the fields they come from."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    names: tuple[str, ...]


def context_of(
    row: Row,
    names: Names,
    named: str,
    question_name: str,
    question: str,
    more: Sequence[str],
    taken: frozenset[str],
) -> Context:
    """The context of a question; what the question already holds is not put before it again.

    `more` are fields of the row that are context by no name of theirs; `taken` are none, whatever their names: they
    hold what the recipe says, or ask the question again.
    """
    before: list[str] = []
    after: list[str] = []
    used: list[str] = []
    for name, value in [*_values(row, names, named, question_name), *((name, row[name]) for name in more)]:
        text = flat(value)
        if name == question_name or name in taken or not text or _within(text, question):
            continue
        if _within(question, text) and not (text := _before(question, text)):
            continue
        (after if bare_name(name) in _AFTER else before).append(text)
        used.append(name)
    return Context(tuple(before), tuple(after), tuple(used))


def _values(row: Row, names: Names, named: str, question_name: str) -> list[tuple[str, object]]:
    if named and (own := find(row, named))[0]:
        return [(named, own[1])]
    found = [(name, row[name]) for name in names.contexts]
    if "evidence" in names and is_of(question_name, CLAIMS) and _is_text(evidence := row[names["evidence"]]):
        found.append((names["evidence"], evidence))
    if found and names.contexts is names.like_contexts:  # a word or two say something of a passage
        stems = Counter(stem_of(name) for name, _ in found)
        found = [
            (name, value)
            for name, value in found
            if not isinstance(value, str) or len(value.split()) > 2 or stems[stem_of(name)] > 1
        ]
    if "hint" in names and "lecture" in names:  # science questions whose figure is told in words
        found.append((names["hint"], row[names["hint"]]))
    return found


def _is_text(value: object) -> bool:
    parts = value if isinstance(value, (list, tuple)) else [value]
    return all(isinstance(part, str) for part in parts)


def flat(value: object) -> str:
    """The value as text: a list's parts a line each, a table's cells in a row, an object's parts with their titles."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(row, (list, tuple)) and not _has_lists(row) for row in value):
            return "\n".join(" | ".join(flat(cell) for cell in row) for row in value)
        return "\n".join(text for text in map(flat, value) if text)
    if isinstance(value, dict):
        columns = [inner for inner in value.values() if isinstance(inner, (list, tuple))]
        columns = [column for column in columns if any(map(_is_phrase, column))] or columns
        titles = value.get("title")
        if isinstance(titles, (list, tuple)) and isinstance(value.get("sentences"), (list, tuple)):
            pairs = zip(titles, value["sentences"], strict=False)
            return "\n".join(f"{flat(title)}: {' '.join(map(flat, text))}" for title, text in pairs)
        for part in ("contexts", "text", "table"):
            if value.get(part):
                return flat(value[part])
        if value.get("rows"):
            return "\n".join(filter(None, (flat([value.get("header") or []]), flat(value["rows"]))))
        texts = [inner for inner in value.values() if isinstance(inner, str)]
        if not any(map(_is_phrase, texts)):  # ids and kinds beside an object with the text
            inner_texts = [flat(inner) for inner in value.values() if isinstance(inner, dict)]
            texts = [text for text in inner_texts if _is_phrase(text)] or texts
        return "\n".join(text for text in map(flat, texts or columns) if text)
    return "" if value is None or isinstance(value, bool) else str(value)


def _is_phrase(value: object) -> bool:
    return isinstance(value, str) and len(value.split()) > 2


def _has_lists(row: object) -> bool:
    return isinstance(row, (list, tuple)) and any(isinstance(cell, (list, tuple)) for cell in row)


def _within(text: str, other: str) -> bool:
    """Whether one text stands in the other: a question that holds its context, a sample in which all is written out."""
    return len(text) <= len(other) + 100 and _squeezed(text) in _squeezed(other)


def _before(question: str, text: str) -> str:
    """What stands before the question in a text that holds it, if that is more than a title."""
    start = text.find(question.strip())
    before = text[: max(start, 0)].strip()
    return before if len(before.split()) >= _TITLE else ""


def _squeezed(text: str) -> str:
    return " ".join(text.split())
