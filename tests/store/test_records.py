"""Records as values: read and written again to the same bytes, refused by key, or given up key by key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UnreadableError
from selfimprove.store.durable import read_rows, write_json
from selfimprove.store.looks import SealedRecord
from selfimprove.store.parsing import parsed, parsed_rows
from selfimprove.store.records import (
    BoundRecord,
    Certificate,
    DoneRecord,
    Record,
    RoundRecord,
    SplitRecord,
)
from selfimprove.store.rows import Answered, ExampleRow, Row, SampleRow
from tests.paths import CASES, ROOT

EXAMPLE = ROOT / "rounds" / "example"
OLD = CASES / "format_1"
RECORDS: dict[str, type[Record]] = {
    "recipe.json": BoundRecord,
    "sealed.json": SealedRecord,
    "0*/round.json": RoundRecord,
    "0*/certificate.json": Certificate,
    "0*/done/*.json": DoneRecord,
}
ROWS: dict[str, type[Row]] = {
    "0*/samples.jsonl": SampleRow,
    "0*/examples.jsonl": ExampleRow,
    "0*/verdicts.jsonl": Answered,
    "sealed*.verdicts.jsonl": Answered,
}


@pytest.mark.parametrize("pattern", RECORDS)
def test_a_record_is_written_back_to_the_bytes_it_was_read_from(pattern: str, tmp_path: Path) -> None:
    found = [sorted(folder.glob(pattern)) for folder in (EXAMPLE, OLD)]
    assert all(found)
    for path in (*found[0], *found[1]):
        again = tmp_path / path.name
        write_json(again, parsed(json.loads(path.read_bytes()), RECORDS[pattern], path).plain())
        assert again.read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize("pattern", ROWS)
def test_rows_are_written_back_as_they_were_read(pattern: str) -> None:
    found = sorted(EXAMPLE.glob(pattern))
    assert found
    for path in found:
        rows = parsed_rows(path, read_rows(path), ROWS[pattern])
        written = "".join(json.dumps(row.model_dump(), ensure_ascii=True) + "\n" for row in rows)
        assert written.encode() == path.read_bytes(), path


def record() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EXAMPLE / "0001" / "round.json").read_bytes())
    return content


def test_keys_of_another_version_stay_with_the_record() -> None:
    content = record()
    content["new"] = {"deep": [1]}
    content["stages"][0]["counts"]["seen"] = 3
    assert json.loads(json.dumps(parsed(content, RoundRecord, "round.json").plain())) == content


@pytest.mark.parametrize("spoilt", ["many", True, None, [1], {}, 10**400, -1, 0.5])
def test_a_spoilt_figure_is_refused_by_its_key_or_given_up(spoilt: object) -> None:
    content = record()
    content["scorecard"]["judged"] = spoilt
    lenient = parsed(content, RoundRecord, "round.json", lenient=True)
    assert lenient.scorecard.judged is None
    assert lenient.scorecard.wins == record()["scorecard"]["wins"] > 0
    if spoilt is not None:
        with pytest.raises(UnreadableError, match=r"round\.json: `scorecard\.judged`"):
            parsed(content, RoundRecord, "round.json")


def test_a_split_that_is_spoilt_is_given_up_whole_and_an_older_record_has_none() -> None:
    content = json.loads((OLD / "0001" / "round.json").read_bytes())
    assert parsed(content, RoundRecord, "round.json").scorecard.split is None
    content["scorecard"]["split"] = dict.fromkeys(SplitRecord.model_fields, 0.25)
    assert parsed(content, RoundRecord, "round.json").scorecard.split == SplitRecord(**content["scorecard"]["split"])
    content["scorecard"]["split"]["became_right"] = "many"
    assert parsed(content, RoundRecord, "round.json", lenient=True).scorecard.split is None
    with pytest.raises(UnreadableError, match=r"round\.json: `scorecard\.split\.became_right"):
        parsed(content, RoundRecord, "round.json")


@pytest.mark.parametrize("lenient", [False, True])
def test_what_a_run_steers_by_is_refused_by_both_readings(lenient: bool) -> None:
    content = record()
    content["decision"]["accepted"] = "yes"
    with pytest.raises(UnreadableError, match=r"round\.json: `decision\.accepted`: Input should be a valid boolean"):
        parsed(content, RoundRecord, "round.json", lenient=lenient)
