"""What `selfimprove plan` prints: the forecast of a round and of a run in words, and what the gate can see.

`plan_lines` follows from the recipe and, where they were read, the number of problems, as upper bounds: no model is
loaded. `problem_lines` tells what was read.
`calibrated_lines` turns the counts of the forecast and measured rates (`plan/calibration.py`) into tokens, time, memory
and disk. What depends on how long answers are, how many are kept and how soon the gate decides is a range from the
least to the most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.formatting import byte_count, duration, plural
from selfimprove.gate.budget import alpha_of_round, share_of_round
from selfimprove.gate.decision import power_lines
from selfimprove.gate.guards import guard_lines
from selfimprove.plan.calibration import Calibration, Range
from selfimprove.plan.forecast import DiskNeed, Forecast, few_examples, forecast_round
from selfimprove.plan.hope import most_heldout, power_warning
from selfimprove.problem import ProblemSets, problems_of
from selfimprove.problem.generated import PREFIX
from selfimprove.problem.shown import told_aside
from selfimprove.problem.sources import is_hub_name
from selfimprove.problem.stock import Reading
from selfimprove.recipe import Gate, Recipe
from selfimprove.round.admit import refuse_unfit


def plan_lines(recipe: Recipe, rounds: int, problems: ProblemSets | None = None) -> list[str]:
    """The plan in words, a line each: work of a round, the gate's thresholds, the gains it can see.

    `problems` are the recipe's, None if they weren't read.
    """
    power = power_lines(recipe.problems.heldout_size, alpha_of_round(recipe.gate, ()))
    most = most_heldout(problems) if problems else None
    warning = power_warning(recipe, recipe.problems.heldout_size, most)
    known = (len(problems.train) if problems else recipe.problems.train_size) or recipe.sampling.problems_per_round
    few = few_examples(recipe, known) if known else ""
    return [
        *_work(recipe, known),
        *([few] if few else []),
        "",
        *_gate(recipe, rounds),
        "",
        "Round 1 at 80% power:",
        *(f"  {line}" for line in power.lines()),
        *([warning] if warning else []),
        *_guards(recipe),
    ]


def problem_lines(recipe: Recipe, reading: Reading | None = None) -> tuple[ProblemSets | None, list[str]]:
    """The recipe's problems where files hold them, and what there is to tell of them; raises what a run would refuse.

    Datasets on the hub are not downloaded for a plan, and what is only generated can't be refused: both are not read.
    """
    named = [recipe.problems.train, recipe.problems.heldout, recipe.problems.sealed]
    sources = [source for source in (*named, *(guard.problems for guard in recipe.guards)) if source]
    if remote := list(dict.fromkeys(source for source in sources if is_hub_name(source))):
        check = " and ".join(f"selfimprove problems {source}" for source in remote)
        return None, [f"Problems on the hub are not read for the plan. To check them: {check}"]
    if all(source.startswith(PREFIX) for source in sources):
        return None, []
    problems = problems_of(recipe, reading)
    refuse_unfit(recipe, problems)
    sizes = f"{len(problems.train):,} to train on, {len(problems.heldout):,} held out, {len(problems.sealed):,} sealed"
    return problems, [f"Problems read: {sizes}", *told_aside(problems.tallies)]


def _guards(recipe: Recipe) -> list[str]:
    """What each guard tells in the first round whose challenger the gate accepts; nothing without guards."""
    lines = [f"  {line}" for line in guard_lines(recipe)]
    chance = f"at most {recipe.gate.guard_alpha:g} in any number of rounds"
    if any(not guard.proves for guard in recipe.guards):
        lines.append(f"  Chance that a harmless challenger is rejected because harm is shown: {chance}.")
    if any(guard.proves for guard in recipe.guards):
        lines.append(f"  Chance that a harmful challenger passes where no harm must be proven: {chance}.")
    return ["", "Guards, in the first round whose challenger the gate accepts:", *lines] if lines else []


def _work(recipe: Recipe, known: int) -> list[str]:
    work = forecast_round(recipe, known or 1000)
    of = f"{work.problems:,} problems" if known else "1,000 problems (for each 1,000 that the source has)"
    continued = (
        f"continues each distinct prefix {recipe.prefixes.rollouts} times: at most {work.continued_tokens:,} tokens,"
    )
    answers = work.heldout_answers
    champion = (
        f"The champion answers the round's {recipe.problems.heldout_size:,} held-out problems as well;"
        if work.champion_each_round
        else f"Each new champion is judged on the rest of the {recipe.problems.heldout_size:,} held-out problems once;"
    )
    return [
        f"A round samples {work.rows:,} completions of {of}: at most {work.sampled_tokens:,} tokens,",
        *([continued] if work.continuations else []),
        f"trains at most {work.trained_rows:,} rows for {plural(work.epochs, 'epoch')},",
        *(
            [f"both in {work.refreshes} steps, each from the model as the step before left it,"]
            if work.refreshes > 1
            else []
        ),
        f"and judges at most {answers:,} answers of the challenger, {answers * work.answer_limit:,} tokens.",
        *(["The placebo twin is trained, merged and judged in the same way."] if work.placebo else []),
        champion,
        *(
            [f"A challenger that the gate accepts gives at most {work.guard_answers:,} answers to guards' problems."]
            if work.guard_answers
            else []
        ),
        f"at the end base and champion answer {recipe.problems.sealed_size:,} sealed problems each"
        f"{', in two decodings' if recipe.beside() else ''}.",
    ]


def _gate(recipe: Recipe, rounds: int) -> list[str]:
    if recipe.gate.rule == "none":
        return ["Every round is accepted (gate.rule is `none`); held-out figures don't affect the decision."]
    if recipe.gate.rule == "point":
        return ["The gate takes any challenger that is not worse on the problems judged (the naive rule)."]
    spent = sum(share_of_round(recipe.gate, number) for number in range(1, rounds + 1))
    bound = math.ceil(1e4 * spent - 1e-6) / 1e4  # rounded up
    other = recipe.gate.model_copy(update={"rounds": 0 if recipe.gate.rounds else rounds})
    rows = [("", "if the earlier ones were rejected", "if they were accepted")]
    rows.extend(
        (_named(gate), _needed(gate, rounds, accepted=False), _needed(gate, rounds, accepted=True))
        for gate in (recipe.gate, other)
    )
    return [
        f"Evidence needed in rounds 1 to {rounds}:",
        *(f"  {name:<32}{rejected:<36}{accepted}" for name, rejected, accepted in rows),
        f"Chance of any false accept: at most {bound:g} in these rounds, {recipe.gate.alpha:g} in any number.",
    ]


def _named(settings: Gate) -> str:
    return f"gate.rounds = {settings.rounds}" + ("" if settings.rounds else " (open-ended)")


def _needed(settings: Gate, rounds: int, *, accepted: bool) -> str:
    """The evidence that each round needs when all before it were accepted, or all rejected."""
    alphas = (alpha_of_round(settings, (accepted,) * before) for before in range(rounds))
    return ", ".join(f"{1 / alpha:,.0f}" for alpha in alphas)


def calibrated_lines(work: Forecast, need: DiskNeed, memory: str, found: Calibration, rounds: int) -> list[str]:
    """The plan from measured rates: tokens and time of a round and of the run, memory and disk, with their source.

    `memory` is what a round takes of it, in words.
    """
    first, later = _stages(work, found, first=True), _stages(work, found, first=False)
    sealed = _answered(found, work.sealed_answers, 2 * work.sealed_answers)
    total = _sum([_total(first), *[_total(later)] * (rounds - 1), sealed.seconds])
    missing = "" if found.row_seconds and found.merge_seconds else " without what was not measured"
    return [
        f"Measured in {found.seconds:.0f} s: {_sampled_told(found)}; a few training steps.",
        "Round 1:" if work.champion_each_round else "Round 1 (a later round judges the champion only if it is new):",
        *(f"  {name}: {stage.told}, {_span(stage.seconds)}" for name, stage in first.items()),
        f"Sealed problems at the end: {sealed.told}, {_span(sealed.seconds)}",
        f"All {plural(rounds, 'round')}{missing}: {_span(total)}",
        _memory(memory, found),
        f"Disk: at most {byte_count(need.total)} (models {byte_count(need.models)}, adapters and training "
        f"{byte_count(need.adapters + need.training)}, rows {byte_count(need.rows)}), from the shapes of the weights "
        "and the longest rows.",
    ]


@dataclass(frozen=True)
class _Stage:
    """A stage's work in words and its seconds, from the least to the most; None if they were not measured."""

    told: str
    seconds: Range | None


def _stages(work: Forecast, found: Calibration, *, first: bool) -> dict[str, _Stage]:
    stages = {
        "sampling": _sampling(work, found),
        "training": _training(work, found),
        "merging": _merging(found),
        "judging": _answered(found, *work.judged_answers(first=first)),
    }
    if not work.placebo:
        return stages
    judged = _answered(found, work.first_look, work.heldout_answers)
    seconds = _sum([stages["training"].seconds, stages["merging"].seconds, judged.seconds])
    return {**stages, "placebo": _Stage(f"trained and merged in the same way, {judged.told}", seconds)}


def _total(stages: dict[str, _Stage]) -> Range:
    return _sum([stage.seconds for stage in stages.values()])


def _sum(times: Sequence[Range | None]) -> Range:
    measured = [time for time in times if time]
    return sum(low for low, _ in measured), sum(high for _, high in measured)


def _sampling(work: Forecast, found: Calibration) -> _Stage:
    short = work.short_rows * found.short_tokens
    low, high = (
        (work.rows - work.short_rows) * mean + work.continuations * max(0.0, mean - found.short_tokens)
        for mean in found.long_tokens
    )
    ends = [
        work.refreshes * found.load_seconds + short / found.short_rate + long / found.long_rate for long in (low, high)
    ]
    told = f"{short + low:,.0f} to {short + high:,.0f} tokens of {work.rows:,} completions"
    return _Stage(told, (ends[0], ends[1]))


def _training(work: Forecast, found: Calibration) -> _Stage:
    low, high = (round(work.trained_rows * share) for share in found.kept)
    rows = f"{low:,} to {high:,} rows" if low != high else f"{low:,} rows"
    told = f"{rows}, {plural(work.epochs, 'epoch')}"
    if found.row_seconds is None:
        return _Stage(told, None)
    load, each = work.refreshes * (found.train_load_seconds or 0.0), work.epochs * found.row_seconds
    return _Stage(f"{told} at {found.row_seconds:.2g} s per row", (load + low * each, load + high * each))


def _merging(found: Calibration) -> _Stage:
    if found.merge_seconds is None:
        return _Stage("base and one adapter", None)
    return _Stage("base and one adapter, each earlier adapter a little more", (found.merge_seconds,) * 2)


def _answered(found: Calibration, least: int, most: int) -> _Stage:
    low, high = least * found.long_tokens[0], most * found.long_tokens[1]
    ends = [2 * found.load_seconds + tokens / found.long_rate for tokens in (low, high)]
    return _Stage(f"{low:,.0f} to {high:,.0f} tokens of {least:,} to {most:,} answers", (ends[0], ends[1]))


def _sampled_told(found: Calibration) -> str:
    low, high = found.long_tokens
    lengths = f"{found.long_rows} completions of at most {found.limit} tokens here, {low:.1f} to {high:.1f} on average"
    slowest, fastest = sorted((found.short_rate, found.long_rate))
    return f"{lengths}; {found.rows} at once at {slowest:.0f} to {fastest:.0f} tokens/s"


def _memory(need: str, found: Calibration) -> str:
    gpu = f", {found.peak_gpu_mb:,} MiB on the GPU" if found.peak_gpu_mb is not None else ""
    return f"Memory: {need}; measured in this trial: {found.peak_rss_mb or 0:,} MiB{gpu}."


def _span(seconds: Range | None) -> str:
    if seconds is None:
        return "time not measured"
    low, high = (duration(end) for end in seconds)
    return low if low == high else f"{low} to {high}"
