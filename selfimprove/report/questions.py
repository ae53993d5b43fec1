"""What was asked in a flip: the question and the reference answer, which the verdict rows hold under a key only.

They come, in this order, from

1. the run's history: a flip event holds them, and is known by the two answers in it. Where two problems of a round
   drew the same pair of answers, the history can't tell them apart and isn't asked;
2. the problem source, read again, if it is a local file or a generator (a report reaches for no network) and still has
   the fingerprint that the run is bound to.

What neither tells stays unknown, and a sentence says how many and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from selfimprove.errors import UsageError
from selfimprove.events import Flip
from selfimprove.problem import Problem, fresh_heldout, problems_of
from selfimprove.problem.sources import is_local
from selfimprove.recipe.reading import parse_stored
from selfimprove.report.contests import Contest
from selfimprove.report.records import RunRecords

Address = tuple[int, str]
"""A round and a problem's key."""


@dataclass(frozen=True)
class Asked:
    """A question with its reference answer."""

    question: str
    reference: str


@dataclass(frozen=True)
class Questions:
    """What was asked, by address, and a sentence for what isn't known."""

    asked: Mapping[Address, Asked] = field(default_factory=dict)
    sentence: str = ""


def questions_of(run: RunRecords, rounds: Sequence[Contest], wanted: Sequence[Address]) -> Questions:
    """What was asked at these addresses, as far as the history or the problem source tell."""
    asked = _from_history(run, rounds)
    missing = [address for address in wanted if address not in asked]
    if not missing:
        return Questions(asked)
    try:
        asked |= _from_source(run, missing)
        told = "the problem source, which is the run's, holds no such problem"
    except UsageError as error:
        told = error.message
    unknown = sum(address not in asked for address in missing)
    sentence = f"The questions of {unknown} of {len(wanted)} flips are not known: {told}." if unknown else ""
    return Questions(asked, sentence)


def _from_history(run: RunRecords, rounds: Sequence[Contest]) -> dict[Address, Asked]:
    """Questions from flip events, each known by its round and its pair of answers, if these name one problem."""
    try:
        events, _ = run.journal.events_since(0)
    except UsageError:
        return {}
    told: dict[tuple[int, str, str], set[Asked]] = {}
    for flip in (timed.event for timed in events if isinstance(timed.event, Flip)):
        pair = (flip.number, flip.champion_text, flip.challenger_text)
        told.setdefault(pair, set()).add(Asked(flip.question, flip.reference))
    drawn: dict[tuple[int, str, str], list[Address]] = {}
    for contest in rounds:
        for key in contest.both():
            before, after = contest.champion[key][0], contest.challenger[key][0]
            if before.correct != after.correct:
                drawn.setdefault((contest.number, before.text, after.text), []).append((contest.number, key))
    sure = [pair for pair, addresses in drawn.items() if len(addresses) == len(told.get(pair, ())) == 1]
    return {drawn[pair][0]: next(iter(told[pair])) for pair in sure}


def _from_source(run: RunRecords, missing: Iterable[Address]) -> dict[Address, Asked]:
    """Questions from the problems of the run's recipe; raises `UsageError` where they can't be had."""
    recipe = parse_stored(run.bound.recipe, "recipe.json")
    wanted = recipe.problems
    if not all(is_local(source) for source in (wanted.train, wanted.heldout, wanted.sealed) if source):
        raise UsageError("the problem source is on the hub, and a report reaches for no network", "")
    sets = problems_of(recipe)
    if sets.fingerprint() != run.bound.problems:
        raise UsageError("the problem source has changed since the run", "")
    found: dict[Address, Asked] = {}
    drawn: dict[int, Mapping[str, Problem]] = {}
    for place, key in missing:
        if place not in drawn:
            fresh = place and recipe.gate.fresh
            problems = fresh_heldout(wanted, sets, place) if fresh else (*sets.heldout, *sets.later)
            drawn[place] = {problem.key: problem for problem in problems}
        if key in drawn[place]:
            found[place, key] = Asked(drawn[place][key].question, drawn[place][key].answer or "")
    return found
