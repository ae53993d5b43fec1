"""Tables from databases and spreadsheets: columns of other types, empty rows, cells that say that there is nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from selfimprove.problem.preview import preview
from selfimprove.recipe import Problems


def test_decimals_and_dates_of_a_database_are_read_as_they_are_shown(tmp_path: Path) -> None:
    rows = {
        "question": ["What is 1 + 13.5?", "When did the wall fall?"],
        "answer": pyarrow.array([Decimal("14.50"), None], pyarrow.decimal128(10, 2)),
        "day": pyarrow.array([None, date(1989, 11, 9)], pyarrow.date32()),
    }
    for suffix, write in ((".parquet", pyarrow.parquet.write_table), (".arrow", write_stream)):
        path = tmp_path / f"rows{suffix}"
        write(pyarrow.table(rows), path)
        assert [one.answer for one in preview(str(path), Problems()).problems] == ["14.50", None]
        assert preview(str(path), Problems(answer="day")).problems[1].answer == "1989-11-09"


def write_stream(table: pyarrow.Table, path: Path) -> None:
    with pyarrow.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)


def test_rows_of_a_sheet_without_anything_in_them_are_none(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("question,answer,points\nWhat is 1 + 1?,2,5\n,,\n , ,\nWhat is 2 + 2?,4,5\n,\n")
    found = preview(str(path), Problems())
    assert [(one.question, one.answer) for one in found.problems] == [("What is 1 + 1?", "2"), ("What is 2 + 2?", "4")]


@pytest.mark.parametrize("error", ["#VALUE!", "#N/A", "#DIV/0!", "#NV"])
def test_the_error_of_a_formula_is_no_answer(error: str, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(f"question,answer\nWhat is 1 + 1?,2\nWhat is 2 + 2?,{error}\n")
    assert [one.answer for one in preview(str(path), Problems()).problems] == ["2", None]
