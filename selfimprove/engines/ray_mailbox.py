"""The mailbox between the driver and the workers of a training on a cluster (`training/ray.py`).

It is an actor on the driver's node. It stands apart from the training so that its process loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from selfimprove.errors import SelfImproveError
from selfimprove.round.machinery import TrainCounts

Files = dict[str, bytes]
"""The contents of a folder's files by name."""


@dataclass(frozen=True)
class Post:
    """What came in since the mailbox was emptied: steps as `OnStep` hears them, and changed files of `work`."""

    steps: list[tuple[int, int, float, float]] = field(default_factory=list)
    work: Files = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """A training that succeeded: its counts, and the adapter's files."""

    counts: TrainCounts
    adapter: Files


Outcome = Trained | SelfImproveError
"""How a training ended."""


class Mailbox:
    """Holds the newest checkpoint for workers, and their steps and outcome for the driver."""

    def __init__(self, work: Files) -> None:
        self._work = work
        self._post = Post()
        self._outcome: Outcome | None = None

    def work(self) -> Files:
        """The newest files of `work`, with which a group starts."""
        return self._work

    def step(self, step: tuple[int, int, float, float], changed: Files) -> None:
        """Post a step that was taken, and the files of `work` that changed before it."""
        self._post.steps.append(step)
        self._post.work.update(changed)
        self._work = {**self._work, **changed}

    def end(self, outcome: Outcome) -> None:
        """Post how the training ended; the first outcome stays."""
        self._outcome = self._outcome or outcome

    def empty(self) -> Post:
        """What came in since the last call."""
        post, self._post = self._post, Post()
        return post

    def outcome(self) -> Outcome | None:
        """How the training ended; None while no worker said so."""
        return self._outcome
