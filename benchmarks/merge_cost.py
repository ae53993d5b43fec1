"""What summing, rounding and measuring a weight of a merge costs: nanoseconds of one core for each weight.

    python benchmarks/merge_cost.py [--rows 4096] [--columns 4096] [--rank 16] [--chain 1 3] [--repeats 5]

A matrix of random bfloat16 weights goes through `merging.summing` with chains of adapters of these lengths; the parent
is the merge of all but the last. Processor time of the one thread, the best of the repeats: other programs on the
machine count little. With `--threads` more, the sum over them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

# the checkout beside this file is what is measured, installed or not
sys.path.insert(0, str(Path(__file__).parents[1]))

from selfimprove.merging.adapters import Adapter
from selfimprove.merging.summing import sum_and_measure, sum_weight
from selfimprove.recipe import Rounding

NAME = "weight"
ROUNDING = Rounding(dtype="bfloat16")
PROCESSOR = torch.device("cpu")


def make_chain(rows: int, columns: int, rank: int, length: int) -> list[Adapter]:
    """Adapters with random factors for one weight."""
    pairs = [(torch.randn(rows, rank) * 1e-3, torch.randn(rank, columns) * 1e-2) for _ in range(length)]
    return [Adapter(Path(f"{number}"), 2.0, {NAME: pair}) for number, pair in enumerate(pairs)]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Processor time of the work, all threads together, the best of so many times."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def main() -> None:
    """Print a row for each length of the chain."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for option, default in (("--rows", 4096), ("--columns", 4096), ("--rank", 16), ("--repeats", 5), ("--threads", 1)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--chain", type=int, nargs="+", default=[1, 3])
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    weight = (torch.randn(asked.rows, asked.columns) * 0.02).to(torch.bfloat16)
    print("| adapters | sum and round, ns a weight | sum, round and measure, ns a weight |\n| --- | --- | --- |")
    for length in asked.chain:
        chain = make_chain(asked.rows, asked.columns, asked.rank, length)
        parent = sum_weight(NAME, weight, chain[:-1], ROUNDING, PROCESSOR) if length > 1 else weight
        summed = seconds(lambda: sum_weight(NAME, weight, chain, ROUNDING, PROCESSOR), asked.repeats)  # noqa: B023 - called here
        whole = seconds(
            lambda: sum_and_measure(NAME, weight, chain, ROUNDING, parent, PROCESSOR),  # noqa: B023 - as above
            asked.repeats,
        )
        print(f"| {length} | {summed / weight.numel() * 1e9:.1f} | {whole / weight.numel() * 1e9:.1f} |")


if __name__ == "__main__":
    main()
