"""README.md, docs/ and the help texts keep to docs/STYLE.md, as far as a list of phrases can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.docs_commands import COMMANDS, GROUP, blocks
from tests.paths import ROOT

STYLE = ROOT / "docs" / "STYLE.md"
BANNED = blocks(STYLE, "text")[0].splitlines()


def _pages() -> Iterator[tuple[str, str]]:
    """Each page but the list's own, without the program's output that it quotes."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if page != STYLE:
            text = page.read_text(encoding="utf-8")
            yield page.name, re.sub(r"^```text$.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _helps() -> Iterator[tuple[str, str]]:
    """The help of the program and of each command, with those of its options."""
    yield "selfimprove", GROUP.help or ""
    for name, command in COMMANDS.items():
        yield name, "\n".join([command.help, *(option.help for option in command.params)])


TEXTS = {name: " ".join(text.split()) for name, text in (*_pages(), *_helps())}


def test_the_list_is_read() -> None:
    assert len(BANNED) >= 20
    assert all(phrase == phrase.strip() and len(phrase) > 5 for phrase in BANNED)


@pytest.mark.parametrize("name", TEXTS)
def test_no_banned_phrase_is_used(name: str) -> None:
    found = [phrase for phrase in BANNED if re.search(rf"\b{re.escape(phrase)}\b", TEXTS[name], re.IGNORECASE)]
    assert found == [], "docs/STYLE.md bans these phrases"


def test_a_percentage_in_prose_has_no_space() -> None:
    prose = [(name, line) for name, text in _pages() for line in text.splitlines() if not line.startswith("|")]
    assert [(name, line) for name, line in prose if re.search(r"\d %", line)] == []
