"""`selfimprove plan --calibrate`: the real parts tried for under a minute, and what a run would take told from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from selfimprove.answer.checking import Checker
from selfimprove.models import default_cache, resolve_model
from selfimprove.plan.calibration import calibrate
from selfimprove.plan.disk import need_of
from selfimprove.plan.forecast import calibrated_lines
from selfimprove.problem import load_problems
from selfimprove.recipe import Recipe, Runtime
from selfimprove.runs.assemble import parts_of


def measured_plan(recipe: Recipe, runtime: Runtime, rounds: int) -> list[str]:
    """The plan's lines from a calibration on the recipe's own model and problems."""
    problems = load_problems(recipe.problems)
    base = resolve_model(recipe.model, default_cache(), runtime.trust_remote_code)
    with Checker(workers=1) as checker, tempfile.TemporaryDirectory() as folder:
        parts = parts_of(recipe, base, runtime, checker)
        found = calibrate(recipe, problems, parts, Path(folder))
    need = need_of(recipe, parts.footprint, len(problems.train), rounds, keep_models=runtime.keep_models)
    return calibrated_lines(recipe, need, found, len(problems.train), rounds)
