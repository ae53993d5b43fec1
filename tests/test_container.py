"""The Dockerfile names what is there and passes its linter; `llms.txt` lists every page with what it is about."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from selfimprove.models import EMBEDDED_WHEEL
from tests.paths import ROOT

DOCKERFILE = ROOT / "Dockerfile"
HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))


def test_the_image_copies_what_is_there_and_installs_the_embedded_model() -> None:
    text = DOCKERFILE.read_text()
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == ["pyproject.toml", "README.md", "LICENSE", "selfimprove"]
    assert all((ROOT / name).exists() and f"!{name}" in ignored for name in copied)
    assert f" {EMBEDDED_WHEEL}\n" in text
    assert len(text.splitlines()) <= 30


@pytest.mark.skipif(HADOLINT is None, reason="hadolint isn't installed")
def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run([str(HADOLINT), str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_llms_txt_lists_every_page_with_its_first_sentence() -> None:
    spec = importlib.util.spec_from_file_location("llms", ROOT / "docs" / "llms.py")
    assert spec is not None
    assert spec.loader is not None
    llms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(llms)

    class Loader(yaml.SafeLoader):
        """A loader of its own, so that nothing is added to the shared one."""

    config = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    text = llms.llms_text(config["site_name"], config["site_description"], config["nav"], ROOT / "docs")
    listed = re.findall(r"^- \[[^\]]+\]\((\S+)\.html\): (.{30,})$", text, re.MULTILINE)
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {stem for stem, _ in listed} >= pages - {"format"}, "format.md takes its text from another file"
    assert all("](" not in about and "**" not in about for _, about in listed)
    assert text.startswith("# selfimprove\n\n> ")
    assert "- [Start](index.html): `selfimprove` improves a language model's reasoning" in text
    assert "- [Generated problems](generators.html): `" in text
