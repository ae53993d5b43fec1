"""The engine on a Ray cluster: many samplers at once, and the same records as with one.

`Cluster` connects this process, the *driver*, to a cluster and holds the run's crew (`ray_crew.py`): `workers` actors,
each with an engine of its own, `transformers` or `vllm`, and the threads and GPUs it reserves. A worker that needs
several GPUs (tensor parallel) is one actor that reserves them all, which Ray places on one node, so no placement group
is needed for that. Training goes through Ray Train (`training/ray.py`) and takes the crew's resources: the crew is
dismissed first and hired again when something is to be sampled.

*Same records.* The unit is the chunk: what happens inside it depends on nothing outside it (except on a GPU, where a
worker samples many at once and nothing is promised), workers get whole chunks, and results are taken in the plan's
order (`Crew.map`). So the records do not depend on how many workers there are,
which one did what, or which one died, as long as engine, versions and threads per worker are the same: threads are
fixed at the start and written into the records, and a worker with other versions of `SAMPLING_PACKAGES` is refused. A
judge asks for the chunks of later batches while it looks at earlier ones; what is sampled after the deciding look is
dropped.

*What a kill costs.* A chunk is durable once the driver has it and all chunks before it. A killed driver loses each
worker's current load and those finished out of order, at most `ordered.WINDOW` per worker; a lost worker costs the time
of its load.

*Checking* stays in the pool of processes on the driver's node, which holds the checker's limits of time and memory by
killing what exceeds them: one core judges thousands of numeric answers a second, a GPU samples some tens in that time,
and the crew goes on sampling while the driver checks. A task on the cluster would cost more to send than to judge.

*Models* reach the nodes by `ray_files.py`. Every node needs the same installation of this package.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selfimprove.errors import SelfImproveError, StageError, UsageError

try:
    import ray
    from ray.exceptions import RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError:
    raise UsageError("ray is not installed", "Run: pip install 'selfimprove[ray]'") from None

from selfimprove.engines.choice import choose_engine, open_sampler, promises
from selfimprove.engines.ordered import never
from selfimprove.engines.patience import patience
from selfimprove.engines.ray_crew import Crew
from selfimprove.engines.ray_files import Source, place_model, serve_files
from selfimprove.recipe import Runtime
from selfimprove.round.machinery import SAMPLING_PACKAGES
from selfimprove.sampling import ONE_CHUNK, Completion, Hold, ManySampler, Request, Sampler, sample_chunks

REACH_SECONDS = 5.0
"""How long an address may take to answer."""

ANSWER_SECONDS = 120.0
"""How long nodes may take to say what they promise; most of it is the import of torch."""

GPU_SLICE = 0.01
"""The part of a GPU that a task asks for to see one, without waiting for a whole one."""


class Cluster:
    """A cluster and this run's workers on it; a context manager.

    `runtime.ray` is `auto` (this machine's cluster, or one that is started here and ends with the context) or an
    address. Raises `UsageError` if it can't be reached or has no room for one sampler or for all training processes.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._asked = runtime
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            # Ray reports lost nodes on standard output, which belongs to the run's events.
            self._stack.enter_context(redirect_stdout(sys.stderr))
            _connect(self._asked.ray)
            self._stack.callback(ray.shutdown)
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            uses_gpus = self._asked.device != "cpu" and any(node.get("GPU") for node in nodes)
            self.gpus = self._asked.tensor_parallel if uses_gpus else 0
            self.workers = self._asked.workers or default_workers(nodes, self.gpus)
            self.threads = self._asked.threads or share_threads(nodes, self.workers)
            refuse_small(nodes, self.threads, self.gpus, self._asked.train_processes)
            self.engine = choose_engine(self._asked.engine, bool(importlib.util.find_spec("vllm")), self.gpus > 0)
            refuse_split(self.engine, self._asked.tensor_parallel)
            self.runtime = self._asked.model_copy(update={"threads": self.threads, "engine": self.engine})
            self.promises = self._ask_promises()
            self.source = serve_files()
            self._crew = Crew(self._hire, self.workers, _name_chunk, patience)
            self._stack.callback(self._crew.dismiss)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def described(self) -> dict[str, str | int]:
        """What a round's record says of the cluster, in place of the driver's word or beside it."""
        sizes = {"threads": self.threads, "workers": self.workers}
        return {"engine": self.engine, **sizes, "ray": ray.__version__, **self.promises}

    def sampler(self, model: Path, adapter: Path | None = None, /) -> RaySampler:
        """A sampler on the model in the driver's folder `model`, with the LoRA in `adapter` if any; one at a time."""
        return RaySampler(self._crew, model.absolute(), adapter.absolute() if adapter else None)

    def release(self) -> None:
        """Give the crew's processors and GPUs back; the next sampler starts a new crew."""
        self._crew.dismiss()

    def _ask_promises(self) -> dict[str, bool]:
        """What all nodes with room for a worker promise (`choice.promises`); the driver's device may be another.

        Each is asked by a task that sees a GPU where a worker would. `StageError` if none answers in
        `ANSWER_SECONDS`; one that answers later is not waited for.
        """
        ask = ray.remote(max_calls=1)(promises)  # its process ends with the answer, and with it a GPU's context
        tasks = []
        for node in ray.nodes():
            if node["Alive"] and _fits(node["Resources"], self.threads, self.gpus):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                place = {"num_cpus": 0, "num_gpus": min(self.gpus, GPU_SLICE), "scheduling_strategy": there}
                tasks.append(ask.options(**place).remote(self.engine, self.runtime))
        answered, _ = ray.wait(tasks, num_returns=len(tasks), timeout=ANSWER_SECONDS)
        if not answered:
            raise StageError(
                f"no node of the cluster answered in {ANSWER_SECONDS:.0f} seconds",
                "`ray status` shows what the cluster has room for.",
            )
        try:
            return all_promise(ray.get(answered))
        except RayTaskError as error:
            if isinstance(error.cause, SelfImproveError):
                raise error.cause from None
            raise

    def _hire(self) -> Any:  # noqa: ANN401 - an actor's handle
        place = {"num_cpus": self.threads, "num_gpus": self.gpus, "scheduling_strategy": "SPREAD"}
        return ray.remote(_Worker).options(**place).remote(self.runtime, self.source)


class RaySampler:
    """The `Sampler` of a crew; `sample_chunks` keeps all its workers busy."""

    reproducible = False
    """True once open if the same chunk gives the same completions again, on any worker."""

    def __init__(self, crew: Crew, model: Path, adapter: Path | None = None) -> None:
        self._crew = crew
        self._model = model
        self._adapter = adapter
        self.hold = ONE_CHUNK

    def __enter__(self) -> Self:
        self.reproducible, self.hold = self._crew.prepare(self._model, self._adapter, _versions())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.rest()

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in order; the requests are one chunk."""
        for completions in self.sample_chunks([requests]):
            yield from completions

    def sample_chunks(self, chunks: Iterable[Sequence[Request]]) -> Iterator[list[Completion]]:
        """The completions of each chunk, in the order of the chunks; raises as the workers' engine does."""
        yield from self._crew.map(chunks, self.hold.joins if self.hold.rows else never)

    def await_workers(self) -> None:
        """Return once every worker has the model open; sampling itself begins with the first that has."""
        self._crew.await_all()


class _Worker:
    """One worker's process: an engine on one model at a time."""

    def __init__(self, runtime: Runtime, source: Source) -> None:
        self._runtime = runtime
        self._source = source
        self._stack = ExitStack()
        self._sampler: Sampler | None = None

    def prepare(self, model: Path, adapter: Path | None, versions: dict[str, str]) -> tuple[bool, Hold]:
        """Close the model before and open this one, with this adapter if any.

        Returns whether the engine is reproducible, and what it holds. `versions` are the driver's; `UsageError` if
        this node has others.
        """
        from selfimprove.models import default_cache

        _refuse_versions(versions)
        self.rest()
        folder = place_model(model, self._source, default_cache())
        placed = place_model(adapter, self._source, default_cache()) if adapter else None
        self._sampler = self._stack.enter_context(open_sampler(self._runtime.engine, folder, self._runtime, placed))
        return self._sampler.reproducible, self._sampler.hold if isinstance(self._sampler, ManySampler) else ONE_CHUNK

    def rest(self) -> None:
        """Close the model and free its memory."""
        self._sampler = None
        self._stack.close()

    def work(self, load: Sequence[Sequence[Request]]) -> list[list[Completion]]:
        """The completions of each chunk of the load."""
        if self._sampler is None:
            raise RuntimeError("the worker has no model")
        return list(sample_chunks(self._sampler, load))


def all_promise(answers: Sequence[dict[str, bool]]) -> dict[str, bool]:
    """The promises that every node makes: a chunk may be sampled on any of them."""
    return {name: all(answer[name] for answer in answers) for name in answers[0]}


def _connect(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address != "auto":
        _refuse_unreachable(address)
    on_terminate = signal.getsignal(signal.SIGTERM)  # Ray installs a handler that exits without a message
    passed = {name: os.environ[name] for name in ("OMP_WAIT_POLICY", "HF_HUB_OFFLINE") if name in os.environ}
    try:
        ray.init(
            address=None if address == "auto" else address,
            runtime_env={"env_vars": {"OMP_WAIT_POLICY": "PASSIVE", **passed}},
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"--ray {address}: no cluster to connect to: {cause}", _HINT) from None
    finally:
        signal.signal(signal.SIGTERM, on_terminate)


_HINT = "On the first machine run: ray start --head; on the others: ray start --address=HOST:6379; see docs/scale.md."


def _refuse_unreachable(address: str) -> None:
    """`UsageError` within `REACH_SECONDS`, where Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal():
        raise UsageError(
            f"--ray {address}: not of the form HOST:PORT", "Use `auto`, or run this on a node of the cluster."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"--ray {address}: can't be reached ({error})", _HINT) from None


def default_workers(nodes: Sequence[dict[str, float]], gpus: int) -> int:
    """One worker for each `gpus` GPUs of a node; where workers use none, one per node with a processor."""
    if gpus:
        return max(1, sum(int(node.get("GPU", 0)) // gpus for node in nodes))
    return max(1, len([node for node in nodes if node.get("CPU", 0) >= 1]))


def share_threads(nodes: Sequence[dict[str, float]], workers: int) -> int:
    """Threads of each worker: an equal share of all processors, at most what the smallest node has."""
    cores = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    return max(1, min(sum(cores) // workers, min(cores, default=1)))


def refuse_small(nodes: Sequence[dict[str, float]], threads: int, gpus: int, processes: int) -> None:
    """`UsageError` unless the nodes have room for one sampler and for all training processes.

    Further samplers wait until the cluster has room for them.
    """
    for what, count, wanted in (("sampler", 1, gpus), ("training process", processes, min(1, gpus))):
        room = sum(_fits(node, threads, wanted) for node in nodes)
        if room < count:
            size = f"{threads} cores" + (f" and {wanted} GPUs" if wanted else "")
            raise UsageError(
                f"the cluster has room for {room} of {count} {what} with {size} each",
                "Lower --threads, --tensor-parallel or --train-processes, or add nodes.",
            )


def refuse_split(engine: str, gpus: int) -> None:
    """`UsageError` if the model is to be split over GPUs by an engine that uses one."""
    if engine == "transformers" and gpus > 1:
        raise UsageError(
            f"--tensor-parallel {gpus}: several GPUs need the vllm engine, and this cluster samples with transformers",
            "Leave --tensor-parallel out, or on every node with GPUs run: pip install 'selfimprove[vllm]'",
        )


def _fits(node: dict[str, float], threads: int, gpus: int) -> int:
    """How many workers of that size the node has room for."""
    by_threads = int(node.get("CPU", 0)) // threads
    return min(by_threads, int(node.get("GPU", 0)) // gpus) if gpus else by_threads


def _versions() -> dict[str, str]:
    found = {}
    for package in SAMPLING_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _refuse_versions(driver: dict[str, str]) -> None:
    own = _versions()
    other = [f"{name} {own.get(name, 'missing')}" for name in driver if own.get(name) != driver[name]]
    if other:
        wanted = ", ".join(f"{name}=={driver[name]}" for name in driver if own.get(name) != driver[name])
        raise UsageError(
            f"node {socket.gethostname()} has {', '.join(other)}: different versions sample different tokens",
            f"Install the versions of this machine: {wanted}",
        )


def _name_chunk(chunk: Sequence[Request]) -> str:
    return f"the chunk of {len(chunk)} rows that begins with problem {chunk[0].key}, sample {chunk[0].sample}"
