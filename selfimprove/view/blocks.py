"""The blocks of the live view: the line of rounds, the stage under way, the last flips.

Each function gives whole lines of the screen, none wrapped, so that their number is known before they are drawn; a
block that has nothing to show is empty. `view/live.py` stacks them and cuts what is too wide or too many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap

from rich.text import Text

from selfimprove.events import Flip, Looked
from selfimprove.text import formatting
from selfimprove.text.escaping import escape_text
from selfimprove.view.scene import Line, Scene, Stage

STAGES = ("sample", "harvest", "train", "merge", "judge", "decide")
"""The stages of a round in their order, for the track; a stage of another name is shown without it."""
SPARKS = "▁▂▃▄▅▆▇█"
LOSS_WIDTH = 32
"""Most columns of the loss curve."""
SENTENCE_LIMIT = 400
"""Characters of a decision's sentence."""

Block = list[Text]


COLUMNS = (
    # title, width, least terminal width that shows it
    ("round", 5, 24),
    ("champion", 8, 56),
    ("challenger", 10, 36),
    ("gain", 6, 20),
    ("won–lost", 8, 66),
    ("evidence/needed", 16, 76),
)
NARROW = (("#", 2, 0), *COLUMNS[1:])
"""The columns where the first one's title has no room."""


def rounds(scene: Scene, width: int, height: int | None) -> Block:
    """The line of rounds as a table, the last ones if `height` is short."""
    lines = scene.lines if height is None or len(scene.lines) < height else scene.lines[len(scene.lines) - height + 1 :]
    if not lines:
        return []
    titles = [title for title, _, _ in _columns(width)]
    head = _row(titles, Text("decision"), width)
    head.stylize("dim")
    return [head, *(_row(_cells(line), _decision(line, scene), width) for line in lines)]


def _columns(width: int) -> tuple[tuple[str, int, int], ...]:
    return COLUMNS if width >= COLUMNS[0][2] else NARROW


def _cells(line: Line) -> list[str]:
    look = line.look
    flips_told = f"{look.wins}–{look.losses}" if look else formatting.MISSING
    evidence = formatting.MISSING
    if look:
        evidence = f"{formatting.decimal(look.evidence)} / {formatting.decimal(look.threshold)}"
    return [
        str(line.number),
        formatting.percent(line.champion_accuracy),
        formatting.percent(line.challenger_accuracy),
        formatting.points(line.gain),
        flips_told,
        evidence,
    ]


def _row(cells: Sequence[str], last: Text, width: int) -> Text:
    row = Text()
    for cell, (_, room, least) in zip(cells, _columns(width), strict=True):
        if width >= least:
            row.append(f"{cell:>{room}}  ")
    return row.append_text(last)


def _decision(line: Line, scene: Scene) -> Text:
    if line.accepted is None:
        return Text(scene.stage.name if scene.stage else "under way", style="cyan")
    return Text("accepted", style="bold green") if line.accepted else Text("rejected", style="red")


def stage(scene: Scene, width: int, now: float | None) -> Block:
    """The stage under way: track, bar, what was reused, then the loss or the evidence; `now` is None once stopped."""
    block = [_track(scene, width)] if scene.current() else []
    if scene.stage is not None:
        block.append(_bar_line(scene.stage, width, now))
    block += _reused(scene, width)
    if scene.losses:
        block.append(_loss(scene, width))
    current = scene.current()
    if current is not None and current.look is not None:
        block.append(_evidence(current.look, width))
    return block


def _track(scene: Scene, width: int) -> Text:
    """Every stage with a sign for its state; on a narrow screen only the one under way has its name."""
    text = Text()
    for name in STAGES:
        sign, style = _state(scene, name)
        text.append(f"{sign} {name}  " if width >= 60 or sign == "▶" else f"{sign} ", style=style)
    return text


def _state(scene: Scene, name: str) -> tuple[str, str]:
    if name in scene.reused:
        return "↺", "blue"
    if name in scene.passed:
        return "✓", "green"
    return ("▶", "bold cyan") if scene.stage is not None and scene.stage.name == name else ("·", "dim")


def _bar_line(under_way: Stage, width: int, now: float | None) -> Text:
    share = under_way.done / max(under_way.total, 1)
    text = Text(f"{escape_text(under_way.name, 8):<8} ")
    text.append_text(_bar(share, _bar_width(width), "cyan"))
    text.append(f"  {100 * share:.0f} %")
    for fact in filter(None, _facts(under_way, width, now)):
        if text.cell_len + 2 + len(fact) <= width:
            text.append(f"  {fact}")
    return text


def _facts(under_way: Stage, width: int, now: float | None) -> list[str]:
    """What is known of the stage, most wanted first."""
    left, unit = _left(under_way, now), escape_text(under_way.unit, 12)
    if width < 60:
        return [left]
    tokens, rows = under_way.token_rate(), under_way.rate()
    rates = [formatting.stage_rate(tokens, None, unit), formatting.stage_rate(None, rows, unit)]
    return [f"{under_way.done:,}/{under_way.total:,} {unit}", left, *rates]


def _left(under_way: Stage, now: float | None) -> str:
    """Time left; judging may end at any look, so its figure is a bound."""
    seconds = under_way.seconds_left(now) if now is not None else None
    return f"{'≤ ' if under_way.name == 'judge' else ''}{formatting.duration(seconds)} left" if seconds else ""


def _bar_width(width: int) -> int:
    return max(min(width // 4, 30, width - 16), 2)


def _bar(share: float, width: int, style: str) -> Text:
    full = round(max(0.0, min(share, 1.0)) * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), "dim"))


def _reused(scene: Scene, width: int) -> Block:
    """What an earlier start had done of this round: whole stages, and rows of others."""
    told = [f"{escape_text(name, 12)} (whole)" for name in scene.reused] if scene.current() else []
    for stage in scene.kept:
        unit, name = escape_text(stage.unit, 12), escape_text(stage.name, 12)
        told.append(f"{stage.kept:,} of {stage.total:,} {unit} of {name}")
    return folded(f"reused   {', '.join(told)}", width, 2, "blue") if told else []


def _loss(scene: Scene, width: int) -> Text:
    losses = [loss for loss in scene.losses if math.isfinite(loss)]
    told, room = formatting.decimal(scene.losses[-1]), width - 17
    if width >= 40:
        told, room = f"{formatting.decimal(scene.losses[0])} → {told}", width - 30
    text = Text("loss     ")
    text.append(sparkline(losses, max(min(room, LOSS_WIDTH), 2)), style="cyan")
    return text.append(f"  {told}")


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


def _evidence(look: Looked, width: int) -> Text:
    text = Text("evidence ")
    if width >= 30:
        text.append_text(_bar(_evidence_share(look.evidence, look.threshold), _bar_width(width), "magenta")).append(
            "  "
        )
    text.append(f"{formatting.decimal(look.evidence)} of {formatting.decimal(look.threshold)}")
    if width < 60:
        return text
    return text.append(f" needed  {look.judged:,}/{look.total:,} judged  gain {formatting.points(look.gain)}")


def _evidence_share(evidence: float, threshold: float) -> float:
    """How far the evidence has come from 1 (none) to the threshold, on a log scale, where equal flips weigh equal."""
    if not (math.isfinite(evidence) and math.isfinite(threshold) and evidence > 0 and threshold > 1):
        return 0.0
    return max(0.0, min(math.log(evidence) / math.log(threshold), 1.0))


def sentence(scene: Scene, width: int) -> Block:
    """The decision of the last round that has one, in its own words, on few lines."""
    decided = [line for line in scene.lines if line.sentence]
    if not decided:
        return []
    told = f"Round {decided[-1].number}: {escape_text(decided[-1].sentence, SENTENCE_LIMIT)}"
    return folded(told, width, 3 if width >= 60 else 5)


def folded(text: str, width: int, lines: int, style: str = "") -> Block:
    """Words of ours over at most `lines` lines."""
    return [Text(line, style=style) for line in wrap(text, max(width, 8), max_lines=lines, placeholder=" …")]


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
    room = max(width - 9 - len(reference), 8)
    head = Text.assemble((f"{word} ", style), escape_text(flip.question, room), ("  = ", "dim"), (reference, "bold"))
    return [head, _answer("champion", flip.champion_text, width), _answer("challenger", flip.challenger_text, width)]


def _answer(who: str, text: str, width: int) -> Text:
    label = f"  {who:<10} "
    return Text.assemble((label, "dim"), escape_text(text, max(width - len(label), 8), keep="end"))
