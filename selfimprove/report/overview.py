"""The head of a report's page: the outcome in three figures, and what was run in one glance."""

from __future__ import annotations

from dataclasses import dataclass

from selfimprove.report.costs import cost_of_looks, costs
from selfimprove.report.records import RunRecords, accepted, at, interval, items, number, word
from selfimprove.report.sidebyside import bound
from selfimprove.text import formatting

DIGITS = 12
"""Digits of a fingerprint that are shown."""


@dataclass(frozen=True)
class Outcome:
    """Base against champion on the sealed problems, in words."""

    base: str
    champion: str
    gain: str
    interval: str
    verdict: str
    ground: str
    mood: str


def outcome(run: RunRecords) -> Outcome | None:
    """The last look at the sealed problems; None before the first."""
    look = items(run.sealed, "looks")[-1:]
    if not look:
        return None
    gain, ends = number(look, 0, "gain"), interval(look, 0, "gain_interval")
    low, high = ends
    return Outcome(
        formatting.percent(number(look, 0, "base_accuracy")),
        formatting.percent(number(look, 0, "champion_accuracy")),
        formatting.points(gain),
        formatting.points_range(ends),
        formatting.verdict_on_gain(gain, ends),
        f"On {formatting.count(number(look, 0, 'n'))} sealed problems that nothing else in the run touched.",
        "better" if low is not None and low > 0 else "worse" if high is not None and high < 0 else "",
    )


def facts(run: RunRecords) -> list[tuple[str, str]]:
    """What was run, as titles and values; facts that no record tells are left out."""
    told = [
        ("Model", _listed(word(run.recipe, "model", "name"), word(run.recipe, "model", "revision"))),
        ("Problems", word(run.recipe, "problems", "train")),
        ("Training", _training(run)),
        ("Rounds", _rounds(run)),
        ("Machine", _machine(run)),
        ("Versions", _versions(run)),
        ("Time", _time(run)),
        ("Fingerprints", _fingerprints(run)),
    ]
    return [(title, value) for title, value in told if value]


def _training(run: RunRecords) -> str:
    length, select = at(run.recipe, "prefixes", "length"), word(run.recipe, "prefixes", "select")
    if length is None:
        return ""
    cut = "whole solutions" if length == "full" else f"prefixes of {length} tokens"
    rank, rate = number(run.recipe, "training", "rank"), number(run.recipe, "training", "learning_rate")
    told = f"{cut}, selection: {select}" if select else cut
    return f"{told}; LoRA of rank {formatting.count(rank)}, learning rate {rate:g}" if rank and rate else told


def _rounds(run: RunRecords) -> str:
    won = tuple(place for place, record in enumerate(run.rounds, start=1) if accepted(record))
    return f"{len(run.rounds)} done, accepted: {formatting.rounds_named(won)}"


def _machine(run: RunRecords) -> str:
    found = at(run.rounds, -1, "versions")
    threads = number(found, "threads")
    told = [_listed(word(found, "system"), word(found, "machine"))]
    told += [f"{title} {word(found, title)}" for title in ("engine", "device") if word(found, title)]
    told += [formatting.plural(int(threads), "thread")] if threads else []
    return ", ".join(filter(None, told))


def _versions(run: RunRecords) -> str:
    found = at(run.rounds, -1, "versions")
    names = ("selfimprove", "python", "torch", "transformers", "peft", "vllm")
    return ", ".join(f"{name} {word(found, name)}" for name in names if word(found, name))


def _time(run: RunRecords) -> str:
    """From the first stage's start to the last one's end, and the seconds that stages and sealed looks took."""
    stages = [stage for record in run.rounds for stage in items(record, "stages")]
    start, end = word(stages, 0, "start")[:16], word(stages, -1, "end")[:16]
    spent = (costs(run.rounds)[1] + cost_of_looks(run)).seconds
    same_day = start[:10] == end[:10]
    span = (
        f"{start.replace('T', ' ')} to {end[11:] if same_day else end.replace('T', ' ')} UTC" if start and end else ""
    )
    return ", ".join(filter(None, [span, f"{formatting.duration(spent)} of work" if spent else ""]))


def _fingerprints(run: RunRecords) -> str:
    found = bound(run)
    known = {"recipe": found.recipe, "weights": found.model, "problems": found.problems}
    return ", ".join(f"{name} {digits[:DIGITS]}" for name, digits in known.items() if digits)


def _listed(*words: str) -> str:
    return " ".join(filter(None, words))
