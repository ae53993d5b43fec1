"""What became of runs with several rounds, from their records: `python benchmarks/study/rounds.py rounds/DIR/RUN…`.

One row a round: the gate's decision with the gain that it saw on the held-out problems, how alike the samples are, and
the champion on the sealed problems where a look was taken after that round.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from selfimprove.report.records import Record, RunRecords, accepted, items, number, read_run
from selfimprove.text.formatting import MISSING

HEADER = (
    "| run | round | accepted | gain seen | distinct prefixes | prefix entropy | sealed, greedy (95 %) "
    "| over base (95 %) | over base at T = 0.6 |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    """Print one table for all the runs named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    print(HEADER)
    for run in parser.parse_args().runs:
        for cells in _rows(read_run(run.parent, run.name)):
            print(f"| {run.name} | {' | '.join(cells)} |")


def _rows(run: RunRecords) -> Iterator[tuple[str, ...]]:
    looks = {number(look, "rounds"): look for look in items(run.sealed, "looks")}
    for record in run.rounds:
        count = number(record, "round")
        yield (
            f"{count:.0f}",
            "yes" if accepted(record) else "no",
            _points(number(record, "decision", "looks", -1, "gain")),
            _told(number(record, "prefixes", "distinct_prefixes"), ".0%"),
            _told(number(record, "prefixes", "prefix_entropy"), ".1f"),
            *_sealed(looks.get(count)),
        )


def _sealed(look: Record | None) -> tuple[str, str, str]:
    if look is None:
        return MISSING, MISSING, MISSING
    rate, ends = number(look, "champion_accuracy"), [number(look, "champion_interval", end) for end in (0, 1)]
    gain, reach = number(look, "gain"), [number(look, "gain_interval", end) for end in (0, 1)]
    return (
        f"{_told(rate, '.1%')} ({_told(ends[0], '.1%')} to {_told(ends[1], '.1%')})",
        f"{_points(gain)} ({_points(reach[0])} to {_points(reach[1])})",
        _points(number(look, "beside", "gain")),
    )


def _points(gain: float | None) -> str:
    return _told(gain and 100 * gain, "+.1f")


def _told(value: float | None, how: str) -> str:
    return MISSING if value is None else format(value, how).replace("%", " %")


if __name__ == "__main__":
    main()
