"""What a view knows of a run: events folded into one frozen value.

`unfold(scene, event, now)` gives the next scene; the live view draws scenes, the plain view reads figures from them.
A scene is replaced, never changed, so the thread that draws needs no lock. Time comes in as an argument (seconds of a
monotonic clock), so that a recorded list of events gives the same scenes at any speed.

**Rates.** Units become durable in chunks, so a rate taken from one report to the next would jump. The rate is the mean
over the stage, from the moment work began (the stage's start, or its last report of nothing new, such as a loaded
model) to the last report. Between reports it stands still while the time left counts down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from selfimprove.events import (
    Event,
    Flip,
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
    TrainStep,
)


@dataclass(frozen=True)
class Stage:
    """A stage under way; `began` and `last` bound the time over which rates are taken."""

    number: int
    name: str
    unit: str
    total: int
    kept: int
    done: int
    tokens: int
    began: float
    last: float

    def rate(self) -> float | None:
        """Units per second in this start, none before the first report of something new."""
        return _ratio(self.done - self.kept, self.last - self.began)

    def token_rate(self) -> float | None:
        """Tokens per second in this start, none where no tokens are counted."""
        return _ratio(self.tokens, self.last - self.began)

    def seconds_left(self, now: float) -> float | None:
        """Time until all units are done at the stage's rate; it is never negative."""
        rate = self.rate()
        return None if rate is None else max((self.total - self.done) / rate - (now - self.last), 0.0)


@dataclass(frozen=True)
class Line:
    """A round in the line of rounds; what isn't known yet is None."""

    number: int
    champion: int | None = None
    champion_accuracy: float | None = None
    challenger_accuracy: float | None = None
    look: Looked | None = None
    gain: float | None = None
    accepted: bool | None = None
    sentence: str = ""


@dataclass(frozen=True)
class Scene:
    """All that a view shows; `reused` and `passed` name stages of the round under way.

    `kept` are the stages of that round in which rows of an earlier start stood, as they were when they began.
    """

    run: RunStarted | None = None
    lines: tuple[Line, ...] = ()
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

    def current(self) -> Line | None:
        """The round under way, if there is one."""
        return self.lines[-1] if self.lines and self.lines[-1].accepted is None else None


def unfold(scene: Scene, event: Event, now: float) -> Scene:
    """The scene after `event`, which came at `now`; a kind of event that shows nothing leaves it as it is."""
    match event:
        case StageStarted() | StageProgress() | StageFinished():
            return _stage(scene, event, now)
        case RoundStarted() | Looked() | RoundFinished():
            return _round(scene, event)
        case TrainStep():
            stage = _stepped(scene.stage, event, now)
            return replace(scene, stage=stage, losses=(*scene.losses, event.loss), step=event)
        case Flip():
            return replace(scene, won=event) if event.won else replace(scene, lost=event)
        case RunStarted(rounds_done=done):
            # What an earlier start had under way is begun again, and rounds whose records went with it are no more.
            lines = (line for line in scene.lines if line.accepted is not None and line.number <= done)
            return Scene(run=event, lines=tuple(lines))
        case SealedJudged():
            return replace(scene, sealed=event, stage=None)
        case RunFinished():
            return replace(scene, finished=event, stage=None)
        case Note():
            return scene


def _stage(scene: Scene, event: StageStarted | StageProgress | StageFinished, now: float) -> Scene:
    match event:
        case StageStarted(number=number, stage=name, unit=unit, total=total, kept=kept):
            stage = Stage(number, name, unit, total, kept, kept, 0, now, now)
            kept_now = (stage,) if kept else ()
            return replace(scene, stage=stage, kept=(*scene.kept, *kept_now), losses=(), step=None)
        case StageProgress():
            return replace(scene, stage=_progressed(scene.stage, event, now))
        case StageFinished(stage=name, reused=reused):
            told = replace(scene, stage=None, passed=(*scene.passed, name))
            return replace(told, reused=(*told.reused, name)) if reused else told


def _progressed(stage: Stage | None, event: StageProgress, now: float) -> Stage:
    if stage is None or stage.name != event.stage:
        stage = Stage(event.number, event.stage, "units", event.total, event.done, event.done, 0, now, now)
    began = stage.began if event.done > stage.kept else now
    return replace(stage, done=event.done, total=event.total, tokens=event.tokens, began=began, last=now)


def _stepped(stage: Stage | None, event: TrainStep, now: float) -> Stage | None:
    """A stage counted in steps goes on with each of them; its tokens wait for the next report."""
    if stage is None or stage.unit != "steps" or event.step <= stage.done:
        return stage
    return replace(stage, done=event.step, total=event.steps, last=now)


def _round(scene: Scene, event: RoundStarted | Looked | RoundFinished) -> Scene:
    line = next((line for line in scene.lines if line.number == event.number), Line(event.number))
    match event:
        case RoundStarted(champion=champion):
            fresh = replace(scene, passed=(), reused=(), kept=(), stage=None, losses=(), step=None)
            return _with_line(fresh, Line(event.number, champion))
        case Looked():
            return _with_line(scene, replace(line, look=event, gain=event.gain))
        case RoundFinished():
            done = replace(
                line,
                champion_accuracy=event.champion_accuracy,
                challenger_accuracy=event.challenger_accuracy,
                gain=event.gain,
                accepted=event.accepted,
                sentence=event.sentence,
            )
            return replace(_with_line(scene, done), stage=None, kept=())


def _with_line(scene: Scene, line: Line) -> Scene:
    others = [other for other in scene.lines if other.number != line.number]
    return replace(scene, lines=tuple(sorted([*others, line], key=lambda each: each.number)))


def _ratio(amount: float, seconds: float) -> float | None:
    return amount / seconds if amount > 0 and seconds > 0 else None
