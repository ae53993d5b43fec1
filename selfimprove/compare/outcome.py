"""What came of each arm, from the records of its runs alone: no model and no problem is needed.

Figures of an arm are over its finished runs, one a seed. Accuracies and gains come from the verdicts on the sealed
problems, pooled over problems and seeds (`pooling.py`); the gain over the first arm is taken problem by problem and
seed by seed, for the seeds that both have. The gain over the placebo is on held-out problems, one figure a round, and
is told as their mean and range. Costs are means over the runs: *sampled* and *trained* tokens are those that a round
spends to make a challenger, *judged* ones those of held-out, placebo and sealed judging, which measure it.

Prefix entropy is told twice: of the training samples, over as many tokens as the recipe trains, in the first and in
the last round; and of the sealed answers of base and champion over `ENTROPY_TOKENS` for every arm, so that arms can be
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from selfimprove.compare.arms import judged_otherwise
from selfimprove.compare.folder import Fitted, Folder, Plan, run_name
from selfimprove.compare.margin import Margin, margin_of, read_scores
from selfimprove.compare.pooling import Pooled, pooled_gain, pooled_rate
from selfimprove.gate.decision import Split, split_of
from selfimprove.report.costs import Spent, cost_of_looks, costs
from selfimprove.report.records import RunRecords, read_run
from selfimprove.round.answers import AnswersByKey, pairs_of, read_answers, share, vitals
from selfimprove.round.judge import WHOLE_ROWS
from selfimprove.store.looks import BesideFigures

ENTROPY_TOKENS = WHOLE_ROWS
MEASURING = ("judge", "placebo")
"""Stages that measure a challenger; the others make it."""

Shares = dict[str, float]
"""Share of right answers by problem key."""


@dataclass(frozen=True)
class Cost:
    """What a run cost: tokens, rows trained on, seconds of making challengers and of everything."""

    sampled: float
    targets: float
    prompts: float
    judged: float
    rows: float
    seconds: float
    all_seconds: float

    @property
    def spent(self) -> float:
        """Tokens sampled and trained."""
        return self.sampled + self.targets + self.prompts


Figures = TypeVar("Figures", Cost, Split)


@dataclass(frozen=True)
class Diversity:
    """pass@k of base and champion on the sealed problems, with k, and prefix entropies in nats."""

    k: int
    base_pass: float
    champion_pass: float
    base_entropy: float
    champion_entropy: float
    first_samples: float | None
    last_samples: float | None


@dataclass(frozen=True)
class RunOutcome:
    """One finished run."""

    seed: int
    accepted: int
    base: Shares
    champion: Shares
    cost: Cost
    diversity: Diversity
    placebo: tuple[float, ...]
    beside: BesideFigures | None
    split: Split
    """What the sealed gain is made of."""
    margin: Margin | None
    """How the base's answers to held-out problems score under its champion; None if they weren't scored."""


@dataclass(frozen=True)
class ArmOutcome:
    """One arm: its finished runs, what failed and why, and, if any run is finished, the pooled figures."""

    name: str
    problems: int | None
    runs: tuple[RunOutcome, ...]
    failed: dict[str, str]
    base: Pooled | None = None
    champion: Pooled | None = None
    gain: Pooled | None = None
    over_first: Pooled | None = None
    cost: Cost | None = None
    split: Split | None = None
    """What the gain is made of, the mean of the runs."""

    @property
    def price(self) -> float | None:
        """Tokens sampled and trained per point of sealed gain; None without a gain above zero."""
        if self.cost is None or self.gain is None or self.gain.mean <= 0:
            return None
        return self.cost.spent / (100 * self.gain.mean)


@dataclass(frozen=True)
class Outcome:
    """A comparison: what was asked for and what came of each arm, in the order of the plan."""

    name: str
    rounds: int
    seeds: int
    budget: str
    sealed: int
    arms: tuple[ArmOutcome, ...]
    judged_otherwise: tuple[str, ...]


def read_outcome(folder: Folder, plan: Plan) -> Outcome:
    """The outcome of what is there, however much of it is made; raises `UsageError` for a damaged record."""
    arms: list[ArmOutcome] = []
    for fitted in plan.arms:
        arms.append(_arm(folder, plan, fitted, arms[0].runs if arms else ()))
    otherwise = tuple(judged_otherwise([fitted.arm.recipe for fitted in plan.arms]))
    sealed = max((len(run.base) for arm in arms for run in arm.runs), default=0)
    budget = str(plan.budget) if plan.budget else ""
    return Outcome(folder.name, plan.rounds, plan.seeds, budget, sealed, tuple(arms), otherwise)


def _arm(folder: Folder, plan: Plan, fitted: Fitted, first: Sequence[RunOutcome]) -> ArmOutcome:
    seeds = [seed for seed in range(plan.seeds) if folder.is_made(fitted.arm, seed, plan.rounds)]
    runs = tuple(_run(folder, fitted, seed) for seed in seeds)
    names = [run_name(fitted.arm, seed) for seed in range(plan.seeds)]
    failed = {name: plan.failed[name] for name in names if name in plan.failed}
    arm = ArmOutcome(fitted.arm.name, fitted.problems, runs, failed)
    if not runs:
        return arm
    base, champion = _tables([(run.base, run.champion) for run in runs])
    return ArmOutcome(
        arm.name,
        arm.problems,
        runs,
        failed,
        base=pooled_rate(base),
        champion=pooled_rate(champion),
        gain=pooled_gain(base, champion),
        over_first=gain_over(runs, first),
        cost=_mean(Cost, [run.cost for run in runs]),
        split=_mean(Split, [run.split for run in runs]),
    )


def gain_over(runs: Sequence[RunOutcome], others: Sequence[RunOutcome]) -> Pooled | None:
    """The champions' gain over the others' with the same seeds, on the problems that all answered; None without any."""
    theirs = {run.seed: run.champion for run in others}
    pairs = [(theirs[run.seed], run.champion) for run in runs if run.seed in theirs]
    return pooled_gain(*_tables(pairs)) if pairs else None


def _tables(pairs: Sequence[tuple[Shares, Shares]]) -> tuple[list[list[float]], list[list[float]]]:
    """Two tables of problems by seeds, over the problems that all of them answered."""
    keys = sorted(set.intersection(*({*before} & {*after} for before, after in pairs)))
    return [[before[key] for before, _ in pairs] for key in keys], [[after[key] for _, after in pairs] for key in keys]


def _run(folder: Folder, fitted: Fitted, seed: int) -> RunOutcome:
    journal = folder.run(fitted.arm, seed)
    records = read_run(folder.path, journal.name)
    look = records.looks[-1]
    base, champion = (read_answers(journal.sealed_verdicts, model, look.setup) for model in (0, look.champion))
    gains = (record.placebo.gain_over_placebo for record in records.rounds if record.placebo)
    return RunOutcome(
        seed=seed,
        accepted=len(records.accepted),
        base=_shares(base),
        champion=_shares(champion),
        cost=_cost(records),
        diversity=_diversity(records, base, champion),
        placebo=tuple(gain for gain in gains if gain is not None),
        beside=look.beside,
        split=split_of(pairs_of(sorted(base), base, champion)),
        margin=margin_of(scores.answers) if (scores := read_scores(journal)) else None,
    )


def _shares(answers: AnswersByKey) -> Shares:
    return {key: share(found) for key, found in answers.items()}


def _diversity(records: RunRecords, base: AnswersByKey, champion: AnswersByKey) -> Diversity:
    before, after = vitals(base, ENTROPY_TOKENS), vitals(champion, ENTROPY_TOKENS)
    return Diversity(
        k=max(map(len, base.values()), default=0),
        base_pass=before.pass_at_k,
        champion_pass=after.pass_at_k,
        base_entropy=before.entropy,
        champion_entropy=after.entropy,
        first_samples=records.rounds[0].prefixes.prefix_entropy,
        last_samples=records.rounds[-1].prefixes.prefix_entropy,
    )


def _cost(records: RunRecords) -> Cost:
    stages, total = costs(records.rounds)
    looks = cost_of_looks(records)
    making = sum((spent for name, spent in stages.items() if name not in MEASURING), Spent())
    measuring = sum((stages.get(name, Spent()) for name in MEASURING), looks)
    return Cost(
        sampled=making.sampled or 0,
        targets=making.targets or 0,
        prompts=making.trained_prompts or 0,
        judged=measuring.sampled or 0,
        rows=sum(record.counts_of("harvest").examples or 0 for record in records.rounds),
        seconds=making.seconds or 0,
        all_seconds=(total.seconds or 0) + (looks.seconds or 0),
    )


def _mean(kind: type[Figures], found: Sequence[Figures]) -> Figures:
    """The figures of several runs, each their mean."""
    return kind(**{name: sum(getattr(one, name) for one in found) / len(found) for name in kind.__dataclass_fields__})


def results(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain data for `results.json`: the arms' figures, and those of each run but for its verdicts."""
    from dataclasses import asdict

    told = asdict(outcome)
    for arm, plain in zip(outcome.arms, told["arms"], strict=True):
        plain["tokens_per_point"] = arm.price
        for run, row in zip(arm.runs, plain["runs"], strict=True):
            for side in ("base", "champion"):
                shares = getattr(run, side)
                row[side] = sum(shares.values()) / max(1, len(shares))
            row["beside"] = run.beside.plain() if run.beside else None
    return told
