"""What the stages of a round share: the round to run, and the prompts of its problems.

A stage reads what the one before it wrote, works in units that are durable one by one (chunks of samples, training
checkpoints, judged batches), and returns the counts of its done-record. Called again after a kill, it keeps what is
durable and goes on; it never needs to know whether it is resumed. Models come in as the callables of `Machinery`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from selfimprove.events import Emit
from selfimprove.problem import Problem, ProblemSets
from selfimprove.recipe import Recipe, Sampling
from selfimprove.round.machinery import Machinery, Samplers
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.progress import Progress
from selfimprove.sampling import Tokenizer, derive_seed, render_prompt
from selfimprove.store.champion import Champion
from selfimprove.store.journal import Journal
from selfimprove.store.round_folder import RoundFolder


@dataclass(frozen=True)
class Job:
    """One round to run: its number, what it starts from, and where it writes.

    `step` is the step of the round that its stages work on, 0 for the last one and for what follows it: merging and
    judging (`schedule.steps`).
    """

    number: int
    champion: Champion
    recipe: Recipe
    problems: ProblemSets
    machinery: Machinery
    journal: Journal
    samplers: Samplers
    models: ModelCache
    emit: Emit
    step: int = 0

    @property
    def files(self) -> RoundFolder:
        """The round's folder, with the files of this step."""
        return self.journal.round(self.number).at_step(self.step)

    @property
    def place(self) -> str:
        """The round and, if it has several, the step, in words."""
        steps = self.recipe.schedule.steps
        return f"round {self.number}" if steps == 1 else f"round {self.number}, step {self.step or steps} of {steps}"

    @property
    def adapter_so_far(self) -> Path | None:
        """The adapter that the step before this one trained, which it goes on from; None in a round's first step."""
        before = (self.step or self.recipe.schedule.steps) - 1
        return self.files.at_step(before).adapter if before else None

    def seed(self, *parts: int | str) -> int:
        """A seed of this round for the given purpose."""
        return derive_seed(self.recipe.seed, self.number, *parts)

    def progress(self, stage: str, total: int, done: int = 0) -> Progress:
        """The progress of a stage of this round, `done` of whose `total` units are on record."""
        return Progress(self.emit, self.samplers, number=self.number, stage=stage, total=total, done=done)

    def champion_model(self) -> Path:
        """The champion's model folder, built again if its cache is missing or damaged."""
        return self.models.folder(self.champion)

    def challenger_model(self) -> Path:
        """The model folder that this round's merge made, built again if its cache is missing or damaged."""
        return self.models.folder(Champion(self.number, (*self.champion.chain, self.number)))


def problems_of_step(job: Job) -> list[Problem]:
    """The training problems of this step: of the round's, dealt like cards, the ones that fall to it."""
    steps = job.recipe.schedule.steps
    return problems_of_round(job)[(job.step or steps) - 1 :: steps]


def problems_of_round(job: Job) -> list[Problem]:
    """The training problems of this round: all, or the next ones of a seeded order that starts over at its end."""
    ordered = sorted(job.problems.train, key=lambda problem: problem.key)
    random.Random(derive_seed(job.recipe.seed, "train order")).shuffle(ordered)
    wanted = min(job.recipe.sampling.problems_per_round or len(ordered), len(ordered))
    first = (job.number - 1) * wanted
    return [ordered[(first + place) % len(ordered)] for place in range(wanted)]


def plain_prompt(job: Job, problem: Problem) -> tuple[int, ...]:
    """The ids of the problem's plain question."""
    return prompt_of(job.machinery.tokenizer, job.recipe.sampling, problem)


def prompt_of(tokenizer: Tokenizer, settings: Sampling, problem: Problem, template: str = "") -> tuple[int, ...]:
    """The prompt ids of the problem, by default in the user turn of sampling; its own system turn goes first."""
    return render_prompt(tokenizer, problem.system or settings.system, template or settings.prompt, problem.question)
