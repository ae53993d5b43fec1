"""The trainer's speed and memory beside TRL's `SFTTrainer`, on the same rows.

    python -m benchmarks.bench.trainer --repeats 3 [--rows upft,full,rft16] [--json FILE]
    python -m benchmarks.bench.trainer --model model.gguf --problems gsm8k.jsonl --count 24 --batch 4 --tokens 400

*Rows.* The model samples them itself, once: one completion of generated sums, or of another source's problems, for each
of `--count` problems, and 16 for each of an eighth as many.

| rows | what is trained |
| --- | --- |
| `upft` | prefixes of 8 tokens under the task template, a tenth of the rows whole: the default recipe |
| `full` | the same completions whole: SFT on own samples, or RFT that keeps one sample a problem |
| `rft16` | 16 whole completions of each problem: RFT that keeps all of 16 samples |

*Same for both.* Model and dtype, LoRA (rank 16 on all linear layers), bfloat16 autocast, AdamW, `--batch` rows in
each forward pass and optimizer step, target ids as labels, threads. TRL's own default, gradient checkpointing, costs
time and saves memory; `trl` is without it, as ours is, `trl-checkpointing` with it. TRL weighs tokens alike, ours rows:
the same work.

*Figures.* Each measurement is a process of its own: rows per second from the end of the first step, a warm-up, to the
end of the last one, and the process's peak resident memory, interpreter and libraries included. Tools alternate, so
that a slow minute of the machine affects all. The median and the range over the repeats are reported.

*FLOPs.* For our trainer also the rate of its matrix products, to compare with the machine's: per token, forward and
backward to the input (frozen weights have no gradient), four operations per weight of the layers and six per weight of
the LoRA; per target, four per weight of the head.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench.work import Work
from selfimprove.errors import StageError, UsageError

if TYPE_CHECKING:
    from selfimprove.models import ModelFolder
    from selfimprove.recipe import Runtime
    from selfimprove.round.prefixes import Example
    from selfimprove.sampling import Completion

ROOT = Path(__file__).parents[2]
"""The repository, from which the measurement in a process of its own is started."""

SAMPLES = 16
TOOLS = ("ours", "trl")
KINDS = ("upft", "full", "rft16")
STEPWISE = Work(prompt="{question} Think step by step.")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many problems are trained, how many rows make a step, and how long their completions may be."""

    problems: int = 64
    batch: int = 16
    tokens: int = 100


@dataclass(frozen=True)
class Measurement:
    """One tool on one kind of rows: rows per second and peak resident memory in MB of each repeat."""

    tool: str
    rows: str
    rates: tuple[float, ...]
    peaks: tuple[float, ...]
    products: tuple[float, ...] = ()
    """GFLOP/s of matrix products; empty where the tool doesn't count its tokens."""

    @property
    def rate(self) -> float:
        """Median rows per second."""
        return statistics.median(self.rates)

    @property
    def peak(self) -> float:
        """Median peak of resident memory in MB."""
        return statistics.median(self.peaks)


@dataclass(frozen=True)
class TrainerBench:
    """All measurements, where they were made, and mean prompt and target tokens by kind of rows."""

    measurements: tuple[Measurement, ...]
    tokens: dict[str, tuple[float, float]]
    threads: int
    device: str
    batch: int

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TrainerJob:
    """What a measuring process measures; `examples` and `model` are paths."""

    tool: str
    examples: str
    model: str
    threads: int
    device: str
    batch: int


def measure_trainer(
    repeats: int = 3,
    kinds: Sequence[str] = KINDS,
    tools: Sequence[str] = TOOLS,
    threads: int = 0,
    device: str = "cpu",
    work: Work = STEPWISE,
    size: Size = Size(),
) -> TrainerBench:
    """Train the model on each kind of rows with each tool; `UsageError` if TRL is asked for and missing.

    Takes ten minutes for three repeats of everything on two cores with the embedded model.
    """
    from importlib.util import find_spec

    from selfimprove.recipe import Runtime

    if set(tools) - {"ours"} and find_spec("trl") is None:
        raise UsageError("TRL isn't installed", "Run: pip install 'selfimprove[bench]'")
    runtime = Runtime(device=device, threads=threads)
    model = work.folder()
    with tempfile.TemporaryDirectory() as folder:
        rows = {kind: make_rows(model, kind, runtime, work, size) for kind in kinds}
        files = {kind: Path(folder) / f"{kind}.json" for kind in kinds}
        for kind, path in files.items():
            path.write_text(json.dumps([asdict(example) for example in rows[kind]]))
        found: dict[tuple[str, str], list[dict[str, float]]] = {}
        for _ in range(repeats):
            for kind in kinds:
                for tool in tools:
                    job = TrainerJob(
                        tool=tool,
                        examples=str(files[kind]),
                        model=str(model.path),
                        threads=runtime.usable_threads(),
                        device=device,
                        batch=size.batch,
                    )
                    found.setdefault((tool, kind), []).append(measure_tool(job))
    return TrainerBench(
        tuple(
            Measurement(
                tool,
                kind,
                tuple(one["rate"] for one in each),
                tuple(one["peak_mb"] for one in each),
                tuple(one["rate"] * one["row_gflop"] for one in each if "row_gflop" in one),
            )
            for (tool, kind), each in found.items()
        ),
        {kind: (_mean(e.prompt_ids for e in rows[kind]), _mean(e.target_ids for e in rows[kind])) for kind in kinds},
        runtime.usable_threads(),
        device,
        size.batch,
    )


def bench_lines(bench: TrainerBench) -> list[str]:
    """The measurements as a Markdown table, with ratios to TRL without checkpointing where that was measured."""
    lines = [f"{bench.device}, {bench.threads} threads, {bench.batch} rows a step; medians, range in brackets", ""]
    lines += ["| rows | tokens (prompt + target) | tool | rows a second | peak MB | speed / TRL | memory / TRL |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    peers = {one.rows: one for one in bench.measurements if one.tool == "trl"}
    for one in bench.measurements:
        prompt, target = bench.tokens[one.rows]
        peer = peers.get(one.rows)
        ratios = f"{one.rate / peer.rate:.2f} | {one.peak / peer.peak:.2f}" if peer else "– | –"
        rates, peaks = (f"[{min(each):.4g}, {max(each):.4g}]" for each in (one.rates, one.peaks))
        lines.append(
            f"| {one.rows} | {prompt:.0f} + {target:.0f} | {one.tool} | {one.rate:.2f} {rates} "
            f"| {one.peak:.0f} {peaks} | {ratios} |"
        )
    return lines + _against_rft(bench)


def _against_rft(bench: TrainerBench) -> list[str]:
    """Time for a problem's UPFT row as a share of the time for its RFT rows, with our trainer."""
    ours = {one.rows: one.rate for one in bench.measurements if one.tool == "ours"}
    cases = [("full", 1, "one kept sample"), ("rft16", SAMPLES, f"{SAMPLES} kept samples")]
    return [
        f"time of UPFT / RFT with {title} a problem: {ours[kind] / count / ours['upft']:.1%}"
        for kind, count, title in cases
        if kind in ours and "upft" in ours
    ]


def _mean(rows: Any) -> float:  # noqa: ANN401 - an iterable of sized values
    return statistics.mean(map(len, rows))


def make_rows(model: ModelFolder, kind: str, runtime: Runtime, work: Work, size: Size) -> tuple[Example, ...]:
    """Training rows of a kind, from completions that the model sampled for the problems."""
    from selfimprove.models import load_tokenizer
    from selfimprove.recipe import TASK_TEMPLATE, Prefixes
    from selfimprove.round.prefixes import Prompts, assign_kinds, harvest
    from selfimprove.sampling import render_prompt

    count, samples = (size.problems // 8, SAMPLES) if kind == "rft16" else (size.problems, 1)
    problems = work.drawn(count)
    tokenizer = load_tokenizer(model.path)
    prompts = {
        problem.key: Prompts(
            render_prompt(tokenizer, "", work.prompt, problem.question),
            render_prompt(tokenizer, "", TASK_TEMPLATE, problem.question),
        )
        for problem in problems
    }
    asked = {key: pair.plain for key, pair in prompts.items()}
    completions = _completions(model, asked, samples, runtime, size.tokens)
    settings = Prefixes(length=prefix_length(work) if kind == "upft" else "full")
    kinds = assign_kinds([completion.row for completion in completions], settings, 0)
    return harvest(completions, kinds, prompts, settings, tokenizer.eos_id).examples


def prefix_length(work: Work) -> int:
    """Tokens of a prefix: the default recipe's for generated sums, twice as many for the longer answers of a file."""
    return 16 if work.problems else 8


def _completions(
    model: ModelFolder, prompts: dict[str, tuple[int, ...]], samples: int, runtime: Runtime, limit: int
) -> list[Completion]:
    """`samples` completions of at most `limit` tokens for each prompt; sampled once and kept in the cache."""
    from selfimprove.engines.transformers import TransformersSampler
    from selfimprove.models import default_cache
    from selfimprove.sampling import Completion, Decoding, Request, StopReason, derive_seed, plan_chunks

    asked = hashlib.sha256(repr((sorted(prompts.items()), samples, limit)).encode()).hexdigest()[:16]
    path = default_cache() / "bench" / f"{model.fingerprint[:16]}-{asked}.json"
    if not path.exists():
        requests = [
            Request(
                key=key,
                sample=sample,
                prompt_ids=prompt,
                max_new_tokens=limit,
                seed=derive_seed(0, "bench", key, sample),
                decoding=Decoding(0.7),
            )
            for key, prompt in prompts.items()
            for sample in range(samples)
        ]
        with TransformersSampler(model.path, runtime) as sampler:
            rows = [asdict(one) for chunk in plan_chunks(requests, 64, 2**16) for one in sampler.sample(chunk)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows))
    return [
        Completion(**{**row, "token_ids": tuple(row["token_ids"]), "stop": StopReason(row["stop"])})
        for row in json.loads(path.read_text())
    ]


def measure_tool(job: TrainerJob) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench.trainer", "--child", json.dumps(asdict(job))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"the measurement of {job.tool} failed:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _child(job: TrainerJob) -> dict[str, float]:
    """Run the job in this process; gives rows per second after the first step and peak resident memory in MB."""
    import resource

    import torch

    torch.set_num_threads(job.threads)
    rows = json.loads(Path(job.examples).read_text())
    rows = rows[: len(rows) // job.batch * job.batch]
    ends: list[float] = []
    train = _train_ours if job.tool == "ours" else _train_trl
    with tempfile.TemporaryDirectory() as folder:
        work = train(job, rows, Path(folder), lambda: ends.append(time.perf_counter()))
    rate = job.batch * (len(ends) - 1) / (ends[-1] - ends[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"rate": rate, "peak_mb": peak / (2**20 if sys.platform == "darwin" else 2**10), **work}


def _train_ours(
    job: TrainerJob, rows: list[dict[str, Any]], folder: Path, step_done: Callable[[], None]
) -> dict[str, float]:
    """Train with our trainer; returns the GFLOPs of matrix products per row."""
    from selfimprove.recipe import Runtime, Training
    from selfimprove.round.machinery import TrainJob
    from selfimprove.round.prefixes import Example
    from selfimprove.training import train

    examples = [
        Example(**{**row, "prompt_ids": tuple(row["prompt_ids"]), "target_ids": tuple(row["target_ids"])})
        for row in rows
    ]
    runtime = Runtime(device=job.device, threads=job.threads, micro_tokens=2**20, gradient_checkpointing="off")
    settings = Training(batch_rows=job.batch)
    model = Path(job.model)
    training = TrainJob(
        examples=examples,
        model=model,
        work=folder / "w",
        out=folder / "a",
        settings=settings,
        seed=0,
        runtime=runtime,
    )
    counts = train(training, lambda *_: step_done())
    config = json.loads((model / "config.json").read_text())
    head = config["vocab_size"] * config["hidden_size"]
    body = counts.held_weights - counts.trained_weights - head * (1 if config["tie_word_embeddings"] else 2)
    layers = (4 * body + 6 * counts.trained_weights) * counts.computed_tokens
    return {"row_gflop": (layers + 4 * head * counts.target_tokens) / len(rows) / 1e9}


def _train_trl(
    job: TrainerJob, rows: list[dict[str, Any]], folder: Path, step_done: Callable[[], None]
) -> dict[str, float]:
    """Train with TRL; returns nothing, since it doesn't count its tokens."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - transformers' own
            step_done()

    columns = [
        {
            "input_ids": row["prompt_ids"] + row["target_ids"],
            "labels": [-100] * len(row["prompt_ids"]) + row["target_ids"],
        }
        for row in rows
    ]
    settings = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=job.batch,
        learning_rate=1e-5,
        lr_scheduler_type="constant",
        num_train_epochs=1,
        bf16=True,
        use_cpu=job.device == "cpu",
        gradient_checkpointing=job.tool == "trl-checkpointing",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = AutoModelForCausalLM.from_pretrained(job.model, dtype="bfloat16")
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    data = Dataset.from_list(columns)
    SFTTrainer(
        model, settings, train_dataset=data, processing_class=tokenizer, peft_config=lora, callbacks=[Clock()]
    ).train()
    return {}


def main(words: Sequence[str] | None = None) -> None:
    """Measure as the command line says, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench.trainer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", default=",".join(KINDS))
    parser.add_argument("--tools", default=",".join(TOOLS), help="of ours, trl, trl-checkpointing")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default=STEPWISE.model, help="hub id, folder or .gguf file [default: embedded]")
    parser.add_argument("--problems", default="", help="source of problems [default: generated sums]")
    parser.add_argument("--prompt", default=STEPWISE.prompt, help="user turn, with {question}")
    parser.add_argument("--count", type=int, default=Size().problems, help="problems")
    parser.add_argument("--batch", type=int, default=Size().batch, help="rows of a step")
    parser.add_argument("--tokens", type=int, default=Size().tokens, help="longest completion")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    if args.child:
        sys.stdout.write(json.dumps(_child(TrainerJob(**json.loads(args.child)))) + "\n")
        return
    work = Work(model=args.model, problems=args.problems, prompt=args.prompt)
    size = Size(problems=args.count, batch=args.batch, tokens=args.tokens)
    kinds, tools = args.rows.split(","), args.tools.split(",")
    bench = measure_trainer(args.repeats, kinds, tools, args.threads, args.device, work, size)
    sys.stdout.write("\n".join(bench_lines(bench)) + "\n")
    if args.json:
        args.json.write_text(json.dumps(bench.to_json(), indent=1) + "\n")


if __name__ == "__main__":
    main()
