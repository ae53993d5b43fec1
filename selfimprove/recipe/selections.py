"""The selections of a recipe (`prefixes.select`) as values: what each asks of sampling and of the problems.

Whoever plans, samples, harvests or checks a recipe reads these traits and never compares the name. What a selection
makes of a round's completions is a pure function in `round/selection.py`, called by `round/harvest.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Selection:
    """One way to choose among a round's completions.

    `needs_answers`: every training problem must have a reference. `samples_whole`: every completion is sampled to its
    end, since its answer is looked at. `chooses_prefixes`: it chooses among the prefixes of a problem. `continues`:
    each distinct prefix is continued several times. `compares`: it needs two samples of a problem or more.
    """

    name: str
    meaning: str
    needs_answers: bool = False
    samples_whole: bool = False
    chooses_prefixes: bool = False
    continues: bool = False
    compares: bool = False


SELECTIONS = {
    selection.name: selection
    for selection in (
        Selection(name="all", meaning="every completion (UPFT, SFT)"),
        Selection(name="modal", meaning="the most common prefix of a problem", chooses_prefixes=True, compares=True),
        Selection(
            name="consistent", meaning="those that end in the majority answer", samples_whole=True, compares=True
        ),
        Selection(name="verified", meaning="those the checker accepts (RFT)", needs_answers=True, samples_whole=True),
        Selection(
            name="rollout",
            meaning="the prefixes whose continuations do better than the problem's mean",
            chooses_prefixes=True,
            continues=True,
            compares=True,
        ),
    )
}
"""Every selection, by name."""

MEANINGS = "; ".join(f"`{selection.name}`: {selection.meaning}" for selection in SELECTIONS.values())
"""What each selection keeps, in one line."""
