"""The live view: the scene drawn with rich, drawn over at most twice a second.

The screen is a stack of blocks, most wanted first: the header, the line of rounds, the stage under way with its loss
or its evidence, the sealed outcome, the last flips. Each block is drawn as whole lines (`Text` that is cut, never
wrapped), so its height is known before it is drawn: what doesn't fit is left out, old rounds and flips first. Colours
repeat what a word says, so nothing is lost without them (`NO_COLOR`). When the view closes, the stage and the flips go
and the whole line of rounds stays in the terminal's history.

All that comes from a model, a file or the command line goes through `escape_text` into `Text`, which has no markup.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from selfimprove import figures
from selfimprove.escaping import escape_text
from selfimprove.events import Event, Flip, Note, RunStarted, SealedJudged
from selfimprove.scene import Line, Scene, Stage, unfold

REFRESHES = 2
"""Drawings per second."""
STAGES = ("sample", "harvest", "train", "merge", "judge", "decide")
"""The stages of a round in their order, for the track; a stage of another name is shown without it."""
SPARKS = "▁▂▃▄▅▆▇█"
LOSS_WIDTH = 32
"""Most columns of the loss curve."""
NOTE_LIMIT = 1000
"""Characters of a note."""

Block = list[Text]


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
    if height is None:
        blocks = [header(scene, width), rounds(scene, width, None), outcome(scene, width)]
        return _cut([line for block in _spaced(blocks) for line in block], width)
    rest = [header(scene, width), stage(scene, width, now), outcome(scene, width)]
    used = sum(len(block) + 1 for block in rest if block)
    blocks = [rest[0], rounds(scene, width, max(height - used - 2, 1)), *rest[1:]]
    lines = sum(len(block) + 1 for block in blocks if block)
    blocks.append(flips(scene, width, height - lines))
    return _cut([line for block in _spaced(blocks) for line in block], width)[:height]


def header(scene: Scene, width: int) -> Block:
    """Two lines: the run and how far it is; what it works on."""
    run = scene.run
    if run is None:
        return [Text("selfimprove", style="bold")]
    current = scene.current()
    done = sum(line.accepted is not None for line in scene.lines)
    done = max(done, run.rounds_done)
    where = (
        f"round {current.number} of {run.rounds_wanted}" if current else f"{done} of {run.rounds_wanted} rounds done"
    )
    name = Text.assemble(("selfimprove ", "dim"), (escape_text(run.run, 60), "bold"))
    problems = f"{run.train:,} train, {run.heldout:,} held-out, {run.sealed:,} sealed"
    about = f"{escape_text(run.model, 60)} · {escape_text(run.engine, 20)} · {problems}"
    return [_justified(name, Text(where, style="bold"), width), Text(about, style="dim")]


COLUMNS = (
    # title, width, least terminal width that shows it
    ("round", 5, 0),
    ("champion", 8, 56),
    ("challenger", 10, 0),
    ("gain", 6, 0),
    ("won–lost", 8, 66),
    ("evidence/needed", 16, 76),
)


def rounds(scene: Scene, width: int, height: int | None) -> Block:
    """The line of rounds as a table, the last ones if `height` is short."""
    lines = scene.lines if height is None or len(scene.lines) < height else scene.lines[len(scene.lines) - height + 1 :]
    if not lines:
        return []
    titles = [title for title, _, _ in COLUMNS]
    head = _row(titles, Text("decision"), width)
    head.stylize("dim")
    return [head, *(_row(_cells(line), _decision(line, scene), width) for line in lines)]


def _cells(line: Line) -> list[str]:
    look = line.look
    flips_told = f"{look.wins}–{look.losses}" if look else figures.MISSING
    evidence = f"{figures.decimal(look.evidence)} / {figures.decimal(look.threshold)}" if look else figures.MISSING
    return [
        str(line.number),
        figures.percent(line.champion_accuracy),
        figures.percent(line.challenger_accuracy),
        figures.points(line.gain),
        flips_told,
        evidence,
    ]


def _row(cells: Sequence[str], last: Text, width: int) -> Text:
    row = Text()
    for cell, (_, room, least) in zip(cells, COLUMNS, strict=True):
        if width >= least:
            row.append(f"{cell:>{room}}  ")
    return row.append_text(last)


def _decision(line: Line, scene: Scene) -> Text:
    if line.accepted is None:
        return Text(scene.stage.name if scene.stage else "under way", style="cyan")
    return Text("accepted", style="bold green") if line.accepted else Text("rejected", style="red")


def stage(scene: Scene, width: int, now: float) -> Block:
    """The stage under way: track, bar, what was reused, then the loss or the evidence."""
    block = [_track(scene)] if scene.current() else []
    if scene.stage is not None:
        block.append(_bar_line(scene.stage, width, now))
    block += _reused(scene)
    if scene.losses:
        block.append(_loss(scene, width))
    current = scene.current()
    if current is not None and current.look is not None:
        block.append(_evidence(current, width))
    return block


def _track(scene: Scene) -> Text:
    text = Text()
    under_way = scene.stage.name if scene.stage else ""
    for name in STAGES:
        if name in scene.reused:
            text.append(f"↺ {name}  ", style="blue")
        elif name in scene.passed:
            text.append(f"✓ {name}  ", style="green")
        elif name == under_way:
            text.append(f"▶ {name}  ", style="bold cyan")
        else:
            text.append(f"· {name}  ", style="dim")
    return text


def _bar_line(under_way: Stage, width: int, now: float) -> Text:
    share = under_way.done / max(under_way.total, 1)
    amount = f"{100 * share:3.0f} %  {under_way.done:,}/{under_way.total:,} {under_way.unit}"
    rate = figures.stage_rate(under_way.token_rate(), under_way.rate(), under_way.unit)
    seconds = under_way.seconds_left(now)
    left = "" if seconds is None else f"{figures.duration(seconds)} left"
    facts = [amount, left, rate] if width < 76 else [amount, rate, left]
    text = Text(f"{escape_text(under_way.name, 8):<8} ")
    text.append_text(_bar(share, max(min(width // 4, 30), 6), "cyan"))
    return text.append("  " + "  ".join(fact for fact in facts if fact))


def _bar(share: float, width: int, style: str) -> Text:
    full = round(max(0.0, min(share, 1.0)) * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), "dim"))


def _reused(scene: Scene) -> Block:
    told = [f"{name} (whole)" for name in scene.reused]
    if scene.stage is not None and scene.stage.kept:
        told.append(f"{scene.stage.kept:,} of {scene.stage.total:,} {scene.stage.unit} of {scene.stage.name}")
    return [Text(f"reused   {', '.join(told)}", style="blue")] if told else []


def _loss(scene: Scene, width: int) -> Text:
    losses = [loss for loss in scene.losses if math.isfinite(loss)]
    text = Text("loss     ")
    text.append(sparkline(losses, max(min(width - 30, LOSS_WIDTH), 4)), style="cyan")
    return text.append(f"  {figures.decimal(scene.losses[0])} → {figures.decimal(scene.losses[-1])}")


def sparkline(values: Sequence[float], width: int) -> str:
    """Finite values as at most `width` signs, each the mean of its share of them; the least is lowest."""
    if not values:
        return ""
    columns = min(width, len(values))
    edges = [index * len(values) // columns for index in range(columns + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)


def _evidence(line: Line, width: int) -> Text:
    look = line.look
    if look is None:
        return Text()
    text = Text("evidence ")
    text.append_text(_bar(_evidence_share(look.evidence, look.threshold), max(min(width // 4, 30), 6), "magenta"))
    text.append(f"  {figures.decimal(look.evidence)} of {figures.decimal(look.threshold)} needed")
    return text.append(f"  {look.judged:,}/{look.total:,} judged  gain {figures.points(look.gain)}")


def _evidence_share(evidence: float, threshold: float) -> float:
    """How far the evidence has come from 1 (none) to the threshold, on a log scale, where equal flips weigh equal."""
    if not (math.isfinite(evidence) and math.isfinite(threshold) and evidence > 0 and threshold > 1):
        return 0.0
    return max(0.0, min(math.log(evidence) / math.log(threshold), 1.0))


def outcome(scene: Scene, width: int) -> Block:
    """The sealed outcome in plain words; empty until it is known."""
    sealed = scene.sealed
    if sealed is None:
        return _closing(scene)
    rule = Text("━" * width, style="bold")
    again = " (judged before)" if sealed.look > 1 else ""
    return [
        rule,
        Text(f"On {sealed.n:,} sealed problems{again}:"),
        _big(sealed),
        _gain(sealed, width),
        Text(figures.verdict_on_gain(sealed.gain, sealed.gain_interval)),
        rule,
        *_closing(scene),
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


def _closing(scene: Scene) -> Block:
    finished = scene.finished
    if finished is None:
        return []
    accepted = f"accepted: {figures.rounds_named(finished.accepted)}"
    if finished.was_complete:
        return [Text(f"Nothing is owed: {figures.plural(finished.rounds, 'round')} were done before; {accepted}.")]
    told = f"{figures.plural(finished.rounds, 'round')} done in {figures.duration(finished.seconds)}"
    return [Text(f"{told}; {accepted}.")]


def flips(scene: Scene, width: int, height: int) -> Block:
    """The last problem won and the last one lost, question and both answers; what fits `height`."""
    block: Block = []
    for flip in (scene.won, scene.lost):
        if flip is not None and len(block) + 3 <= height:
            block += _flip(flip, width)
    return block


def _flip(flip: Flip, width: int) -> Block:
    word, style = ("won ", "bold green") if flip.won else ("lost", "bold red")
    reference = escape_text(flip.reference, 24)
    room = max(width - 8 - len(reference), 8)
    head = Text.assemble((f"{word} ", style), escape_text(flip.question, room), ("  = ", "dim"), (reference, "bold"))
    return [head, _answer("champion", flip.champion_text, width), _answer("challenger", flip.challenger_text, width)]


def _answer(who: str, text: str, width: int) -> Text:
    label = f"  {who:<10} "
    return Text.assemble((label, "dim"), escape_text(text, max(width - len(label), 8), keep="end"))


def _justified(left: Text, right: Text, width: int) -> Text:
    gap = width - left.cell_len - right.cell_len
    return left.append(" " * max(gap, 2)).append_text(right)


def _spaced(blocks: Sequence[Block]) -> list[Block]:
    filled = [block for block in blocks if block]
    return [block if index == 0 else [Text(), *block] for index, block in enumerate(filled)]


def _cut(lines: Sequence[Text], width: int) -> Block:
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return list(lines)
