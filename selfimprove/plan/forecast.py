"""What a run will cost and what its gate can see, before anything is spent: `selfimprove plan`.

`plan_lines` follows from the recipe alone, as upper bounds: no problem is read and no model is loaded.
`calibrated_lines` turns measured rates (`plan/calibration.py`) into tokens, time, memory and disk. What depends on how
long answers are, how many are kept and how soon the gate decides is a range from the least to the most.
"""

from __future__ import annotations

from dataclasses import dataclass

from selfimprove.gate.decision import alpha_of_round, power_lines
from selfimprove.plan.calibration import Calibration, Range
from selfimprove.plan.disk import Need
from selfimprove.plan.disk import told as told_bytes
from selfimprove.recipe import Recipe
from selfimprove.round.prefixes import assign_kinds, token_limit
from selfimprove.text.formatting import duration, plural


def plan_lines(recipe: Recipe, rounds: int) -> list[str]:
    """The plan in words, a line each: work of a round, the gate's thresholds, the gains it can see."""
    return [
        *_work(recipe),
        "",
        *_gate(recipe, rounds),
        "",
        "Round 1 at 80 % power:",
        *(
            f"  {line}"
            for line in power_lines(recipe.problems.heldout_size, alpha_of_round(recipe.gate.alpha, 1)).lines()
        ),
    ]


def _work(recipe: Recipe) -> list[str]:
    settings = recipe.sampling
    problems = settings.problems_per_round or recipe.problems.train_size or 1000
    whole = settings.problems_per_round or recipe.problems.train_size
    of = f"{problems:,} problems" if whole else "each 1,000 problems"
    kinds = assign_kinds(((str(n), s) for n in range(problems) for s in range(settings.samples)), recipe.prefixes, 0)
    tokens = sum(token_limit(kind, recipe.prefixes, settings.max_new_tokens) for kind in kinds.values())
    answers = recipe.problems.heldout_size * recipe.gate.samples
    return [
        f"A round samples {len(kinds):,} completions of {of}: at most {tokens:,} tokens,",
        *_continued(recipe, len(kinds)),
        f"trains at most {len(kinds):,} rows {recipe.training.epochs} times,",
        f"and judges at most {answers:,} answers of the challenger, {answers * settings.max_new_tokens:,} tokens.",
        f"Each new champion is judged on the rest of the {recipe.problems.heldout_size:,} held-out problems once;",
        f"at the end base and champion answer {recipe.problems.sealed_size:,} sealed problems each"
        f"{', in two decodings' if recipe.beside() else ''}.",
    ]


def _sealed_answers(recipe: Recipe) -> int:
    """Answers of a model to each sealed problem, in all decodings."""
    second = recipe.beside()
    return recipe.gate.samples + (second.gate.samples if second else 0)


def _continued(recipe: Recipe, rows: int) -> list[str]:
    settings, longest = recipe.prefixes, recipe.sampling.max_new_tokens
    if not settings.selection.continues:
        return []
    tokens = rows * settings.rollouts * (longest - token_limit("prefix", settings, longest))
    return [f"continues each distinct prefix {settings.rollouts} times: at most {tokens:,} tokens,"]


def _gate(recipe: Recipe, rounds: int) -> list[str]:
    if recipe.gate.rule == "none":
        return ["Every round is accepted (gate.rule is `none`): held-out figures are told, and decide nothing."]
    if recipe.gate.rule == "point":
        return ["The gate takes any challenger that is not worse on the problems judged (the naive rule)."]
    alphas = [alpha_of_round(recipe.gate.alpha, number) for number in range(1, rounds + 1)]
    needed = ", ".join(f"{1 / alpha:,.0f}" for alpha in alphas)
    return [
        f"Evidence needed in rounds 1 to {rounds}: {needed}.",
        f"Chance of any false accept: at most {sum(alphas):.3f} in these rounds, {recipe.gate.alpha:g} in any number.",
    ]


def calibrated_lines(recipe: Recipe, need: Need, found: Calibration, train: int, rounds: int) -> list[str]:
    """The plan from measured rates: tokens and time of a round and of the run, memory and disk, with their source."""
    first, later = _stages(recipe, found, train, first=True), _stages(recipe, found, train, first=False)
    answers = recipe.problems.sealed_size * _sealed_answers(recipe)
    sealed = _answered(found, answers, 2 * answers)
    times = [_total(first), *[_total(later)] * (rounds - 1), sealed.seconds]
    told = [f"  {name}: {work.told}, {_span(work.seconds)}" for name, work in first.items()]
    missing = "" if found.row_seconds and found.merge_seconds else " without what was not measured"
    return [
        f"Measured in {found.seconds:.0f} s: {found.rows} completions of {_brief_told(found)}; a few training steps.",
        "Round 1 (a later round judges the champion only where it is new):",
        *told,
        f"Sealed problems at the end: {sealed.told}, {_span(sealed.seconds)}",
        f"All {plural(rounds, 'round')}{missing}: {_span((sum(t[0] for t in times), sum(t[1] for t in times)))}",
        _memory(found),
        f"Disk: at most {told_bytes(need.total)} (models {told_bytes(need.models)}, adapters and training "
        f"{told_bytes(need.adapters + need.training)}, rows {told_bytes(need.rows)}), from the shapes of the weights "
        "and the longest rows.",
    ]


@dataclass(frozen=True)
class _Work:
    """A stage's work in words and its seconds, from the least to the most."""

    told: str
    seconds: Range


def _stages(recipe: Recipe, found: Calibration, train: int, *, first: bool) -> dict[str, _Work]:
    heldout = recipe.problems.heldout_size * recipe.gate.samples
    least = min(recipe.gate.batch * recipe.gate.samples, heldout)
    judged = (least + heldout, 2 * heldout) if first else (least, 2 * heldout)
    return {
        "sampling": _sampling(recipe, found, train),
        "training": _training(recipe, found, train),
        "merging": _merging(found),
        "judging": _answered(found, *judged),
    }


def _total(stages: dict[str, _Work]) -> Range:
    return sum(work.seconds[0] for work in stages.values()), sum(work.seconds[1] for work in stages.values())


def _rows(recipe: Recipe, train: int) -> int:
    return min(recipe.sampling.problems_per_round or train, train) * recipe.sampling.samples


def _sampling(recipe: Recipe, found: Calibration, train: int) -> _Work:
    settings, longest = recipe.sampling, recipe.sampling.max_new_tokens
    problems = min(settings.problems_per_round or train, train)
    kinds = assign_kinds(((str(n), s) for n in range(problems) for s in range(settings.samples)), recipe.prefixes, 0)
    rows = len(kinds)
    brief = sum(token_limit(kind, recipe.prefixes, longest) < longest for kind in kinds.values())
    continued = brief * recipe.prefixes.rollouts if recipe.prefixes.selection.continues else 0
    short = brief * found.short_tokens
    low, high = ((rows - brief) * mean + continued * max(0.0, mean - found.short_tokens) for mean in found.long_tokens)
    ends = [found.load_seconds + short / found.short_rate + long / found.long_rate for long in (low, high)]
    told = f"{short + low:,.0f} to {short + high:,.0f} tokens of {rows:,} completions"
    return _Work(told, (ends[0], ends[1]))


def _training(recipe: Recipe, found: Calibration, train: int) -> _Work:
    rows, epochs = _rows(recipe, train), recipe.training.epochs
    low, high = (round(rows * share) for share in found.kept)
    told = (
        f"{low:,} to {high:,} rows, {plural(epochs, 'epoch')}"
        if low != high
        else f"{low:,} rows, {plural(epochs, 'epoch')}"
    )
    if found.row_seconds is None:
        return _Work(f"{told}, time not measured", (0.0, 0.0))
    load = found.train_load_seconds or 0.0
    told += f" at {found.row_seconds:.2g} s a row"
    return _Work(told, (load + low * epochs * found.row_seconds, load + high * epochs * found.row_seconds))


def _merging(found: Calibration) -> _Work:
    if found.merge_seconds is None:
        return _Work("not measured", (0.0, 0.0))
    return _Work("base and one adapter, each earlier adapter a little more", (found.merge_seconds, found.merge_seconds))


def _answered(found: Calibration, least: int, most: int) -> _Work:
    low, high = least * found.long_tokens[0], most * found.long_tokens[1]
    ends = [2 * found.load_seconds + tokens / found.long_rate for tokens in (low, high)]
    return _Work(f"{low:,.0f} to {high:,.0f} tokens of {least:,} to {most:,} answers", (ends[0], ends[1]))


def _brief_told(found: Calibration) -> str:
    low, high = found.long_tokens
    cut = f"sampled to {found.limit} tokens at {found.short_rate:.0f} to {found.long_rate:.0f} tokens/s"
    return f"{low:.1f} to {high:.1f} tokens in the mean, {cut}"


def _memory(found: Calibration) -> str:
    gpu = f", {found.peak_gpu_mb:,} MiB on the GPU" if found.peak_gpu_mb is not None else ""
    return f"Memory: {found.peak_rss_mb or 0:,} MiB{gpu}, the peak seen; longer completions take more."


def _span(seconds: Range) -> str:
    low, high = (duration(end) for end in seconds)
    return low if low == high else f"{low} to {high}"
