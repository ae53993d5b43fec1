"""A run's records held against each other: every hash, every fingerprint, and the decisions redone from the verdicts.

`verify` believes nothing that it can compute: the files of each stage are hashed, the champion's line is drawn from
the decisions, the error budget of each round from the decisions before it, and scorecards, looks of the gate, guards,
decisions and sealed figures are made again from the recipe and the verdict rows alone. No model and no problem file is
needed, so it works on a run copied from elsewhere; adapters whose weights were left out are named as missing, which is
no fault, and the rest is still checked. What it can't see is a run forged as a whole: then records and rows agree.

A sentence is held to its figures and to its first word, since an earlier version may have worded it otherwise. A record
from before gains were split has no `split`, and its sentences lack those figures: it is verified without both.

Each check is a `Finding`; a check that can't be made because a cache was pruned is not a fault.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe, fingerprint_of
from selfimprove.round.answers import AnswersByKey, RunAnswers, read_answers
from selfimprove.round.guarding import GuardAnswers
from selfimprove.round.judge import Terms, judgement, terms_of
from selfimprove.round.placebo import placebo_record
from selfimprove.round.schedule import schedule_record, scheduled
from selfimprove.runs.sealed import beside_figures, sealed_figures
from selfimprove.store.champion import Champion, champion_of
from selfimprove.store.durable import content_hash
from selfimprove.store.journal import Journal
from selfimprove.store.looks import FileSeen, SealedLook
from selfimprove.store.records import Certificate, Record, RoundRecord
from selfimprove.store.round_folder import RoundFolder, lacks_weights

_TOLD = ("split", "sentence")
_WORDED = ("sentence", "told")
_NUMBER = re.compile(r"[-+−]?\d(?:[\d,.]*\d)?")


@dataclass(frozen=True)
class Finding:
    """One check: where, what was held against what, what is wrong (empty: nothing), and weights it lacks, if any."""

    where: str
    what: str
    fault: str = ""
    missing: str = ""


def verify(journal: Journal, fingerprint: Callable[[Path], str]) -> list[Finding]:
    """Every check of the run, in order; `fingerprint` is that of a model folder. Nothing is written.

    Raises `UsageError` only where the run can't be read at all: no recipe, or a gap in its rounds.
    """
    bound = journal.bound()
    recipe, records, rollbacks = journal.recipe(), journal.rounds(), journal.rollbacks()
    answers, guards = RunAnswers(journal), GuardAnswers(recipe, journal)
    findings = [_equal("recipe.json", "fingerprint", bound.fingerprint or None, fingerprint_of(bound.recipe))]
    for number, record in enumerate(records, start=1):
        earlier = records[: number - 1]
        parent, used = champion_of(earlier, rollbacks), scheduled(recipe, earlier)
        terms = terms_of(recipe, bound, earlier)
        findings += _round_findings(answers, guards, used, terms, record, parent, fingerprint)
        schedule = schedule_record(recipe, earlier)
        findings.append(_equal(f"{number:04}/round.json", "schedule", record.schedule, schedule))
    return [*findings, *_sealed_findings(journal, recipe)]


def faults_in(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that are faults."""
    return [finding for finding in findings if finding.fault]


def missing_in(findings: Sequence[Finding]) -> list[Finding]:
    """The checks that can't be made, because weights were left out."""
    return [finding for finding in findings if finding.missing]


def _round_findings(
    answers: RunAnswers,
    guards: GuardAnswers,
    recipe: Recipe,
    terms: Terms,
    record: RoundRecord,
    parent: Champion,
    fingerprint: Callable[[Path], str],
) -> Iterator[Finding]:
    journal = answers.journal
    files = journal.round(record.round)
    name = files.path.name
    for stage in record.stages:
        for file, expected in stage.sha256.items():
            path = files.path / file
            if path.name == files.adapter.name and lacks_weights(path):
                yield Finding(f"{name}/{file}", "SHA-256", missing=files.adapter_weights.name)
            else:
                yield _equal(f"{name}/{file}", "SHA-256", _hash(path), expected)
        yield _equal(f"{name}/done/{stage.name}.json", "done-record", files.recorded(stage.name), stage)
    yield _equal(name, "parent", [record.parent, *record.chain], [parent.number, *parent.chain])
    yield from _certificate_findings(journal, files, record, parent, fingerprint)
    yield from _judged_findings(answers, guards, recipe, terms, record, parent)


def _certificate_findings(
    journal: Journal, files: RoundFolder, record: RoundRecord, parent: Champion, fingerprint: Callable[[Path], str]
) -> Iterator[Finding]:
    certificate, name = record.certificate, files.path.name
    yield _equal(f"{name}/round.json", "certificate", certificate, _certified(files))
    yield _equal(name, "certificate passed", certificate.passed, True)
    if certificate.adapters is not None:
        chain = [journal.round(number).adapter_weights for number in (*parent.chain, record.round)]
        if gone := [path.parent for path in chain if lacks_weights(path.parent)]:
            lacking = ", ".join(path.relative_to(journal.folder).as_posix() for path in gone)
            yield Finding(name, "adapters merged", missing=f"weights in {lacking}")
        else:
            yield _equal(name, "adapters merged", [_hash(path) for path in chain], list(certificate.adapters))
    if files.model.exists():
        yield _equal(f"{name}/model", "SHA-256", fingerprint(files.model), certificate.sha256)


def _judged_findings(
    answers: RunAnswers, guards: GuardAnswers, recipe: Recipe, terms: Terms, record: RoundRecord, parent: Champion
) -> Iterator[Finding]:
    number = record.round
    files = answers.journal.round(number)
    name = f"{files.path.name}/round.json"
    own = answers.of(number, parent.number)
    champion = answers.champion(number, parent.number)
    try:
        challenger = answers.of(number, number)
        beside = guards.of(number, parent.number)
        heldout = own if recipe.gate.new_each_round else champion
        redone = judgement(recipe, number, terms, heldout, champion, challenger, beside)
    except (RuntimeError, ValueError) as error:
        yield Finding(name, "decision", f"can't be made from the verdicts: {error}")
        return
    told = record.scorecard.split is not None
    for what in ("scorecard", "decision"):
        yield _redone(name, f"{what} from the verdicts", getattr(record, what), getattr(redone, what), told)
    if recipe.guards:
        stored, made = ([_by_figures(found.plain()) for found in part] for part in (record.guards, redone.guards))
        yield _equal(name, "guards from the verdicts", stored, made)
    yield _equal(name, "alarm from the verdicts", _figures_told(record.alarm), _figures_told(redone.alarm))
    if record.placebo:
        yield _redone(name, "placebo from the verdicts", record.placebo, placebo_record(files, number), told)


def _sealed_findings(journal: Journal, recipe: Recipe) -> Iterator[Finding]:
    for look in journal.sealed():
        name, told = f"sealed.json, look {look.look}", look.split is not None
        yield _seen(name, "SHA-256 of its verdicts", look.verdicts, journal.sealed_verdicts)
        found = _sealed_answers(journal.sealed_verdicts, look)
        if found[0]:
            redone = sealed_figures(sorted(found[0]), look.champion, found)
            stored = {key: value for key, value in look.plain().items() if key in redone.plain()}
            yield _redone(name, "figures from the verdicts", stored, redone, told)
        if look.beside:
            yield _seen(
                name, "SHA-256 of its verdicts at the second temperature", look.beside_verdicts, journal.beside_verdicts
            )
            found = _sealed_answers(journal.beside_verdicts, look)
            beside = beside_figures(recipe, sorted(found[0]), look.champion, found) if found[0] else None
            yield _redone(name, "figures at the second temperature from the verdicts", look.beside, beside, told)


def _sealed_answers(path: Path, look: SealedLook) -> dict[int, AnswersByKey]:
    return {model: read_answers(path, model, look.setup) for model in (0, look.champion)}


def _seen(where: str, what: str, seen: FileSeen | None, path: Path) -> Finding:
    """Hold the file to its hash as far as it reached then; later looks append to it."""
    rows = path.read_bytes() if path.exists() else b""
    found = hashlib.sha256(rows[: seen.bytes if seen else None]).hexdigest()
    return _equal(where, what, found, seen.sha256 if seen else None)


def _equal(where: str, what: str, found: object, expected: object) -> Finding:
    one, other = _plain(found), _plain(expected)
    return Finding(where, what, "" if one == other else _difference(one, other))


def _redone(where: str, what: str, found: object, made: object, told: bool) -> Finding:
    """A record held against what is made again; unless it was `told` how gains split, without that and its sentence."""
    compared = _by_figures if told else _without_split
    return _equal(where, what, *(compared(_plain(value)) for value in (found, made)))


def _by_figures(value: object) -> object:
    """The record, with what its sentences tell in place of their wording."""
    if not isinstance(value, dict):
        return value
    return {key: _figures_told(str(kept)) if key in _WORDED else kept for key, kept in value.items()}


def _figures_told(text: str) -> list[str]:
    """The first word of a sentence and its numbers, sorted, whatever words are between them."""
    return [text.partition(" ")[0].rstrip(":."), *sorted(_NUMBER.findall(text))]


def _without_split(value: object) -> object:
    return {key: kept for key, kept in value.items() if key not in _TOLD} if isinstance(value, dict) else value


def _difference(found: object, expected: object) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        return f"differs in {', '.join(keys)}"
    return f"is {_short(found)}, should be {_short(expected)}"


def _short(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:24]}…"


def _certified(files: RoundFolder) -> Certificate | None:
    try:
        return files.certified()
    except UsageError:
        return None


def _hash(path: Path) -> str | None:
    return content_hash(path) if path.exists() else None


def _plain(value: object) -> object:
    return value.plain() if isinstance(value, Record) else value
