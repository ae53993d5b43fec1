"""What the gate's rules are, and were: a run keeps those of the format that it was begun with (`store/journal.py`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One edition of the gate's rules. Of a round's α, the last look's test may spend `last_look` and bets `bets`."""

    last_look: float
    bets: float
    foresight: float = 0.0
    """Share of α for the chance that more flips come than the last look's test is foreseen with; 0: not foreseen."""
    carries: bool = True
    """Whether an accepted round's error is carried on to the next (`gate/budget.py`)."""
    aims: bool = True
    """Whether averages over samples have a bet that aims at the last look (`gate/aimed.py`)."""
    pools: bool = False
    """Whether the guards with *no proof of harm* are also tested together (`gate/guards.py`)."""


NOW = Edition(last_look=0.97, bets=0.025, foresight=0.005, pools=True)
"""A scan over `last_look` and `decision.HOPE` gave most power after accepts here, for at most 60% of the judging
(docs/gate.md)."""
SCORED = Edition(last_look=0.745, bets=0.25, foresight=0.005, pools=True)
"""Now, for a checker of the recipe's own: where its scores are fractions there is no last look, and bets have to do."""
FORMAT_3 = Edition(last_look=0.75, bets=0.25)
FORMAT_2 = Edition(last_look=0.75, bets=0.25, carries=False, aims=False)


def edition_of(run_format: int, *, scored: bool) -> Edition:
    """The rules of a run in a folder of this format; `scored`: a checker of the recipe's own judges."""
    if run_format >= 4:
        return SCORED if scored else NOW
    return FORMAT_3 if run_format == 3 else FORMAT_2
