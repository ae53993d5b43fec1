"""The blocks of the live view: the table of rounds, the stage under way, the last flips.

Each function gives complete screen lines, none of which the terminal wraps, so their number is known before they are
drawn; a block that has nothing to show is empty. `view/live.py` stacks the blocks and cuts what doesn't fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap

from rich.text import Text

from selfimprove import formatting
from selfimprove.escaping import escape_text
from selfimprove.events import Flip, Looked
from selfimprove.view.scene import RoundRow, Scene, Stage

STAGES = ("sample", "harvest", "train", "merge", "judge", "decide")
"""The stages of a round in their order, as the live view lists them; any other stage has only its progress bar."""
SPARKS = "▁▂▃▄▅▆▇█"
LOSS_WIDTH = 32
"""Columns of the loss curve, at most."""
SENTENCE_LIMIT = 400
"""Characters of a decision's sentence, at most."""

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
"""The columns of a terminal that is too narrow for the first one's title."""


def rounds(scene: Scene, width: int, height: int | None) -> Block:
    """The table of rounds in at most `height` lines, the latest rounds if not all fit."""
    rows = scene.rounds
    if height is not None and len(rows) >= height:
        rows = rows[len(rows) - height + 1 :]
    if not rows:
        return []
    titles = [title for title, _, _ in _columns(width)]
    head = _row(titles, Text("decision"), width)
    head.stylize("dim")
    return [head, *(_row(_cells(row), _decision(row, scene), width) for row in rows)]


def _columns(width: int) -> tuple[tuple[str, int, int], ...]:
    return COLUMNS if width >= COLUMNS[0][2] else NARROW


def _cells(row: RoundRow) -> list[str]:
    won_lost = evidence = formatting.MISSING
    if row.look:
        won_lost = f"{row.look.wins}–{row.look.losses}"
        evidence = f"{formatting.decimal(row.look.evidence)} / {formatting.decimal(row.look.threshold)}"
    return [
        str(row.number),
        formatting.percent(row.champion_accuracy),
        formatting.percent(row.challenger_accuracy),
        formatting.points(row.gain),
        won_lost,
        evidence,
    ]


def _row(cells: Sequence[str], last: Text, width: int) -> Text:
    row = Text()
    for cell, (_, columns, least_width) in zip(cells, _columns(width), strict=True):
        if width >= least_width:
            row.append(f"{cell:>{columns}}  ")
    return row.append_text(last)


def _decision(row: RoundRow, scene: Scene) -> Text:
    if row.accepted is None:
        return Text(scene.stage.name if scene.stage else "under way", style="cyan")
    return Text("accepted", style="bold green") if row.accepted else Text("rejected", style="red")


def stage(scene: Scene, width: int, now: float | None) -> Block:
    """The stage under way: list of stages, bar, what was reused, loss or evidence; `now` is None once stopped."""
    block = [_stages(scene, width)] if scene.current() else []
    if scene.stage is not None:
        block.append(_bar_line(scene.stage, width, now))
    block += _reused(scene, width)
    if scene.losses:
        block.append(_loss(scene, width))
    current = scene.current()
    if current is not None and current.look is not None:
        block.append(_evidence(current.look, width))
    return block


def _stages(scene: Scene, width: int) -> Text:
    """Every stage with a sign for its state; on a narrow screen only the one under way is named."""
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
    """Facts about the stage, most important first."""
    left, unit = _left(under_way, now), escape_text(under_way.unit, 12)
    if width < 60:
        return [left]
    tokens, rows = under_way.token_rate(), under_way.rate()
    rates = [formatting.stage_rate(tokens, None, unit), formatting.stage_rate(None, rows, unit)]
    return [f"{under_way.done:,}/{under_way.total:,} {unit}", left, *rates]


def _left(under_way: Stage, now: float | None) -> str:
    """Time left, empty if unknown; an upper bound for judging, which may end at any look."""
    seconds = under_way.seconds_left(now) if now is not None else None
    return f"{'≤ ' if under_way.name == 'judge' else ''}{formatting.duration(seconds)} left" if seconds else ""


def _bar_width(width: int) -> int:
    return max(min(width // 4, 30, width - 16), 2)


def _bar(share: float, width: int, style: str) -> Text:
    full = round(max(0.0, min(share, 1.0)) * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), "dim"))


def _reused(scene: Scene, width: int) -> Block:
    """What an earlier start had done of this round: whole stages, and units of others."""
    reused = [f"{escape_text(name, 12)} (whole)" for name in scene.reused] if scene.current() else []
    for stage in scene.kept:
        unit, name = escape_text(stage.unit, 12), escape_text(stage.name, 12)
        reused.append(f"{stage.kept:,} of {stage.total:,} {unit} of {name}")
    return wrapped(f"reused   {', '.join(reused)}", width, 2, "blue") if reused else []


def _loss(scene: Scene, width: int) -> Text:
    losses = [loss for loss in scene.losses if math.isfinite(loss)]
    label, room = formatting.decimal(scene.losses[-1]), width - 17
    if width >= 40:
        label, room = f"{formatting.decimal(scene.losses[0])} → {label}", width - 30
    text = Text("loss     ")
    text.append(sparkline(losses, max(min(room, LOSS_WIDTH), 2)), style="cyan")
    return text.append(f"  {label}")


def sparkline(values: Sequence[float], width: int) -> str:
    """Finite values as a sparkline of at most `width` characters, each for the mean of an equal share of the values."""
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
    """How far the evidence is from 1 (none) to the threshold, in [0, 1]: log scale, so equal flips are equal steps."""
    if not (math.isfinite(evidence) and math.isfinite(threshold) and evidence > 0 and threshold > 1):
        return 0.0
    return max(0.0, min(math.log(evidence) / math.log(threshold), 1.0))


def sentence(scene: Scene, width: int) -> Block:
    """The last decision's own sentence, on few lines; empty before the first decision."""
    decided = [row for row in scene.rounds if row.sentence]
    if not decided:
        return []
    text = f"Round {decided[-1].number}: {escape_text(decided[-1].sentence, SENTENCE_LIMIT)}"
    return wrapped(text, width, 5 if width >= 60 else 8)


def wrapped(text: str, width: int, lines: int, style: str = "") -> Block:
    """The text wrapped over at most `lines` lines; only for text of this program, which is not escaped here."""
    return [Text(line, style=style) for line in wrap(text, max(width, 8), max_lines=lines, placeholder=" …")]


def flips(scene: Scene, width: int, height: int) -> Block:
    """The last problem won and the last one lost, with both answers, as far as they fit `height`."""
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
