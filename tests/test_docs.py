"""What the documentation says of commands, files and modules is so; its commands are typed, the quick ones here.

`tests/cases/docs_commands.toml` lists every documented command and how it is held; `tests/test_docs_slow.py` types
those that take long.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from selfimprove import __version__
from selfimprove.recipe.reading import parse_recipe, read_recipe, read_settings
from selfimprove.round.answers import RunAnswers, read_answers
from selfimprove.round.judge import judgement, terms_of
from selfimprove.runs.sealed import sealed_figures
from selfimprove.store.journal import Journal
from tests import warm
from tests.docs_commands import COMMANDS, GROUP, PAGES, ROOT, blocks, commands_of, documented, examples, inline, own
from tests.docs_house import warm_house
from tests.docs_typing import LISTED, Case, Typist, cases, hold
from tests.test_layers import ROWS

RUN = cases("run")


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Typist:
    """Types each command once, in a folder without a model, where `selfimprove` is forked (`tests/warm.py`)."""
    warm.ensure_started()
    return Typist(RUN, {"house": lambda: warm_house(tmp_path_factory.mktemp("house"))})


def test_every_documented_command_is_listed_and_every_listed_one_documented() -> None:
    listed = [case["text"] for kind in ("run", "slow", "ci") for case in LISTED[kind]]
    assert sorted(listed) == sorted(documented())


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        openings = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)[::2]
        assert set(openings) <= {"sh", "text", "python", "toml", "json"}, page.name


WRITTEN = {"mine.toml"}
"""Recipes that a documented command writes."""


@pytest.mark.parametrize("line", documented())
def test_a_command_is_one_that_the_program_takes(line: str) -> None:
    for words in own(line):
        if words[0].startswith("--"):
            assert words[0] in {name for option in GROUP.params for name in option.opts}
            continue
        params = COMMANDS[words[0]].make_context(words[0], words[1:]).params
        recipes = [params["recipe"]] if params.get("recipe") else params.get("recipes") or []
        for recipe in recipes or [None]:
            if str(recipe) in WRITTEN:
                continue
            read_recipe(recipe, read_settings(list(params.get("settings") or [])))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_named_in_a_sentence_are_there(page: Path) -> None:
    for text in inline(page):
        name, *words = text.removeprefix("selfimprove ").split() if text.startswith("selfimprove ") else [""]
        if name and not name.isupper() and not name.startswith("--"):
            options = {option for param in COMMANDS[name].params for option in param.opts} | {"--help"}
            assert {word.strip("[]") for word in words if word.strip("[]").startswith("--")} <= options, text


@pytest.mark.parametrize("case", RUN.values(), ids=RUN)
def test_a_command_does_what_the_page_says(typist: Typist, case: Case) -> None:
    hold(case, typist.type(case))


def test_what_ci_runs_is_in_its_script() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert {case["text"] for case in LISTED["ci"]} <= set(lines)


def test_the_explained_decision_is_that_of_the_example(typist: Typist) -> None:
    assert typist.type(RUN["selfimprove report example --markdown report.md"]).returncode == 0
    report = typist.place("house") / "report.md"
    told = {re.sub(r"\s+", " ", line) for line in report.read_text().splitlines()} | set(_sentences_of_the_example())
    quoted = [line for block in blocks(ROOT / "docs" / "decision.md", "text") for line in block.splitlines()]
    assert len(quoted) >= 8
    assert [line for line in quoted if line not in told] == [], "docs/decision.md quotes rounds/example"


def _sentences_of_the_example() -> Iterator[str]:
    """The sentences that the example's verdicts come to, whatever those were that its records were written with."""
    journal = Journal(ROOT / "rounds" / "example")
    answers, recipe, records = RunAnswers(journal), journal.recipe(), journal.rounds()
    for record in records:
        terms = terms_of(recipe, journal.bound(), records[: record.round - 1])
        champion = answers.champion(record.round, record.parent)
        challenger = answers.of(record.round, record.round)
        judged = judgement(recipe, record.round, terms, champion, champion, challenger, {})
        yield f"Round {record.round}: {judged.decision.sentence}"
    for look in journal.sealed():
        found = {model: read_answers(journal.sealed_verdicts, model) for model in (0, look.champion)}
        yield sealed_figures(sorted(found[0]), look.champion, found).sentence


def test_the_readme_shows_what_a_run_with_the_examples_verdicts_says() -> None:
    shown = blocks(ROOT / "README.md", "text")[0].splitlines()
    first, second, *_, sealed, _ = _sentences_of_the_example()  # of `make demo`, whose run the example continues
    assert {f"  {sentence.partition(': ')[2]}" for sentence in (first, second)} <= set(shown)
    assert f"  {sealed.partition('): ')[2].removesuffix('.')}" in shown


def test_the_explained_mistake_is_told_so(typist: Typist) -> None:
    page = ROOT / "docs" / "problems.md"
    (line,) = [line for line in commands_of(page) if "bad.jsonl" in line]
    (told,) = blocks(page, "text")
    assert typist.type(RUN[line]).stderr == told
    assert blocks(page, "json")[1] == (typist.place("house") / "bad.jsonl").read_text()


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


def test_the_table_of_folders_of_contributing_is_that_of_the_tests() -> None:
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
