"""What five rounds of merging keep of the updates: summed from float32 and rounded once, or bfloat16 onto bfloat16.

    python benchmarks/merge_chain.py [--rounds 5] [--rates 2e-4 1e-5] [--rows 48] [--epochs 1] [--canaries 4]

Really trains adapters in a line on the embedded model: rows of generated sums with their true answers as targets, each
adapter on the product's merge of those before it. After each round three models are made of the same adapters:

    float32   the product: base in float32 + all deltas, rounded to bfloat16 once
    bf16      the base rounded to bfloat16 + all deltas in float32, rounded once
    chained   bfloat16 onto bfloat16: the chained model before + this round's delta, rounded every round

The figures of each are those of `merging/certificate.py`, for the *sum* of all deltas so far (d) and the change since
the base as it is judged, rounded to bfloat16 (a). Then the certificates of the rounds themselves, as `merge` writes
them for the product: KL and agreement are against that round's parent with its adapter. `lost` is what both are where
all of the update is lost: the parent as it is against the parent with its adapter.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer

# the checkout beside this file is what is measured, installed or not
sys.path.insert(0, str(Path(__file__).parents[1]))

from selfimprove.merging import merge, rebuild
from selfimprove.merging.adapters import read_adapter
from selfimprove.merging.canaries import compare
from selfimprove.merging.certificate import Change, measure, total_change
from selfimprove.models import default_cache, load_tokenizer, resolve_exact, resolve_model
from selfimprove.prefixes import Example
from selfimprove.problem import Problem, load_problems
from selfimprove.recipe import Merging, Model, Runtime, Training
from selfimprove.recipe.reading import read_recipe
from selfimprove.training import train

WEIGHTS = "model.safetensors"
WAYS = ("float32", "bf16", "chained")
RUNTIME = Runtime(device="cpu")
BARE = Merging(canaries=64, min_survival=0, min_agreement=0)


def problems_of_rounds(rounds: int, rows: int, canaries: int) -> list[Problem]:
    """Distinct generated sums: `rows` for each round, then the canaries."""
    sizes = {"train_size": rounds * rows, "heldout_size": canaries, "sealed_size": 1}
    sets = load_problems(read_recipe(None, {"problems": sizes}).problems)
    return [*sets.train, *sets.heldout]


def examples_of(folder: Path, problems: Sequence[Problem]) -> list[Example]:
    """The questions with their true answers and the end of the turn as targets."""
    tokenizer, plain = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    made = []
    for problem in problems:
        answer = plain(problem.answer or "", add_special_tokens=False)["input_ids"]
        prompt = tokenizer.render("", problem.question)
        made.append(Example(problem.key, 0, "full", tuple(prompt), (*answer, tokenizer.eos_id)))
    return made


class Line:
    """One line of rounds at one learning rate, in a folder; the models of a round replace those of the one before."""

    def __init__(self, folder: Path, learning_rate: float, epochs: int) -> None:
        found = resolve_model(Model(), default_cache())
        self.judged = found.path
        self.exact = resolve_exact(Model(), found, default_cache())
        self.settings = Training(learning_rate=learning_rate, epochs=epochs, batch_rows=16)
        self.folder = folder
        self.adapters: list[Path] = []
        self.sums: dict[str, Tensor] = {}
        self.product = self.chained = found.path

    def train(self, examples: Sequence[Example]) -> float:
        """Train this round's adapter on the product's model; returns the last loss."""
        number = len(self.adapters)
        out, work = self.folder / f"adapter-{number}", self.folder / "work"
        counts = train(examples, self.product, work, out, self.settings, number, RUNTIME, lambda *_: None)
        self.adapters.append(out)
        adapter = read_adapter(out)
        for name in adapter.factors:
            delta = adapter.delta(name)
            if delta is not None:
                self.sums[name] = self.sums[name] + delta if name in self.sums else delta
        return float(counts["last_loss"])

    def merge(self, canaries: Sequence[Sequence[int]]) -> list[str]:
        """Make the three models of the round, print what they keep; the lines of the round's certificate."""
        number, last = len(self.adapters), self.adapters[-1]
        outs = {way: self.folder / f"{way}-{number}" for way in WAYS}
        lost = compare(self.product, last, self.product, canaries, RUNTIME)
        own = merge(self.exact, self.adapters, self.product, outs["float32"], BARE, "bfloat16", canaries, RUNTIME)
        rebuild(self.judged, self.adapters, outs["bf16"], "bfloat16", RUNTIME)
        rebuild(self.chained, [last], outs["chained"], "bfloat16", RUNTIME)
        for way, out in outs.items():
            print(f"{number:>5}  {way:<8}{figures_of(self._change(out))}", flush=True)
        self._replace(outs)
        return [
            f"{number:>5}  {'merged':<8}{own['survival']:>9.3f}{own['kl']:>10.5f}{own['agreement']:>11.3f}",
            f"{number:>5}  {'lost':<8}{0:>9.3f}{lost.kl:>10.5f}{lost.agreement:>11.3f}",
        ]

    def _change(self, merged: Path) -> Change:
        """The change from the base as judged to `merged`, against the sum of the deltas so far."""
        exact, before, after = (load_file(folder / WEIGHTS) for folder in (self.exact, self.judged, merged))
        return total_change(
            [measure(exact[name].float(), delta, after[name], before[name]) for name, delta in self.sums.items()]
        )

    def _replace(self, outs: dict[str, Path]) -> None:
        for old in (self.product, self.chained):
            if old != self.judged:
                shutil.rmtree(old)
        shutil.rmtree(outs["bf16"])
        self.product, self.chained = outs["float32"], outs["chained"]


def figures_of(change: Change) -> str:
    """The cells of one row."""
    kept, error = change.survival(), change.relative_error()
    return f"{kept:>9.3f}{error:>16.3f}{change.unchanged_share():>11.3f}{change.delta_norm():>12.2e}"


def main() -> None:
    """Train, merge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-4, 1e-5])
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--canaries", type=int, default=4)
    wanted = parser.parse_args()
    problems = problems_of_rounds(wanted.rounds, wanted.rows, wanted.canaries)
    examples = examples_of(resolve_model(Model(), default_cache()).path, problems)
    canaries = [example.prompt_ids for example in examples[-wanted.canaries :]]
    for rate in wanted.rates:
        with tempfile.TemporaryDirectory(prefix="merge-chain-") as folder:
            line, certificates, losses = Line(Path(folder), rate, wanted.epochs), [], []
            print(f"\nlearning rate {rate:g}: the sum of all updates so far")
            print("round  way      survival  relative error  unchanged    |d|/|p|")
            for first in range(0, wanted.rounds * wanted.rows, wanted.rows):
                losses.append(line.train(examples[first : first + wanted.rows]))
                certificates += line.merge(canaries)
            print(f"last losses: {', '.join(f'{loss:.3f}' for loss in losses)}\n\ncertificates of the rounds")
            print("round  model    survival        KL  agreement", *certificates, sep="\n")


if __name__ == "__main__":
    main()
