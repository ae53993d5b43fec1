"""MLflow: a run of experiment `selfimprove`, or the one that `$MLFLOW_EXPERIMENT_NAME` names.

It goes to `$MLFLOW_TRACKING_URI`, by default the file `mlflow.db` in the current folder. A later start finds the run
again by a tag that holds its key. The recipe's keys are its parameters. The client is used, not the fluent interface,
so nothing is collected from the machine or the command line; MLflow's own reports on how it is used are switched off
unless `$MLFLOW_DISABLE_TELEMETRY` says otherwise.
"""

from __future__ import annotations

import os

from selfimprove.tracking.points import Point
from selfimprove.tracking.tracker import TrackedRun

_TAG = "selfimprove.run"
_LONGEST = 6000
"""Characters of a parameter that every store of MLflow takes."""


class Mlflow:
    """A run of MLflow."""

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "selfimprove")
        there = self._client.get_experiment_by_name(name)
        experiment = there.experiment_id if there else self._client.create_experiment(name)
        found = self._client.search_runs([experiment], f"tags.`{_TAG}` = '{run.key}'", max_results=1)
        self.known = bool(found)
        made = found[0] if found else self._client.create_run(experiment, run_name=run.name, tags={_TAG: run.key})
        self._id = made.info.run_id
        if self.known:
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._log_config(run)

    def write(self, point: Point) -> None:
        """A metric for each value, at its step or its round."""
        from mlflow.entities import Metric

        moment = round(point.time * 1000)
        metrics = [Metric(name, value, moment, point.place) for name, value in point.values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self, finished: bool) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")

    def _log_config(self, run: TrackedRun) -> None:
        from mlflow.entities import Param

        params = [Param(key, str(value)[:_LONGEST]) for key, value in run.config.items()]
        self._client.log_batch(self._id, params=params)
