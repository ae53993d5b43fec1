"""Stage `merge`: base, accepted chain and this round's adapter summed into one model, and its certificate.

A merge that fails its certificate stops the round here, before anything is spent on judging it.
"""

from __future__ import annotations

import shutil

from selfimprove.errors import StageError
from selfimprove.events import StageStarted
from selfimprove.round.job import Job, plain_prompt
from selfimprove.round.machinery import MergeCheck
from selfimprove.store.durable import publish, write_json
from selfimprove.store.records import Counts


def merge(job: Job) -> Counts:
    """Merge base, accepted chain and this adapter into model/, certified in certificate.json."""
    job.emit(StageStarted(number=job.number, stage="merge", total=1, kept=0, unit="model"))
    parent = job.champion_model()
    job.samplers.close()
    out = job.files.scratch("model")
    shutil.rmtree(out, ignore_errors=True)
    adapters = [job.journal.round(number).adapter for number in (*job.champion.chain, job.number)]
    check = MergeCheck(parent, _canaries(job), job.recipe.merging)
    certificate = job.machinery.merge(job.machinery.merge_job(adapters, out, job.recipe.rounding()), check)
    write_json(job.files.certificate, certificate.plain())
    if not certificate.passed:
        raise StageError(
            f"round {job.number}: the merge failed its certificate: {'; '.join(certificate.failures)}",
            f"{job.files.certificate} has the figures. If rounding lost the update, start a new run with "
            f"--set model.dtype=float32, or with a higher rate than {job.recipe.training.learning_rate:g} "
            "(--set training.learning_rate=…).",
        )
    publish(out, job.files.model)
    job.models.made(job.files.model)
    return Counts(
        adapters=len(adapters),
        survival=certificate.survival,
        functional_share=certificate.functional_share,
        agreement=certificate.agreement,
    )


def _canaries(job: Job) -> list[tuple[int, ...]]:
    chosen = sorted(job.problems.heldout, key=lambda problem: problem.key)[: job.recipe.merging.canaries]
    return [plain_prompt(job, problem) for problem in chosen]
