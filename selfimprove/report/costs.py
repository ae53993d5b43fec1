"""What a run cost: tokens, time, memory and energy by stage, and per point of accuracy that was gained.

Only the figures are here; `report/sections.py` lays them out as tables.

*Per point* divides what all rounds spent, the rejected ones charged like the accepted, by the gain that the last look
at the sealed problems shows: base against champion, in percentage points. Charged are the rounds before this look; the
look itself is the measurement and isn't. Without a gain above zero there is no price, and the reason is
told instead.

*Tokens.* Sampled are those that a model wrote in sampling and judging; prompt tokens those that it read for that.
Trained are the targets that a loss was taken of, each time it was, and the prompts read for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfimprove import formatting
from selfimprove.report.records import RunRecords
from selfimprove.store.records import Counts, MachineCost, RoundRecord


@dataclass(frozen=True)
class Spent:
    """What was spent: tokens, seconds, joules, and peaks of memory in MiB; None where no record tells."""

    seconds: float | None = None
    sampled: float | None = None
    prompts: float | None = None
    targets: float | None = None
    trained_prompts: float | None = None
    energy: float | None = None
    rss: float | None = None
    gpu: float | None = None

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            _either(self.seconds, other.seconds, _sum),
            _either(self.sampled, other.sampled, _sum),
            _either(self.prompts, other.prompts, _sum),
            _either(self.targets, other.targets, _sum),
            _either(self.trained_prompts, other.trained_prompts, _sum),
            _either(self.energy, other.energy, _sum),
            _either(self.rss, other.rss, max),
            _either(self.gpu, other.gpu, max),
        )

    def over(self, amount: float) -> Spent:
        """Everything but the peaks, divided by `amount`."""
        added = (self.seconds, self.sampled, self.prompts, self.targets, self.trained_prompts, self.energy)
        return Spent(*(None if part is None else part / amount for part in added))


def _sum(one: float, other: float) -> float:
    return one + other


def _either(one: float | None, other: float | None, both: Callable[[float, float], float]) -> float | None:
    return other if one is None else one if other is None else both(one, other)


def _spent(machine: MachineCost, counts: Counts) -> Spent:
    return Spent(
        seconds=machine.seconds,
        sampled=counts.sampled_tokens,
        prompts=counts.prompt_tokens,
        targets=counts.target_tokens,
        trained_prompts=counts.trained_prompt_tokens,
        energy=machine.energy_j,
        rss=machine.peak_rss_mb,
        gpu=machine.peak_gpu_mb,
    )


def costs(rounds: Sequence[RoundRecord]) -> tuple[dict[str, Spent], Spent]:
    """What each stage cost over these rounds, by its name, and the sum; rejected rounds are charged."""
    spent: dict[str, Spent] = {}
    for record in rounds:
        for stage in record.stages:
            spent[stage.stage] = spent.get(stage.stage, Spent()) + _spent(stage, stage.counts)
    return spent, sum(spent.values(), Spent())


def cost_of_looks(run: RunRecords) -> Spent:
    """What the looks at the sealed problems cost together."""
    counted = [Counts(sampled_tokens=look.sampled_tokens, prompt_tokens=look.prompt_tokens) for look in run.looks]
    return sum(map(_spent, run.looks, counted), Spent())


@dataclass(frozen=True)
class Price:
    """Cost per point of sealed gain if there is one, and a sentence on what was divided by what, or why not."""

    per_point: Spent | None
    sentence: str


def price(run: RunRecords) -> Price:
    """What a point of sealed gain cost, in the rounds before the last look."""
    look = run.last_look
    if look is None:
        return Price(None, "Cost per point gained: not known before the sealed problems are judged.")
    charged = run.rounds[: look.rounds or len(run.rounds)]
    won = sum(record.accepted for record in charged)
    if look.gain <= 0:
        why = "no round was accepted" if not won else f"the sealed gain is {formatting.points(look.gain)} points"
        return Price(None, f"Cost per point gained: none, because {why}.")
    told = [
        f"Per point gained: the cost of {_span(charged)} divided by the sealed gain of {formatting.points(look.gain)} "
        "points."
    ]
    if lost := len(charged) - won:
        told.append(f"This includes {formatting.plural(lost, 'rejected round')}.")
    if later := run.rounds[len(charged) :]:
        left = _span(later)
        not_counted = f"came after the last sealed judging and {'is' if len(later) == 1 else 'are'} not counted"
        told.append(f"{left[:1].upper()}{left[1:]} {not_counted}.")
    if look.gain_interval[0] <= 0:
        told.append("The gain's interval includes zero, so this cost is uncertain too.")
    return Price(costs(charged)[1].over(100 * look.gain), " ".join(told))


def _span(rounds: Sequence[RoundRecord]) -> str:
    """Rounds one after the other, as `round 4` or `rounds 1 to 3`."""
    if not rounds:
        return "no rounds"
    first, last = rounds[0].round, rounds[-1].round
    return f"round {first}" if first == last else f"rounds {first} {'and' if last == first + 1 else 'to'} {last}"
