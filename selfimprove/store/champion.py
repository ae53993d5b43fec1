"""Which model a run's rounds have made champion, drawn from their decisions and the rollbacks between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.store.records import Rollback, RoundRecord


@dataclass(frozen=True)
class Champion:
    """The model accepted so far: its round (0 is the base model) and the rounds whose adapters it consists of."""

    number: int
    chain: tuple[int, ...]


BASE = Champion(0, ())
"""The model a run begins with."""


def champion_of(rounds: Sequence[RoundRecord], rollbacks: Sequence[Rollback] = ()) -> Champion:
    """The champion after these rounds, from their decisions and the rollbacks between them alone.

    Raises `UsageError` for a rollback to a round that was not accepted before it.
    """
    accepted = {0: BASE}
    champion = BASE
    for number in range(len(rounds) + 1):
        if number and rounds[number - 1].accepted:
            champion = accepted[number] = Champion(number, (*rounds[number - 1].chain, number))
        for rollback in rollbacks:
            if rollback.after == number:
                champion = _rolled_back(accepted, rollback.to)
    return champion


def _rolled_back(accepted: dict[int, Champion], number: int) -> Champion:
    if number not in accepted:
        known = ", ".join(map(str, accepted))
        raise UsageError(f"round {number} was not accepted before the rollback", f"Accepted: {known} (0 is the base).")
    return accepted[number]
