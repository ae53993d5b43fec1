"""What passes between the driver and the processes of a training on a cluster (`training/ray.py`).

The mailbox is an actor on the driver's node. It stands apart from the training so that its process loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selfimprove.errors import SelfImproveError

Files = dict[str, bytes]
"""The files of a folder by name."""


@dataclass(frozen=True)
class Post:
    """What came into the mailbox since it was emptied: steps as `OnStep` hears them, files of `work`."""

    steps: list[tuple[int, int, float, float]] = field(default_factory=list)
    work: Files = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How the training ended: the counts with the adapter's files, or the error."""

    counts: dict[str, Any] = field(default_factory=dict)
    adapter: Files = field(default_factory=dict)
    error: SelfImproveError | None = None


class Mailbox:
    """What passes between driver and workers; an actor on the driver's node."""

    def __init__(self, work: Files) -> None:
        self._work = work
        self._post = Post()
        self._outcome: Outcome | None = None

    def work(self) -> Files:
        """The newest files of `work`, what a group starts with."""
        return self._work

    def step(self, step: tuple[int, int, float, float], changed: Files) -> None:
        """Post a step that was taken, and the files of `work` that changed before it."""
        self._post.steps.append(step)
        self._post.work.update(changed)
        self._work = {**self._work, **changed}

    def end(self, outcome: Outcome) -> None:
        """Post how it ended; the first to do so is heard."""
        self._outcome = self._outcome or outcome

    def empty(self) -> Post:
        """What came since the last call."""
        post, self._post = self._post, Post()
        return post

    def outcome(self) -> Outcome | None:
        """How it ended; None if nobody said."""
        return self._outcome
