"""The error budget of a run: how much of α each round may spend, so that any false accept has chance at most α.

**Shares.** Round k has a share γ_k of α of its own; the shares of any number of rounds sum to less than α.

- Open-ended (`gate.rounds = 0`): γ_k = α/k - α/(k+1) = α/(k(k+1)), for a run that may go on for ever.
- Announced (`gate.rounds = N`): γ_k = α/(N+1) in each of the first N rounds, which is what N open-ended rounds spend
  together, in equal parts. The last part, α/(N+1), is kept for rounds beyond: γ_(N+j) = α/(N+1) · 1/(j(j+1)).

**Carried on.** α_k = γ_k + α_(k-1) if round k-1 was accepted, else γ_k alone (online fallback: Tian and Ramdas 2021,
"Online control of the familywise error rate"; see also Fischer, Bofill Roig and Brannath, arXiv 2211.11400). Why the
chance of *any* false accept stays at most α:

1. Call a round *null* if its challenger is no better than its champion; it is when the challenger is made, so before
   it is judged. The gate's test is valid given the past: whatever the earlier rounds, a null is accepted with chance
   at most α_k, a figure that their decisions fix.
2. Some null is accepted if and only if there is a first one. So the chance is the sum over k of "round k is null,
   no null was accepted before, it is accepted", at most the mean of the sum of α_k over the nulls up to and including
   the first one accepted.
3. Follow a share γ_j: it is in the budget of rounds j, j+1, … up to the first of them that is rejected, and in no
   other. Before the first false accept no accepted round was a null, so of the rounds counted in 2 at most one null
   holds γ_j: the one whose rejection ends its way, or the first false accept, where the count ends. So the sum in 2 is
   at most the sum of the shares, whatever happens: below α.

A guard that rejects what the test passed makes the round a rejected one, and its budget isn't carried on: that spends
less. A rollback changes who is champion, not what was spent. Rule `none` or `point` has no test and spends nothing.

**What it needs** is point 1, validity given the past. On fresh problems (`gate.fresh`, `gate.rotate`) it holds exactly.
On one held-out set it holds while nothing was accepted: what a round's training learns of the set is one bit, accepted
or not, and the bits are all the same (and for a fixed line of challengers Bonferroni's sum needs no independence). Once
a challenger was accepted, the champion was picked on this very set. For challengers made afresh from that champion its
luck there makes the next test harder rather than easier, which is no proof; docs/gate.md simulates it. A challenger
that goes back to answers which an earlier champion was picked for (an old adapter trained on again, say) has that luck
on its side: simulated on purpose, such a round errs up to twice its α_k. No stage of a round does that. Blum and Hardt
2015, "The Ladder", bound the same leak.

Runs of format 1 and 2 (`store/journal.py`) spent each round's share alone, and keep to that.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfimprove.recipe import Gate


def share_of_round(settings: Gate, number: int) -> float:
    """γ_k: the part of `settings.alpha` that round `number` (from 1) has of its own; all parts sum to less than α."""
    if number < 1:
        raise ValueError(f"rounds are numbered from 1, not {number}")
    announced = settings.rounds
    if number <= announced:
        return settings.alpha / (announced + 1)
    beyond = number - announced
    return settings.alpha / (announced + 1) / (beyond * (beyond + 1))


def alpha_of_round(settings: Gate, earlier: Sequence[bool], *, carried: bool = True) -> float:
    """α_k: the error that the round after `earlier` may spend; `earlier` says of each round before if it was accepted.

    Without `carried` an accepted round's error is lost as a rejected one's is: the rule of old runs.
    """
    number = len(earlier) + 1
    alpha = share_of_round(settings, number)
    while carried and number > 1 and earlier[number - 2]:
        number -= 1
        alpha += share_of_round(settings, number)
    return alpha
