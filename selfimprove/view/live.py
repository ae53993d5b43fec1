"""The live view: the scene drawn with rich, redrawn at most twice a second.

The screen is a stack of blocks: the header with the time gone and left, the stage under way with its loss or its
evidence, the table of rounds, the last decision, the sealed outcome, the last flips. What is above doesn't move while
what is below grows. Each block is a list of complete lines (`Text` that is cut, never wrapped), so its height is known
before it is drawn: what doesn't fit is left out, old rounds and flips first.
Colours only repeat what a word says, so nothing is lost without them (`NO_COLOR`). When the view closes, the stage and
the flips disappear and the complete table of rounds stays in the terminal's history.

The terminal's size is read at every drawing. A terminal that gets narrower wraps the lines of the previous drawing,
which then takes more rows than it had lines: these are cleared too before the next one. On a terminal that lacks the
view's characters, others of the same width replace them (`view/glyphs.py`).

All that comes from a model, a file or the command line goes through `escape_text` into `Text`, which has no markup.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import ceil
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from selfimprove import formatting
from selfimprove.escaping import escape_text
from selfimprove.events import Event, Note, RunStarted, SealedJudged
from selfimprove.view.blocks import Block, flips, reused, rounds, sentence, stage, wrapped
from selfimprove.view.glyphs import can_draw, drawable
from selfimprove.view.scene import Scene, advance
from selfimprove.view.wording import finished_told

REFRESHES = 2
"""Drawings per second."""
ROOMY = 16
"""Screens of at least this many lines have empty lines between blocks."""
NOTE_LIMIT = 1000
"""Characters of a note, at most."""


class LiveView:
    """Draws the run while it goes on; notes are printed above the drawing and stay.

    `clock` gives seconds, for rates and the time left.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._console = console
        self._scene = Scene()
        self._closed = False
        self._told: set[str] = set()
        self._drawn: list[int] = []  # widths of the lines on the screen, in cells
        self._substitute = console.legacy_windows or not can_draw(console.encoding)
        self._live = Live(self, console=console, refresh_per_second=REFRESHES, redirect_stderr=console.is_terminal)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._live.stop()

    def __call__(self, event: Event, /, at: float | None = None) -> None:
        """Take the event into the scene, which the next drawing shows; it happened `at` by the clock, or now."""
        self._scene = advance(self._scene, event, self._clock() if at is None else at)
        match event:
            case RunStarted(notes=notes):
                self._note(*notes)
            case Note(text=text):
                self._note(text)

    def _note(self, *notes: str) -> None:
        self._live.refresh()  # at the present size, so that the note isn't cleared with lines that the terminal wrapped
        fresh = [note for note in dict.fromkeys(notes) if note not in self._told]  # a resumed run tells its own again
        self._told |= set(fresh)
        for note in fresh:
            line = Text(escape_text(note, NOTE_LIMIT), style="dim")
            self._console.print(drawable(line, self._console.encoding) if self._substitute else line)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        height = None if self._closed else console.size.height - 1
        lines = frame(self._scene, width, height, self._clock())
        yield _cleared(sum(ceil(cells / width) - 1 for cells in self._drawn if cells))
        self._drawn = [line.cell_len for line in lines]
        yield from (drawable(line, console.encoding) for line in lines) if self._substitute else lines


def _cleared(rows: int) -> Control:
    """Clears this many rows above the cursor and moves it up to the first of them."""
    return Control(*((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * rows)


def frame(scene: Scene, width: int, height: int | None, now: float) -> Block:
    """One drawing: at most `height` lines of at most `width` cells; `height` None gives the closing drawing, uncut."""
    top = header(scene, width, None if height is None else now)
    working = [*stage(scene, width, None if height is None else now), *reused(scene, width)]
    decision, end = sentence(scene, width), outcome(scene, width)
    if height is None:
        stopped = [] if scene.finished else working
        return _stacked([top, stopped, rounds(scene, width, None), decision, end], width, gaps=True)
    gaps = height >= ROOMY
    used = sum(len(block) + gaps for block in (top, decision, working, end) if block)
    table = rounds(scene, width, max(height - used - gaps, 2))
    blocks = [top, working, table, decision, end]
    left = height - sum(len(block) + gaps for block in blocks if block)
    return _stacked([*blocks, flips(scene, width, left)], width, gaps)[:height]


def progress(scene: Scene, width: int, now: float) -> list[str]:
    """Where the run is, as lines of text: its round, the time gone and left, the stage under way; safe to show."""
    if scene.run is None or scene.finished is not None:
        return []
    lines = [Text(_run_progress(scene, scene.run, now)), *stage(scene, width, now), *reused(scene, width)]
    return [line.plain.rstrip() for line in _stacked([lines], width, gaps=False)]


def header(scene: Scene, width: int, now: float | None) -> Block:
    """The run's name, progress and time, its model, engine and problems; `now` is None once stopped."""
    run = scene.run
    if run is None:
        return [Text("selfimprove", style="bold")]
    name = Text.assemble(("selfimprove ", "dim"), (escape_text(run.run, 60), "bold"))
    model = f"{escape_text(run.model, 60)} · {escape_text(run.engine, 20)}"
    problems = f"{run.train:,} to train on, {run.heldout:,} held out, {run.sealed:,} sealed"
    both = Text(f"{model} · {problems}", style="dim")
    about = [both] if both.cell_len <= width else [Text(model, style="dim"), *wrapped(problems, width, 2, "dim")]
    where = _run_progress(scene, run, now)
    if name.cell_len + 2 + len(where) > width:  # rather the time in the second line than a head that grows
        short = _run_progress(scene, run, None)
        rest = where.removeprefix(short).removeprefix(" · ")
        return [*_justified(name, Text(short, style="bold"), width), *wrapped(rest, width, 2, "bold"), *about]
    return [*_justified(name, Text(where, style="bold"), width), *about]


def _run_progress(scene: Scene, run: RunStarted, now: float | None) -> str:
    """The round, and the time that this start has taken and that the run still takes, as far as that is known."""
    current = scene.current()
    kept = f", {run.rounds_done} kept" if run.rounds_done else ""
    told = f"{scene.done()} of {formatting.plural(run.rounds_wanted, 'round')} done"
    parts = [f"round {current.number} of {run.rounds_wanted}{kept}" if current else told]
    if now is not None and scene.finished is None:
        left = scene.seconds_left(now)
        parts.append(f"{formatting.duration(now - scene.began)} elapsed{_about(left)}")
    return " · ".join(parts)


def _about(left: float | None) -> str:
    return "" if left is None else f", about {formatting.duration(left)} left"


def outcome(scene: Scene, width: int) -> Block:
    """The sealed outcome in plain words, and the end of the run; empty until there is one."""
    sealed = scene.sealed
    if sealed is None:
        return _run_end(scene, width)
    rule = Text("━" * width, style="bold")
    again = " (judged before)" if sealed.look > 1 else ""
    return [
        rule,
        *wrapped(f"On {sealed.n:,} sealed problems{again}:", width, 2),
        *_accuracies(sealed, width),
        *wrapped(formatting.verdict_on_gain(sealed.gain, sealed.gain_interval, sealed.champion), width, 4),
        *(wrapped(sealed.beside, width, 4) if sealed.beside else ()),
        rule,
        *_run_end(scene, width),
    ]


def _accuracies(sealed: SealedJudged, width: int) -> Block:
    """Base, champion, the gain and what it is made of; of a champion that is the base its accuracy alone."""
    base, champion = formatting.percent(sealed.base_accuracy), formatting.percent(sealed.champion_accuracy)
    if sealed.champion == 0:
        return wrapped(f"base {base}", width, 2, "bold")
    both = wrapped(f"base {base}  →  champion {champion}", width, 2, "bold")
    return [*both, *_gain(sealed, width), *(wrapped(sealed.split, width, 4) if sealed.split else ())]


def _gain(sealed: SealedJudged, width: int) -> Block:
    low, high = sealed.gain_interval
    style = "bold green" if low > 0 else "bold red" if high < 0 else "bold yellow"
    text = Text(f"gain {formatting.points(sealed.gain)} points", style=style)
    label = "95% interval " if width >= 60 else "95% "
    interval = label + formatting.points_range(sealed.gain_interval)
    if text.cell_len + 2 + len(interval) > width:
        return [text, *wrapped(interval, width, 2)]
    return [text.append(f", {interval}")]


def _run_end(scene: Scene, width: int) -> Block:
    finished = scene.finished
    if finished is None:
        return []
    accepted = f"accepted: {formatting.rounds_named(finished.accepted)}"
    if finished.was_complete:
        done = formatting.plural(finished.rounds, "round")
        return wrapped(f"Already complete: {done} done; {accepted}.", width, 4)
    return wrapped(f"{finished_told(finished, scene)}; {accepted}.", width, 4)


def _justified(left: Text, right: Text, width: int) -> Block:
    gap = width - left.cell_len - right.cell_len
    return [left.append(" " * gap).append_text(right)] if gap >= 2 else [left, right]


def _stacked(blocks: Sequence[Block], width: int, gaps: bool) -> Block:
    lines: Block = []
    for block in filter(None, blocks):
        lines += [Text(), *block] if gaps and lines else block
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return lines
