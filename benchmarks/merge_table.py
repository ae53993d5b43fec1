"""What a line of merges keeps of its adapters, by learning rate, way of rounding and number of rounds.

    python benchmarks/merge_table.py [--model NAME] [--rates 1e-6 1e-5 …] [--rounds 1 3 5 10] [--out rows.jsonl]

`--model` is any model that `selfimprove run` takes, or `random` for random weights in the shape of Qwen2.5-1.5B. It is
taken in bfloat16, on whose grid its weights then lie, as those of a model from the hub do. At each rate, adapters are
trained in a line, each on the product's merge (stochastic rounding) of those before it, as accepted rounds are. After
as many rounds as `--rounds` names, the sum base + all deltas is taken in float32 as the reference, and rounded to
bfloat16 in both ways:

    survival     ⟨a, d⟩ / ⟨d, d⟩ of the summed deltas d and the change a of the stored weights
    share        1 − KL(sum ‖ rounded) / KL(sum ‖ base) on greedy continuations of canary prompts, computed in float32
    agreement    share of those tokens at which sum and rounded model have the same most likely token
    accuracy     of greedy answers to held-out problems (`--problems`; 0 leaves it out)

Rows are appended to `--out` as JSON; a rate that has all its rows there is not measured again. The table is printed at
the end, in Markdown.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

# the checkout beside this file is what is measured, installed or not
sys.path.insert(0, str(Path(__file__).parents[1]))

from selfimprove.answer.checking import Checker
from selfimprove.engines.transformers import TransformersSampler
from selfimprove.merging import rebuild
from selfimprove.merging.adapters import Adapter, read_adapter
from selfimprove.merging.canaries import continue_greedily, divergence, likeness, log_probs, method_for
from selfimprove.merging.summing import sum_weight
from selfimprove.models import default_cache, load_model, load_tokenizer, resolve_model
from selfimprove.problem import Problem, load_problems
from selfimprove.recipe import Model, Rounding, Runtime, Training
from selfimprove.recipe.reading import read_recipe
from selfimprove.round.machinery import MergeJob, TrainJob
from selfimprove.round.prefixes import Example
from selfimprove.sampling import GREEDY, Request, plan_chunks
from selfimprove.training import train

CPU = torch.device("cpu")
RUNTIME = Runtime(device="cpu")
CANARIES = 8
ANSWER_TOKENS = 32
PROMPT = "{} Answer with the number only."
Way = Literal["float32", "nearest", "stochastic"]
WAYS: tuple[Way, ...] = ("float32", "stochastic", "nearest")
PRODUCT = Rounding(dtype="bfloat16", way="stochastic")


@dataclass(frozen=True)
class Row:
    """What one way of rounding kept after `rounds` rounds at `rate`."""

    model: str
    rate: float
    rounds: int
    way: str
    survival: float
    kl_base: float
    kl: float
    share: float
    low: float
    high: float
    agreement: float
    accuracy: float | None
    problems: int


@dataclass(frozen=True)
class Subject:
    """A model that is measured: its folder in bfloat16, examples for each round, canary prompts, held-out problems."""

    name: str
    folder: Path
    examples: list[Example]
    canaries: list[tuple[int, ...]]
    heldout: list[Problem]

    def questions(self) -> list[Request]:
        """The requests that ask the held-out problems, greedily."""
        render = load_tokenizer(self.folder).render
        return [
            Request(
                key=p.key,
                sample=0,
                prompt_ids=tuple(render("", PROMPT.format(p.question))),
                max_new_tokens=ANSWER_TOKENS,
                seed=0,
                decoding=GREEDY,
            )
            for p in self.heldout
        ]


def subject_of(name: str, rounds: int, rows: int, heldout: int, scratch: Path) -> Subject:
    """The model by that name with what it is trained and asked."""
    if name == "random":
        return _random_subject(scratch / "random", rounds * rows)
    folder = resolve_model(Model(name=name), default_cache()).path
    sizes = {"train": "reasoning-gym:arithmetic", "train_size": rounds * rows, "heldout_size": max(heldout, CANARIES)}
    sets = load_problems(read_recipe(None, {"problems": {**sizes, "sealed_size": 1}}).problems)
    tokenizer, plain = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    examples = []
    for problem in sets.train:
        answer = plain(problem.answer or "", add_special_tokens=False)["input_ids"]
        prompt = tuple(tokenizer.render("", PROMPT.format(problem.question)))
        examples.append(Example(problem.key, 0, "full", prompt, (*answer, tokenizer.eos_id)))
    canaries = [tuple(tokenizer.render("", PROMPT.format(p.question))) for p in sets.heldout[:CANARIES]]
    return Subject(name, folder, examples, canaries, sets.heldout[:heldout])


def _random_subject(folder: Path, rows: int) -> Subject:
    config = Qwen2Config(
        vocab_size=151_936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        eos_token_id=0,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    draw = random.Random(0)
    ids = [tuple(draw.randrange(1, 151_000) for _ in range(40)) for _ in range(rows + CANARIES)]
    examples = [Example(str(number), 0, "full", row[:32], row[32:]) for number, row in enumerate(ids[:rows])]
    return Subject("random 1.5B", folder, examples, [row[:32] for row in ids[rows:]], [])


class Line:
    """A line of rounds of one subject at one rate, in a folder."""

    def __init__(self, subject: Subject, rate: float, rows: int, batch_rows: int, folder: Path) -> None:
        self._subject = subject
        self._rate = rate
        self._rows = rows
        self._settings = Training(learning_rate=rate, batch_rows=batch_rows)
        self._folder = folder
        self._adapters: list[Path] = []
        self._model = subject.folder

    def train(self) -> None:
        """One more round: an adapter trained on the product's merge, and the next merge."""
        number = len(self._adapters)
        rows = self._subject.examples[number * self._rows : (number + 1) * self._rows]
        adapter = self._folder / f"adapter-{number}"
        job = TrainJob(
            examples=rows,
            model=self._model,
            work=self._folder / "work",
            out=adapter,
            settings=self._settings,
            seed=number,
            runtime=RUNTIME,
        )
        train(job, lambda *_: None)
        shutil.rmtree(self._folder / "work", ignore_errors=True)
        self._adapters.append(adapter)
        old, self._model = self._model, self._folder / f"merged-{number}"
        rebuild(self._merge_job(self._model, PRODUCT))
        if old != self._subject.folder:
            shutil.rmtree(old)

    def _merge_job(self, out: Path, rounding: Rounding) -> MergeJob:
        base = self._subject.folder
        return MergeJob(base=base, adapters=self._adapters, out=out, rounding=rounding, runtime=RUNTIME)

    @torch.no_grad()
    def measure(self) -> Iterator[Row]:
        """The rows of every way of rounding, after the rounds so far."""
        chain = [read_adapter(path) for path in self._adapters]
        model = load_model(self._subject.folder, torch.float32)
        base = {n: weight.to(torch.bfloat16) for n, weight in model.named_parameters() if n in chain[0].factors}
        merged = load_model(self._model, torch.bfloat16)
        stored: dict[Way, dict[str, Tensor]] = {
            "stochastic": {name: merged.get_parameter(name) for name in base},
            "nearest": _put_sums(model, base, chain),
        }
        survival = {way: _survival(model, base, weights) for way, weights in stored.items()}
        continued = continue_greedily(model, self._subject.canaries, CPU)
        examples, reference = continued.examples, continued.log_probs
        method = method_for(model, examples)
        _put(model, base)
        lost = divergence(reference, log_probs(model, examples, method))
        for way in WAYS:
            found = reference
            if way != "float32":
                _put(model, stored[way])
                found = log_probs(model, examples, method)
            agreement = (reference.argmax(-1) == found.argmax(-1)).double().mean().item()
            like = likeness(divergence(reference, found), lost, agreement)
            yield Row(
                model=self._subject.name,
                rate=self._rate,
                rounds=len(chain),
                way=way,
                survival=survival.get(way, 1.0),
                kl_base=like.kl_parent,
                kl=like.kl,
                share=like.share,
                low=like.low,
                high=like.high,
                agreement=agreement,
                accuracy=self._accuracy(way) if self._subject.heldout else None,
                problems=len(self._subject.heldout),
            )

    def _accuracy(self, way: Way) -> float:
        if way == "stochastic":
            return self._asked(self._model)
        folder = self._folder / f"asked-{way}"
        rebuild(self._merge_job(folder, _rounding(way)))
        accuracy = self._asked(folder)
        shutil.rmtree(folder)
        return accuracy

    def _asked(self, folder: Path) -> float:
        tokenizer = load_tokenizer(folder)
        golds = {problem.key: problem.answer or "" for problem in self._subject.heldout}
        with TransformersSampler(folder, RUNTIME) as sampler, Checker(1) as checker:
            chunks = plan_chunks(self._subject.questions(), 64, 65536)
            found = [completion for chunk in chunks for completion in sampler.sample(chunk)]
            verdicts = checker.check_all([(tokenizer.decode(c.token_ids), golds[c.key]) for c in found])
        return sum(verdict.outcome == "correct" for verdict in verdicts) / len(verdicts)


def _rounding(way: Way) -> Rounding:
    return Rounding(dtype="float32") if way == "float32" else Rounding(dtype="bfloat16", way=way)


def _put_sums(model: PreTrainedModel, base: dict[str, Tensor], chain: Sequence[Adapter]) -> dict[str, Tensor]:
    """Put the float32 sums into the model; the same rounded to nearest."""
    nearest = {}
    for name, before in base.items():
        exact = sum_weight(name, before, chain, _rounding("float32"), CPU)
        nearest[name] = exact.to(torch.bfloat16)
        model.get_parameter(name).copy_(exact)
    return nearest


def _put(model: PreTrainedModel, weights: dict[str, Tensor]) -> None:
    for name, weight in weights.items():
        model.get_parameter(name).copy_(weight)


def _survival(exact: PreTrainedModel, base: dict[str, Tensor], stored: dict[str, Tensor]) -> float:
    """⟨a, d⟩ / ⟨d, d⟩ over all weights, with d = exact − base and a = stored − base."""
    along = intended = 0.0
    for name, before in base.items():
        change, delta = stored[name].float() - before, exact.get_parameter(name) - before
        along += torch.linalg.vecdot(change, delta).sum(dtype=torch.float64).item()
        intended += torch.linalg.vecdot(delta, delta).sum(dtype=torch.float64).item()
    return along / intended


def measured(subject: Subject, wanted: argparse.Namespace, known: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """The rows that aren't known yet, rate by rate."""
    for rate in wanted.rates:
        there = {row["rounds"] for row in known if row["model"] == subject.name and row["rate"] == rate}
        if not set(wanted.rounds) - there:
            continue
        with tempfile.TemporaryDirectory(prefix="merge-table-", dir=wanted.scratch) as folder:
            line = Line(subject, rate, wanted.rows, wanted.batch_rows, Path(folder))
            for number in range(1, max(wanted.rounds) + 1):
                line.train()
                if number in wanted.rounds and number not in there:
                    yield from line.measure()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    head = "| model | rate | rounds | rounding | survival | KL(sum ‖ base) | functional share | agreement | accuracy |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in sorted(rows, key=lambda r: (r["model"], r["rate"], r["rounds"], WAYS.index(r["way"]))):
        share = f"{row['share']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.1%}"
        lines.append(
            f"| {row['model']} | {row['rate']:g} | {row['rounds']} | {row['way']} | {row['survival']:.3f} "
            f"| {row['kl_base']:.2e} | {share} | {row['agreement']:.3f} | {accuracy} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what isn't known yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=Model().name)
    parser.add_argument("--rates", type=float, nargs="*", default=[1e-6, 1e-5, 5e-5, 1e-4, 2e-4, 5e-4])
    parser.add_argument("--rounds", type=int, nargs="+", default=[1, 3, 5, 10])
    parser.add_argument("--rows", type=int, default=64, help="examples of a round")
    parser.add_argument("--batch-rows", type=int, default=8)
    parser.add_argument("--problems", type=int, default=128, help="held-out problems")
    parser.add_argument("--out", type=Path, default=Path("merge-table.jsonl"))
    parser.add_argument("--scratch", help="folder for models that are made and deleted")
    wanted = parser.parse_args()
    known = [json.loads(line) for line in wanted.out.read_text().splitlines()] if wanted.out.exists() else []
    with tempfile.TemporaryDirectory(prefix="merge-table-", dir=wanted.scratch) as scratch:
        subject = subject_of(wanted.model, max(wanted.rounds), wanted.rows, wanted.problems, Path(scratch))
        for row in measured(subject, wanted, known):
            known.append(asdict(row))
            with wanted.out.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            print(json.dumps(asdict(row)), flush=True)
    print(table(known))


if __name__ == "__main__":
    main()
