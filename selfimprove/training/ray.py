"""Training on a Ray cluster: `training.train` in the workers of a Ray Train `TorchTrainer`.

Ray Train places `runtime.train_processes` processes by their resources (the threads of a worker, and a GPU where there
are some), joins them to one process group, which accelerate finds, and starts the group again if a worker is lost.
With one process, the default, the adapter is what one machine makes, bit by bit (same threads and device); more sum
their gradients in another order, and the counts of the stage say how many they were.

*Files.* Workers may stand on nodes that don't see the run's folder. The model comes as for samplers (`ray_files.py`).
Checkpoints and the adapter travel through the `Mailbox`, an actor on the driver's node: it starts with what is in the
driver's `work`, the first worker posts a checkpoint when it has written one, and a group that is started again begins
with the newest. The driver empties the mailbox while it waits, writes what came into `work` and tells the steps, so a
killed run goes on from the checkpoint on any number of nodes. Only the driver writes in the run's folder.

*Failures.* What `train` raises as `StageError` or `UsageError` ends the training, through the mailbox: a group that is
started again finds it there and returns, since another try would fail the same way. A group lost more than `RESTARTS`
times is a `StageError`.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer

from selfimprove.engines.ray import Cluster
from selfimprove.engines.ray_files import Source, beside_driver, place_model
from selfimprove.engines.ray_mailbox import Files, Mailbox, Outcome, Post
from selfimprove.errors import SelfImproveError, StageError
from selfimprove.models import default_cache
from selfimprove.recipe import Runtime, Training
from selfimprove.round.prefixes import Example
from selfimprove.training import OnStep, train

RESTARTS = 3
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class _Job:
    examples: Sequence[Example]
    model: Path
    settings: Training
    seed: int
    runtime: Runtime
    source: Source
    mailbox: Any


@dataclass(frozen=True)
class ClusterTraining:
    """`training.train` on a cluster; a `parts.Train`."""

    cluster: Cluster

    def __call__(
        self,
        examples: Sequence[Example],
        model: Path,
        work: Path,
        out: Path,
        settings: Training,
        seed: int,
        runtime: Runtime,
        on_step: OnStep,
    ) -> dict[str, Any]:
        """As `training.train`; takes the processors and GPUs of the cluster's samplers for it.

        Threads and device are the cluster's, not those of `runtime`, which says how the driver works.
        """
        if out.exists():
            raise FileExistsError(out)
        self.cluster.release()
        work.mkdir(parents=True, exist_ok=True)
        mailbox = beside_driver(Mailbox, _read(work))
        job = _Job(examples, model.absolute(), settings, seed, self.cluster.runtime, self.cluster.source, mailbox)
        try:
            outcome = _run(_trainer(job, self.cluster), mailbox, work, on_step)
        finally:
            ray.kill(mailbox)
        if outcome.error:
            raise outcome.error
        _write(outcome.adapter, work / "adapter")
        (work / "adapter").replace(out)
        return outcome.counts


def _trainer(job: _Job, cluster: Cluster) -> Callable[[Path], Any]:
    """What trains when it is called with a folder for Ray Train's own files."""
    resources = {"CPU": cluster.threads, "GPU": min(1, cluster.gpus)}
    scaling = ScalingConfig(
        num_workers=job.runtime.train_processes,
        use_gpu=cluster.gpus > 0,
        resources_per_worker={name: count for name, count in resources.items() if count},
    )

    def fit(folder: Path) -> Any:  # noqa: ANN401 - Ray Train's result
        own = RunConfig(name="train", storage_path=str(folder), failure_config=FailureConfig(max_failures=RESTARTS))
        return TorchTrainer(_train_here, train_loop_config={"job": job}, scaling_config=scaling, run_config=own).fit()

    return fit


def _run(fit: Callable[[Path], Any], mailbox: Any, work: Path, on_step: OnStep) -> Outcome:  # noqa: ANN401 - an actor
    """Fit in a thread, since Ctrl-C is heard by the main thread, and meanwhile do what the post asks for."""
    failures: list[Exception] = []

    def run(folder: Path) -> None:
        try:
            fit(folder)
        except (TrainingFailedError, RayError) as error:
            failures.append(error)

    heard = 0
    with tempfile.TemporaryDirectory(prefix="selfimprove-train-", ignore_cleanup_errors=True) as folder:
        thread = threading.Thread(target=run, args=(Path(folder),), daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            heard = _read_post(ray.get(mailbox.empty.remote()), work, on_step, heard)
        heard = _read_post(ray.get(mailbox.empty.remote()), work, on_step, heard)
    outcome: Outcome | None = ray.get(mailbox.outcome.remote())
    if outcome is None:
        said = [line.strip() for failure in failures for line in str(failure).splitlines() if line.strip()]
        cause = said[-1] if said else "no worker said how it ended"
        raise StageError(f"training on the cluster failed: {cause}", "`ray status` shows what the cluster has.")
    return outcome


def _read_post(post: Post, work: Path, on_step: OnStep, heard: int) -> int:
    """Write the files, tell the steps after `heard` (a group that began again repeats some); the last one told."""
    _write(post.work, work)
    for number, steps, loss, learning_rate in post.steps:
        if number > heard:
            on_step(number, steps, loss, learning_rate)
            heard = number
    return heard


def _train_here(config: dict[str, Any]) -> None:
    """One process of the group."""
    job: _Job = config["job"]
    if ray.get(job.mailbox.outcome.remote()) is not None:
        return  # the group was started again after an error that another try can't mend
    first = ray.train.get_context().get_world_rank() == 0
    with tempfile.TemporaryDirectory(prefix="selfimprove-train-", ignore_cleanup_errors=True) as folder:
        work, out = Path(folder, "work"), Path(folder, "adapter")
        _write(ray.get(job.mailbox.work.remote()), work)
        try:
            model = place_model(job.model, job.source, default_cache())
            post = _poster(job.mailbox, work) if first else _unheard
            counts = train(job.examples, model, work, out, job.settings, job.seed, job.runtime, post)
        except SelfImproveError as error:
            ray.get(job.mailbox.end.remote(Outcome(error=error)))
            raise  # or the others of the group would wait for this one
        if first:
            ray.get(job.mailbox.end.remote(Outcome(counts, _read(out))))


def _unheard(number: int, steps: int, loss: float, learning_rate: float) -> None:
    """Only the first process's steps are told."""


def _poster(mailbox: Any, work: Path) -> OnStep:  # noqa: ANN401 - an actor
    sent = _stamps(work)

    def post(number: int, steps: int, loss: float, learning_rate: float) -> None:
        nonlocal sent
        now = _stamps(work)
        changed = {name: (work / name).read_bytes() for name in now if now[name] != sent.get(name)}
        sent = now
        mailbox.step.remote((number, steps, loss, learning_rate), changed)

    return post


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = {path.name: path.stat() for path in _whole(folder)}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in found.items()}


def _whole(folder: Path) -> list[Path]:
    """The folder's files, unfinished ones left out."""
    return [path for path in folder.iterdir() if path.is_file() and path.suffix != ".partial"]


def _read(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in _whole(folder)}


def _write(files: Files, folder: Path) -> None:
    """Each file is whole or as it was."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        temporary = folder / f"{name}.partial"
        temporary.write_bytes(data)
        temporary.replace(folder / name)
