"""Answer checkers side by side on labelled rows, and which stage of this one decides what.

    pip install 'math-verify[antlr4_13_2]'
    python benchmarks/compare_checkers.py tests/cases/answers.jsonl tests/cases/outputs.jsonl

Every row (as `selfimprove check --cases` reads it) is judged in this process by the checker of this package and, where
it is installed, by math-verify as its documentation has it, with a bare answer put into a box. Printed as Markdown:
right verdicts, false accepts, false rejects and milliseconds; then, for this checker, the share of rows that each
stage decided and what it took.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from selfimprove.answer import Outcome, check, check_answer


@dataclass(frozen=True, kw_only=True)
class Row:
    """A labelled row: whether the prediction is the reference's answer."""

    gold: str
    prediction: str
    equal: bool
    bare: bool
    cut: bool


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Whether a checker accepted a row, the stage that decided, and its milliseconds."""

    accepted: bool
    stage: str
    ms: float


def rows_of(path: Path) -> list[Row]:
    """The labelled rows of a file of cases, without those that are judged by the choices of their question."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["equal"] is not None and "question" not in row:
            cut = row.get("stop") == "length"
            pair = {"gold": row["gold"], "prediction": row["prediction"], "equal": row["equal"]}
            found.append(Row(**pair, bare=row.get("form") == "bare", cut=cut))
    return found


def ours(row: Row) -> tuple[bool, str]:
    """This package's verdict on a row and its stage."""
    verdict = check_answer(row.prediction, row.gold) if row.bare else check(row.prediction, row.gold, cut=row.cut)
    return verdict.outcome is Outcome.CORRECT, verdict.stage


def math_verify(row: Row) -> tuple[bool, str]:
    """math-verify's verdict on a row."""
    from math_verify import parse, verify

    prediction = f"\\boxed{{{row.prediction}}}" if row.bare else row.prediction
    return bool(verify(parse(f"\\boxed{{{row.gold}}}"), parse(prediction))), ""


def judged(rows: list[Row], judge: Callable[[Row], tuple[bool, str]]) -> list[Judged]:
    """Every row judged, one after the other."""
    found = []
    for row in rows:
        started = time.perf_counter()
        accepted, stage = judge(row)
        found.append(Judged(accepted=accepted, stage=stage, ms=1000 * (time.perf_counter() - started)))
    return found


def told(name: str, rows: list[Row], verdicts: list[Judged]) -> str:
    """A line of the table of checkers."""
    pairs = list(zip(rows, verdicts, strict=True))
    accepts = sum(verdict.accepted and not row.equal for row, verdict in pairs)
    rejects = sum(row.equal and not verdict.accepted for row, verdict in pairs)
    times = sorted(verdict.ms for verdict in verdicts)
    right = (len(rows) - accepts - rejects) / len(rows)
    wrong, equal = sum(not row.equal for row in rows), sum(row.equal for row in rows)
    last = times[int(0.99 * (len(times) - 1))]
    return (
        f"| {name} | {right:.1%} | {accepts} of {wrong} | {rejects} of {equal} "
        f"| {statistics.median(times):.1f} / {last:.0f} |"
    )


def stages(verdicts: list[Judged]) -> list[str]:
    """The table of stages, the commonest first."""
    by_stage: dict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        by_stage[verdict.stage].append(verdict.ms)
    lines = ["| stage | share | ms, median | ms, most |", "| --- | --- | --- | --- |"]
    for stage, times in sorted(by_stage.items(), key=lambda item: -len(item[1])):
        share = len(times) / len(verdicts)
        lines.append(f"| {stage} | {share:.1%} | {statistics.median(times):.2f} | {max(times):.0f} |")
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", type=Path)
    wanted = parser.parse_args()
    check(r"\boxed{\lim_{x\to0}\frac{\sin x}{x}}", "1")  # what is imported late is imported now
    everything: list[Judged] = []
    for path in wanted.cases:
        rows = rows_of(path)
        print(f"\n{path.name}, {len(rows)} rows\n\n| checker | right | false accepts | false rejects | ms, p50 / p99 |")
        print("| --- | --- | --- | --- | --- |")
        verdicts = judged(rows, ours)
        everything += verdicts
        print(told("this one", rows, verdicts))
        if find_spec("math_verify") is not None:
            print(told("math-verify", rows, judged(rows, math_verify)))
    print("\n" + "\n".join(stages(everything)))


if __name__ == "__main__":
    main()
