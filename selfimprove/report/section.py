"""A part of a report as plain strings, which a terminal, Markdown and a page each write in their own way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One part of a report: sentences, then a table; the columns in `words` hold text, the others figures."""

    title: str
    sentences: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    words: frozenset[str] = frozenset()
