"""The live view: the scene drawn with rich, drawn over at most twice a second.

The screen is a stack of blocks, most wanted first: the header, the line of rounds, the stage under way with its loss
or its evidence, the sealed outcome, the last flips. Each block is drawn as whole lines (`Text` that is cut, never
wrapped), so its height is known before it is drawn: what doesn't fit is left out, old rounds and flips first. Colours
repeat what a word says, so nothing is lost without them (`NO_COLOR`). When the view closes, the stage and the flips go
and the whole line of rounds stays in the terminal's history.

All that comes from a model, a file or the command line goes through `escape_text` into `Text`, which has no markup.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from selfimprove import figures
from selfimprove.escaping import escape_text
from selfimprove.events import Event, Note, RunStarted, SealedJudged
from selfimprove.view.blocks import Block, flips, folded, rounds, sentence, stage
from selfimprove.view.scene import Scene, unfold

REFRESHES = 2
"""Drawings per second."""
ROOMY = 16
"""Lines of a screen from which on blocks are set apart by empty lines."""
NOTE_LIMIT = 1000
"""Characters of a note."""


class LiveView:
    """Draws the run while it goes on; notes are printed above the drawing and stay.

    `clock` gives seconds, for rates and the time left.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._console = console
        self._scene = Scene()
        self._closed = False
        self._live = Live(self, console=console, refresh_per_second=REFRESHES, redirect_stderr=console.is_terminal)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._live.stop()

    def __call__(self, event: Event, /) -> None:
        """Take the event into the scene; the next drawing shows it."""
        self._scene = unfold(self._scene, event, self._clock())
        match event:
            case RunStarted(notes=notes):
                self._note(*notes)
            case Note(text=text):
                self._note(text)

    def _note(self, *notes: str) -> None:
        for note in notes:
            self._console.print(Text(escape_text(note, NOTE_LIMIT), style="dim"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if self._closed:
            yield from frame(self._scene, width, None, self._clock())
        else:
            yield from frame(self._scene, width, console.size.height - 1, self._clock())


def frame(scene: Scene, width: int, height: int | None, now: float) -> Block:
    """The lines of one drawing, each at most `width` cells, at most `height` lines; None: the closing drawing."""
    top, said, end = header(scene, width), sentence(scene, width), outcome(scene, width)
    if height is None:
        stopped = [] if scene.finished else stage(scene, width, None)
        return _stacked([top, rounds(scene, width, None), said, stopped, end], width, gaps=True)
    gaps = height >= ROOMY
    working = stage(scene, width, now)
    used = sum(len(block) + gaps for block in (top, said, working, end) if block)
    table = rounds(scene, width, max(height - used - gaps, 2))
    blocks = [top, table, said, working, end]
    left = height - sum(len(block) + gaps for block in blocks if block)
    return _stacked([*blocks, flips(scene, width, left)], width, gaps)[:height]


def header(scene: Scene, width: int) -> Block:
    """The run and how far it is; what it works on."""
    run = scene.run
    if run is None:
        return [Text("selfimprove", style="bold")]
    name = Text.assemble(("selfimprove ", "dim"), (escape_text(run.run, 60), "bold"))
    model = f"{escape_text(run.model, 60)} · {escape_text(run.engine, 20)}"
    problems = f"{run.train:,} to train on, {run.heldout:,} held out, {run.sealed:,} sealed"
    both = f"{model} · {problems}"
    about = [both] if len(both) <= width else [model, problems]
    return [
        _justified(name, Text(_where(scene, run), style="bold"), width),
        *(Text(line, style="dim") for line in about),
    ]


def _where(scene: Scene, run: RunStarted) -> str:
    current = scene.current()
    if current:
        return f"round {current.number} of {run.rounds_wanted}"
    done = max(sum(line.accepted is not None for line in scene.lines), run.rounds_done)
    return f"{done} of {figures.plural(run.rounds_wanted, 'round')} done"


def outcome(scene: Scene, width: int) -> Block:
    """The sealed outcome in plain words; empty until it is known."""
    sealed = scene.sealed
    if sealed is None:
        return _closing(scene, width)
    rule = Text("━" * width, style="bold")
    again = " (judged before)" if sealed.look > 1 else ""
    return [
        rule,
        Text(f"On {sealed.n:,} sealed problems{again}:"),
        _big(sealed),
        _gain(sealed, width),
        *folded(figures.verdict_on_gain(sealed.gain, sealed.gain_interval), width, 2),
        rule,
        *_closing(scene, width),
    ]


def _big(sealed: SealedJudged) -> Text:
    base, champion = figures.percent(sealed.base_accuracy), figures.percent(sealed.champion_accuracy)
    return Text(f"base {base}  →  champion {champion}", style="bold")


def _gain(sealed: SealedJudged, width: int) -> Text:
    low = sealed.gain_interval[0]
    style = "bold green" if low > 0 else "bold red" if sealed.gain_interval[1] < 0 else "bold yellow"
    text = Text(f"gain {figures.points(sealed.gain)} points", style=style)
    label = ", 95 % interval " if width >= 60 else ", 95 % "
    return text.append(label + figures.points_range(sealed.gain_interval))


def _closing(scene: Scene, width: int) -> Block:
    finished = scene.finished
    if finished is None:
        return []
    accepted = f"accepted: {figures.rounds_named(finished.accepted)}"
    if finished.was_complete:
        done = figures.plural(finished.rounds, "round")
        return folded(f"Nothing is owed, {done} done before; {accepted}.", width, 2)
    told = f"{figures.plural(finished.rounds, 'round')} done in {figures.duration(finished.seconds)}"
    return folded(f"{told}; {accepted}.", width, 2)


def _justified(left: Text, right: Text, width: int) -> Text:
    gap = width - left.cell_len - right.cell_len
    return left.append(" " * max(gap, 2)).append_text(right)


def _stacked(blocks: Sequence[Block], width: int, gaps: bool) -> Block:
    lines: Block = []
    for block in filter(None, blocks):
        lines += [Text(), *block] if gaps and lines else block
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return lines
