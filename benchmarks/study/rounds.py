"""What became of runs with several rounds, from their records: `python benchmarks/study/rounds.py rounds/DIR/RUN…`.

One row a round: the gate's decision with the gain that it saw on the held-out problems, how alike the samples are, and
the champion on the sealed problems where a look was taken after that round.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from selfimprove.formatting import MISSING
from selfimprove.report.records import RunRecords, read_run
from selfimprove.store.looks import SealedLook

HEADER = (
    "| run | round | accepted | gain seen | distinct prefixes | prefix entropy | sealed, greedy (95%) "
    "| over base (95%) | over base at T = 0.6 |\n"
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
    looks = {look.rounds: look for look in run.looks}
    for record in run.rounds:
        yield (
            str(record.round),
            "yes" if record.accepted else "no",
            _points(record.gain),
            _told(record.prefixes.distinct_prefixes, ".0%"),
            _told(record.prefixes.prefix_entropy, ".1f"),
            *_sealed(looks.get(record.round)),
        )


def _sealed(look: SealedLook | None) -> tuple[str, str, str]:
    if look is None:
        return MISSING, MISSING, MISSING
    low, high = look.champion_interval
    least, most = look.gain_interval
    return (
        f"{_told(look.champion_accuracy, '.1%')} ({_told(low, '.1%')} to {_told(high, '.1%')})",
        f"{_points(look.gain)} ({_points(least)} to {_points(most)})",
        _points(look.beside.gain if look.beside else None),
    )


def _points(gain: float | None) -> str:
    return _told(gain and 100 * gain, "+.1f")


def _told(value: float | None, how: str) -> str:
    return MISSING if value is None else format(value, how).replace("%", " %")


if __name__ == "__main__":
    main()
