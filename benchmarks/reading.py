"""How long problems take to read: a file of made-up rows, the first time and at the next start.

    python -m benchmarks.reading [--rows 1000000] [--workers 0]

The rows are questions of some 240 characters with a worked solution that ends on `#### ANSWER`, each question another.
All of them are read as a run with `train_size = 0` reads them, in a process of its own for each time, the first with an
empty cache: seconds until the sets are there and their fingerprint is known, and the peak of memory, that of the
processes that read beside. Nothing is left on disk.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

READ = """
import json, resource, sys, time
from pathlib import Path
started = time.perf_counter()
from selfimprove.problem import load_problems
from selfimprove.problem.stock import Reading
from selfimprove.recipe import Problems
wanted = Problems(train=sys.argv[1], train_size=0, heldout_size=500, sealed_size=500)
sets = load_problems(wanted, Reading(cache=Path(sys.argv[2]), workers=int(sys.argv[3])))
digits = sets.fingerprint()
seconds = time.perf_counter() - started
own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([seconds, own, others, len(sets.train), digits]))
"""
NAMES = ("Ada", "Ben", "Cleo", "Dario", "Eve", "Femi", "Gita", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Milo", "Nora")
THINGS = ("pears", "stamps", "marbles", "books", "candles", "tickets", "shells", "buttons", "coins", "cards", "pencils")
PLACES = ("market", "library", "harbour", "school", "museum", "garden", "station", "bakery", "theatre", "workshop")


def made_up(rows: int) -> Iterator[str]:
    """So many rows, as lines of JSON."""
    draw = random.Random(17)
    for number in range(rows):
        one, two = draw.sample(NAMES, 2)
        thing, place = draw.choice(THINGS), draw.choice(PLACES)
        boxes, each, gone = draw.randint(3, 99), draw.randint(2, 60), draw.randint(1, 5)
        all_of_them, left = boxes * each, boxes * each - gone
        question = (
            f"On day {number} {one} carries {boxes} boxes with {each} {thing} each from the {place} to the house of "
            f"{two}. On the way {gone} {thing} fall out of a box and nobody finds them again. {two} counts what has "
            f"arrived and writes it down. How many {thing} does {two} write down?"
        )
        answer = (
            f"There are {boxes} boxes with {each} {thing} in each of them.\nThat is {boxes} * {each} = "
            f"<<{boxes}*{each}={all_of_them}>>{all_of_them} {thing} in all.\nOf these {gone} are lost, so "
            f"{all_of_them} - {gone} = <<{all_of_them}-{gone}={left}>>{left} arrive.\n#### {left}"
        )
        yield json.dumps({"question": question, "answer": answer})


def main() -> None:
    """Print both times and the peaks of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        with path.open("w") as file:
            file.writelines(f"{line}\n" for line in made_up(wanted.rows))
        print(f"{wanted.rows:,} rows, {path.stat().st_size / 2**20:,.0f} MiB")
        found = []
        for time in ("first", "second"):
            command = [sys.executable, "-c", READ, str(path), folder, str(wanted.workers)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            seconds, own, others, problems, digits = json.loads(printed)
            peak = f"peak {own / 2**20:.2f} GiB, and {others / 2**20:.2f} GiB in each worker"
            print(f"{time}: {seconds:.1f} s, {peak}; {problems:,} training problems")
            found.append(digits)
        if found[0] != found[1]:
            sys.exit("the second time gave other problems")


if __name__ == "__main__":
    main()
