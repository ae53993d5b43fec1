"""Sampling throughput of each engine on this machine, against `generate` and against the hardware's ceiling.

The work is prompts of mixed kinds and lengths: sums, plain chat, and sums after few-shot examples, all under one chat
template. Every engine gets the same requests, cut by `plan_chunks`; `generate` gets them in batches of 64 sorted by
length, which keeps padding lowest. Loading, compiling and a warm-up batch are not timed. Tokens are those of
completions, EOS included, padding excluded. Engines alternate, so that a machine that slows down slows all of them.

*Ceilings* are measured too: the rate of large matrix products in both dtypes, and memory bandwidth. A decoded token
costs two floating-point operations per weight, so FLOPs / rate is the time that a machine limited by products alone
would need; prompt tokens count as if no prefix were shared, so the share of the ceiling can be too high where prompts
share a long prefix.

`python -m benchmarks.bench.engines --out FILE` prints the table and writes it as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from selfimprove.engines.transformers import TransformersSampler
from selfimprove.models import compute_dtype, default_cache, load_tokenizer, resolve_model
from selfimprove.recipe import Model, Runtime
from selfimprove.sampling import Decoding, Request, Sampler, Tokenizer, derive_seed, plan_chunks, render_prompt

Chunk = Sequence[Request]
Run = Callable[[Chunk], int]
"""Samples a chunk, and returns how many tokens its completions have."""

GENERATE_ROWS = 64
DRAWN = Decoding(0.6, 1.0, 0)
"""The recipe's temperature, without top-p and top-k."""

EXAMPLES = "\n".join(
    f"Question: What is {a} + {b}?\nAnswer: {a} + {b} = {a + b}" for a, b in ((3, 4), (12, 9), (7, 15))
)
CHAT = "Tell me in a few sentences how to plan a day in a town I have never been to with {n} euros, if it rains"


@dataclass(frozen=True)
class Speed:
    """One engine's tokens and seconds in each repeat of the same work."""

    engine: str
    tokens: tuple[int, ...]
    seconds: tuple[float, ...]

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


def mixed_requests(tokenizer: Tokenizer, count: int, limit: int) -> list[Request]:
    """`count` requests, always the same: half are sums, a quarter chat, a quarter sums after few-shot examples."""
    return [
        Request(
            key=f"r{n}",
            sample=0,
            prompt_ids=render_prompt(tokenizer, "", "{question}", _question(n)),
            max_new_tokens=limit,
            seed=derive_seed("b", n),
            decoding=DRAWN,
        )
        for n in range(count)
    ]


def _question(n: int) -> str:
    question = f"What is {n * 7 % 50 + 3} + {n % 13} * {n % 5 + 2}?"
    match n % 4:
        case 2:
            return CHAT.format(n=n) + " and I want to see art" * (n % 9) + "?"
        case 3:
            return f"Answer the last question as in the examples.\n{EXAMPLES}\nQuestion: {question}"
        case _:
            return question


def sampler_run(sampler: Sampler) -> Run:
    """A `Run` of an open sampler."""
    return lambda chunk: sum(len(completion.token_ids) for completion in sampler.sample(chunk))


def generate_run(model: Any, pad: int) -> Run:  # noqa: ANN401 - transformers' mixture of classes has no type for it
    """A `Run` of transformers' `generate`, padded on the left."""
    ends = model.generation_config.eos_token_id
    end_ids = {ends} if isinstance(ends, int) else set(ends or [])

    def run(chunk: Chunk) -> int:
        width = max(len(request.prompt_ids) for request in chunk)
        short = [width - len(request.prompt_ids) for request in chunk]
        rows = zip(chunk, short, strict=True)
        ids = torch.tensor([[pad] * gap + list(request.prompt_ids) for request, gap in rows], device=model.device)
        mask = (torch.arange(width) >= torch.tensor(short)[:, None]).long().to(model.device)
        found = model.generate(ids, attention_mask=mask, pad_token_id=pad, **_drawing(chunk[0]))
        completions = found[:, width:].tolist()
        return sum(next((n for n, token in enumerate(row, 1) if token in end_ids), len(row)) for row in completions)

    return run


def _drawing(request: Request) -> dict[str, Any]:
    decoding = request.decoding
    drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p or 1.0, "top_k": decoding.top_k or 0}
    return {"max_new_tokens": request.max_new_tokens, "do_sample": decoding.temperature > 0} | (
        drawn if decoding.temperature else {}
    )


def measure(runs: dict[str, tuple[Run, Sequence[Chunk]]], repeats: int) -> list[Speed]:
    """The speed of each engine on its chunks, alternating, after an untimed batch of four rows of four tokens."""
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in runs}
    for repeat in range(repeats):
        for name, (run, chunks) in runs.items():
            if repeat == 0:
                run([replace(request, max_new_tokens=4) for request in chunks[0][:4]])
            begin = time.perf_counter()
            tokens = sum(run(chunk) for chunk in chunks)
            found[name].append((tokens, time.perf_counter() - begin))
    return [Speed(name, tuple(t for t, _ in rows), tuple(s for _, s in rows)) for name, rows in found.items()]


def ceilings() -> Ceilings:
    """The machine's rates with torch's current number of threads; takes about two seconds."""
    return Ceilings(_product_rate(torch.bfloat16), _product_rate(torch.float32), _memory_rate())


def _product_rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a square matrix product; a small one where the processor emulates bfloat16, a hundred times slower."""
    emulated = dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    size = 512 if emulated else 2048
    left, right = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
    return 2 * size**3 / _fastest(lambda: left @ right) / 1e9


def _memory_rate(count: int = 1 << 26) -> float:
    block = torch.ones(count)
    return 4 * count / _fastest(lambda: block.sum()) / 1e9


def _fastest(call: Callable[[], object], times: int = 8) -> float:
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def bench_engines(
    model: Path, runtime: Runtime, requests: Sequence[Request], chunk_rows: Sequence[int], repeats: int, vllm: bool
) -> dict[str, Any]:
    """Speeds of our engine at each chunk size, of `generate`, and of vLLM if asked for; ceilings and shares of them."""
    torch.set_num_threads(runtime.usable_threads())
    top = ceilings()
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
        speeds = measure(runs, repeats)
    prompt_tokens = sum(len(request.prompt_ids) for request in requests)
    rate = top.bfloat16 if plain.dtype == torch.bfloat16 else top.float32
    return {
        "threads": runtime.usable_threads(),
        "requests": len(requests),
        "prompt_tokens": prompt_tokens,
        "weights": weights,
        "ceilings": asdict(top),
        "engines": [_row(speed, prompt_tokens, weights, rate) for speed in speeds],
    }


def _row(speed: Speed, prompt_tokens: int, weights: int, rate: float) -> dict[str, Any]:
    work = 2e-9 * weights * (statistics.median(speed.tokens) + prompt_tokens)
    return {
        **asdict(speed),
        "tokens_per_second": round(speed.median, 1),
        "lowest": round(min(speed.rates), 1),
        "highest": round(max(speed.rates), 1),
        "share_of_products": round(work / rate / statistics.median(speed.seconds), 3),
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
        f"{row['tokens_per_second'] / plain:.2f} x generate, {row['share_of_products']:.0%} of the products' ceiling"
        for row in engines
    ]


def main() -> None:
    """Benchmark the embedded model, or a model folder."""
    parser = argparse.ArgumentParser(description="How fast each sampler is on this machine.")
    parser.add_argument("--model", type=Path, help="model folder [default: the embedded model in bfloat16]")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=96, help="longest completion")
    parser.add_argument("--chunk-rows", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--vllm", action="store_true", help="measure vLLM too, if it is installed")
    parser.add_argument("--out", type=Path, help="file for the figures, as JSON")
    options = parser.parse_args()
    model = options.model or resolve_model(Model(), default_cache()).path
    requests = mixed_requests(load_tokenizer(model), options.prompts, options.tokens)
    runtime, vllm = Runtime(device="cpu", threads=options.threads), options.vllm and find_spec("vllm") is not None
    report = bench_engines(model, runtime, requests, options.chunk_rows, options.repeats, vllm)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print("\n".join(report_lines(report)))


if __name__ == "__main__":
    main()
