"""The benchmark of a report's page makes records that the program reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.report_page import main


def test_the_page_of_made_up_records_shows_every_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--rounds", "2", "--problems", "60", "--tokens", "10", "--keep", str(tmp_path)])
    assert "2 rounds × 60 problems" in capsys.readouterr().out
    page = (tmp_path / "synthetic.html").read_text(encoding="utf-8")
    assert all(f"Round {number}" in page for number in (1, 2))
