"""The head of a report's page: the outcome in three figures, and what was run in one glance."""

from __future__ import annotations

from dataclasses import dataclass

from selfimprove import formatting
from selfimprove.recipe import Recipe
from selfimprove.report.costs import cost_of_looks, costs
from selfimprove.report.records import RunRecords
from selfimprove.store.records import Scalar

DIGITS = 12
"""Digits of a fingerprint that are shown."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Base against champion on the sealed problems, in words."""

    base: str
    champion: str
    gain: str
    interval: str
    split: str
    verdict: str
    ground: str
    mood: str


def outcome(run: RunRecords) -> Outcome | None:
    """The last look at the sealed problems; None before the first."""
    look = run.last_look
    if look is None:
        return None
    low, high = look.gain_interval
    return Outcome(
        base=formatting.percent(look.base_accuracy),
        champion=formatting.percent(look.champion_accuracy),
        gain=formatting.points(look.gain),
        interval=formatting.points_range(look.gain_interval),
        split=formatting.split_told(look.split) if look.split and look.champion else "",
        verdict=formatting.verdict_on_gain(look.gain, look.gain_interval, look.champion),
        ground=f"On {formatting.count(look.n)} sealed problems that nothing else in the run touched.",
        mood="better" if low > 0 else "worse" if high < 0 else "",
    )


def facts(run: RunRecords) -> list[tuple[str, str]]:
    """What was run, as titles and values; facts that no record tells are left out."""
    told = [
        *(_asked(run.recipe) if run.recipe else ()),
        ("Rounds", f"{len(run.rounds)} done, accepted: {formatting.rounds_named(run.accepted)}"),
        ("Machine", _machine(run)),
        ("Versions", _versions(run)),
        ("Time", _time(run)),
        ("Fingerprints", _fingerprints(run)),
    ]
    return [(title, value) for title, value in told if value]


def _asked(recipe: Recipe) -> list[tuple[str, str]]:
    """What the recipe asks for: model, problems, training."""
    prefixes, training = recipe.prefixes, recipe.training
    cut = "whole solutions" if prefixes.whole else f"prefixes of {prefixes.length} tokens"
    lora = f"LoRA of rank {formatting.count(training.rank)}, learning rate {training.learning_rate:g}"
    return [
        ("Model", _listed(recipe.model.name, recipe.model.revision)),
        ("Problems", recipe.problems.train),
        ("Training", f"{cut}, selection: {prefixes.select}; {lora}"),
    ]


def _machine(run: RunRecords) -> str:
    found = _last_versions(run)
    threads = found.get("threads")
    told = [_listed(*(str(found[name]) for name in ("system", "machine") if found.get(name)))]
    told += [f"{title} {found[title]}" for title in ("engine", "device") if found.get(title)]
    told += [formatting.plural(threads, "thread")] if isinstance(threads, int) and threads else []
    return ", ".join(filter(None, told))


def _versions(run: RunRecords) -> str:
    found = _last_versions(run)
    names = ("selfimprove", "python", "torch", "transformers", "peft", "vllm")
    return ", ".join(f"{name} {found[name]}" for name in names if found.get(name))


def _last_versions(run: RunRecords) -> dict[str, Scalar]:
    return run.rounds[-1].versions if run.rounds else {}


def _time(run: RunRecords) -> str:
    """From the first stage's start to the last one's end, and the seconds that stages and sealed looks took."""
    stages = [stage for record in run.rounds for stage in record.stages]
    start, end = (stages[0].start[:16], stages[-1].end[:16]) if stages else ("", "")
    spent = (costs(run.rounds)[1] + cost_of_looks(run)).seconds
    same_day = start[:10] == end[:10]
    span = (
        f"{start.replace('T', ' ')} to {end[11:] if same_day else end.replace('T', ' ')} UTC" if start and end else ""
    )
    return ", ".join(filter(None, [span, f"{formatting.duration(spent)} of work" if spent else ""]))


def _fingerprints(run: RunRecords) -> str:
    known = {"recipe": run.bound.fingerprint, "weights": run.bound.model, "problems": run.bound.problems}
    return ", ".join(f"{name} {digits[:DIGITS]}" for name, digits in known.items() if digits)


def _listed(*words: str) -> str:
    return " ".join(filter(None, words))
