"""MLflow: a run of experiment `selfimprove`, or the one that `$MLFLOW_EXPERIMENT_NAME` names.

It goes to `$MLFLOW_TRACKING_URI`, by default the file `mlflow.db` in the current folder. A later start finds the run
by a tag with its key. The recipe's keys are its parameters. The client is used, not the fluent interface, so nothing is
collected from the machine or the command line; MLflow's own telemetry is switched off unless
`$MLFLOW_DISABLE_TELEMETRY` says otherwise.
"""

from __future__ import annotations

import os

from selfimprove.tracking.metrics import Point
from selfimprove.tracking.tracker import TrackedRun

_TAG = "selfimprove.run"
_PARAM_LIMIT = 6000
"""Characters of a parameter's value; every store of MLflow takes as many."""


class Mlflow:
    """A run of MLflow."""

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        client = self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "selfimprove")
        experiment = client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
        found = client.search_runs([experiment_id], f"tags.`{_TAG}` = '{run.key}'", max_results=1)
        self.known = bool(found)
        if found:
            self._id = found[0].info.run_id
            client.update_run(self._id, status="RUNNING")
        else:
            self._id = client.create_run(experiment_id, run_name=run.name, tags={_TAG: run.key}).info.run_id
            params = [Param(key, str(value)[:_PARAM_LIMIT]) for key, value in run.config.items()]
            client.log_batch(self._id, params=params)

    def write(self, point: Point) -> None:
        """A metric for each value, at its step or its round."""
        from mlflow.entities import Metric

        milliseconds = round(point.time * 1000)
        metrics = [Metric(name, value, milliseconds, point.place) for name, value in point.values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self, finished: bool) -> None:
        """Set the run's status."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")
