"""What belongs to a question besides its own field: passages, tables, the input of an instruction."""

from __future__ import annotations

from dataclasses import dataclass

from selfimprove.problem.names import Names, Row, bare_name, find

_AFTER = ("input",)


@dataclass(frozen=True)
class Context:
    """Texts that go before and after the question, and the fields they come from."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    names: tuple[str, ...]


def context_of(row: Row, names: Names, named: str, question_name: str, question: str) -> Context:
    """The context of a question; what the question already holds is not put before it again."""
    before: list[str] = []
    after: list[str] = []
    used: list[str] = []
    for name, value in _values(row, names, named):
        text = flat(value)
        if name == question_name or not text or _within(text, question) or _within(question, text):
            continue
        (after if bare_name(name) in _AFTER else before).append(text)
        used.append(name)
    return Context(tuple(before), tuple(after), tuple(used))


def _values(row: Row, names: Names, named: str) -> list[tuple[str, object]]:
    if named and (own := find(row, named))[0]:
        return [(named, own[1])]
    found = [(name, row[name]) for name in names.contexts]
    if "hint" in names and "lecture" in names:  # science questions whose figure is told in words
        found.append((names["hint"], row[names["hint"]]))
    return found


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
        return "\n".join(text for text in map(flat, texts or columns) if text)
    return "" if value is None or isinstance(value, bool) else str(value)


def _has_lists(row: object) -> bool:
    return isinstance(row, (list, tuple)) and any(isinstance(cell, (list, tuple)) for cell in row)


def _within(text: str, other: str) -> bool:
    """Whether one text stands in the other: a question that holds its context, a sample in which all is written out."""
    return len(text) <= len(other) + 100 and _squeezed(text) in _squeezed(other)


def _squeezed(text: str) -> str:
    return " ".join(text.split())
