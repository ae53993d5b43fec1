"""Large sources: read in worker processes as in one, kept by what they are made of, and never believed when damaged."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem import ProblemSets, load_problems
from selfimprove.problem.preview import preview
from selfimprove.problem.stock import Reading
from selfimprove.recipe import Problems
from selfimprove.runs.reading import told_reading
from tests.paths import ROOT

SHAPES = sorted(
    path for path in (ROOT / "tests/cases/shapes").iterdir() if path.suffix != ".md" and path.name != "expected.json"
)


def rows_of(count: int) -> list[dict[str, object]]:
    """Worked solutions, multiple choices by number, rows without an answer, and every tenth question twice."""
    rows: list[dict[str, object]] = []
    for number in range(count):
        question = f"What is {number - number % 10 // 9} + 1, said in words that fill a line?"
        match number % 5:
            case 0:
                rows.append({"question": question, "choices": ["one", "two", "three"], "answer": number % 3})
            case 1:
                rows.append({"question": question, "answer": "We can't say what it is, since nobody has counted it."})
            case _:
                rows.append({"question": question, "answer": f"We add.\n#### {number + 1}"})
    return rows


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, reading: Reading | None = None, **changes: object) -> ProblemSets:
    wanted = Problems(train=str(path), train_size=0, heldout_size=20, sealed_size=20)
    return load_problems(wanted.model_copy(update=changes), reading)


def large(cache: Path, workers: int = 1) -> Reading:
    return Reading(cache=cache, workers=workers, large=0)


def kept(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (cache / "problems").iterdir()}


def test_workers_and_a_second_start_give_what_one_process_gives(tmp_path: Path) -> None:
    path, cache = written(tmp_path / "rows.jsonl", rows_of(5000)), tmp_path / "cache"
    alone = read(path)
    first = read(path, large(cache, workers=2))
    files = kept(cache)
    told: list[int] = []
    again = read(path, Reading(cache=cache, large=0, told=lambda done, total: told.append(done)))
    assert alone == first == again
    assert alone.fingerprint() == first.fingerprint() == again.fingerprint()
    assert (len(files), kept(cache), told) == (2, files, [])
    assert list(first.train[5:8]) == [first.train[place] for place in (5, 6, 7)]


def test_what_changes_what_is_read_is_read_anew(tmp_path: Path) -> None:
    rows, cache = rows_of(200), tmp_path / "cache"
    path = written(tmp_path / "rows.jsonl", rows)
    first = read(path, large(cache))
    stamp = path.stat()
    written(path, [{**row, "question": str(row["question"]).replace("fill", "fell")} for row in rows])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    changed = read(path, large(cache))
    assert changed == read(path)
    assert changed.fingerprint() != first.fingerprint()
    other = read(path, large(cache), seed=5)
    assert other == read(path, seed=5)
    assert other.fingerprint() != changed.fingerprint()


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "other", "folder"])
def test_a_damaged_file_of_the_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    path, cache = written(tmp_path / "rows.jsonl", rows_of(200)), tmp_path / "cache"
    first, whole = read(path, large(cache)), kept(cache)
    for name, data in whole.items():
        file = cache / "problems" / name
        middle = len(data) // 2
        match damage:
            case "cut":
                file.write_bytes(data[:middle])
            case "empty":
                file.write_bytes(b"")
            case "flipped":
                file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
            case "other":
                file.write_bytes(b"ARROW1 and then nothing of the kind")
            case _:
                file.unlink()
                file.mkdir()
    assert read(path, large(cache)) == first
    if damage != "folder":
        assert kept(cache) == whole


def test_starts_at_the_same_time_give_the_same(tmp_path: Path) -> None:
    path, cache = written(tmp_path / "rows.jsonl", rows_of(3000)), tmp_path / "cache"
    found: list[ProblemSets] = []
    starts = [threading.Thread(target=lambda: found.append(read(path, large(cache)))) for _ in range(3)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert found == [read(path)] * 3
    assert not [name for name in kept(cache) if name.startswith(".")]


def test_the_first_bad_row_is_named_whichever_worker_finds_it(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = rows_of(5000)
    rows[2321] = {"question": "", "answer": "1"}
    rows[4765] = {"question": 7, "answer": "1"}
    path = written(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UsageError, match=r"rows\.jsonl:2322: `question` is empty"):
        read(path, large(tmp_path / "cache", workers=2))


def test_a_cache_that_can_not_be_written_keeps_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", rows_of(200))
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert read(path, large(tmp_path / "cache")) == read(path)


def test_every_shape_is_kept_as_it_was_read(tmp_path: Path) -> None:
    def told(path: Path, reading: Reading) -> object:
        try:
            return preview(str(path), Problems(), reading).plain(0)
        except UsageError as error:
            return str(error)

    for path in SHAPES:
        alone = told(path, Reading())
        for _ in ("first", "second"):
            assert told(path, large(tmp_path, workers=1)) == alone, path


def test_progress_is_told_as_a_stage(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", rows_of(9000))
    events: list[object] = []
    with told_reading(events.append) as reading:
        read(path, Reading(told=reading.told, cache=tmp_path, workers=1, large=0))
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["StageStarted", *["StageProgress"] * (len(kinds) - 2), "StageFinished"]
    assert len(kinds) > 5
