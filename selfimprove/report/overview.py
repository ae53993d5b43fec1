"""The head of a report's page: the outcome in three figures, and what was run in one glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from selfimprove import formatting
from selfimprove.events import SealedJudged, read_event
from selfimprove.recipe import Recipe
from selfimprove.report.costs import cost_of_looks, costs
from selfimprove.report.records import RunRecords
from selfimprove.store.records import Scalar

DIGITS = 12
"""Digits of a fingerprint that are shown."""
YEAR_9999 = 253_370_764_800
"""Seconds since the epoch, the last that a date can be made of, nearly."""
PARTS = ("became readable", "became right", "became unreadable", "became wrong")
"""What a gain is made of."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Base against champion on the sealed problems, in words; `parts` are what the gain is made of, in points.

    A champion that is the base has no gain: `champion`, `gain` and `interval` are empty then.
    """

    base: str
    champion: str
    gain: str
    interval: str
    parts: tuple[tuple[str, str], ...]
    verdict: str
    ground: str
    mood: str


def outcome(run: RunRecords) -> Outcome | None:
    """The last look at the sealed problems; None before the first."""
    look = run.last_look
    if look is None:
        return None
    low, high = look.gain_interval
    same = look.champion == 0
    return Outcome(
        base=formatting.percent(look.base_accuracy),
        champion="" if same else formatting.percent(look.champion_accuracy),
        gain="" if same else formatting.points(look.gain),
        interval="" if same else formatting.points_range(look.gain_interval),
        parts=() if same or not look.split else tuple(zip(PARTS, formatting.split_cells(look.split), strict=True)),
        verdict=formatting.verdict_on_gain(look.gain, look.gain_interval, look.champion),
        ground=f"On {formatting.count(look.n)} sealed problems, {_use(len(run.looks))}.",
        mood="" if same else "better" if low > 0 else "worse" if high < 0 else "",
    )


def _use(looks: int) -> str:
    return "which the run used for nothing else" if looks == 1 else f"judged {looks} times so far"


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
    """From the first stage's start to the end of the last stage or look, and the seconds that they took."""
    stages = [stage for record in run.rounds for stage in record.stages]
    start = stages[0].start[:16] if stages else ""
    end = max(stages[-1].end[:16] if stages else "", _last_look_at(run))
    spent = (costs(run.rounds)[1] + cost_of_looks(run)).seconds
    same_day = start[:10] == end[:10]
    span = (
        f"{start.replace('T', ' ')} to {end[11:] if same_day else end.replace('T', ' ')} UTC" if start and end else ""
    )
    return ", ".join(filter(None, [span, f"{formatting.duration(spent)} of work" if spent else ""]))


def _last_look_at(run: RunRecords) -> str:
    """When the sealed problems were judged last, UTC, by the history; empty where it doesn't tell.

    A start that has nothing to judge tells the last look again, so the first event of that look counts.
    """
    try:
        lines = run.journal.events_path.read_bytes().splitlines() if run.looks else []
    except OSError:
        return ""
    found = [timed for line in lines if b'"sealed_judged"' in line and (timed := read_event(line))]
    looks = [(timed.time, timed.event.look) for timed in found if isinstance(timed.event, SealedJudged)]
    last = [moment for moment, look in looks if look == looks[-1][1] and 0 <= moment < YEAR_9999]
    return datetime.fromtimestamp(last[0], UTC).strftime("%Y-%m-%dT%H:%M") if last else ""


def _fingerprints(run: RunRecords) -> str:
    known = {"recipe": run.bound.fingerprint, "weights": run.bound.model, "problems": run.bound.problems}
    return ", ".join(f"{name} {digits[:DIGITS]}" for name, digits in known.items() if digits)


def _listed(*words: str) -> str:
    return " ".join(filter(None, words))
