"""The answer checker's figures on real references: soundness, accidental equality, throughput.

    python benchmarks/checker.py PROBLEMS [PROBLEMS …] [--pairs 20000] [--answers 10000] [--workers 2]

For each problem file (as `selfimprove run --problems` reads it): references that are not equal to themselves, or equal
to a perturbed copy. Then pairs of different references of the *last* file, drawn with a fixed seed, that the checker
takes for equal, each printed to be looked at. Then throughput on answers made from the first file's references (two of
three right), first fresh, then again from the cache.
"""

from __future__ import annotations

import argparse
import random
import time
from itertools import permutations

from selfimprove.answer import Outcome
from selfimprove.answer.checking import Checker
from selfimprove.problem import load_problems
from selfimprove.recipe.reading import read_recipe


def references_of(source: str) -> list[str]:
    """The reference answers of a problem source, in the order in which a run would see them."""
    sizes = {"train_size": 0, "heldout_size": 1, "sealed_size": 1}
    sets = load_problems(read_recipe(None, {"problems": {"train": source, **sizes}}).problems)
    return [problem.answer for problem in (*sets.sealed, *sets.heldout, *sets.train) if problem.answer is not None]


def soundness(checker: Checker, source: str, references: list[str]) -> None:
    """Print how many references fail against themselves or a perturbed copy."""
    faults = [fault for fault in checker.faults_of_references(references) if fault]
    print(f"{source}: {len(references)} references, {len(faults)} faulty")


def cross_pairs(checker: Checker, references: list[str], count: int) -> None:
    """Print the pairs of different references that are taken for equal."""
    pairs = list(permutations(sorted(set(references)), 2))
    random.Random(1).shuffle(pairs)
    drawn = pairs[:count]
    verdicts = checker.check_all(drawn, "bare")
    equal = [pair for pair, verdict in zip(drawn, verdicts, strict=True) if verdict.outcome is Outcome.CORRECT]
    print(f"{len(drawn)} of {len(pairs)} pairs of different references: {len(equal)} taken for equal")
    for answer, gold in equal:
        print(f"    {answer!r} for {gold!r}")


def throughput(checker: Checker, references: list[str], count: int) -> None:
    """Print checks per second on `count` distinct answers, fresh and cached."""
    gold = [references[place % len(references)] for place in range(count)]
    items = [(f"Row {place}: #### {ref if place % 3 else place}", ref) for place, ref in enumerate(gold)]
    for name in ("fresh", "cached"):
        started = time.perf_counter()
        checker.check_all(items, "marked")
        print(f"{count} numeric answers, {name}: {count / (time.perf_counter() - started):,.0f} checks/s")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="+")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    references = {source: references_of(source) for source in wanted.problems}
    with Checker(wanted.workers) as checker:
        checker.check("1", "1")
        for source, found in references.items():
            soundness(checker, source, found)
        cross_pairs(checker, references[wanted.problems[-1]], wanted.pairs)
        throughput(checker, references[wanted.problems[0]], wanted.answers)


if __name__ == "__main__":
    main()
