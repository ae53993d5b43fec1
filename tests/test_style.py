"""README.md, docs/, the help texts and the messages keep to docs/STYLE.md, as far as a list of phrases can tell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

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


def _messages(path: Path) -> str:
    """What a module or a template can show: its strings, not its docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    nodes = list(ast.walk(ast.parse(text)))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    strings = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs]
    return "\n".join(node.value for node in strings if isinstance(node.value, str))


def _banned_in(text: str) -> list[str]:
    return [phrase for phrase in BANNED if re.search(rf"\b{re.escape(phrase)}\b", text, re.IGNORECASE)]


TEXTS = {name: " ".join(text.split()) for name, text in (*_pages(), *_helps())}


def test_the_list_is_read() -> None:
    assert len(BANNED) >= 20
    assert all(phrase == phrase.strip() and len(phrase) > 5 for phrase in BANNED)


@pytest.mark.parametrize("name", TEXTS)
def test_no_banned_phrase_is_used(name: str) -> None:
    assert _banned_in(TEXTS[name]) == [], "docs/STYLE.md bans these phrases"


def test_no_banned_phrase_is_in_a_message() -> None:
    package = ROOT / "selfimprove"
    shown = [path for path in package.rglob("*") if path.suffix in (".py", ".j2", ".jinja", ".js")]
    # The checker's reasons are part of the records, and its patterns are for the words of models.
    kept = (package / "answer", package / "report" / "reasons.py")
    found = {
        path.relative_to(package).as_posix(): _banned_in(_messages(path))
        for path in shown
        if not any(path.is_relative_to(one) for one in kept)
    }
    assert {name: phrases for name, phrases in found.items() if phrases} == {}


def test_a_percentage_in_prose_has_no_space() -> None:
    prose = [(name, line) for name, text in _pages() for line in text.splitlines() if not line.startswith("|")]
    assert [(name, line) for name, line in prose if re.search(r"\d %", line)] == []
