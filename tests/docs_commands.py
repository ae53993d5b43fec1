"""The commands that the documentation shows: those of its `sh` blocks and of the examples in each command's help."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import typer
from markdown_it import MarkdownIt

from selfimprove.cli.app import app
from tests.paths import ROOT

PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "rounds" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands  # type: ignore[attr-defined]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in that language."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def inline(page: Path) -> list[str]:
    """The pieces of code within a page's sentences and tables."""
    tokens = MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))
    return [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]


def commands_of(page: Path) -> list[str]:
    """The lines of a page's `sh` blocks, comments left out."""
    lines = (re.sub(r"(^|\s+)#\s.*", "", line).strip() for block in blocks(page, "sh") for line in block.splitlines())
    return [line for line in lines if line]


def examples() -> dict[str, list[str]]:
    """The examples in the help of each command."""
    found = {}
    for name, command in COMMANDS.items():
        text = command.help.partition("Examples:")[2]
        found[name] = [line.strip() for line in text.splitlines() if line.strip()]
    return found


def documented() -> list[str]:
    """Every command, once."""
    shown = [line for page in PAGES for line in commands_of(page)]
    return list(dict.fromkeys([*shown, *(line for lines in examples().values() for line in lines)]))


def own(line: str) -> Iterator[list[str]]:
    """The words of each call of this program in a line, without the program's name."""
    words = shlex.split(line)
    ends = [place for place, word in enumerate(words) if word in ("|", "<", ">")]
    if words[0] == "selfimprove":
        yield words[1 : ends[0] if ends else None]
