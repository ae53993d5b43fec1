"""The encoding that the command to convert a file names: what the file was written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem.preview import preview
from selfimprove.recipe import Problems

TEXTS = {
    "CP1252": "Frage,Antwort\nWie groß ist die Fläche für 3 × 4 Meter, wenn die Tür schließt?,zwölf\n" * 3,
    "CP1250": "otázka,odpověď\nKolik jablek má Jiří, když snědl tři ze šesti? Příliš žluťoučký kůň.,tři\n" * 3,
    "GB18030": "question,answer\n小明有15个苹果，吃了3个，还剩几个？,十二\n" * 3,
    "CP1251": "question,answer\nСколько будет два плюс два?,четыре\n" * 3,
    "CP932": "question,answer\n太郎は本を三冊買いました。何冊ありますか。,三冊\n" * 3,
    "CP949": "question,answer\n사과가 세 개 있습니다. 몇 개입니까?,세 개\n" * 3,
    "UTF-16": "question,answer\nWhat is 2 + 2?,4\n",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_the_command_that_converts_a_file_names_its_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(TEXTS[encoding].encode(encoding))
    with pytest.raises(UsageError, match=f"iconv -f {encoding} -t UTF-8") as caught:
        preview(str(path), Problems())
    assert "not UTF-8" in str(caught.value)


def test_a_few_bytes_tell_no_language(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes("question,answer\nA pen costs £3 – how much are 4?,12\n".encode("CP1252"))
    with pytest.raises(UsageError, match="iconv -f CP1252 -t UTF-8"):
        preview(str(path), Problems())
