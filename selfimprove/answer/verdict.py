"""What the steps of a verdict hand to one another, and the verdict itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum

from selfimprove.answer.limits import shown


class Outcome(StrEnum):
    """How a completion was judged; the strings are those of `verdicts.jsonl`, and what `repr` shows."""

    CORRECT = "correct"
    """The answer equals the reference: this was proved."""
    WRONG = "wrong"
    """The answer was read and differs from the reference, or contradicts itself."""
    UNPARSED = "unparsed"
    """There is no answer, it can't be read, or it could not be decided within bounds; counts as wrong."""
    TIMED_OUT = "timed_out"
    """The worker process missed its deadline; counts as wrong and may be tried again."""
    ERROR = "error"
    """A checker of one's own failed over it: it raised, died, or returned what is no verdict; counts as wrong."""

    def __repr__(self) -> str:
        return repr(self.value)

    @staticmethod
    def of(same: bool) -> Outcome:
        """`CORRECT` for what was found equal, `WRONG` for what was found different."""
        return Outcome.CORRECT if same else Outcome.WRONG


@dataclass(frozen=True)
class Verdict:
    """What the checker says of one completion, with the stage that said it and why.

    `score` is what a checker of one's own gave between 0 and 1; None: nothing, or all, as `outcome` says.
    """

    outcome: Outcome
    candidate: str | None
    stage: str
    reason: str
    score: float | None = field(default=None, repr=False)

    @classmethod
    def of(cls, found: Finding, written: str) -> Verdict:
        """What was found of an answer as written, of which the verdict shows at most its first part."""
        return cls(outcome=found.outcome, candidate=shown(written.strip()), stage=found.stage, reason=found.reason)

    def plain(self) -> dict[str, object]:
        """The verdict as plain data; a score only where there is one."""
        return {key: value for key, value in asdict(self).items() if key != "score" or value is not None}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a stage found: equal, different or not to be decided, and why."""

    outcome: Outcome
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """The answer as written (None: there is none), how it was found, and why there is none."""

    text: str | None
    how: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An answer that a text states, or seems to state, and where it stands."""

    at: int
    end: int
    text: str
    how: str
    fault: str = ""
    """Why it does not count, if it does not."""
    firm: bool = True
    """Whether the text ended it, so that a text cut off later can't have changed it."""
