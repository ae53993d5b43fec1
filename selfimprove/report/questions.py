"""What was asked in a flip: the question and the reference answer, which the verdict rows hold under a key only.

They come, in this order, from

1. the problem source, read again, if it is a local file or a generator (a report reaches for no network) and still has
   the fingerprint that the run is bound to. Only it says where a problem comes from, and how hard a file calls it;
2. the run's history: a flip event holds question and reference, and is known by the two answers in it. Where two
   problems of a round drew the same pair of answers, the history can't tell them apart and isn't asked.

Files of more than `LARGE` bytes are read only for what the history lacks, since reading them takes minutes. What
neither tells stays unknown, and a sentence says how many and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.events import Flip
from selfimprove.problem import Problem, fresh_heldout, problems_of
from selfimprove.problem.sources import is_local
from selfimprove.recipe.reading import parse_stored
from selfimprove.report.contests import Contest
from selfimprove.report.levels import levels_of
from selfimprove.report.records import RunRecords

LARGE = 32 * 2**20
"""Bytes of problem files up to which they are read although the history has the questions."""

Address = tuple[int, str]
"""A round and a problem's key."""


@dataclass(frozen=True)
class Asked:
    """A question with its reference answer; where it comes from and how hard it is, empty where nothing tells."""

    question: str
    reference: str
    source: str = ""
    level: str = ""


@dataclass(frozen=True)
class Questions:
    """What was asked, by address, and a sentence for what isn't known."""

    asked: Mapping[Address, Asked] = field(default_factory=dict)
    sentence: str = ""


def questions_of(run: RunRecords, rounds: Sequence[Contest], wanted: Sequence[Address]) -> Questions:
    """What was asked at these addresses, as far as the problem source or the history tell."""
    asked, why = dict[Address, Asked](), ""
    for tell in (_from_history, _from_source) if _is_large(run) else (_from_source, _from_history):
        missing = [address for address in wanted if address not in asked]
        if missing:
            found, fault = tell(run, rounds, missing)
            asked |= found
            why = fault or why
    unknown = sum(address not in asked for address in wanted)
    sentence = f"The questions of {unknown} of {len(wanted)} flips are not available: {why}." if unknown else ""
    return Questions(asked, sentence)


def _is_large(run: RunRecords) -> bool:
    """Whether the problem files are larger than `LARGE`."""
    if run.recipe is None:
        return False
    wanted = run.recipe.problems
    paths = [Path(text) for text in {wanted.train, wanted.heldout, wanted.sealed} if text]
    files = [found for path in paths for found in (path.glob("*") if path.is_dir() else [path])]
    return sum(found.stat().st_size for found in files if found.is_file()) > LARGE


def _from_history(
    run: RunRecords, rounds: Sequence[Contest], missing: Sequence[Address]
) -> tuple[dict[Address, Asked], str]:
    """Questions from flip events, each known by its round and its pair of answers, if these name one problem."""
    try:
        events, _ = run.journal.events_since(0)
    except UsageError:
        return {}, ""
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
    found = {drawn[pair][0]: next(iter(told[pair])) for pair in sure}
    return {address: found[address] for address in missing if address in found}, ""


def _from_source(run: RunRecords, _: Sequence[Contest], missing: Sequence[Address]) -> tuple[dict[Address, Asked], str]:
    """Questions from the problems of the run's recipe, and why some couldn't be had."""
    try:
        found = _problems(run, missing)
        levels = levels_of(parse_stored(run.bound.recipe, "recipe.json").problems, {p.source for p in found.values()})
    except UsageError as error:
        return {}, error.message
    asked = {
        address: Asked(
            question=problem.question,
            reference=problem.answer or "",
            source=_without_line(problem.source),
            level=levels.get(problem.source, ""),
        )
        for address, problem in found.items()
    }
    return asked, "the problem source is unchanged since the run, but doesn't contain them"


def _problems(run: RunRecords, missing: Sequence[Address]) -> dict[Address, Problem]:
    """The problems at these addresses, read again; raises `UsageError` where they can't be had."""
    recipe = parse_stored(run.bound.recipe, "recipe.json")
    wanted = recipe.problems
    if not all(is_local(source) for source in (wanted.train, wanted.heldout, wanted.sealed) if source):
        raise UsageError("the problem source is on the hub, and a report doesn't use the network", "")
    sets = problems_of(recipe)
    if sets.fingerprint() != run.bound.problems:
        raise UsageError("the problem source has changed since the run", "")
    found: dict[Address, Problem] = {}
    drawn: dict[int, Mapping[str, Problem]] = {}
    for place, key in missing:
        if place not in drawn:
            fresh = place and recipe.gate.fresh
            problems = fresh_heldout(wanted, sets, place) if fresh else (*sets.heldout, *sets.later)
            drawn[place] = {problem.key: problem for problem in problems}
        if key in drawn[place]:
            found[place, key] = drawn[place][key]
    return found


def _without_line(source: str) -> str:
    """The source of a problem without the line of its row."""
    name, colon, line = source.rpartition(":")
    return name if colon and line.isdecimal() else source
