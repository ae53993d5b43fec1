"""The checker measured on labelled rows: what `selfimprove check --cases FILE` prints.

A row is a JSON object with `gold`, `prediction`, `equal` (true, false, or null where careful people differ), `kind`,
and `form`: `bare` (the prediction is the answer) or `output` (it is a whole completion; `"stop": "length"` says that it
was cut off at the token limit). It may have the `question`, whose choices are then known. A false accept is a row with
`equal` false judged `correct`; a false reject one with `equal` true judged anything else. Times are those inside the
worker, so they leave out the pipe and the start of the process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from selfimprove.answer import VERSION, Mode, Outcome, Verdict
from selfimprove.answer.checking.pool import Checker
from selfimprove.errors import UsageError

MAX_PREDICTION = 2_000  # characters of a prediction in a row that is written out


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class CasesReport(KindReport):
    """The counts of all rows, the same for each kind, and the checker's version."""

    kinds: dict[str, KindReport]
    version: str = VERSION

    def to_json(self) -> str:
        """The report as one JSON object, kinds in the order of the file."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A labelled row; `line` is the whole of it as written."""

    gold: str
    prediction: str
    equal: bool | None
    kind: str
    bare: bool
    cut: bool
    question: str
    line: str


@dataclass(frozen=True)
class _Judged:
    """A row with its verdict and the milliseconds it took."""

    row: _Row
    verdict: Verdict
    ms: float

    @property
    def false_accept(self) -> bool:
        return self.row.equal is False and self.verdict.outcome is Outcome.CORRECT

    @property
    def false_reject(self) -> bool:
        return self.row.equal is True and self.verdict.outcome is not Outcome.CORRECT

    def told(self) -> str:
        """The row as a line of JSON, a long prediction cut, with its verdict."""
        prediction, verdict = self.row.prediction[:MAX_PREDICTION], self.verdict.plain()
        row = {**json.loads(self.row.line), "prediction": prediction, "verdict": verdict}
        return json.dumps(row, ensure_ascii=True) + "\n"


def run_cases(path: Path, workers: int = 1, mode: Mode = "last", wrong_rows: Path | None = None) -> CasesReport:
    """The report on the rows of a file; rows judged against their label go to `wrong_rows`, each with its verdict.

    Raises `UsageError` if the file can't be read as labelled rows.
    """
    rows = _rows(path)
    if wrong_rows is not None:
        _write(wrong_rows, "")  # that it can be written is known before the work
    with Checker(workers) as checker:
        timed = checker.timed(
            [(row.prediction, row.gold, "bare" if row.bare else mode, row.cut, row.question) for row in rows]
        )
    judged = [_Judged(row, verdict, ms) for row, (verdict, ms) in zip(rows, timed, strict=True)]
    if wrong_rows is not None:
        _write(wrong_rows, "".join(one.told() for one in judged if one.false_accept or one.false_reject))
    by_kind: dict[str, list[_Judged]] = {}
    for one in judged:
        by_kind.setdefault(one.row.kind, []).append(one)
    return CasesReport(**asdict(_counts(judged)), kinds={kind: _counts(some) for kind, some in by_kind.items()})


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "Name a file in an existing, writable folder."
        raise UsageError(f"--wrong {path}: can't be written: {error.strerror}", hint) from None


def _rows(path: Path) -> list[_Row]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}", "Give a JSONL file of labelled rows.") from None
    rows: list[_Row] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            raise UsageError(f"{path}:{number} isn't a labelled row", 'A row needs "gold", "prediction" and "equal".')
        rows.append(row)
    if not rows:
        raise UsageError(f"{path} has no rows", "Give a JSONL file of labelled rows.")
    return rows


def _row(line: str) -> _Row | None:
    """The row that a line of JSON holds, or None."""
    try:
        row = json.loads(line)
        gold, prediction, equal = row["gold"], row["prediction"], row["equal"]
        kind, bare = str(row.get("kind", "")), row.get("form") == "bare"
        cut, question = row.get("stop") == "length", str(row.get("question") or "")
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(gold, str) or not isinstance(prediction, str) or not isinstance(equal, bool | None):
        return None
    return _Row(
        gold=gold, prediction=prediction, equal=equal, kind=kind, bare=bare, cut=cut, question=question, line=line
    )


def _counts(judged: Sequence[_Judged]) -> KindReport:
    labelled = sum(one.row.equal is not None for one in judged)
    accepts, rejects = sum(one.false_accept for one in judged), sum(one.false_reject for one in judged)
    outcomes = Counter(one.verdict.outcome for one in judged)
    times = sorted(one.ms for one in judged)
    return KindReport(
        cases=len(judged),
        labelled=labelled,
        accuracy=(labelled - accepts - rejects) / labelled if labelled else None,
        false_accepts=accepts,
        false_rejects=rejects,
        unparsed=outcomes[Outcome.UNPARSED],
        timed_out=outcomes[Outcome.TIMED_OUT],
        p50_ms=_quantile(times, 0.5),
        p99_ms=_quantile(times, 0.99),
        max_ms=times[-1],
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The value that at least this share of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1))]
