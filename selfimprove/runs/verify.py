"""A run's records held against each other: every hash, every fingerprint, and the decisions redone from the verdicts.

`verify` believes nothing that it can compute: the files of each stage are hashed, the champion's line is drawn from
the decisions, and scorecards, looks of the gate, guards, decisions and sealed figures are made again from the recipe
and the verdict rows alone. No model and no problem file is needed, so it works on a run copied from elsewhere; adapters
that were left out are named as missing, and the rest is still checked. What it can't see is a run forged as a whole:
then records and rows agree.

Each check is a `Finding`; a check that can't be made because a cache was pruned is not a fault.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe, fingerprint_of
from selfimprove.round.answers import read_answers
from selfimprove.round.judge import champion_answers, judgement
from selfimprove.round.placebo import placebo_record
from selfimprove.round.schedule import schedule_record, scheduled
from selfimprove.runs.sealed import beside_figures, sealed_figures
from selfimprove.store.durable import content_hash, read_json
from selfimprove.store.journal import Champion, Journal, RoundFolder, champion_of

ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Finding:
    """One check: where, what was held against what, and what is wrong (empty: nothing)."""

    where: str
    what: str
    fault: str = ""


def verify(journal: Journal, fingerprint: Callable[[Path], str]) -> list[Finding]:
    """Every check of the run, in order; `fingerprint` is that of a model folder. Nothing is written.

    Raises `UsageError` only where the run can't be read at all: no recipe, or a gap in its rounds.
    """
    stored = read_json(journal.recipe_path)
    recipe, records, rollbacks = journal.recipe(), journal.rounds(), journal.rollbacks()
    findings = [_equal("recipe.json", "fingerprint", stored.get("fingerprint"), fingerprint_of(stored["recipe"]))]
    for number, record in enumerate(records, start=1):
        earlier = records[: number - 1]
        parent, used = champion_of(earlier, rollbacks), scheduled(recipe, earlier)
        findings += _round_findings(journal, used, record, parent, fingerprint)
        schedule = schedule_record(recipe, earlier)
        findings.append(_equal(f"{number:04}/round.json", "schedule", record.get("schedule"), schedule))
    if journal.sealed_path.exists():
        findings += _sealed_findings(journal, recipe)
    return findings


def faults_in(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that are faults."""
    return [finding for finding in findings if finding.fault]


def _round_findings(
    journal: Journal, recipe: Recipe, record: dict[str, Any], parent: Champion, fingerprint: Callable[[Path], str]
) -> Iterator[Finding]:
    files = journal.round(record["round"])
    name = files.path.name
    for stage in record["stages"]:
        for file, expected in stage["sha256"].items():
            yield _equal(f"{name}/{file}", "SHA-256", _hash(files.path / file), expected)
        yield _equal(f"{name}/done/{stage['stage']}.json", "done-record", _done(files, stage["stage"]), stage)
    yield _equal(name, "parent", [record["parent"], record["chain"]], [parent.number, list(parent.chain)])
    yield from _certificate_findings(journal, files, record, parent, fingerprint)
    yield from _judged_findings(journal, recipe, record, parent)


def _certificate_findings(
    journal: Journal, files: RoundFolder, record: dict[str, Any], parent: Champion, fingerprint: Callable[[Path], str]
) -> Iterator[Finding]:
    certificate, name = record["certificate"], files.path.name
    yield _equal(f"{name}/round.json", "certificate", certificate, _readable(files.certificate))
    yield _equal(name, "certificate passed", certificate["passed"], True)
    if "adapters" in certificate:
        chain = [journal.round(number).adapter / ADAPTER_WEIGHTS for number in (*parent.chain, record["round"])]
        yield _equal(name, "adapters merged", [_hash(path) for path in chain], certificate["adapters"])
    if files.model.exists():
        yield _equal(f"{name}/model", "SHA-256", fingerprint(files.model), certificate["sha256"])


def _judged_findings(journal: Journal, recipe: Recipe, record: dict[str, Any], parent: Champion) -> Iterator[Finding]:
    number = record["round"]
    files = journal.round(number)
    name = f"{files.path.name}/round.json"
    own = read_answers(files.verdicts, parent.number)
    champion = champion_answers(journal, number, parent.number)
    try:
        redone = judgement(recipe, number, own if recipe.gate.fresh else champion, champion, _challenger(files, number))
    except (RuntimeError, ValueError) as error:
        yield Finding(name, "decision", f"can't be made from the verdicts: {error}")
        return
    for part, value in redone.items():
        yield _equal(name, f"{part} from the verdicts", record.get(part), _plain(value))
    if record.get("placebo"):
        yield _equal(name, "placebo from the verdicts", record["placebo"], _plain(placebo_record(files, number)))


def _challenger(files: RoundFolder, number: int) -> dict[str, Any]:
    return dict(read_answers(files.verdicts, number))


def _sealed_findings(journal: Journal, recipe: Recipe) -> Iterator[Finding]:
    for look in read_json(journal.sealed_path)["looks"]:
        name, champion = f"sealed.json, look {look['look']}", look["champion"]
        yield _seen(name, "SHA-256 of its verdicts", look.get("verdicts"), journal.sealed_verdicts)
        found = _sealed_answers(journal.sealed_verdicts, champion)
        redone = _plain(sealed_figures(sorted(found[0]), champion, found)) if found[0] else {}
        yield _equal(name, "figures from the verdicts", {key: look.get(key) for key in redone}, redone)
        if look.get("beside"):
            yield _seen(name, "SHA-256 of its verdicts beside", look.get("beside_verdicts"), journal.beside_verdicts)
            found = _sealed_answers(journal.beside_verdicts, champion)
            redone = _plain(beside_figures(recipe, sorted(found[0]), champion, found)) if found[0] else None
            yield _equal(name, "figures beside from the verdicts", look["beside"], redone)


def _sealed_answers(path: Path, champion: int) -> dict[int, dict[str, Any]]:
    return {0: dict(read_answers(path, 0)), champion: dict(read_answers(path, champion))}


def _seen(where: str, what: str, seen: dict[str, Any] | None, path: Path) -> Finding:
    """The file as far as it reached when it was seen; later looks append to it."""
    rows = path.read_bytes() if path.exists() else b""
    size = (seen or {}).get("bytes")
    return _equal(where, what, _sha256(rows[:size]), (seen or {}).get("sha256"))


def _equal(where: str, what: str, found: object, expected: object) -> Finding:
    return Finding(where, what, "" if found == expected else _difference(found, expected))


def _difference(found: object, expected: object) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        return f"differs in {', '.join(keys)}"
    return f"is {_short(found)}, should be {_short(expected)}"


def _short(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:24]}…"


def _done(files: RoundFolder, stage: str) -> dict[str, Any] | None:
    return _readable(files.path / "done" / f"{stage}.json")


def _readable(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except UsageError:
        return None


def _hash(path: Path) -> str | None:
    return content_hash(path) if path.exists() else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """The value as it reads back from JSON: tuples as lists."""
    return json.loads(json.dumps(value))
