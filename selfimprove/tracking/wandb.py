"""Weights & Biases: a run of project `selfimprove` (or `$WANDB_PROJECT`), online or with `WANDB_MODE=offline`.

Its id is the run's key, so a later start goes on in the same run. Console output, code, git state, package lists and
machine facts, which wandb collects by itself, are switched off: it gets the points and the recipe, nothing else.
wandb's only axis is a step that never falls, so points by round are logged at the step that the round ended with,
together with `round`, which their charts have as x axis. An offline start can't know what was sent before: it holds
the whole history, and `wandb sync` of the last one is enough.
"""

from __future__ import annotations

import os

from selfimprove.errors import UsageError
from selfimprove.tracking.metrics import Point
from selfimprove.tracking.tracker import TrackedRun


def refuse_logged_out() -> None:
    """Raises `UsageError` if wandb would prompt for an API key, which a run in the background can't answer."""
    import wandb

    if wandb.setup().settings.mode in {"offline", "disabled", "dryrun"}:
        return
    if not wandb.login(prompt=False):
        raise UsageError("--track wandb: not logged in", "Run: wandb login, or set WANDB_MODE=offline.")


class Wandb:
    """A run of Weights & Biases."""

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "selfimprove"),
            id=run.key,
            name=run.name,
            resume="allow",
            config=dict(run.config),
            allow_val_change=True,
            settings=wandb.Settings(
                console="off",
                silent=True,
                save_code=False,
                disable_git=True,
                disable_job_creation=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            ),
        )
        self.known = bool(self._run.resumed)
        self._run.define_metric("round")
        for names in ("round/*", "cost/*", "sealed/*"):
            self._run.define_metric(names, step_metric="round")

    def write(self, point: Point) -> None:
        """One row at the point's step."""
        self._run.log(point.with_round, step=point.step)

    def close(self, finished: bool) -> None:
        """Wait until all is sent; a run that isn't finished is marked as failed."""
        self._run.finish(exit_code=0 if finished else 1)
