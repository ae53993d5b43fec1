"""Training on a Ray cluster: `training.train` in the workers of a Ray Train `TorchTrainer`.

Ray Train places `runtime.train_processes` processes by their resources (the threads of a worker, and a GPU where there
are some), joins them to one process group, which accelerate finds, and starts the group again if a worker is lost.
With one process, the default, the adapter is what one machine makes, bit by bit (same threads and device); more sum
their gradients in another order, and the stage's counts record how many there were.

*Files.* Workers may run on nodes that don't see the run's folder. The model comes as for samplers (`ray_files.py`).
Checkpoints and the adapter go through the `Mailbox`, an actor on the driver's node: it starts with the files in the
driver's `work`, the first worker posts each checkpoint that it has written, and a group that is started again begins
with the newest. The driver empties the mailbox while it waits, writes its files into `work` and reports its steps, so a
killed run goes on from the checkpoint on any number of nodes. Only the driver writes in the run's folder.

*Failures.* What `train` raises as `StageError` or `UsageError` ends the training, through the mailbox: a group that is
started again finds it there and returns, since another try would fail the same way. A group lost more than `RESTARTS`
times is a `StageError`.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer

from selfimprove.engines.ray import Cluster
from selfimprove.engines.ray_files import Source, beside_driver, place_model
from selfimprove.engines.ray_mailbox import Files, Mailbox, Outcome, Post, Trained
from selfimprove.errors import SelfImproveError, StageError
from selfimprove.models import default_cache
from selfimprove.round.machinery import OnStep, TrainCounts, TrainJob
from selfimprove.training import train

RESTARTS = 3
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class _WorkerConfig:
    """What every worker gets; `work` and `out` of its job are the driver's folders, a worker has its own."""

    job: TrainJob
    source: Source
    mailbox: Any


@dataclass(frozen=True)
class ClusterTraining:
    """`training.train` on a cluster; a `machinery.Train`."""

    cluster: Cluster

    def __call__(self, job: TrainJob, on_step: OnStep) -> TrainCounts:
        """As `training.train`; takes the processors and GPUs of the cluster's samplers for it.

        Threads and device are the cluster's, not those of `job.runtime`, which says how the driver works.
        """
        if job.out.exists():
            raise FileExistsError(job.out)
        self.cluster.release()
        job.work.mkdir(parents=True, exist_ok=True)
        mailbox = beside_driver(Mailbox, _read(job.work))
        start = job.start.absolute() if job.start else None
        remote = replace(job, model=job.model.absolute(), start=start, runtime=self.cluster.runtime)
        fit = _trainer(_WorkerConfig(remote, self.cluster.source, mailbox), self.cluster)
        try:
            outcome = _run(fit, mailbox, job.work, on_step)
        finally:
            ray.kill(mailbox)
        if isinstance(outcome, SelfImproveError):
            raise outcome
        _write(outcome.adapter, job.work / "adapter")
        (job.work / "adapter").replace(job.out)
        return outcome.counts


def _trainer(config: _WorkerConfig, cluster: Cluster) -> Callable[[Path], Any]:
    """A function that trains on the cluster; its argument is a folder for Ray Train's own files."""
    resources = {"CPU": cluster.threads, "GPU": min(1, cluster.gpus)}
    scaling = ScalingConfig(
        num_workers=config.job.runtime.train_processes,
        use_gpu=cluster.gpus > 0,
        resources_per_worker={name: count for name, count in resources.items() if count},
    )

    def fit(folder: Path) -> Any:  # noqa: ANN401 - Ray Train's result
        run = RunConfig(name="train", storage_path=str(folder), failure_config=FailureConfig(max_failures=RESTARTS))
        own = {"config": config}
        return TorchTrainer(_train_in_worker, train_loop_config=own, scaling_config=scaling, run_config=run).fit()

    return fit


def _run(fit: Callable[[Path], Any], mailbox: Any, work: Path, on_step: OnStep) -> Outcome:  # noqa: ANN401 - an actor
    """Run `fit` in a thread, since Ctrl-C is heard by the main one, which empties the mailbox meanwhile."""
    failures: list[Exception] = []

    def run(folder: Path) -> None:
        try:
            fit(folder)
        except (TrainingFailedError, RayError) as error:
            failures.append(error)

    last = 0
    with tempfile.TemporaryDirectory(prefix="selfimprove-train-", ignore_cleanup_errors=True) as folder:
        thread = threading.Thread(target=run, args=(Path(folder),), daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            last = _deliver(ray.get(mailbox.empty.remote()), work, on_step, last)
        _deliver(ray.get(mailbox.empty.remote()), work, on_step, last)
    outcome: Outcome | None = ray.get(mailbox.outcome.remote())
    if outcome is None:
        said = [line.strip() for failure in failures for line in str(failure).splitlines() if line.strip()]
        cause = said[-1] if said else "no worker said how it ended"
        raise StageError(f"training on the cluster failed: {cause}", "`ray status` shows what the cluster has.")
    return outcome


def _deliver(post: Post, work: Path, on_step: OnStep, last: int) -> int:
    """Write the post's files and pass on its steps after step `last`; returns the last step passed on.

    A group that was started again repeats steps that were passed on before.
    """
    _write(post.work, work)
    for number, steps, loss, learning_rate in post.steps:
        if number > last:
            on_step(number, steps, loss, learning_rate)
            last = number
    return last


def _train_in_worker(loop_config: dict[str, _WorkerConfig]) -> None:
    """Train in one process of the group; the first one posts its steps, checkpoints and, in the end, the adapter."""
    config = loop_config["config"]
    mailbox = config.mailbox
    if ray.get(mailbox.outcome.remote()) is not None:
        return  # the group was started again after an error that another try can't mend
    first = ray.train.get_context().get_world_rank() == 0
    with tempfile.TemporaryDirectory(prefix="selfimprove-train-", ignore_cleanup_errors=True) as folder:
        work, out = Path(folder, "work"), Path(folder, "adapter")
        _write(ray.get(mailbox.work.remote()), work)
        try:
            model = place_model(config.job.model, config.source, default_cache())
            start = place_model(config.job.start, config.source, default_cache()) if config.job.start else None
            job = replace(config.job, model=model, start=start, work=work, out=out)
            counts = train(job, _poster(mailbox, work) if first else _ignore_step)
        except SelfImproveError as error:
            ray.get(mailbox.end.remote(error))
            raise  # or the others of the group would wait for this one
        if first:
            ray.get(mailbox.end.remote(Trained(counts, _read(out))))


def _ignore_step(number: int, steps: int, loss: float, learning_rate: float) -> None:
    """All processes take the same steps; the first one's are told."""


def _poster(mailbox: Any, work: Path) -> OnStep:  # noqa: ANN401 - an actor
    """A listener that posts each step, with the files of `work` that changed since the one before."""
    sent = _stamps(work)

    def post(number: int, steps: int, loss: float, learning_rate: float) -> None:
        nonlocal sent
        now = _stamps(work)
        changed = {name: (work / name).read_bytes() for name in now if now[name] != sent.get(name)}
        sent = now
        mailbox.step.remote((number, steps, loss, learning_rate), changed)

    return post


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = {path.name: path.stat() for path in _finished(folder)}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in found.items()}


def _finished(folder: Path) -> list[Path]:
    """The folder's files but for unfinished ones."""
    return [path for path in folder.iterdir() if path.is_file() and path.suffix != ".partial"]


def _read(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in _finished(folder)}


def _write(files: Files, folder: Path) -> None:
    """Write the files into `folder`; a kill leaves each one whole or as it was."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        temporary = folder / f"{name}.partial"
        temporary.write_bytes(data)
        temporary.replace(folder / name)
