"""What a round does differently after rejections, and what ends a run before its target (`[schedule]` of the recipe).

Both follow from the recipe and the records of the rounds before, so a resumed run goes on as an unbroken one would, and
`verify` redoes them. Samples are always fresh: each round takes the next part of the training problems under new seeds.

*After rejections.* With r rejections in a row behind it, a round trains at `learning_rate` times
`rejected_learning_rate`^r, on prefixes of the r-th of `rejected_lengths`. An accepted round sets both back.

*The end.* Rounds stop short of the target after `patience` rejections in a row, or when points cost too much. A
point's price is what was spent since the last accept, rejected rounds charged, in sampled and trained tokens: over the
points of held-out accuracy that an accepted round just gained, or, after a rejection, over a gain of `gate.worthwhile`,
which is the least that the tokens spent should have bought. The held-out gain of an accepted round is flattering, since
it was picked for being large, so the price errs toward going on.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfimprove.formatting import plural
from selfimprove.recipe import Recipe
from selfimprove.store.records import RoundRecord, ScheduleRecord


def rejections(records: Sequence[RoundRecord]) -> int:
    """How many rounds in a row were rejected at the end of these."""
    found = 0
    for record in reversed(records):
        if record.accepted:
            break
        found += 1
    return found


def scheduled(recipe: Recipe, earlier: Sequence[RoundRecord]) -> Recipe:
    """The recipe that the next round uses, after these."""
    settings, rejected = recipe.schedule, rejections(earlier)
    if not rejected:
        return recipe
    rate = recipe.training.learning_rate * settings.rejected_learning_rate**rejected
    lengths = settings.rejected_lengths
    length = lengths[min(rejected, len(lengths)) - 1] if lengths else recipe.prefixes.length
    return recipe.model_copy(
        update={
            "training": recipe.training.model_copy(update={"learning_rate": rate}),
            "prefixes": recipe.prefixes.model_copy(update={"length": length}),
        }
    )


def schedule_record(recipe: Recipe, earlier: Sequence[RoundRecord]) -> ScheduleRecord:
    """What `round.json` says of a round's place in the schedule."""
    used = scheduled(recipe, earlier)
    return ScheduleRecord(
        rejections=rejections(earlier), learning_rate=used.training.learning_rate, length=used.prefixes.length
    )


def end_of(recipe: Recipe, records: Sequence[RoundRecord]) -> str:
    """Why the run ends after these rounds, in one sentence; empty if another round follows."""
    settings, rejected = recipe.schedule, rejections(records)
    if settings.patience and rejected >= settings.patience:
        return f"{plural(rejected, 'round')} in a row rejected, schedule.patience is {settings.patience}."
    if not settings.tokens_per_point or not records:
        return ""
    last = records[-1]
    spent = _spent(records[-1 - rejections(records[:-1]) :])  # the last round and the rejected ones just before it
    points = 100 * (last.gain if last.accepted else recipe.gate.worthwhile)
    if points > 0 and spent <= settings.tokens_per_point * points:
        return ""
    worth = f"no accepted round, where {points:.1f} points would be worth it"
    gained = worth if rejected else f"a gain of {points:.1f} points"
    return f"{spent:,} tokens brought {gained}; schedule.tokens_per_point is {settings.tokens_per_point:,}."


def _spent(records: Sequence[RoundRecord]) -> int:
    counts = [stage.counts for record in records for stage in record.stages if stage.stage != "placebo"]
    return sum(
        (found.sampled_tokens or 0)
        + (found.prompt_tokens or 0)
        + (found.target_tokens or 0)
        + (found.trained_prompt_tokens or 0)
        for found in counts
    )
