"""What a user sees of a run while it goes on: events in, a screen or lines out.

`open_view` gives one of four listeners, each a context manager that is called with events:

| mode | listener | shows |
| --- | --- | --- |
| `live` | `LiveView` (`view/live.py`) | a screen that is redrawn, on a terminal |
| `plain` | `PlainView` (`view/plain.py`) | one line per event worth a line: logs, pipes, CI |
| `json` | `JsonView` | every event, one a line, as in `events.jsonl` |
| `quiet` | `QuietView` | nothing; errors are the command line's to print |

`auto` is `live` on a terminal and `plain` anywhere else: in a pipe, on a terminal that can't move its cursor
(`TERM=dumb`), in a notebook, also under its `!command`, which looks like a terminal and isn't one. A live view uses
only characters that the terminal has (`view/glyphs.py`). `selfimprove watch` shows the same views from a run's history
(`view/watching.py`), so a view can be given the time of an event.

A view never ends a run: if the reader of its lines goes away (a closed pipe), it falls silent and the run goes on,
since all that it shows is in the run's folder too. `watch`, which should end with its reader, asks for
`BrokenPipeError` instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, TextIO

from rich.console import Console

from selfimprove.escaping import escape_text
from selfimprove.events import Event, to_json
from selfimprove.view.glyphs import writable
from selfimprove.view.live import LiveView
from selfimprove.view.plain import PlainView

__all__ = ["JsonView", "LiveView", "Mode", "PlainView", "QuietView", "View", "escape_text", "open_view"]

Mode = Literal["auto", "live", "plain", "json", "quiet"]
Write = Callable[[str], None]
Clock = Callable[[], float]


class View(Protocol):
    """A listener to events; open inside `with`."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, event: Event, /, at: float | None = None) -> None:
        """Take an event, which happened `at` by the view's clock, or now."""


class QuietView:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event, /, at: float | None = None) -> None:
        """Ignore the event."""


class JsonView:
    """Every event as a line of JSON; `write` gets the line without its line end."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event, /, at: float | None = None) -> None:
        """Write the event."""
        self._write(to_json(event, at))


def open_view(mode: Mode, stream: TextIO, clock: Clock = time.monotonic, ends_with_reader: bool = False) -> View:
    """The listener of that mode, writing to `stream`; `auto` looks at what the stream is.

    `clock` gives seconds, for rates and the time left. With `ends_with_reader` the listener raises `BrokenPipeError`
    when nobody reads its lines any more, instead of falling silent.
    """
    write = _writer(stream, ends_with_reader)
    match mode:
        case "quiet":
            return QuietView()
        case "json":
            return JsonView(write)
        case "live":
            return _live(stream, clock)
        case "auto" if can_move(stream, os.environ):
            return _live(stream, clock)
        case _:
            return PlainView(write, clock)


def _live(stream: TextIO, clock: Clock) -> LiveView:
    return LiveView(Console(file=stream, highlight=False, emoji=False, markup=False), clock)


def can_move(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream is a terminal whose cursor can be moved, so that a drawing can be redrawn in place."""
    # A Jupyter kernel gives `!command` a pseudo-terminal, and its output cell keeps every drawing.
    if not stream.isatty() or "JPY_PARENT_PID" in environment:
        return False
    blank = {"dumb", "unknown"} if os.name == "nt" else {"", "dumb", "unknown"}  # Windows names no terminal
    return environment.get("TERM", "") not in blank


def _writer(stream: TextIO, ends_with_reader: bool) -> Write:
    """Writes and flushes lines in the stream's encoding; once the reader is gone, does nothing or raises."""
    gone = False

    def write(line: str) -> None:
        nonlocal gone
        if gone:
            return
        try:
            stream.write(writable(line, getattr(stream, "encoding", None) or "utf-8") + "\n")
            stream.flush()
        except BrokenPipeError:
            gone = True
            # Without this the interpreter would flush the buffer when it closes the stream, and raise once more.
            with Path(os.devnull).open("wb") as null:
                os.dup2(null.fileno(), stream.fileno())
            if ends_with_reader:
                raise

    return write
