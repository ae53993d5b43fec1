"""The checker measured on labelled rows: what `selfimprove check --cases FILE` prints.

A row is a JSON object with `gold`, `prediction`, `equal` (true, false, or null where careful people differ), `kind`,
and `form`: `bare` (the prediction is the answer) or `output` (it is a whole completion). A false accept is a row
with `equal` false judged `correct`; a false reject one with `equal` true judged anything else. Times are those
inside the worker, so they leave out the pipe and the start of the process.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from selfimprove.answer import VERSION, Mode, Verdict
from selfimprove.answer.checking.pool import Checker
from selfimprove.errors import UsageError


@dataclass(frozen=True)
class KindReport:
    """The counts of one kind of row; accuracy is of the labelled rows, times are milliseconds in the worker."""

    cases: int
    labelled: int
    accuracy: float | None
    false_accepts: int
    false_rejects: int
    unparsed: int
    timed_out: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class CasesReport(KindReport):
    """The counts of all rows, the same for each kind, and the checker's version."""

    kinds: dict[str, KindReport]
    version: str = VERSION

    def to_json(self) -> str:
        """The report as one JSON object, kinds in the order of the file."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True)
class _Judged:
    row: dict[str, Any]
    verdict: Verdict
    ms: float

    @property
    def false_accept(self) -> bool:
        return self.row["equal"] is False and self.verdict.outcome == "correct"

    @property
    def false_reject(self) -> bool:
        return self.row["equal"] is True and self.verdict.outcome != "correct"


def run_cases(path: Path, workers: int = 1, mode: Mode = "last", wrong_rows: Path | None = None) -> CasesReport:
    """The report on the rows of a file; rows judged against their label go to `wrong_rows`, each with its verdict.

    Raises `UsageError` if the file can't be read as labelled rows.
    """
    rows = _rows(path)
    if wrong_rows is not None:
        _write(wrong_rows, "")  # that it can be written is known before the work
    with Checker(workers) as checker:
        timed = checker.timed([(row["prediction"], row["gold"], _mode(row, mode)) for row in rows])
    judged = [_Judged(row, verdict, ms) for row, (verdict, ms) in zip(rows, timed, strict=True)]
    if wrong_rows is not None:
        lines = [_wrong_line(one) for one in judged if one.false_accept or one.false_reject]
        _write(wrong_rows, "".join(lines))
    by_kind: dict[str, list[_Judged]] = {}
    for one in judged:
        by_kind.setdefault(str(one.row.get("kind", "")), []).append(one)
    return CasesReport(**_counts(judged), kinds={kind: KindReport(**_counts(some)) for kind, some in by_kind.items()})


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "Name a file in a folder that is there and can be written to."
        raise UsageError(f"--wrong {path}: can't be written: {error.strerror}", hint) from None


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}", "give a JSONL file of labelled rows") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            complete = (
                isinstance(row["gold"], str)
                and isinstance(row["prediction"], str)
                and (row["equal"] is None or isinstance(row["equal"], bool))
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            complete = False
        if not complete:
            raise UsageError(f"{path}:{number} is no labelled row", 'a row needs "gold", "prediction" and "equal"')
        rows.append(row)
    if not rows:
        raise UsageError(f"{path} has no rows", "give a JSONL file of labelled rows")
    return rows


def _mode(row: dict[str, Any], mode: Mode) -> Mode | Literal["bare"]:
    return "bare" if row.get("form") == "bare" else mode


def _wrong_line(one: _Judged) -> str:
    row = {**one.row, "prediction": one.row["prediction"][:2000], "verdict": asdict(one.verdict)}
    return json.dumps(row, ensure_ascii=True) + "\n"


def _counts(judged: Sequence[_Judged]) -> dict[str, Any]:
    labelled = sum(one.row["equal"] is not None for one in judged)
    accepts, rejects = sum(one.false_accept for one in judged), sum(one.false_reject for one in judged)
    times = sorted(one.ms for one in judged)
    return {
        "cases": len(judged),
        "labelled": labelled,
        "accuracy": (labelled - accepts - rejects) / labelled if labelled else None,
        "false_accepts": accepts,
        "false_rejects": rejects,
        "unparsed": sum(one.verdict.outcome == "unparsed" for one in judged),
        "timed_out": sum(one.verdict.outcome == "timed_out" for one in judged),
        "p50_ms": _quantile(times, 0.5),
        "p99_ms": _quantile(times, 0.99),
        "max_ms": times[-1],
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The value that at least this share of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1))]
