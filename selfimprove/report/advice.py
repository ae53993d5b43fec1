"""What to change after a rejected round, from its record: the table of `docs/rejected.md` as one sentence.

The first symptom that fits is told, most certain cause first: answers that can't be read, a champion whose answers are
cut at the token limit, a merge that lost the update, a guard, too few flips, harm, a gain too small for the held-out
set. Each names the recipe's keys to change. The thresholds are the table's; they choose a sentence and decide nothing.
"""

from __future__ import annotations

from selfimprove import formatting
from selfimprove.formatting import plural
from selfimprove.store.records import RoundRecord, Side

BY_THE_TEST = frozenset(("", "evidence", "futile", "undecided", "point", "none"))
"""Reasons of the gate's own rules; any other is the name of a guard, built in or of the recipe."""
FEW_FLIPS = 0.03
"""Share of the judged problems below which a round has changed almost nothing."""
UNREAD = 0.2
"""Share of unparsed answers above which the checker is the first thing to look at; of cut ones, the token limit."""
KEPT = 0.5
"""Share of the adapter's effect below which the merge has lost most of the update."""


def advice(record: RoundRecord) -> str:
    """What to try after this round, or nothing: it was accepted, or its record doesn't tell."""
    card = record.scorecard
    if record.accepted or not card.judged or card.wins is None or card.losses is None:
        return ""
    if told := _faults(record):
        return told
    flips, judged = card.wins + card.losses, plural(card.judged, "problem")
    if flips < FEW_FLIPS * card.judged:
        return (
            f"Only {flips:,} of {judged} flipped: try a higher training.learning_rate, or more rows "
            "(problems.train_size, sampling.samples)."
        )
    if card.losses > card.wins:
        return (
            f"In round {record.round}, the challenger won {plural(card.wins, 'problem')} and lost {card.losses:,}, so "
            "the update did harm: try half the training.learning_rate, or a selection that favours right answers "
            "(prefixes.select)."
        )
    if record.decision.reason == "undecided":
        return (
            f"A gain of {formatting.points(record.gain)} points on {judged} is too small to be told from chance: "
            f"try a larger problems.heldout_size{'' if _several(card.challenger) else ', or gate.samples = 4'}."
        )
    return (
        f"In round {record.round}, the challenger won {plural(card.wins, 'problem')} and lost {card.losses:,}. The "
        "difference is too small to accept the challenger: try another selection (prefixes.select) or more training "
        "problems."
    )


def _faults(record: RoundRecord) -> str:
    """What stands in the way of a gain, whatever was trained; empty if nothing is known to."""
    unread, challenger = _unread(record.scorecard.challenger), record.scorecard.challenger
    if unread > UNREAD:
        remedy = (
            "raise sampling.max_new_tokens"
            if _cut(challenger) > UNREAD
            else "say in sampling.prompt how to answer, or set answers.mode"
        )
        return f"{formatting.percent(unread)} of the challenger's answers could not be read: {remedy}."
    cut = _cut(record.scorecard.champion)
    if cut > UNREAD:
        told = f"{formatting.percent(cut)} of the champion's answers were cut at the token limit"
        return f"{told}, and its cut training solutions have no answer: raise sampling.max_new_tokens."
    kept = record.certificate.functional_share
    if kept is not None and kept < KEPT:
        return (
            f"The merge kept {formatting.percent(kept)} of the update: try a higher training.learning_rate, or "
            "model.dtype = float32."
        )
    if record.decision.reason not in BY_THE_TEST:
        return (
            "A guard rejected the challenger: try half the training.learning_rate, or training rows like the guard's."
        )
    return ""


def _several(side: Side) -> bool:
    """Whether each problem was answered more than once already."""
    return side.answers is not None and side.n is not None and side.answers > side.n


def _unread(side: Side) -> float:
    return _share(side.unparsed, side)


def _cut(side: Side) -> float:
    return _share(side.truncated, side)


def _share(count: int | None, side: Side) -> float:
    answers = side.answers or side.n
    return (count or 0) / answers if answers else 0.0
