"""What a view knows of a run: its events folded into one frozen value.

`advance(scene, event, now)` gives the next scene; the live view draws scenes, the plain view reads figures from them.
A scene is replaced, never changed, so the thread that draws needs no lock. Time is an argument (seconds of a monotonic
clock), so a recorded list of events gives the same scenes at any speed.

**Rates.** Units are reported in chunks, so a rate between two reports would jump. The rate is the mean over the stage,
from the moment work began (the stage's start, or the last report without a new unit, such as that of a loaded model) to
the last report. Between reports it stays constant while the time left counts down. The first training step is told
together with the stage's start, so it gives no rate: the second one does.

**Time left of the run.** The rounds that are left take as long as those that this start finished, in the mean, and the
sealed problems as long as their answers took in the last judging. Before a first round is finished, nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean

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


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage under way: `kept` of its `total` units were done by an earlier start, `done` are now.

    `tokens` are those of this start; rates are means over the seconds from `began`, when `first` units were done, to
    `last` for tokens and to `last_done` for units, when these were told last.
    """

    number: int
    name: str
    unit: str
    total: int
    kept: int
    first: int
    done: int
    tokens: int
    began: float
    last: float
    last_done: float

    def rate(self) -> float | None:
        """Units per second in this start; None before it is known."""
        return _ratio(self.done - self.first, self.last_done - self.began)

    def token_rate(self) -> float | None:
        """Tokens per second in this start; None where no tokens are counted."""
        return _ratio(self.tokens, self.last - self.began)

    def seconds_left(self, now: float) -> float | None:
        """Seconds until all units are done at the stage's rate, at least 0; None while there is no rate."""
        rate = self.rate()
        return None if rate is None else max((self.total - self.done) / rate - (now - self.last_done), 0.0)


@dataclass(frozen=True, kw_only=True)
class RoundRow:
    """A row of the table of rounds; what isn't known yet is None."""

    number: int
    champion: int | None = None
    champion_accuracy: float | None = None
    challenger_accuracy: float | None = None
    look: Looked | None = None
    gain: float | None = None
    accepted: bool | None = None
    sentence: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Scene:
    """All that a view shows.

    Of the round under way, `refresh` is the step that was begun last, if it has several; of that, `passed` are the
    stages that are done and `reused` those of them that an earlier start had done; `kept` are the stages that began
    with units of an earlier start, as they were then. Times are seconds of the view's clock: the run's start, the
    round's, and the last start or end of a stage; `took` are the seconds of each round that this start finished,
    `an_answer` those of one judged problem of one model.
    """

    run: RunStarted | None = None
    began: float = 0.0
    round_began: float = 0.0
    since: float = 0.0
    took: tuple[float, ...] = ()
    an_answer: float = 0.0
    rounds: tuple[RoundRow, ...] = ()
    refresh: StepStarted | None = None
    stage: Stage | None = None
    passed: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    kept: tuple[Stage, ...] = ()
    losses: tuple[float, ...] = ()
    step: TrainStep | None = None
    won: Flip | None = None
    lost: Flip | None = None
    sealed: SealedJudged | None = None
    finished: RunFinished | None = None

    def current(self) -> RoundRow | None:
        """The round under way, if there is one."""
        return self.rounds[-1] if self.rounds and self.rounds[-1].accepted is None else None

    def is_sealing(self) -> bool:
        """Whether the sealed problems are judged, or are next."""
        return self.run is not None and self.current() is None and self.done() >= self.run.rounds_wanted

    def done(self) -> int:
        """Finished rounds."""
        told = sum(row.accepted is not None for row in self.rounds)
        return max(told, self.run.rounds_done if self.run else 0)

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the run is finished, about; None while nothing tells."""
        if self.run is None or self.finished or self.sealed:
            return None
        if self.stage is not None and self.stage.name == "sealed":
            return self.stage.seconds_left(now)
        if not self.took:
            return None
        mean, current = fmean(self.took), self.current() is not None
        whole = max(self.run.rounds_wanted - self.done() - current, 0)
        begun = max(mean - (now - self.round_began), 0.0) if current else 0.0
        return mean * whole + begun + 2 * self.run.sealed * self.an_answer


def advance(scene: Scene, event: Event, now: float) -> Scene:
    """The scene after `event`, which came at `now` seconds; an event that shows nothing leaves it as it is."""
    match event:
        case StageStarted() | StageProgress() | StageFinished():
            return _stage(scene, event, now)
        case RoundStarted() | Looked() | RoundFinished():
            return _round(scene, event, now)
        case StepStarted():
            return replace(scene, refresh=event, since=now, passed=(), reused=(), kept=())
        case TrainStep():
            stage = _stepped(scene.stage, event, now)
            return replace(scene, stage=stage, losses=(*scene.losses, event.loss), step=event)
        case Flip():
            return replace(scene, won=event) if event.won else replace(scene, lost=event)
        case RunStarted(rounds_done=done):
            # A new start begins again what was under way, and forgets rounds whose records were removed meanwhile.
            rounds = (row for row in scene.rounds if row.accepted is not None and row.number <= done)
            return Scene(run=event, began=now, since=now, rounds=tuple(rounds))
        case SealedJudged():
            return replace(scene, sealed=event, stage=None)
        case RunFinished():
            return replace(scene, finished=event, stage=None)
        case GuardLooked() | Note():
            return scene


def _stage(scene: Scene, event: StageStarted | StageProgress | StageFinished, now: float) -> Scene:
    match event:
        case StageStarted(number=number, stage=name, unit=unit, total=total, kept=kept):
            stage = _begun(number, name, unit, total, kept, now)
            kept_now = (stage,) if kept else ()
            return replace(scene, stage=stage, since=now, kept=(*scene.kept, *kept_now), losses=(), step=None)
        case StageProgress():
            return replace(scene, stage=_progressed(scene.stage, event, now))
        case StageFinished(stage=name, reused=reused):
            reused_now = (name,) if reused else ()
            rate = scene.stage.rate() if scene.stage and scene.stage.name == name == "judge" else None
            return replace(
                scene,
                stage=None,
                since=now,
                an_answer=1 / rate if rate else scene.an_answer,
                passed=(*scene.passed, name),
                reused=(*scene.reused, *reused_now),
            )


def _begun(number: int, name: str, unit: str, total: int, done: int, now: float) -> Stage:
    return Stage(
        number=number,
        name=name,
        unit=unit,
        total=total,
        kept=done,
        first=done,
        done=done,
        tokens=0,
        began=now,
        last=now,
        last_done=now,
    )


def _progressed(stage: Stage | None, event: StageProgress, now: float) -> Stage:
    if stage is None or stage.name != event.stage:
        stage = _begun(event.number, event.stage, "units", event.total, event.done, now)
    began = stage.began if event.done > stage.kept or event.tokens else now
    last_done = now if event.done != stage.done else stage.last_done
    return replace(
        stage, done=event.done, total=event.total, tokens=event.tokens, began=began, last=now, last_done=last_done
    )


def _stepped(stage: Stage | None, event: TrainStep, now: float) -> Stage | None:
    """The stage after a train step, if it is counted in steps; its tokens wait for the next progress report."""
    if stage is None or stage.unit != "steps" or event.step <= stage.done:
        return stage
    if stage.done == stage.kept:  # the first step: when it began isn't known
        return replace(stage, done=event.step, first=event.step, total=event.steps, began=now, last=now, last_done=now)
    return replace(stage, done=event.step, total=event.steps, last=now, last_done=now)


def _round(scene: Scene, event: RoundStarted | Looked | RoundFinished, now: float) -> Scene:
    row = next((row for row in scene.rounds if row.number == event.number), RoundRow(number=event.number))
    match event:
        case RoundStarted(champion=champion):
            nothing = replace(scene, refresh=None, passed=(), reused=(), kept=(), stage=None, losses=(), step=None)
            fresh = replace(nothing, round_began=now, since=now)
            return _with_row(fresh, RoundRow(number=event.number, champion=champion))
        case Looked():
            return _with_row(scene, replace(row, look=event, gain=event.gain))
        case RoundFinished():
            done = replace(
                row,
                champion_accuracy=event.champion_accuracy,
                challenger_accuracy=event.challenger_accuracy,
                gain=event.gain,
                accepted=event.accepted,
                sentence=event.sentence,
                reason=event.reason or "",
            )
            took = () if event.earlier or row.champion is None else (now - scene.round_began,)
            return replace(_with_row(scene, done), stage=None, since=now, kept=(), took=(*scene.took, *took))


def _with_row(scene: Scene, row: RoundRow) -> Scene:
    others = [other for other in scene.rounds if other.number != row.number]
    return replace(scene, rounds=tuple(sorted([*others, row], key=lambda each: each.number)))


def _ratio(amount: float, seconds: float) -> float | None:
    return amount / seconds if amount > 0 and seconds > 0 else None
