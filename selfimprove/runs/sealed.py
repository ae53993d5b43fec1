"""The sealed finish: base against champion on problems that nothing else has touched, the number a run reports.

The sealed problems are judged once, when the rounds are through. If the same run is later taken to more rounds and its
champion changes, they are judged again, and `sealed.json` keeps both looks, numbered: a second look is no longer the
clean figure that the first one was, and every report says which look it shows.

The declared decoding (`answers.judging_decoding`) gives the figure. With `gate.beside_temperature` the same problems
are answered a second time at that temperature, and the look tells it `beside`: a gain that shows in one decoding alone
is a smaller thing than one that shows in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from selfimprove.events import Note, SealedJudged, StageStarted
from selfimprove.formatting import SAME_MODEL, percent, split_told
from selfimprove.gate.decision import interval_of_gain, interval_of_rate, pass_at_k, sentence_of_gain, split_of
from selfimprove.host.metering import metered
from selfimprove.problem import Problem
from selfimprove.recipe import Recipe
from selfimprove.round.answers import AnswersByKey, Judge, judging_order, pairs_of
from selfimprove.round.job import Job
from selfimprove.round.judge import tokens_of
from selfimprove.round.progress import Progress
from selfimprove.sampling import Sampler, derive_seed
from selfimprove.store.champion import BASE, Champion
from selfimprove.store.durable import content_hash, size_of
from selfimprove.store.looks import BesideFigures, FileSeen, SealedFigures, SealedLook
from selfimprove.store.records import SplitRecord
from selfimprove.store.rows import Answered

Found = dict[int, dict[str, Sequence[Answered]]]
"""Answers by the number of the model that gave them (0 is the base) and by problem."""


def sealed_finish(job: Job, rounds: int) -> SealedLook:
    """Judge base against champion on the sealed problems, unless the last look was at this champion."""
    looks = job.journal.sealed()
    if not looks or looks[-1].champion != job.champion.number:
        number = len(looks) + 1
        if looks:
            job.emit(Note(f"The sealed problems are judged again; the record says that this is look {number}."))
        with metered(job.journal.unfinished_sealed_cost, job.machinery.gpus) as meter:
            look = _look(job, number, rounds)
        looks = (*looks, look.model_copy(update=meter.cost.fields()))
        job.journal.write_sealed(looks)
    job.emit(_event(looks[-1]))
    return looks[-1]


def sealed_figures(keys: Sequence[str], champion: int, found: Mapping[int, AnswersByKey]) -> SealedFigures:
    """The figures of a look at these problems, from the answers of base (0) and champion alone."""
    pairs = pairs_of(keys, found[0], found[champion])
    n = len(pairs)
    before, after = sum(pair.champion for pair in pairs), sum(pair.challenger for pair in pairs)
    return SealedFigures(
        champion=champion,
        n=n,
        base_accuracy=before / n,
        base_interval=interval_of_rate(round(before), n),
        champion_accuracy=after / n,
        champion_interval=interval_of_rate(round(after), n),
        gain=(after - before) / n,
        gain_interval=interval_of_gain(pairs),
        split=SplitRecord(**asdict(split_of(pairs))),
        sentence=sentence_of_gain(pairs, "base") if champion else SAME_MODEL,
    )


def beside_figures(
    recipe: Recipe, keys: Sequence[str], champion: int, found: Mapping[int, AnswersByKey]
) -> BesideFigures | None:
    """The sealed figures at the second temperature, with pass@k; None if the recipe asks for no second decoding."""
    second = recipe.beside()
    if second is None:
        return None
    passed = {
        name: sum(pass_at_k(len(rows), sum(row.correct for row in rows), len(rows)) for rows in found[model].values())
        / len(keys)
        for name, model in (("base", 0), ("champion", champion))
    }
    figures = sealed_figures(keys, champion, found)
    accuracies = f"base {percent(figures.base_accuracy)}, champion {percent(figures.champion_accuracy)}"
    sentence = f"At temperature {second.gate.temperature:g}: {accuracies}. {figures.sentence}"
    return BesideFigures(
        temperature=second.gate.temperature or 0.0,
        samples=second.gate.samples,
        **{**dict(figures), "sentence": sentence},
        base_pass_at_k=passed["base"],
        champion_pass_at_k=passed["champion"],
    )


def _look(job: Job, number: int, rounds: int) -> SealedLook:
    """One look: both models, at each of the decodings, with the hashes of the verdicts it was made from."""
    order = judging_order(job.problems.sealed, derive_seed(job.recipe.seed, "sealed order"))
    keys = sorted(problem.key for problem in order)
    judges = {"verdicts": _judge(job, job.recipe, job.journal.sealed_verdicts)}
    if second := job.recipe.beside():
        judges["beside_verdicts"] = _judge(job, second, job.journal.beside_verdicts)
    found = _answers(job, order, judges)
    tokens = sum(tokens_of(answers) for by_model in found.values() for answers in by_model.values())
    prompts = sum(judge.prompt_tokens(order) for judge in judges.values()) * len(_sides(job))
    champion = job.champion.number
    return SealedLook(
        look=number,
        rounds=rounds,
        **dict(sealed_figures(keys, champion, found["verdicts"])),
        beside=beside_figures(job.recipe, keys, champion, found.get("beside_verdicts", {})),
        sampled_tokens=tokens,
        prompt_tokens=prompts,
        verdicts=_seen(job.journal.sealed_verdicts),
        beside_verdicts=_seen(job.journal.beside_verdicts) if second else None,
        setup=job.machinery.setup,
    )


def _judge(job: Job, recipe: Recipe, path: Path) -> Judge:
    return Judge(recipe, job.machinery.tokenizer, job.machinery.checker, path, job.emit, setup=job.machinery.setup)


def _sides(job: Job) -> list[Champion]:
    return [job.champion, BASE] if job.champion.number else [job.champion]


def _answers(job: Job, order: Sequence[Problem], judges: Mapping[str, Judge]) -> dict[str, Found]:
    """Both models' answers under each decoding; a model is loaded once for all of them."""
    sides = _sides(job)
    total = len(order) * len(sides) * len(judges)
    kept = sum(judge.kept(side.number, order) for side in sides for judge in judges.values())
    job.emit(StageStarted(number=job.number, stage="sealed", total=total, kept=kept, unit="problems"))
    found: dict[str, Found] = {name: {side.number: {} for side in sides} for name in judges}
    progress = job.progress("sealed", total)
    for side in sides:
        for name, judge in judges.items():
            sampler = partial(_sampler_at, job, side, progress)
            for fresh in judge.answers(sampler, side.number, judge.chunked(order)):
                found[name][side.number] |= fresh
                progress.add(len(fresh), judge.fresh_tokens())
    return found


def _seen(path: Path) -> FileSeen:
    return FileSeen(bytes=size_of(path), sha256=content_hash(path))


def _sampler_at(job: Job, side: Champion, progress: Progress) -> Sampler:
    return progress.sampler(job.models.folder(side))


def _event(look: SealedLook) -> SealedJudged:
    words = ("beside", "split", "parts")
    fields = {name: getattr(look, name) for name in SealedJudged.__dataclass_fields__ if name not in words}
    beside, split = look.beside.sentence if look.beside else "", split_told(look.split) if look.split else None
    return SealedJudged(**fields, beside=beside, split=split, parts=look.split.plain() if look.split else None)
