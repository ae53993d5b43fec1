"""The blocks of the live view: the stage under way, the table of rounds, the last decision, the last flips.

Each function gives complete screen lines, none of which the terminal wraps, so their number is known before they are
drawn; a block that has nothing to show is empty. `view/live.py` stacks the blocks and cuts what doesn't fit. The block
of the stage has the same lines from the run's start to its end, between two stages too, so nothing below it jumps.
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
from selfimprove.view.wording import JUDGING, amount_told, rates_told, reason_told

STAGES = ("sample", "harvest", "train", "merge", "judge", "decide")
"""The stages of a round in their order, as the live view lists them; any other stage has only its progress bar."""
SPARKS = "▁▂▃▄▅▆▇█"
LOSS_WIDTH = 32
"""Columns of the loss curve, at most."""
NAME_LIMIT = 100
"""Characters of a decision's reason, at most."""
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
    """The stages, a bar, and loss or evidence: three lines, empty ones if need be; `now` is None once stopped.

    Empty before the run and after its end.
    """
    if scene.finished is not None or not (scene.run or scene.stage or scene.rounds or scene.losses):
        return []
    current = scene.current()
    if scene.losses:
        detail = _loss(scene, width)
    elif current is not None and current.look is not None:
        detail = _evidence(current.look, width)
    else:
        detail = Text()
    return [_stages(scene, width), _bar_line(scene, width, now), detail]


def _stages(scene: Scene, width: int) -> Text:
    """Every stage with a sign for its state; on a narrow screen only the one under way is named."""
    if scene.is_sealing():
        return Text("▶ sealed problems", style="bold cyan")
    text = Text()
    if scene.refresh and scene.current():
        text.append(f"step {scene.refresh.step}/{scene.refresh.steps}  ")
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


def _bar_line(scene: Scene, width: int, now: float | None) -> Text:
    """The stage under way with how far it is; between two stages the one that is next, and for how long."""
    under_way = scene.stage
    name = under_way.name if under_way else _next(scene)
    share = under_way.done / max(under_way.total, 1) if under_way else 0.0
    text = Text(f"{escape_text(name, 8):<8} ")
    text.append_text(_bar(share, _bar_width(width), "cyan"))
    if under_way:
        text.append(f"  {100 * share:.0f}%")
    for fact in filter(None, _facts(under_way, scene, width, now) if under_way else _waiting(scene, now)):
        if text.cell_len + 2 + len(fact) <= width:
            text.append(f"  {fact}")
    return text


def _next(scene: Scene) -> str:
    """The stage that comes next."""
    if scene.current() is None:
        return "sealed" if scene.is_sealing() else "round"
    return next((name for name in STAGES if name not in scene.passed), STAGES[-1])


def _waiting(scene: Scene, now: float | None) -> list[str]:
    return ["starting"] if now is None else ["starting", formatting.duration(now - scene.since)]


def _facts(under_way: Stage, scene: Scene, width: int, now: float | None) -> list[str]:
    """Facts about the stage, most important first."""
    left = _left(under_way, now)
    if width < 60:
        return [left]
    tokens = f"{under_way.tokens:,} tokens" if under_way.tokens else ""
    return [amount_told(under_way, scene), left, *rates_told(under_way), tokens]


def _left(under_way: Stage, now: float | None) -> str:
    """Time left, empty if unknown; an upper bound for judging, which may end at any look."""
    seconds = under_way.seconds_left(now) if now is not None else None
    return f"{'≤ ' if under_way.name == 'judge' else ''}{formatting.duration(seconds)} left" if seconds else ""


def _bar_width(width: int) -> int:
    return max(min(width // 4, 30, width - 16), 2)


def _bar(share: float, width: int, style: str) -> Text:
    full = round(max(0.0, min(share, 1.0)) * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), "dim"))


def reused(scene: Scene, width: int) -> Block:
    """What an earlier start had done of this round: whole stages, and units of others."""
    told = [f"{escape_text(name, 12)} (whole)" for name in scene.reused] if scene.current() else []
    for stage in scene.kept:
        unit = "answers" if stage.name in JUDGING else escape_text(stage.unit, 12)
        told.append(f"{stage.kept:,} of {stage.total:,} {unit} of {escape_text(stage.name, 12)}")
    return wrapped(f"reused   {', '.join(told)}", width, 2, "blue") if told else []


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
    """The last decision, its reason in words and its figures, on few lines; empty before the first decision."""
    decided = [row for row in scene.rounds if row.sentence]
    if not decided:
        return []
    row, lines = decided[-1], 4 if width >= 60 else 7
    why = escape_text(reason_told(row), NAME_LIMIT)
    if not why:
        return wrapped(f"Round {row.number}: {escape_text(row.sentence, SENTENCE_LIMIT)}", width, lines + 1)
    outcome = "accepted" if row.accepted else "rejected"
    figures = row.sentence.partition(": ")[2] or row.sentence
    head = wrapped(f"Round {row.number} {outcome}: {why}.", width, 3, "bold")
    return [*head, *wrapped(escape_text(figures, SENTENCE_LIMIT), width, lines, "dim")]


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
