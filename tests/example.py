"""The recorded run `rounds/example/`: what its records say, and a copy of its first start.

The run has three starts: two rounds, a third, then two more. The sealed problems were judged after the second round and
after the third.
"""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

from selfimprove.events import RunFinished, Timed
from selfimprove.report.records import RunRecords, read_run
from selfimprove.store.journal import Journal
from selfimprove.store.looks import SealedLook
from selfimprove.store.records import StageRecord
from tests.paths import ROOT

RUNS = ROOT / "rounds"
EXAMPLE = RUNS / "example"
HISTORY: list[Timed] = Journal(EXAMPLE).events_since(0)[0]
FIRST_START = HISTORY[: 1 + next(place for place, timed in enumerate(HISTORY) if isinstance(timed.event, RunFinished))]
"""The events of the start that made the first two rounds."""


@cache
def records() -> RunRecords:
    return read_run(RUNS, "example")


def last_look() -> SealedLook:
    look = records().last_look
    assert look is not None
    return look


def stages(name: str) -> list[StageRecord]:
    """The stage of this name in each round."""
    return [stage for record in records().rounds for stage in record.stages if stage.stage == name]


def flip_counts() -> tuple[int, int]:
    """Problems won and lost in all rounds, by the scorecards."""
    cards = [record.scorecard for record in records().rounds]
    return sum(card.wins or 0 for card in cards), sum(card.losses or 0 for card in cards)


def copy_first_start(to: Path) -> Path:
    """A copy of the run as its first start left it: two rounds and one look. The verdicts of later looks stay."""
    shutil.copytree(EXAMPLE, to, ignore=shutil.ignore_patterns("0003", "0004", "0005"))
    lines = (EXAMPLE / "events.jsonl").read_bytes().splitlines(keepends=True)
    (to / "events.jsonl").write_bytes(b"".join(lines[: len(FIRST_START)]))
    sealed = json.loads((EXAMPLE / "sealed.json").read_text())
    (to / "sealed.json").write_text(json.dumps(sealed | {"looks": sealed["looks"][:1]}))
    return to
