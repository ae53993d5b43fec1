"""Is it worth starting? What a few dozen samples of the base model say before anything is trained.

Each selection (`prefixes.select`) trusts the model with something: `all` with a single sample, `consistent` and
rollouts by agreement with its majority, `verified` and rollouts by labels with being right now and then. So a few
problems with answers are sampled several times as a round would sample them, and judged: how often one sample is right,
how often the majority is, how often the samples that begin with the problem's commonest prefix are, how many problems
are solved at all, and how many answers are cut or can't be read. `advice` says which selections these figures speak
against. They are a few dozen samples: the interval takes each problem for a single trial.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from selfimprove.answer import Outcome
from selfimprove.formatting import plural
from selfimprove.gate.decision import interval_of_rate
from selfimprove.problem import Problem
from selfimprove.recipe import Recipe
from selfimprove.round.agreement import answer_classes, majority
from selfimprove.round.job import prompt_of
from selfimprove.round.judge import statistics_length
from selfimprove.round.machinery import Machinery
from selfimprove.round.sample import training_decoding
from selfimprove.round.verdicts import check_completions, checked_texts
from selfimprove.sampling import (
    Completion,
    Request,
    StopReason,
    derive_seed,
    plan_chunks,
    sample_chunks,
)

SAMPLES = 4
"""Samples of a problem, at least: fewer say nothing of a majority."""
AGREED = 0.75
"""Share of a problem's samples with one answer from which on they are said to agree."""
MUCH_CUT, MUCH_UNREAD = 0.2, 0.2
TRUSTED = 0.5
"""Share of right majorities below which training on them is advised against."""
AFFORDED = 45.0
"""Seconds of sampling that `plan --calibrate` spends on it, by its measured rate."""
RARE, SOLVED, NEARLY_ALL = 0.3, 0.25, 0.95
"""Share of right samples below which single samples are advised against, of solved problems below which labels are, and
of right samples above which there is little to gain."""
FEWEST = 4
"""Problems below which a share is no ground for advice."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One sample of a problem: the class of its answer (None: none that can be compared), and its first ids."""

    key: str
    answer: str | None
    right: bool
    unread: bool
    cut: bool
    prefix: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What the samples show; shares are in [0, 1], None where no problem has what they are of."""

    problems: int
    samples: int
    """Of each problem."""
    single: float
    """Right samples."""
    decided: int
    """Problems with a majority answer."""
    majority: float | None
    """Of those, the ones whose majority is right."""
    agreed: int
    """Problems of whose samples at least `AGREED` give one answer."""
    agreement: float | None
    """Of those, the ones where that answer is right."""
    begun: float
    """Right samples among those that begin with their problem's commonest prefix; the mean over problems."""
    solved: float
    """Problems with at least one right sample."""
    cut: float
    unread: float


def afforded(tokens: float, rate: float) -> int:
    """How many problems can be sampled within `AFFORDED` seconds, of samples so long at so many tokens a second."""
    return int(AFFORDED * rate / tokens) // SAMPLES


def measure(recipe: Recipe, problems: Sequence[Problem], machinery: Machinery, count: int) -> Outlook:
    """The outlook from samples of the base model on `count` of these problems that have answers, first by key.

    Raises `ValueError` if none has.
    """
    chosen = sorted((problem for problem in problems if problem.answer is not None), key=lambda p: p.key)[:count]
    if not chosen:
        raise ValueError("no problem has an answer to judge samples by")
    settings = recipe.sampling
    requests = [
        Request(
            key=problem.key,
            sample=number,
            prompt_ids=prompt_of(machinery.tokenizer, settings, problem),
            max_new_tokens=settings.max_new_tokens,
            seed=derive_seed(recipe.seed, "outlook", problem.key, number),
            decoding=training_decoding(recipe),
        )
        for problem in chosen
        for number in range(max(SAMPLES, settings.samples))
    ]
    chunks = plan_chunks(requests, settings.chunk_rows, settings.chunk_tokens)
    with machinery.open_sampler(machinery.base) as sampler:
        found = [completion for chunk in sample_chunks(sampler, chunks) for completion in chunk]
    return outlook_of(_judged(recipe, chosen, machinery, found))


def _judged(
    recipe: Recipe, problems: Sequence[Problem], machinery: Machinery, found: Sequence[Completion]
) -> list[Trial]:
    asked = {problem.key: problem for problem in problems}
    decoded = (machinery.tokenizer.decode(completion.token_ids) for completion in found)
    texts = checked_texts(machinery.tokenizer, recipe.sampling, decoded)
    cuts = [completion.stop is StopReason.LENGTH for completion in found]
    pairs = [(text, asked[completion.key]) for text, completion in zip(texts, found, strict=True)]
    verdicts = check_completions(machinery.checker, pairs, recipe.answers, cut=cuts)
    if recipe.answers.checker:  # it judges by the problem and can't tell whether two answers are the same
        classes: list[str | None] = [None] * len(found)
    else:
        keys = [completion.key for completion in found]
        classes = answer_classes(machinery.checker, keys, texts, recipe.answers, cuts)
    length = statistics_length(recipe)
    return [
        Trial(
            key=completion.key,
            answer=name,
            right=verdict.outcome is Outcome.CORRECT,
            unread=verdict.outcome not in (Outcome.CORRECT, Outcome.WRONG),
            cut=was_cut,
            prefix=completion.token_ids[:length],
        )
        for completion, verdict, name, was_cut in zip(found, verdicts, classes, cuts, strict=True)
    ]


def outlook_of(trials: Sequence[Trial]) -> Outlook:
    """The figures of these samples, as many of each problem."""
    by_key: dict[str, list[Trial]] = {}
    for trial in trials:
        by_key.setdefault(trial.key, []).append(trial)
    problems = list(by_key.values())
    winners = [majority([(trial.answer, 1) for trial in found]) for found in problems]
    decided = [(found, winner) for found, winner in zip(problems, winners, strict=True) if winner is not None]
    agreed = [(f, w) for f, w in decided if sum(trial.answer == w for trial in f) >= AGREED * len(f)]
    return Outlook(
        problems=len(problems),
        samples=len(problems[0]),
        single=mean(trial.right for trial in trials),
        decided=len(decided),
        majority=_right(decided),
        agreed=len(agreed),
        agreement=_right(agreed),
        begun=mean(_commonest(found) for found in problems),
        solved=mean(any(trial.right for trial in found) for found in problems),
        cut=mean(trial.cut for trial in trials),
        unread=mean(trial.unread for trial in trials),
    )


def _right(decided: Iterable[tuple[Sequence[Trial], str]]) -> float | None:
    """The share of problems whose samples with that answer are right, most of them at least."""
    shares = [mean(trial.right for trial in found if trial.answer == winner) >= TRUSTED for found, winner in decided]
    return mean(shares) if shares else None


def _commonest(found: Sequence[Trial]) -> float:
    prefix = Counter(trial.prefix for trial in found).most_common(1)[0][0]
    return mean(trial.right for trial in found if trial.prefix == prefix)


def outlook_lines(recipe: Recipe, found: Outlook) -> list[str]:
    """The figures in words, a line each."""
    low, high = interval_of_rate(round(found.single * found.problems), found.problems)
    of = f"{found.samples} samples of each of {plural(found.problems, 'problem')} with an answer"
    lines = [
        f"{of}: one sample is right {found.single:.0%} of the time (95% interval {low:.0%} to {high:.0%}), and "
        f"{found.solved:.0%} of the problems are solved at least once",
    ]
    if not recipe.answers.checker:
        lines += [
            _of_problems("a majority answer", found.decided, found.majority),
            _of_problems(f"an answer that at least {AGREED:.0%} of its samples give", found.agreed, found.agreement),
        ]
    begun = f"samples that begin with their problem's most common {statistics_length(recipe)} tokens"
    cut = f"{found.cut:.0%} of the samples are cut at {recipe.sampling.max_new_tokens:,} tokens"
    return [*lines, f"{begun} are right {found.begun:.0%} of the time", f"{cut}, {found.unread:.0%} have no answer"]


def _of_problems(what: str, count: int, share: float | None) -> str:
    if share is None:
        return f"no problem has {what}"
    return f"{plural(count, 'problem')} with {what}, right in {share * count:.0f}"


def advice(recipe: Recipe, found: Outlook) -> list[str]:
    """What the figures speak against, most fundamental first; nothing where they don't."""
    told = []
    if found.cut > MUCH_CUT:
        told.append(
            f"{found.cut:.0%} of the samples are cut: raise sampling.max_new_tokens first, or the gain may only come "
            "from shorter answers."
        )
    if found.unread - found.cut > MUCH_UNREAD:
        told.append("Many answers can't be read: say in sampling.prompt how to give the answer, or set answers.mode.")
    if found.decided >= FEWEST and found.majority is not None and found.majority < TRUSTED:
        told.append(
            f"The majority is right {found.majority:.0%} of the time: don't train on it (prefixes.select = "
            "`consistent`, or `rollout` with prefixes.value = `agreement`)."
        )
    if found.single < RARE:
        told.append(
            f"Only {found.single:.0%} of the samples are right: unselected ones (prefixes.select = `all`) would mostly "
            "sharpen wrong answers. Select by labels (`verified`, `rollout`)."
        )
    if found.solved < SOLVED:
        told.append(
            f"Only {found.solved:.0%} of the problems are solved at all: labels (`verified`) keep few rows. Sample "
            "more (sampling.samples), or use easier problems."
        )
    if found.single > NEARLY_ALL:
        told.append(f"{found.single:.0%} of the samples are right: little is left to gain. Use harder problems.")
    return told if found.problems >= FEWEST else []
