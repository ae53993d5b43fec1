"""What the documentation says of commands, files and modules is so: each command is run here, by CI, or says why not.

`tests/cases/docs_commands.toml` lists every documented command and how it is held. What is run is typed into a shell as
it stands, in a folder that has what the pages suppose: a tiny model, problems, the recipes, a finished run `demo`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from selfimprove import __version__
from selfimprove.recipe.reading import parse_recipe, read_recipe
from selfimprove.typed import read_settings
from tests.docs_commands import COMMANDS, GROUP, PAGES, ROOT, blocks, commands_of, documented, examples, inline, own
from tests.test_layers import ROWS
from tests.workshop import RECIPE, make_workshop

CASES = tomllib.loads((ROOT / "tests" / "cases" / "docs_commands.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages suppose it, with a `selfimprove` on its path."""
    shop = make_workshop(tmp_path_factory.mktemp("house"))
    (shop.folder / "tiny").rename(shop.folder / "my-model")
    shutil.copytree(ROOT / "recipes", shop.folder / "recipes")
    shutil.copytree(ROOT / "rounds" / "example", shop.folder / "rounds" / "example")
    shutil.copytree(ROOT / "tests" / "cases", shop.folder / "tests" / "cases")
    shutil.copytree(ROOT / "benchmarks", shop.folder / "benchmarks")
    recipe = RECIPE.format(model="my-model", problems="sums.jsonl").replace(
        "max_new_tokens = 10", "max_new_tokens = 16"
    )
    (shop.folder / "recipes" / "demo.toml").write_text(f'{recipe}rule = "none"\n')
    _write_problems(shop.folder)
    (shop.folder / "bin").mkdir()
    script = shop.folder / "bin" / "selfimprove"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m selfimprove "$@"\n')
    script.chmod(0o755)
    words = "--device cpu --threads 1 --checker-workers 1 --engine transformers --quiet"
    done = _typed(shop.folder, f"selfimprove run --recipe recipes/demo.toml --rounds 1 {words}")
    assert done.returncode == 0, done.stderr
    return shop.folder


def _write_problems(folder: Path) -> None:
    sums = [(f"What is {a} + {b}?", str(a + b)) for a in range(40) for b in range(40, 60)]
    plain = [{"question": question, "answer": answer} for question, answer in sums]
    other = [{"text": question, "result": answer} for question, answer in sums]
    bad = [{"question": "What is 1 + 1?", "answer": "2"}, {"question": "What is 2 + 2?", "answer": ""}]
    for name, rows in (("mine", plain), ("other", other), ("bad", bad)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "questions.txt").write_text("What is 7 * 8?\nWhat is 2 + 2?\n")


@cache
def _typed(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """What the line did in that folder; a line is typed once."""
    paths = {"PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    kept = {"HOME": str(folder), "SELFIMPROVE_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, **paths, **kept},
        capture_output=True,
        text=True,
        timeout=290,
    )


def _cases(kind: str) -> list[object]:
    return [pytest.param(case, id=case["text"]) for case in CASES[kind]]


def test_every_documented_command_is_listed_and_every_listed_one_documented() -> None:
    run = [case["text"] for kind in ("run", "slow") for case in CASES[kind]]
    listed = [*run, *(text for case in CASES["elsewhere"] for text in case["texts"])]
    assert sorted(listed) == sorted(documented())


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        openings = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)[::2]
        assert set(openings) <= {"sh", "text", "python", "toml", "json"}, page.name


@pytest.mark.parametrize("line", documented())
def test_a_command_is_one_that_the_program_takes(line: str) -> None:
    for words in own(line):
        if words[0].startswith("--"):
            assert words[0] in {name for option in GROUP.params for name in option.opts}
            continue
        params = COMMANDS[words[0]].make_context(words[0], words[1:]).params
        recipes = [params["recipe"]] if params.get("recipe") else params.get("recipes") or []
        for recipe in recipes or [None]:
            read_recipe(recipe and ROOT / recipe, read_settings(list(params.get("settings") or [])))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_named_in_a_sentence_are_there(page: Path) -> None:
    for text in inline(page):
        name, *words = text.removeprefix("selfimprove ").split() if text.startswith("selfimprove ") else [""]
        if name and not name.isupper() and not name.startswith("--"):
            options = {option for param in COMMANDS[name].params for option in param.opts} | {"--help"}
            assert {word.strip("[]") for word in words if word.strip("[]").startswith("--")} <= options, text


@pytest.mark.parametrize("case", _cases("run"))
def test_a_command_does_what_the_page_says(house: Path, case: dict[str, object]) -> None:
    if "needs" in case:
        pytest.importorskip(str(case["needs"]))
    done = _typed(house, str(case["text"]))
    assert done.returncode == case.get("exit", 0), done.stdout + done.stderr
    assert str(case.get("shows", "")) in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("case", _cases("slow"))
def test_a_slow_command_does_what_the_page_says(house: Path, case: dict[str, object]) -> None:
    test_a_command_does_what_the_page_says(house, case)


def test_what_ci_runs_is_in_its_script() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for case in CASES["elsewhere"]:
        assert case["why"] != "CI runs it" or all(text in script for text in case["texts"])


def test_the_explained_decision_is_that_of_the_example(house: Path) -> None:
    assert _typed(house, "selfimprove report example --markdown report.md").returncode == 0
    told = {re.sub(r"\s+", " ", line) for line in (house / "report.md").read_text().splitlines()}
    quoted = [line for block in blocks(ROOT / "docs" / "decision.md", "text") for line in block.splitlines()]
    assert len(quoted) >= 8
    assert [line for line in quoted if line not in told] == [], "docs/decision.md quotes rounds/example"


def test_the_explained_mistake_is_told_so(house: Path) -> None:
    page = ROOT / "docs" / "problems.md"
    (line,) = [line for line in commands_of(page) if "bad.jsonl" in line]
    (told,) = blocks(page, "text")
    assert _typed(house, line).stderr == told
    assert blocks(page, "json")[1] == (house / "bad.jsonl").read_text()


def test_pieces_of_recipes_and_rows_can_be_read() -> None:
    for page in PAGES:
        for block in blocks(page, "toml"):
            parse_recipe(tomllib.loads(block), page.name)
        for block in blocks(page, "json"):
            assert all(isinstance(json.loads(line), dict) for line in block.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_named_in_a_sentence_are_there(page: Path) -> None:
    named = [
        text for text in inline(page) if re.fullmatch(r"(selfimprove|tests|recipes|benchmarks|docs)/[\w./-]+", text)
    ]
    assert [text for text in named if not (ROOT / text).exists() and "NAME" not in text] == []


def test_the_table_of_contents_has_every_page() -> None:
    class Loader(yaml.SafeLoader):
        """A loader of its own, so that nothing is added to the shared one."""

    nav = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]
    named = set(re.findall(r"[\w-]+\.md", json.dumps(nav)))
    there = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert there == named


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_says_what_is_written_the_exit_codes_and_an_example(name: str) -> None:
    text = COMMANDS[name].help
    first = text.splitlines()[0]
    assert 20 < len(first) <= 120
    assert first.endswith((".", ":"))
    assert "Writes " in text
    assert "Exit codes: 0 " in text
    assert "; 2 " in text
    assert all(line.startswith(f"selfimprove {name}") for line in examples()[name])
    assert examples()[name]
    assert [option.name for option in COMMANDS[name].params if not option.help] == []


def test_the_module_table_of_contributing_is_that_of_the_tests() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)`", row)) for row in rows] == list(ROWS)


def test_citation_and_changelog_name_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["cff-version"], citation["version"], citation["license"]) == ("1.2.0", __version__, "Apache-2.0")
    assert "2503.02875" in citation["references"][0]["url"]
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


class _Loads(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "source"):
            self.found += [value for name, value in attrs if name in ("src", "href", "srcset") and value]


def test_the_site_loads_nothing_from_elsewhere() -> None:
    pages = sorted((ROOT / "site").glob("*.html"))
    if not pages:
        pytest.skip("no site/ here; `make docs` builds it")
    for page in pages:
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert len(loads.found) > 3
        assert [url for url in loads.found if re.match(r"(\w+:)?//", url)] == [], page.name
