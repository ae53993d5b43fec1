"""The placebo: what the same training does when the prefixes belong to other problems.

Some models gain from almost any fine-tuning (arXiv 2506.10947 saw 21 points from random rewards), so a gain over the
champion alone doesn't show that the method's signal caused it. With `gate.placebo` a round trains a twin of its
adapter on the same prompts and the same targets, each target moved to another problem: equal tokens, equal steps, no
information. The twin is merged and judged on the very problems that decided the round, and the round's record shows the
gain over it with its interval. The placebo has no vote: the gate has decided before it is looked at.

Its files stand in the round's folder under `placebo/`; in verdicts the placebo of round n is model −n.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from selfimprove.gate.decision import interval_of_gain, sentence_of_gain, split_of
from selfimprove.recipe import Recipe
from selfimprove.round.answers import Judge, pairs_of, read_answers, scorecard
from selfimprove.round.job import Job
from selfimprove.round.judge import held_out_order, tokens_of
from selfimprove.round.prefixes import Example
from selfimprove.round.train import fit, read_examples
from selfimprove.store.durable import make_folder, publish
from selfimprove.store.records import Counts, PlaceboRecord, SplitRecord
from selfimprove.store.round_folder import RoundFolder
from selfimprove.store.rows import Answered, Kind

NAME = "placebo"


def wanted(recipe: Recipe) -> bool:
    """Whether the recipe asks for a placebo."""
    return recipe.gate.placebo


def placebo(job: Job) -> Counts:
    """Train, merge and judge the round's placebo; the counts say what it cost."""
    adapter = job.files.placebo_adapter
    make_folder(adapter.parent)
    examples = permute_targets(read_examples(job), job.seed("placebo"))
    counts = fit(job, NAME, examples, adapter)
    model = _merged(job)
    challenger = read_answers(job.files.verdicts, job.number)
    judged = [problem for problem in held_out_order(job) if problem.key in challenger]
    parts, path = job.machinery, job.files.placebo_verdicts
    judge = Judge(job.recipe, parts.tokenizer, parts.checker, path, job.emit, setup=parts.setup)
    judge.drop_other_setups()
    found: dict[str, Sequence[Answered]] = {}
    progress = job.progress(NAME, len(judged))
    for fresh in judge.answers(lambda: progress.sampler(model), -job.number, judge.chunked(judged)):
        found |= fresh
        progress.add(len(fresh), judge.fresh_tokens())
    job.samplers.close()
    shutil.rmtree(model)
    return Counts(
        problems=len(found),
        sampled_tokens=tokens_of(found),
        prompt_tokens=judge.prompt_tokens(judged),
        target_tokens=counts.target_tokens,
        trained_prompt_tokens=counts.trained_prompt_tokens,
    )


def placebo_record(files: RoundFolder, number: int) -> PlaceboRecord:
    """The placebo's scorecard and the challenger's gain over it, for `round.json`, from the verdicts alone."""
    answers = read_answers(files.placebo_verdicts, -number)
    challenger = read_answers(files.verdicts, number)
    pairs = pairs_of(sorted(challenger), answers, challenger)
    return PlaceboRecord(
        scorecard=scorecard(answers),
        gain_over_placebo=sum(pair.challenger - pair.champion for pair in pairs) / max(1, len(pairs)),
        gain_interval=interval_of_gain(pairs),
        split=SplitRecord(**asdict(split_of(pairs))),
        sentence=sentence_of_gain(pairs, NAME),
    )


def _merged(job: Job) -> Path:
    model = job.files.scratch("placebo-model")
    if not model.exists():
        temporary = job.files.scratch("placebo-merging")
        shutil.rmtree(temporary, ignore_errors=True)
        adapters = [*(job.journal.round(number).adapter for number in job.champion.chain), job.files.placebo_adapter]
        job.machinery.rebuild(job.machinery.merge_job(adapters, temporary, job.recipe.rounding()))
        publish(temporary, model)
    return model


def permute_targets(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples with their targets moved to other problems, within each kind; equal targets in total.

    No target stays with its problem as long as no problem holds more than half of the examples of a kind.
    """
    permuted = list(examples)
    for kind in Kind:
        places = [place for place, example in enumerate(examples) if example.kind == kind]
        random.Random(seed).shuffle(places)
        places.sort(key=lambda place: examples[place].key)  # stable: problems together, shuffled inside
        largest = max(Counter(examples[place].key for place in places).values(), default=0)
        for position, place in enumerate(places):
            source = examples[places[(position + largest) % len(places)]]
            permuted[place] = replace(examples[place], target_ids=source.target_ids)
    return permuted
