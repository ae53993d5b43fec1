"""Sampling throughput of each engine on this machine, against `generate` and against the hardware's ceiling.

The work (`work.py`) is prompts of mixed kinds and lengths, or those of a problem file, all under one chat template.
Every engine gets the same requests, cut by `plan_chunks`; `generate` gets them in batches of 64 sorted by length, which
keeps padding lowest. Loading, compiling and a warm-up batch are not timed. Tokens are those of completions, EOS
included, padding excluded. Engines alternate, so that a machine that slows down slows all of them.

*Ceilings* are measured too: the rate of large matrix products in both dtypes, and memory bandwidth. A decoded token
costs two floating-point operations per weight, and a step reads all weights once however many rows it has, so a step of
r rows takes at least the longer of r · 2 · weights / rate and bytes / bandwidth; prompt tokens cost products alone. The
steps are those of each chunk as a batch of its own, whose rows leave as they end. Prompt tokens count as if no prefix
were shared, so the share of the ceiling can be too high where prompts share a long prefix.

`python -m benchmarks.bench.engines --out FILE` prints the table and writes it as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.bench.llama_cpp import llama_server, sampled
from benchmarks.bench.work import Work
from selfimprove.engines.transformers import TransformersSampler
from selfimprove.models import compute_dtype, load_tokenizer
from selfimprove.recipe import EMBEDDED, Runtime
from selfimprove.sampling import Request, Sampler, plan_chunks

Chunk = Sequence[Request]
Run = Callable[[Chunk], Sequence[int]]
"""Samples a chunk, and returns how many tokens each of its completions has."""

GENERATE_ROWS = 64


@dataclass(frozen=True)
class Speed:
    """One engine's tokens and seconds in each repeat of the same work, and the lengths of each chunk's completions."""

    engine: str
    tokens: tuple[int, ...]
    seconds: tuple[float, ...]
    lengths: tuple[tuple[int, ...], ...]
    """Of the last repeat."""

    @property
    def rates(self) -> tuple[float, ...]:
        """Tokens per second of each repeat."""
        return tuple(tokens / seconds for tokens, seconds in zip(self.tokens, self.seconds, strict=True))

    @property
    def median(self) -> float:
        """Median tokens per second."""
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Ceilings:
    """What the machine reaches: matrix products in GFLOP/s, memory reads in GB/s."""

    bfloat16: float
    float32: float
    memory: float


def sampler_run(sampler: Sampler) -> Run:
    """A `Run` of an open sampler."""
    return lambda chunk: [len(completion.token_ids) for completion in sampler.sample(chunk)]


def generate_run(model: Any, pad: int) -> Run:  # noqa: ANN401 - transformers' mixture of classes has no type for it
    """A `Run` of transformers' `generate`, padded on the left."""
    ends = model.generation_config.eos_token_id
    end_ids = {ends} if isinstance(ends, int) else set(ends or [])

    def run(chunk: Chunk) -> list[int]:
        width = max(len(request.prompt_ids) for request in chunk)
        short = [width - len(request.prompt_ids) for request in chunk]
        rows = zip(chunk, short, strict=True)
        ids = torch.tensor([[pad] * gap + list(request.prompt_ids) for request, gap in rows], device=model.device)
        mask = (torch.arange(width) >= torch.tensor(short)[:, None]).long().to(model.device)
        found = model.generate(ids, attention_mask=mask, pad_token_id=pad, **_drawing(chunk[0]))
        completions = found[:, width:].tolist()
        return [next((n for n, token in enumerate(row, 1) if token in end_ids), len(row)) for row in completions]

    return run


def _drawing(request: Request) -> dict[str, Any]:
    decoding = request.decoding
    drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p or 1.0, "top_k": decoding.top_k or 0}
    return {"max_new_tokens": request.max_new_tokens, "do_sample": decoding.temperature > 0} | (
        drawn if decoding.temperature else {}
    )


def measure(
    runs: dict[str, tuple[Run, Sequence[Chunk]]], repeats: int, between: Callable[[], None] = lambda: None
) -> list[Speed]:
    """The speed of each engine on its chunks, alternating, after an untimed batch of four rows of four tokens.

    `between` is called before each measurement and after the last one.
    """
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in runs}
    lengths: dict[str, tuple[tuple[int, ...], ...]] = {}
    for repeat in range(repeats):
        for name, (run, chunks) in runs.items():
            if repeat == 0:
                run([replace(request, max_new_tokens=4) for request in chunks[0][:4]])
            between()
            begin = time.perf_counter()
            lengths[name] = tuple(tuple(run(chunk)) for chunk in chunks)
            found[name].append((sum(map(sum, lengths[name])), time.perf_counter() - begin))
            tokens, seconds = found[name][-1]
            print(f"{name}: {tokens} tokens in {seconds:.1f} s", file=sys.stderr, flush=True)
    between()
    return [
        Speed(name, tuple(t for t, _ in rows), tuple(s for _, s in rows), lengths[name]) for name, rows in found.items()
    ]


def least_seconds(
    lengths: Sequence[Sequence[int]], prompt_tokens: int, weights: int, width: int, top: Ceilings
) -> float:
    """Seconds that the machine's ceilings allow for chunks whose completions have these lengths.

    `weights` are counted, `width` is the bytes of one.
    """
    rate = 1e9 * (top.bfloat16 if width == 2 else top.float32)
    token, read = 2 * weights / rate, weights * width / (1e9 * top.memory)
    rows = [sum(length > step for length in chunk) for chunk in lengths for step in range(max(chunk))]
    return prompt_tokens * token + sum(max(read, count * token) for count in rows)


def mean_of(found: Sequence[Ceilings]) -> Ceilings:
    """The mean of several measurements: a virtual machine's cores may be one core's two threads for a while."""
    return Ceilings(*(statistics.mean(getattr(one, name) for one in found) for name in Ceilings.__dataclass_fields__))


def ceilings() -> Ceilings:
    """The machine's rates with torch's current number of threads; takes about two seconds."""
    return Ceilings(_product_rate(torch.bfloat16), _product_rate(torch.float32), _memory_rate())


def _product_rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a square matrix product; a small one where the processor emulates bfloat16, a hundred times slower."""
    emulated = dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    size = 512 if emulated else 2048
    left, right = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
    return 2 * size**3 / _usual(lambda: left @ right) / 1e9


def _memory_rate(count: int = 1 << 26) -> float:
    block = torch.ones(count)
    return 4 * count / _usual(lambda: block.sum()) / 1e9


def _usual(call: Callable[[], object], times: int = 9) -> float:
    """The median of its seconds."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def bench_engines(
    model: Path,
    runtime: Runtime,
    requests: Sequence[Request],
    chunk_rows: Sequence[int],
    repeats: int,
    vllm: bool,
    ggufs: Sequence[Path] = (),
) -> dict[str, Any]:
    """Speeds of our engine at each chunk size, of `generate`, and of vLLM if asked for; ceilings and shares of them.

    `ggufs` are files of the model that llama.cpp's server samples from, all rows of a chunk at once.
    """
    torch.set_num_threads(runtime.usable_threads())
    with ExitStack() as stack:
        ours = sampler_run(stack.enter_context(TransformersSampler(model, runtime)))
        dtype = compute_dtype(model, torch.device("cpu"))  # as ours: emulated bfloat16 crawls
        plain: Any = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, local_files_only=True)
        weights = sum(parameter.numel() for parameter in plain.parameters())
        cut = {rows: plan_chunks(requests, rows, 1 << 40) for rows in (*chunk_rows, GENERATE_ROWS)}
        runs: dict[str, tuple[Run, Sequence[Chunk]]]
        runs = {f"transformers engine, chunks of {rows}": (ours, cut[rows]) for rows in chunk_rows}
        runs["generate, batches of 64"] = (generate_run(plain, 0), cut[GENERATE_ROWS])
        if vllm:
            from selfimprove.engines.vllm import VllmSampler

            engine = stack.enter_context(VllmSampler(model, runtime, 2048))
            runs["vllm"] = (sampler_run(engine), cut[max(chunk_rows)])
        longest = max(len(request.prompt_ids) + request.max_new_tokens for request in requests)
        for path in ggufs:
            server = llama_server(path, max(chunk_rows), longest + 1, runtime.usable_threads())
            runs[f"llama.cpp, {path.name}"] = (partial(sampled, stack.enter_context(server)), cut[max(chunk_rows)])
        found: list[Ceilings] = []
        speeds = measure(runs, repeats, lambda: found.append(ceilings()))
        top = mean_of(found)
    prompt_tokens = sum(len(request.prompt_ids) for request in requests)
    width = 2 if plain.dtype == torch.bfloat16 else 4
    return {
        "threads": runtime.usable_threads(),
        "requests": len(requests),
        "prompt_tokens": prompt_tokens,
        "weights": weights,
        "ceilings": asdict(top),
        "engines": [_row(one, least_seconds(one.lengths, prompt_tokens, weights, width, top)) for one in speeds],
    }


def _row(speed: Speed, least: float) -> dict[str, Any]:
    return {
        **{name: value for name, value in asdict(speed).items() if name != "lengths"},
        "tokens_per_second": round(speed.median, 1),
        "lowest": round(min(speed.rates), 1),
        "highest": round(max(speed.rates), 1),
        "share_of_ceiling": round(least / statistics.median(speed.seconds), 3),
    }


def report_lines(report: dict[str, Any]) -> list[str]:
    """The measurement as lines of text."""
    top, engines = report["ceilings"], report["engines"]
    plain = next(row["tokens_per_second"] for row in engines if row["engine"].startswith("generate"))
    head = (
        f"{report['requests']} prompts of {report['prompt_tokens']} tokens, {report['threads']} threads; products "
        f"{top['bfloat16']:.0f} GFLOP/s in bfloat16, {top['float32']:.0f} in float32; memory {top['memory']:.0f} GB/s"
    )
    return [head] + [
        f"{row['engine']:36} {row['tokens_per_second']:7.0f} tokens/s ({row['lowest']:.0f} to {row['highest']:.0f}), "
        f"{row['tokens_per_second'] / plain:.2f} x generate, {row['share_of_ceiling']:.0%} of the machine's ceiling"
        for row in engines
    ]


def main() -> None:
    """Benchmark the embedded model on made-up prompts, or a model of one's own on problems of one's own."""
    parser = argparse.ArgumentParser(description="How fast each sampler is on this machine.")
    parser.add_argument("--model", default=EMBEDDED, help="hub id, folder or .gguf file [default: the embedded model]")
    parser.add_argument("--problems", default="", help="source of problems [default: made-up prompts]")
    parser.add_argument("--prompt", default="{question}", help="user turn, with {question}")
    parser.add_argument("--gguf", type=Path, nargs="+", default=[], help="files for llama.cpp's server, if installed")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=96, help="longest completion")
    parser.add_argument("--chunk-rows", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--vllm", action="store_true", help="measure vLLM too, if it is installed")
    parser.add_argument("--out", type=Path, help="file for the figures, as JSON")
    options = parser.parse_args()
    work = Work(model=options.model, problems=options.problems, prompt=options.prompt)
    model = work.folder().path
    requests = work.requests(load_tokenizer(model), options.prompts, options.tokens)
    runtime, vllm = Runtime(device="cpu", threads=options.threads), options.vllm and find_spec("vllm") is not None
    ggufs = options.gguf if find_spec("xllamacpp") else []
    report = bench_engines(model, runtime, requests, options.chunk_rows, options.repeats, vllm, ggufs)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print("\n".join(report_lines(report)))


if __name__ == "__main__":
    main()
