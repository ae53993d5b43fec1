"""How a run is shown while it goes on: a live screen on a terminal, plain lines elsewhere, JSON for programs.

A view listens to events and decides nothing. Whatever it shows of a model's text goes through `escape_text`: control and
format characters become visible escapes, so that no answer can move the cursor, hide text or speak for the program.

The live screen is one `rich` group, redrawn at most four times a second: the run, the line of rounds, the stage under
way with its rate and time left, the gate's evidence, the last problem won and the last one lost. Its state is a few
values kept from events (`Screen`); drawing is a pure function of them, so a test can draw any moment at any width.
"""

from __future__ import annotations

import math
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from selfimprove import events as ev
from selfimprove.events import Emit, Event, silence, to_json

Mode = Literal["auto", "live", "plain", "json", "quiet"]
_QUARTERS = 4
_UNITS = {"sample": "tokens", "judge": "problems", "train": "steps", "harvest": "rows"}
_SPARKS = "▁▂▃▄▅▆▇█"


def escape_text(text: str, limit: int) -> str:
    """The text on one line with nothing in it that a terminal obeys, at most `limit` characters."""
    shown: list[str] = []
    length = 0
    for sign in text:
        piece = _visible(sign)
        if length + len(piece) > limit - 1 and limit < len(text):
            shown.append("…")
            break
        shown.append(piece)
        length += len(piece)
    return "".join(shown)


def _visible(sign: str) -> str:
    if sign == "\n":
        return "⏎"
    if sign == " " or unicodedata.category(sign)[0] not in "CZ":
        return sign
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def percent(share: float) -> str:
    """A share in percent with one decimal."""
    return f"{100 * share:.1f} %"


def points(gain: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * gain:+.1f}"


@contextmanager
def open_view(mode: Mode, stream: TextIO) -> Iterator[Emit]:
    """A listener for a run's events, showing them on `stream`; `auto` is live on a terminal, plain lines elsewhere."""
    match mode:
        case "quiet":
            yield silence
        case "json":
            yield JsonView(_writer(stream))
        case _ if mode == "plain" or (mode == "auto" and not stream.isatty()):
            yield PlainView(_writer(stream))
        case _:
            with LiveView(Console(file=stream)) as view:
                yield view


def _writer(stream: TextIO) -> Callable[[str], None]:
    def write(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return write


class JsonView:
    """One event a line, as JSON."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __call__(self, event: Event) -> None:
        """Write the event."""
        self._write(to_json(event))


class PlainView:
    """One line for each event that is worth one; progress at each quarter of a stage."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._quarter = 0

    def __call__(self, event: Event) -> None:
        """Write the event's lines, if it has any."""
        if isinstance(event, ev.StageStarted):
            self._quarter = _QUARTERS * event.kept // max(1, event.total)
        if isinstance(event, ev.StageProgress):
            quarter = _QUARTERS * event.done // max(1, event.total)
            if quarter <= self._quarter or quarter == _QUARTERS:
                return
            self._quarter = quarter
        for line in plain_lines(event):
            self._write(line)


def plain_lines(event: Event) -> list[str]:
    """The event in words, one line each; none for those that only matter on a live screen."""
    match event:
        case ev.RunStarted():
            return [*_header(event), *(f"  {note}" for note in event.notes)]
        case ev.RoundStarted(number, champion):
            return [f"round {number}, champion: {_model(champion)}"]
        case ev.StageStarted(_, stage, total, kept, unit):
            return [f"  {stage}: kept {kept} of {total} {unit} from an earlier start"] if kept else []
        case ev.StageProgress(_, stage, done, total, _):
            return [f"  {stage}: {done} of {total}"]
        case ev.StageFinished():
            return [f"  {event.stage}: {'reused, ' if event.reused else ''}{event.seconds:.1f} s{_counts(event)}"]
        case ev.Looked():
            return [f"  {_look(event)}"]
        case ev.RoundFinished():
            return [f"  {_accuracies(event)}", f"  {event.sentence}"]
        case ev.SealedJudged():
            return _sealed_lines(event)
        case ev.RunFinished():
            return [_finished(event)]
        case ev.Note(text):
            return [text]
        case _:
            return []


def _header(event: ev.RunStarted) -> list[str]:
    again = f", {event.rounds_done} done" if event.rounds_done else ""
    return [
        f"run {event.run}: {event.rounds_wanted} rounds{again}, {event.model} with {event.engine}, in {event.folder}",
        f"  {event.train} training, {event.heldout} held-out, {event.sealed} sealed problems",
    ]


def _model(number: int) -> str:
    return f"round {number}" if number else "the base model"


def _counts(event: ev.StageFinished) -> str:
    named = {key: value for key, value in event.counts.items() if isinstance(value, int | float)}
    return "".join(f", {key.replace('_', ' ')} {value:,.4g}" for key, value in named.items())


def _look(event: ev.Looked) -> str:
    evidence = f"evidence {event.evidence:.3g} of {event.threshold:.3g}"
    return f"{event.judged} of {event.total} judged: {event.wins} won, {event.losses} lost, {evidence}"


def _accuracies(event: ev.RoundFinished) -> str:
    sides = f"champion {percent(event.champion_accuracy)}, challenger {percent(event.challenger_accuracy)}"
    return f"{sides} ({points(event.gain)} points)"


def _sealed_lines(event: ev.SealedJudged) -> list[str]:
    again = f" (look {event.look})" if event.look > 1 else ""
    return [
        f"sealed problems{again}, n = {event.n}:",
        f"  base      {percent(event.base_accuracy)}  (95 %: {_interval(event.base_interval)})",
        f"  champion  {percent(event.champion_accuracy)}  (95 %: {_interval(event.champion_interval)})",
        f"  gain      {points(event.gain)} points  (95 %: {points(event.gain_interval[0])} to "
        f"{points(event.gain_interval[1])})",
    ]


def _interval(interval: tuple[float, float]) -> str:
    return f"{percent(interval[0])} to {percent(interval[1])}"


def _finished(event: ev.RunFinished) -> str:
    accepted = ", ".join(map(str, event.accepted)) or "none"
    if event.was_complete:
        return f"run {event.run} has its {event.rounds} rounds: nothing is owed (accepted: {accepted})"
    return f"run {event.run} finished: {event.rounds} rounds, accepted: {accepted}, {event.seconds:.0f} s"


@dataclass
class Screen:
    """What the live screen knows, kept from events."""

    header: list[str] = field(default_factory=list)
    rounds: list[ev.RoundFinished] = field(default_factory=list)
    number: int = 0
    champion: int = 0
    stage: ev.StageStarted | None = None
    progress: ev.StageProgress | None = None
    since: float = 0.0
    reused: list[str] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    step: ev.TrainStep | None = None
    look: ev.Looked | None = None
    won: ev.Flip | None = None
    lost: ev.Flip | None = None
    tail: list[str] = field(default_factory=list)

    def take(self, event: Event, now: float) -> None:
        """Keep what the event tells; `now` is a monotonic clock in seconds."""
        match event:
            case ev.RunStarted():
                self.header = _header(event)
            case ev.RoundStarted(number, champion):
                self.number, self.champion = number, champion
                self.reused, self.losses, self.look, self.step = [], [], None, None
            case ev.StageStarted():
                self.stage, self.progress, self.since = event, None, now
            case ev.StageProgress():
                self.progress = event
            case ev.StageFinished(_, stage, _, _, reused):
                self.stage = None
                self.reused += [stage] if reused else []
            case ev.TrainStep():
                self.step = event
                self.losses.append(event.loss)
            case ev.Looked():
                self.look = event
            case ev.Flip(_, won):
                self.won, self.lost = (event, self.lost) if won else (self.won, event)
            case ev.RoundFinished():
                self.rounds.append(event)
                self.number = 0
            case ev.SealedJudged() | ev.RunFinished() | ev.Note():
                self.tail += plain_lines(event)

    def draw(self, now: float) -> Group:
        """The screen at this moment."""
        parts: list[RenderableType] = [Text(line, overflow="ellipsis", no_wrap=True) for line in self.header]
        if self.rounds or self.number:
            parts.append(self._table())
        if self.reused:
            parts.append(Text(f"reused from an earlier start: {', '.join(self.reused)}", style="dim"))
        if self.stage:
            parts += [self._bar(self.stage, now)]
        if self.losses:
            parts.append(Text(f"loss {sparkline(self.losses, 24)} {self.losses[0]:.3f} → {self.losses[-1]:.3f}"))
        if self.look:
            parts.append(Text(_look(self.look)))
        parts += [line for flip in (self.won, self.lost) if flip for line in _flip_lines(flip)]
        parts += [Text(line) for line in self.tail]
        return Group(*parts)

    def _table(self) -> Table:
        table = Table("round", "champion", "challenger", "gain", "decision", box=None, pad_edge=False)
        for done in self.rounds:
            word = Text("accepted", style="bold green") if done.accepted else Text("rejected", style="yellow")
            row = [percent(done.champion_accuracy), percent(done.challenger_accuracy), points(done.gain)]
            table.add_row(str(done.number), *row, word)
        if self.number:
            table.add_row(str(self.number), _model(self.champion), "", "", Text("under way", style="cyan"))
        return table

    def _bar(self, stage: ev.StageStarted, now: float) -> Table:
        done, tokens = stage.kept, 0
        if self.progress:
            done, tokens = self.progress.done, self.progress.tokens
        if stage.stage == "train" and self.step:
            done = self.step.step
        seconds = max(1e-9, now - self.since)
        fresh = done - stage.kept
        rate = (
            f"{tokens / seconds:.0f} tokens/s" if tokens else f"{fresh / seconds:.1f} {stage.unit}/s" if fresh else ""
        )
        left = _duration((stage.total - done) * seconds / fresh) + " left" if fresh else ""
        kept = f"{stage.kept} kept" if stage.kept else ""
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, stage.total), completed=done, width=24)
        row.add_row(Text(stage.stage, style="bold"), bar, f"{done}/{stage.total}", rate, left, kept)
        return row


def sparkline(values: list[float], width: int) -> str:
    """The values' course as a line of blocks, at most `width` of them, each the mean of its share."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    size = max(1, math.ceil(len(finite) / width))
    means = [sum(part) / len(part) for start in range(0, len(finite), size) for part in [finite[start : start + size]]]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_SPARKS[round((mean - low) / span * (len(_SPARKS) - 1))] for mean in means)


def _flip_lines(flip: ev.Flip) -> list[Text]:
    style, word = ("green", "won ") if flip.won else ("red", "lost")
    question = Text.assemble((word, style), f" {escape_text(flip.question, 90)} = {escape_text(flip.reference, 20)}")
    sides = [("champion", flip.champion_text), ("challenger", flip.challenger_text)]
    lines = [question, *(Text(f"     {side}: {escape_text(text, 90)}", style="dim") for side, text in sides)]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


class LiveView:
    """A screen of the run that is redrawn in place; the last state stays on the terminal."""

    def __init__(self, console: Console) -> None:
        self._screen = Screen()
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw, vertical_overflow="visible")

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Keep what the event tells; the next redraw shows it."""
        self._screen.take(event, time.monotonic())

    def _draw(self) -> Group:
        return self._screen.draw(time.monotonic())
