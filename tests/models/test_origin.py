"""Where a base comes from and its licence: found where the base was found, and never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from selfimprove.models import ModelFolder
from selfimprove.models.origin import Origin, origin_of
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "secret" / "mine")


def _origin_of(folder: Path) -> Origin:
    return origin_of(Model(name=str(folder)), ModelFolder(folder, "", str(folder)))


def test_a_folders_card_and_texts_are_taken(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: mine-1\nlicense_link: LICENSE\n---\n# Mine\n")
    for name in ("LICENSE", "NOTICE.md", "Other.txt"):
        (folder / name).write_text(name)
    found = _origin_of(folder)
    assert (found.licence, found.licence_name, found.licence_link) == ("other", "mine-1", "LICENSE")
    assert [path.name for path in found.texts] == ["LICENSE", "NOTICE.md"]
    assert found.title == "the folder mine"
    assert (found.hub_id, found.lineage) == ("", "")


@pytest.mark.parametrize(
    "card",
    [
        b"",
        b"no front\n",
        b"---\nlicense: [a, b]\n---\n",
        b"---\nlicense: '\x1b[31m'\n---\n",
        b"---\nlicense: {a: }}\n---\n",
        b"---\n- license\n---\n",
        b"---\n" + b"[" * 2000 + b"\n---\n",
        b"---\nlicense: !!python/object/apply:os.getcwd []\n---\n",
        b"\xff\xfe---\nlicense: mit\n---\n",
        b"---\nlicense: mit\n---\n" + b"x" * 1_000_001,
    ],
    ids=range(10),
)
def test_a_card_that_names_no_licence_soundly_leaves_it_unknown(folder: Path, card: bytes) -> None:
    (folder / "README.md").write_bytes(card)
    found = _origin_of(folder)
    assert (found.licence, found.licence_name, found.texts) == ("", "", ())


def test_a_hub_model_that_is_not_here_is_named_by_its_commit(tmp_path: Path) -> None:
    commit = "a" * 40
    found = origin_of(Model(name="some/model"), ModelFolder(tmp_path, "", f"some/model@{commit}"))
    assert (found.hub_id, found.revision, found.lineage, found.licence) == ("some/model", commit, "some/model", "")


def test_a_gguf_names_its_licence_in_its_metadata(tmp_path: Path) -> None:
    """That of the embedded model stands in `test_embedded.py`: its vocabulary takes seconds to read."""
    writer = GGUFWriter(tmp_path / "mine.gguf", "llama")
    writer.add_license("CC-BY-4.0")
    writer.add_tensor("a", np.zeros(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tmp_path / "NOTICE").touch()
    found = _origin_of(tmp_path / "mine.gguf")
    assert (found.licence, found.title) == ("cc-by-4.0", "the file mine.gguf")
    assert [path.name for path in found.texts] == ["NOTICE"]
