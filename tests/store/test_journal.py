from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.errors import UsageError
from selfimprove.events import Note
from selfimprove.host.metering import Cost
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import parse_recipe
from selfimprove.store.champion import champion_of
from selfimprove.store.durable import append_rows, keep_rows, publish, read_rows
from selfimprove.store.journal import Identity, Journal
from selfimprove.store.records import Certificate, Counts, DecisionRecord, RoundRecord, Scorecard, Side

ROWS = [{"key": "a", "text": "two\nlines, é and \u2028"}, {"key": "b", "ids": [1, 2]}, {"key": "c"}]


def test_a_file_torn_at_any_byte_keeps_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_rows(path, ROWS)
    data = path.read_bytes()
    for end in range(len(data) + 1):
        path.write_bytes(data[:end])
        kept = read_rows(path)
        assert kept == ROWS[: data[:end].count(b"\n")]
        keep_rows(path, kept)
        append_rows(path, ROWS[len(kept) :])
        assert path.read_bytes() == data


def test_a_broken_line_in_the_middle_is_damage_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"key": "a"}\n{"key": \n{"key": "c"}\n')
    with pytest.raises(UsageError, match=r"rows.jsonl:2"):
        read_rows(path)


def test_a_done_record_holds_its_files_to_their_hash(tmp_path: Path) -> None:
    files = Journal(tmp_path / "run").round(1)
    files.make()
    assert files.done("sample") is None
    append_rows(files.samples, ROWS)
    files.mark_done("sample", Cost(since=0.0, seconds=1.5), Counts(rows=3), [files.samples])
    assert files.done("sample").counts.plain() == {"rows": 3}
    append_rows(files.samples, ROWS)
    with pytest.raises(UsageError, match="samples.jsonl: missing or changed"):
        files.done("sample")


def test_a_published_folder_replaces_a_stale_one(tmp_path: Path) -> None:
    for name, text in [("new", "1"), ("there", "0")]:
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_text(text)
    publish(tmp_path / "new", tmp_path / "there")
    assert (tmp_path / "there" / "deep" / "file").read_text() == "1"
    assert not (tmp_path / "new").exists()


def _record(number: int, accepted: bool, chain: tuple[int, ...]) -> RoundRecord:
    return RoundRecord(
        round=number,
        stages=(),
        chain=chain,
        decision=DecisionRecord(accepted=accepted, sentence="For a reason."),
        scorecard=Scorecard(champion=Side(accuracy=0.25), challenger=Side(accuracy=0.5)),
        certificate=Certificate(sha256="0" * 64),
    )


@given(st.lists(st.booleans(), max_size=12))
def test_the_champion_is_the_last_accepted_round_and_its_chain_all_of_them(decisions: list[bool]) -> None:
    records: list[RoundRecord] = []
    for number, accepted in enumerate(decisions, start=1):
        records.append(_record(number, accepted, champion_of(records).chain))
    accepted_rounds = tuple(number for number, accepted in enumerate(decisions, start=1) if accepted)
    champion = champion_of(records)
    assert champion.chain == accepted_rounds
    assert champion.number == (accepted_rounds[-1] if accepted_rounds else 0)


def test_a_changed_recipe_model_or_problem_set_is_refused_by_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    journal.bind(Recipe(), Identity("m", "p"))
    journal.bind(Recipe(), Identity("m", "p"))
    assert journal.recipe() == Recipe()
    with pytest.raises(UsageError, match=r"changed: training\.rank"):
        journal.bind(parse_recipe({"training": {"rank": 8}}, "here"), Identity("m", "p"))
    with pytest.raises(UsageError, match="other base weights"):
        journal.bind(Recipe(), Identity("n", "p"))
    with pytest.raises(UsageError, match="problems of run `run` changed"):
        journal.bind(Recipe(), Identity("m", "q"))


def _hold(folder: Path, ready: multiprocessing.synchronize.Event) -> None:
    with Journal(folder).lock():
        ready.set()
        signal.pause()


def test_one_process_holds_a_run_and_a_dead_holder_frees_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "run", ready))
    holder.start()
    assert ready.wait(30)
    journal = Journal(tmp_path / "run")
    with pytest.raises(UsageError, match=f"in use by process {holder.pid} on"), journal.lock():
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(10)
    with journal.lock():
        assert json.loads((tmp_path / "run" / ".holder.json").read_text())["pid"] == os.getpid()


def test_a_gap_in_the_rounds_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    for number in (1, 2):
        journal.round(number).path.mkdir(parents=True)
        journal.round(number).write(_record(number, False, ()))
    assert [record.round for record in journal.rounds()] == [1, 2]
    shutil.rmtree(journal.round(1).path)
    with pytest.raises(UsageError, match="expected round 1"):
        journal.rounds()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    journal = Journal(tmp_path / "run")
    journal.round(1).path.mkdir(parents=True)
    journal.round(1).record.write_bytes(content)
    with pytest.raises(UsageError, match=r"round\.json"):
        journal.rounds()


@pytest.mark.parametrize("content", [b"", b"{", b'{"stage": "sample"', b"\x00\x00", b"[1]", b"{}"])
def test_an_unreadable_done_record_is_none_and_the_stage_is_owed_again(tmp_path: Path, content: bytes) -> None:
    files = Journal(tmp_path / "run").round(1)
    files.make()
    append_rows(files.samples, ROWS)
    files.mark_done("sample", Cost(since=0.0, seconds=1.5), Counts(rows=3), [files.samples])
    (files.path / "done" / "sample.json").write_bytes(content)
    assert files.done("sample") is None


def test_a_torn_event_ends_before_the_next_start_writes(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    with journal.lock():
        journal.write_event(Note("one"))
    whole = journal.events_path.read_bytes()
    journal.events_path.write_bytes(whole + whole[:9])
    with journal.lock():
        journal.write_event(Note("two"))
    assert [row["text"] for row in read_rows(journal.events_path)] == ["one", "two"]
