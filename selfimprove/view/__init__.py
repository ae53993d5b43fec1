"""What a user sees of a run while it goes on: events in, a screen or lines out.

`open_view` gives one of four listeners, each a context manager that is called with events:

| mode | listener | shows |
| --- | --- | --- |
| `live` | `LiveView` (`view/live.py`) | a screen that is drawn over, on a terminal |
| `plain` | `PlainView` (`view/plain.py`) | one line per event worth a line: logs, pipes, CI |
| `json` | `JsonView` | every event, one a line, as in `events.jsonl` |
| `quiet` | `QuietView` | nothing; errors are the command line's to print |

`auto` is `live` on a terminal that can draw and encode it, `plain` anywhere else. A view never ends a run: if
whoever reads its lines goes away (a closed pipe), it falls silent and the run goes on, since all that it shows is in
the run's folder too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, TextIO

from rich.console import Console

from selfimprove.escaping import escape_text
from selfimprove.events import Event, to_json
from selfimprove.view.live import LiveView
from selfimprove.view.plain import PlainView

__all__ = ["JsonView", "LiveView", "Mode", "PlainView", "QuietView", "View", "escape_text", "open_view"]

Mode = Literal["auto", "live", "plain", "json", "quiet"]
Write = Callable[[str], None]


class View(Protocol):
    """A listener to events that is open inside `with`."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, event: Event, /) -> None:
        """Hear an event."""


class QuietView:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event, /) -> None:
        """Hear an event."""


class JsonView:
    """One event a line in its JSON form; `write` gets the line without its end."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event, /) -> None:
        """Write the event."""
        self._write(to_json(event))


def open_view(mode: Mode, stream: TextIO) -> View:
    """The listener of that mode, writing to `stream`; `auto` looks at what the stream is."""
    match mode:
        case "quiet":
            return QuietView()
        case "json":
            return JsonView(_writer(stream))
        case "live":
            return _live(stream)
        case "auto" if _can_draw(stream):
            return _live(stream)
        case _:
            return PlainView(_writer(stream))


def _live(stream: TextIO) -> LiveView:
    return LiveView(Console(file=stream, highlight=False, emoji=False, markup=False))


def _can_draw(stream: TextIO) -> bool:
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return stream.isatty() and encoding == "utf8" and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def _writer(stream: TextIO) -> Write:
    """Writes lines in the stream's own encoding, flushed; does nothing once the reader has gone."""
    gone = False

    def write(line: str) -> None:
        nonlocal gone
        if gone:
            return
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()
        except BrokenPipeError:
            gone = True
            # What is still buffered goes nowhere, instead of raising once more when the interpreter closes the stream.
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())

    return write
