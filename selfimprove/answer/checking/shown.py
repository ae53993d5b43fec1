"""What `selfimprove check` prints: one verdict, or the checker's figures on labelled rows.

Everything shown of an answer or a reference is escaped: it may come from a model.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from selfimprove.answer import Explanation, Mode, Outcome, Verdict, asked
from selfimprove.answer import explain as explain_verdict
from selfimprove.answer.checking import Checker
from selfimprove.answer.checking.cases import CasesReport, KindReport, run_cases
from selfimprove.escaping import escape_text

_WIDTH = 160


def verdict_text(
    answer: str, gold: str, mode: Mode, explain: bool, as_json: bool, question: str = ""
) -> tuple[bool, str]:
    """Whether the answer is correct, and the verdict with its stage and reason, as text or as one JSON object.

    With `explain` also the candidate, both normal forms and both types, as the checker read them. The verdict comes
    from a worker process; only what it settled in time is read again here.
    """
    with Checker() as checker:
        verdict = checker.check(answer, gold, mode, question=question)
    correct, text = told(verdict, as_json)
    if not explain or verdict.outcome is Outcome.TIMED_OUT or verdict.stage == "worker":
        return correct, text
    explained = explain_verdict(answer, gold, mode, asked=asked(question))
    if as_json:
        return correct, json.dumps(asdict(explained) | {"verdict": explained.verdict.plain()})
    return correct, _explanation(explained)


def told(verdict: Verdict, as_json: bool) -> tuple[bool, str]:
    """Whether the answer is correct, and the verdict with its stage and reason, as text or as one JSON object."""
    return verdict.outcome is Outcome.CORRECT, json.dumps(verdict.plain()) if as_json else _line(verdict)


def cases_text(path: Path, workers: int, mode: Mode, wrong_rows: Path | None, as_json: bool) -> str:
    """The checker's figures on the labelled rows of a file, a line per kind; the rows it got wrong go to `wrong_rows`.

    Raises `UsageError` if the file can't be read as labelled rows.
    """
    found = run_cases(path, workers, mode, wrong_rows)
    if as_json:
        return found.to_json()
    names = f"{'kind':<28}{'cases':>6}{'accuracy':>10}{'FA':>4}{'FR':>4}{'unparsed':>9}{'late':>5}"
    rows = [_row(name, kind) for name, kind in [("all", found), *found.kinds.items()]]
    return "\n".join([names + f"{'p50 ms':>8}{'p99 ms':>9}", *rows, _legend(found)])


def _explanation(explained: Explanation) -> str:
    pairs = [
        ("candidate", f"{_shown(explained.candidate or 'none')} ({explained.found_by})"),
        ("read as", f"{_shown(explained.candidate_normal)} ({explained.candidate_type})"),
        ("reference", f"{_shown(explained.reference_normal)} ({explained.reference_type})"),
        ("verdict", _line(explained.verdict)),
    ]
    return "\n".join(f"{name:<10} {value}" for name, value in pairs)


def _line(verdict: Verdict) -> str:
    candidate = "" if verdict.candidate is None else f" {_shown(verdict.candidate)}"
    return f"{verdict.outcome}:{candidate} ({verdict.stage}: {_shown(verdict.reason)})"


def _row(name: str, kind: KindReport) -> str:
    accuracy = "–" if kind.accuracy is None else f"{kind.accuracy:.1%}"
    errors = f"{kind.false_accepts:>4}{kind.false_rejects:>4}{kind.unparsed:>9}{kind.timed_out:>5}"
    return f"{_shown(name)[:27]:<28}{kind.cases:>6}{accuracy:>10}{errors}{kind.p50_ms:>8.2f}{kind.p99_ms:>9.2f}"


def _legend(found: CasesReport) -> str:
    return (
        f"{found.labelled} of {found.cases} labelled; FA: false accepts, FR: false rejects, late: timed out; "
        f"slowest {found.max_ms:.0f} ms; checker version {found.version}"
    )


def _shown(text: str) -> str:
    return escape_text(text, _WIDTH)
