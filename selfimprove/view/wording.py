"""What the views say in words: which problems a stage is at, and why a round was accepted or rejected."""

from __future__ import annotations

from collections.abc import Mapping

from selfimprove import formatting
from selfimprove.events import RunFinished, StageStarted
from selfimprove.view.scene import RoundRow, Scene, Stage

JUDGING = ("judge", "sealed")
"""Stages whose units are problems, each answered by both models."""
REASONS: Mapping[str, str] = {
    "evidence": "there is enough evidence that the challenger is better",
    "futile": "a worthwhile gain is ruled out or out of reach",
    "undecided": "all problems are judged and the evidence falls short",
    "point": "by accuracy only, without evidence",
    "none": "without a test",
}
"""What the reason of a decision means; any other is the name of a guard."""


def reason_told(row: RoundRow) -> str:
    """Why a round was decided as it was; empty where its history doesn't tell."""
    guard = f"the {row.reason.removeprefix('guard ')} guard rejected the challenger"
    return REASONS.get(row.reason, guard) if row.reason else ""


def amount_told(stage: Stage, scene: Scene) -> str:
    """How far a stage is: `48 of 64 rows`, or, of a judging stage, `challenger: 48 of 64 problems`."""
    if scene.run is not None and stage.name in JUDGING:
        size = scene.run.heldout if stage.name == "judge" else scene.run.sealed
        if told := _of_one_model(stage, size):
            return told
    return f"{stage.done:,} of {stage.total:,} {stage.unit}"


def _of_one_model(stage: Stage, size: int) -> str:
    """Which model is judged and at which of its `size` problems; empty where the units don't fit them."""
    if not 0 < size <= stage.total:
        return ""
    if stage.name == "judge":  # what the champion lacks, then the challenger on all
        before = stage.total - size
        if stage.done < before:
            return f"champion: {stage.done:,} of {before:,} problems"
        return f"challenger: {stage.done - before:,} of {size:,} problems"
    part, done = divmod(min(stage.done, stage.total - 1), size)
    if stage.done >= stage.total:
        done = size
    parts = stage.total // size
    who = "champion" if part < (parts + 1) // 2 else "base"
    return f"{who}: {done:,} of {size:,} problems"


def begun_told(event: StageStarted, scene: Scene) -> str:
    """How much a stage has to do: `: 256 rows`, `: 64 problems, by both models`; empty for one unit."""
    if event.total <= 1:
        return ""
    size = 0 if scene.run is None else {"judge": scene.run.heldout, "sealed": scene.run.sealed}.get(event.stage, 0)
    if not 0 < size <= event.total:
        return f": {event.total:,} {event.unit}"
    return f": {formatting.plural(size, 'problem')}{', by both models' if event.total > size else ''}"


def finished_told(event: RunFinished, scene: Scene) -> str:
    """The rounds that are done, and the time: since the resume, where earlier starts finished some of them."""
    rounds, took = formatting.plural(event.rounds, "round"), formatting.duration(event.seconds)
    if scene.run is not None and scene.run.rounds_done:
        return f"{rounds} done, {took} since the run was resumed"
    return f"{rounds} done in {took}"


def rates_told(stage: Stage) -> list[str]:
    """The rates of a stage that are known; of a judging stage that in tokens, since its units are answers."""
    tokens = formatting.stage_rate(stage.token_rate(), None, stage.unit)
    rows = "" if stage.name in JUDGING else formatting.stage_rate(None, stage.rate(), stage.unit)
    return [told for told in (tokens, rows) if told]
