"""The answers of one model under one set of settings, in a file that every evaluation of the run shares.

    evaluate/answers/<model>-<settings>.jsonl        judged answers, as in a round's verdicts
    evaluate/answers/<model>-<settings>.plan.json    the batches in hand, while some are owed

The file is named by the hash of the model and of all that the answers depend on, so a problem that was answered is
never answered again, whichever evaluation asked it. Answers that the run recorded while it judged, under the same
settings, are taken over.

*Resuming.* What is missing is cut into batches, and the plan is made durable before anything is sampled. `Judge`
appends each batch whole. After a kill the batches of the plan that are whole stand, what is left of a torn one goes,
and the others are sampled as they were planned: the file ends as if nothing had happened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import UnreadableError
from selfimprove.problem import Problem
from selfimprove.problem.judging import checker_digest
from selfimprove.recipe import Recipe
from selfimprove.round.answers import (
    AnswersByKey,
    RunAnswers,
    judging_decoding,
    read_answers,
    settled,
)
from selfimprove.store.durable import keep_rows, make_folder, read_json, write_json
from selfimprove.store.journal import Journal
from selfimprove.store.rows import Answered

MODEL = 0
"""The model's number in the rows: a file has one model, which its name tells."""
DIGITS = 12
"""Digits of a hash in a file's name."""


def settings_digest(recipe: Recipe, setup: str) -> str:
    """A hash of all that answers and verdicts depend on but the model: settings, and the setup (`Machinery.setup`)."""
    decoding, sampling = judging_decoding(recipe), recipe.sampling
    told = {
        "system": sampling.system,
        "prompt": sampling.prompt,
        "template": sampling.template,
        "max_new_tokens": sampling.max_new_tokens,
        "decoding": [decoding.temperature, decoding.top_p, decoding.top_k],
        "samples": recipe.gate.samples,
        "seed": recipe.seed,
        "dtype": recipe.model.dtype,
        "answers": recipe.answers.model_dump(mode="json"),
        "checker": checker_digest(recipe.answers),
        "setup": setup,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:DIGITS]


@dataclass(frozen=True)
class Book:
    """The file of answers, each problem of which has `samples`; the problems of a batch are made durable at once."""

    path: Path
    samples: int
    batches: Callable[[Sequence[Problem]], Sequence[Sequence[Problem]]]
    """Cuts problems into batches."""

    @property
    def _plan_path(self) -> Path:
        return self.path.with_suffix(".plan.json")

    def owed(self, problems: Sequence[Problem]) -> list[Sequence[Problem]]:
        """The batches to pass to `Judge` for these problems, in a plan that is durable; none if all are answered."""
        named, planned = {problem.key: problem for problem in problems}, self._planned()
        held = set(self.held())
        torn = {key for batch in planned if not held.issuperset(batch) for key in batch}
        self._drop(torn)
        if not all(key in named for batch in planned for key in batch):
            planned = []
        covered = {key for batch in planned for key in batch} | held - torn
        missing = [problem for key, problem in named.items() if key not in covered]
        batches = [*planned, *([problem.key for problem in batch] for batch in self.batches(missing))]
        if batches:
            make_folder(self.path.parent)
            write_json(self._plan_path, {"batches": batches})
        return [[named[key] for key in batch] for batch in batches]

    def finish(self) -> None:
        """Forget the plan, all of whose batches are answered."""
        self._plan_path.unlink(missing_ok=True)

    def held(self) -> AnswersByKey:
        """The answers of the problems that have all of theirs."""
        found = read_answers(self.path, MODEL)
        return {key: rows for key, rows in found.items() if len(rows) == self.samples}

    def lend(self, answers: AnswersByKey, problems: Sequence[Problem]) -> None:
        """Take these answers over for those of the problems that have none; not while a plan is in hand."""
        held = read_answers(self.path, MODEL)
        keys = [one.key for one in problems if one.key not in held and len(answers.get(one.key, ())) == self.samples]
        if not keys or self._plan_path.exists():
            return
        make_folder(self.path.parent)
        lent = [row.model_copy(update={"model": MODEL}) for key in keys for row in answers[key]]
        rows = [*(row for found in held.values() for row in found), *lent]
        keep_rows(self.path, [row.model_dump() for row in rows])

    def _planned(self) -> list[list[str]]:
        try:
            return [list(map(str, batch)) for batch in read_json(self._plan_path).get("batches", [])]
        except UnreadableError:
            return []

    def _drop(self, gone: set[str]) -> None:
        if not gone:
            return
        found = read_answers(self.path, MODEL)
        if gone & found.keys():
            rows = [row for key, rows in found.items() if key not in gone for row in rows]
            keep_rows(self.path, [row.model_dump() for row in rows])


def recorded_answers(journal: Journal, model: int, setup: str) -> AnswersByKey:
    """The answers of a model of the run under this setup in the verdicts of its rounds and of its sealed looks."""
    answers = RunAnswers(journal)
    found: dict[str, Sequence[Answered]] = {}
    for record in journal.rounds():
        found |= settled(answers.of(record.round, model), setup)
    return {**found, **settled(read_answers(journal.sealed_verdicts, model, setup), setup)}
