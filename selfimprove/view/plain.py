"""A run as plain lines, one per event worth a line: for logs, pipes and CI.

Most events are not worth one. Progress is reported at the quarters of a stage and otherwise at intervals that grow with
its age, so that the log of a long run stays readable; of a round's flips, the first won and the first lost. Every line
passes `escape_text`, whatever it is made of.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from selfimprove import formatting
from selfimprove.escaping import escape_text
from selfimprove.events import (
    Event,
    Flip,
    GuardLooked,
    Looked,
    Note,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
    SealedJudged,
    StageFinished,
    StageProgress,
    StageStarted,
    StepStarted,
    TrainStep,
)
from selfimprove.recipe.guards import NO_PROOF_OF_HARM
from selfimprove.view.scene import RoundRow, Scene, advance
from selfimprove.view.wording import JUDGING, amount_told, begun_told, rates_told, reason_told

LINE_LIMIT = 1000
"""Characters of a line, at most."""
ANSWER_LIMIT = 160
"""Characters of a model's answer in a line, at most."""
MIN_INTERVAL = 10.0
"""Seconds between two lines of progress, at least; in a long stage, a tenth of its age."""


class PlainView:
    """One line per event worth a line; `write` gets the line without its line end, `clock` gives seconds, for rates."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._scene = Scene()
        self._reported_at = 0.0
        self._quarter = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event, /, at: float | None = None) -> None:
        """Write the event's lines, none for most events; it happened `at` by the clock, or now."""
        before, now = self._scene, self._clock() if at is None else at
        self._scene = advance(before, event, now)
        match event:
            case StageStarted(total=total, kept=kept):
                self._reported_at, self._quarter = now, 4 * kept // max(total, 1)
                self._write_line(_stage_begun(event, self._scene))
            case StageProgress(done=done, total=total) if self._due(done, total, now):
                self._write_line(_progress(self._scene, now))
            case TrainStep(step=step, steps=steps) if self._due(step, steps, now):
                self._write_line(
                    _progress(self._scene, now) or f"  step {step} of {steps}, loss {formatting.decimal(event.loss)}"
                )
            case Flip() if _first_of_round(event, before):
                self._write_line(_flip(event))
            case StageProgress() | TrainStep() | Flip():
                pass
            case RunStarted() if before.run is not None and before.run.run == event.run:
                wanted = formatting.plural(event.rounds_wanted, "round")
                self._write_line(f"run {event.run} resumed: {event.rounds_done} of {wanted} done")
            case _:
                for line in _lines(event):
                    self._write_line(line)

    def _due(self, done: int, total: int, now: float) -> bool:
        if done >= total:
            return False
        quarter = 4 * done // max(total, 1)
        began = self._scene.stage.began if self._scene.stage else now
        if quarter <= self._quarter and now - self._reported_at < max(MIN_INTERVAL, (now - began) / 10):
            return False
        self._reported_at, self._quarter = now, quarter
        return True

    def _write_line(self, line: str) -> None:
        indent = len(line) - len(line.lstrip(" "))
        self._write(" " * indent + escape_text(line, LINE_LIMIT))


def _first_of_round(flip: Flip, scene: Scene) -> bool:
    last = scene.won if flip.won else scene.lost
    return last is None or last.number != flip.number


def _lines(event: Event) -> list[str]:
    match event:
        case RunStarted():
            return _run_begun(event)
        case RoundStarted(number=number, champion=champion):
            return [f"round {number}: challenging {formatting.model_named(champion)}"]
        case StepStarted(step=step, steps=steps):
            return [f"  step {step} of {steps}"]
        case StageFinished():
            return [_stage_done(event)]
        case Looked():
            return [_looked(event, "gate", "evidence")]
        case GuardLooked(guard=name, rule=rule):
            return [_looked(event, f"guard {name}", f"evidence of {'harm' if rule == NO_PROOF_OF_HARM else 'no harm'}")]
        case RoundFinished():
            return _round_done(event)
        case SealedJudged():
            return _outcome(event)
        case RunFinished():
            return [_run_done(event)]
        case Note(text=text):
            return [f"  {text}"]
        case _:
            return []


def _run_begun(event: RunStarted) -> list[str]:
    wanted = formatting.plural(event.rounds_wanted, "round")
    kept = ", already on record" if event.rounds_done else ""
    return [
        f"run {event.run} in {event.folder}: {event.rounds_done} of {wanted} done{kept}",
        f"  model {event.model}, engine {event.engine}",
        f"  problems: {event.train:,} to train on, {event.heldout:,} held out, {event.sealed:,} sealed",
        *(f"  {note}" for note in event.notes),
    ]


def _stage_begun(event: StageStarted, scene: Scene) -> str:
    unit = " answers" if event.stage in JUDGING else ""
    kept = f" ({event.kept:,}{unit} already on record)" if event.kept else ""
    return f"  {event.stage}{begun_told(event, scene)}{kept}"


def _progress(scene: Scene, now: float) -> str:
    stage = scene.stage
    if stage is None:
        return ""
    seconds = stage.seconds_left(now)
    facts = [
        f"{100 * stage.done // max(stage.total, 1)}%, {amount_told(stage, scene)}",
        f"{stage.tokens:,} tokens so far" if stage.tokens and stage.done == stage.kept else "",
        *rates_told(stage),
        f"{formatting.duration(seconds)} left" if seconds else "",
        f"loss {formatting.decimal(scene.step.loss)}" if scene.step else "",
    ]
    return f"  {stage.name}: {', '.join(filter(None, facts))}"


def _stage_done(event: StageFinished) -> str:
    if event.reused:
        return f"  {event.stage}: reused, it was finished before the run was resumed"
    counts = ", ".join(
        f"{key.replace('_', ' ')} {formatting.amount(value)}"
        for key, value in event.counts.items()
        if isinstance(value, int | float) and value
    )
    return f"  {event.stage}: done in {formatting.duration(event.seconds)}" + (f" ({counts})" if counts else "")


def _flip(event: Flip) -> str:
    outcome = "won" if event.won else "lost"
    question = escape_text(event.question, ANSWER_LIMIT)
    champion = escape_text(event.champion_text, ANSWER_LIMIT, keep="end")
    challenger = escape_text(event.challenger_text, ANSWER_LIMIT, keep="end")
    reference = escape_text(event.reference, ANSWER_LIMIT)
    return f"  a problem {outcome}: {question} (answer {reference}) | champion: {champion} | challenger: {challenger}"


def _looked(event: Looked | GuardLooked, who: str, what: str) -> str:
    evidence = f"{what} {formatting.decimal(event.evidence)} of {formatting.decimal(event.threshold)} needed"
    return (
        f"  {who}: {event.judged:,} of {event.total:,} judged, {event.wins} won, {event.losses} lost, "
        f"gain {formatting.points(event.gain)} points, {evidence}"
    )


def _round_done(event: RoundFinished) -> list[str]:
    why = reason_told(RoundRow(number=event.number, reason=event.reason or ""))
    accuracies = f"{formatting.percent(event.champion_accuracy)} -> {formatting.percent(event.challenger_accuracy)}"
    decision = "ACCEPTED" if event.accepted else "REJECTED"
    return [
        f"round {event.number}: {decision}, {accuracies}, gain {formatting.points(event.gain)} points",
        *([f"  {why[:1].upper()}{why[1:]}."] if why else []),
        f"  {event.sentence}",
    ]


def _outcome(event: SealedJudged) -> list[str]:
    again = f" (judging {event.look}; these problems were judged before)" if event.look > 1 else ""
    base = f"base {formatting.percent(event.base_accuracy)} ({formatting.percent_range(event.base_interval)})"
    best = formatting.percent_range(event.champion_interval)
    champion = f"champion {formatting.percent(event.champion_accuracy)} ({best})"
    gain = f"gain {formatting.points(event.gain)} points, 95% interval {formatting.points_range(event.gain_interval)}"
    same = event.champion == 0
    told = [base] if same else [f"{base} -> {champion}", gain, event.split]
    told += [formatting.verdict_on_gain(event.gain, event.gain_interval, event.champion), event.beside]
    return [f"sealed problems, n = {event.n:,}{again}", *(f"  {line}" for line in told if line)]


def _run_done(event: RunFinished) -> str:
    rounds = formatting.plural(event.rounds, "round")
    accepted = f"accepted: {formatting.rounds_named(event.accepted)}"
    if event.was_complete:
        return f"run {event.run}: already complete, {rounds} done; {accepted}"
    return f"run {event.run}: {rounds} done in {formatting.duration(event.seconds)}; {accepted}"
