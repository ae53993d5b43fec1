"""Whatever a file holds, its reader gives values or a `UsageError`: never another exception, never a hang."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfimprove.answer.checking import cases
from selfimprove.errors import UsageError
from selfimprove.host.metering import Cost
from selfimprove.problem.fields import problem_from_row
from selfimprove.problem.files import file_rows
from selfimprove.recipe import Guard, Problems, Recipe, Section
from selfimprove.recipe.keys import changed_keys
from selfimprove.recipe.reading import parse_recipe, read_recipe
from selfimprove.report import report_markdown, status_lines
from selfimprove.report.records import read_run
from selfimprove.round import round_finished
from selfimprove.round.answers import read_answers, scorecard
from selfimprove.round.sample import read_completions
from selfimprove.round.train import read_examples
from selfimprove.store.champion import champion_of
from selfimprove.store.durable import read_json, read_rows
from selfimprove.store.journal import Journal
from selfimprove.store.records import Counts
from tests.paths import ROOT

EXAMPLE = ROOT / "rounds" / "example"
DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b'{"round": 1e999}', b"\xff\xfe[\x00", b"\xef\xbb\xbf{}"]

TEXTS = st.text(st.characters(exclude_categories=()), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from([10**400, 2**63, -1, 0, 1])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - JSON
    """The paths to every value inside; of long lists, to the first ones."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for step, under in inner:
        yield (*path, step)
        yield from places(under, (*path, step))


@st.composite
def spoilt(draw: st.DrawFn, record: dict[str, Any]) -> dict[str, Any]:
    """A real record in which some values are others, missing, or joined by unknown ones."""
    fresh = json.loads(json.dumps(record))
    for _ in range(draw(st.integers(1, 3))):
        if not fresh:
            break
        *path, last = draw(st.sampled_from(list(places(fresh))))
        inner = fresh
        for step in path:
            inner = inner[step]
        kind = draw(st.sampled_from(["other", "other", "missing", "more"]))
        if kind == "missing":
            del inner[last]
        elif kind == "more" and isinstance(inner, dict):
            inner[draw(TEXTS)] = draw(JSON)
        else:
            inner[last] = draw(JSON)
    return fresh


@st.composite
def torn(draw: st.DrawFn, data: bytes) -> bytes:
    """The data with a piece lost or replaced."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 40)) | st.just(len(data)))
    return data[:start] + draw(st.binary(max_size=8)) + data[end:]


def file_of(record: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Contents of a file that may have held the record."""
    written = (spoilt(record) | JSON).map(lambda value: json.dumps(value).encode())
    return written | torn(json.dumps(record).encode()) | st.binary(max_size=60) | st.sampled_from(DEEP)


def lines_of(rows: list[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    """Contents of a JSONL file that may have held the rows."""
    row = st.sampled_from(rows)
    line = (row | row.flatmap(spoilt) | JSON).map(lambda value: json.dumps(value).encode() + b"\n")
    return st.lists(line | torn(json.dumps(rows[0]).encode() + b"\n"), max_size=4).map(b"".join) | file_of(rows[0])


def example(name: str) -> dict[str, Any]:
    return json.loads((EXAMPLE / name).read_text())


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EXAMPLE / name).read_text().splitlines()[:4]]


@pytest.fixture
def run(tmp_path: Path) -> Journal:
    """A small run with the records of a real one; its first stage's done-record fits its file."""
    journal = Journal(tmp_path / "run")
    journal.round(1).make()
    for name in ["recipe.json", "sealed.json", "0001/round.json"]:
        shutil.copyfile(EXAMPLE / name, journal.folder / name)
    journal.round(1).samples.write_text("{}\n")
    journal.round(1).mark_done("sample", Cost(since=0.0), Counts(), [journal.round(1).samples])
    return journal


def round_of(journal: Journal) -> Any:  # noqa: ANN401 - what the stages' readers need of a Job
    return SimpleNamespace(files=journal.round(1))


def read_rounds(journal: Journal) -> None:
    records = journal.rounds()
    champion_of(records)
    assert [round_finished(record).number for record in records] == list(range(1, len(records) + 1))


def read_report(journal: Journal) -> None:
    found = read_run(journal.folder.parent, journal.name)
    assert report_markdown(found)
    assert len(status_lines([found])) == 1


def read_bound(journal: Journal) -> None:
    assert changed_keys(Recipe(), journal.recipe()) is not None
    journal.examine(journal.recipe())


def read_sealed(journal: Journal) -> None:
    for look in journal.sealed():
        assert look.gain_interval[0] + look.gain_interval[1] == sum(look.gain_interval)


def read_verdicts(journal: Journal) -> None:
    assert scorecard(read_answers(journal.round(1).verdicts, 0)).accuracy <= 1


def read_problems(suffix: str) -> Callable[[Journal], None]:
    def read(journal: Journal) -> None:
        for number, row in file_rows(journal.folder / f"problems{suffix}"):
            assert problem_from_row(row, Problems(), f"f:{number}", "f").question

    return read


Reader = tuple[str, Callable[[Journal], object], st.SearchStrategy[bytes]]
"""The file that is spoilt, what reads it, and what stands in it."""

PROBLEM = {"question": "What is 1 + 1?", "answer": "2", "solution": "so $\\boxed{2}$"}
LABELLED = {"gold": "1", "prediction": "1", "equal": True, "kind": "integer", "form": "bare"}
CSV = b'question,answer\n"What, then, is 1 + 1?",2\r\n"a ""b""\n c",3\n'
SECTIONS = {f"[{name}]": type(part) for name, part in Recipe() if isinstance(part, Section)} | {"[[guards]]": Guard}
KEYS = [f"{name}\n{key}" for name, part in SECTIONS.items() for key in part.model_fields]
VALUES = [
    "1",
    "-1",
    "inf",
    "nan",
    "1e400",
    "'x'",
    "[]",
    "{}",
    "true",
    "1979-05-27",
    "07:32:00",
    "[[1], {a = 1}]",
    "0x1F",
]
TOML = (
    st.lists(st.tuples(st.sampled_from([*KEYS, "seed", "x", "[[training]]\nx"]), st.sampled_from(VALUES)), max_size=3)
    .map(lambda pairs: "".join(f"{key} = {value}\n" for key, value in pairs).encode())
    .flatmap(lambda data: st.just(data) | torn(data))
)
RECIPES = st.one_of(*(torn(path.read_bytes()) for path in sorted((ROOT / "selfimprove" / "recipes").glob("*.toml"))))

READERS: dict[str, Reader] = {
    "rows": ("rows.jsonl", lambda run: read_rows(run.folder / "rows.jsonl"), lines_of([PROBLEM])),
    "an object": ("any.json", lambda run: read_json(run.folder / "any.json"), file_of(PROBLEM)),
    "samples": (
        "0001/samples.jsonl",
        lambda run: read_completions(round_of(run).files.samples),
        lines_of(rows_of("0001/samples.jsonl")),
    ),
    "examples": (
        "0001/examples.jsonl",
        lambda run: read_examples(round_of(run)),
        lines_of(rows_of("0001/examples.jsonl")),
    ),
    "verdicts": ("0001/verdicts.jsonl", read_verdicts, lines_of(rows_of("0001/verdicts.jsonl"))),
    "a round": ("0001/round.json", read_rounds, file_of(example("0001/round.json"))),
    "a done-record": (
        "0001/done/sample.json",
        lambda run: run.round(1).done("sample"),
        file_of(example("0001/done/sample.json")),
    ),
    "a sealed outcome": ("sealed.json", read_sealed, file_of(example("sealed.json"))),
    "a bound recipe": ("recipe.json", read_bound, file_of(example("recipe.json"))),
    "a report of a round": ("0001/round.json", read_report, file_of(example("0001/round.json"))),
    "a report of a sealed outcome": ("sealed.json", read_report, file_of(example("sealed.json"))),
    "a report of a recipe": ("recipe.json", read_report, file_of(example("recipe.json"))),
    "a recipe file": (
        "r.toml",
        lambda run: read_recipe(run.folder / "r.toml").fingerprint(),
        TOML | RECIPES | st.sampled_from([b"seed=" + b"[" * 50_000, b"seed=" + b"9" * 5000, b"seed" + b".a" * 5000]),
    ),
    "problems in JSONL": ("problems.jsonl", read_problems(".jsonl"), lines_of([PROBLEM])),
    "problems in JSON": (
        "problems.json",
        read_problems(".json"),
        file_of(PROBLEM) | torn(json.dumps([PROBLEM] * 2, indent=1).encode()),
    ),
    "problems in CSV": ("problems.csv", read_problems(".csv"), torn(CSV) | st.binary(max_size=60)),
    "labelled rows": ("cases.jsonl", lambda run: cases._rows(run.folder / "cases.jsonl"), lines_of([LABELLED])),
}


def refusal(read: Callable[[], object]) -> UsageError | None:
    try:
        read()
    except UsageError as error:
        return error
    return None


def fuzz(reader: Reader, run: Journal, examples: int) -> None:
    name, read, contents = reader

    @settings(
        max_examples=examples, deadline=timedelta(seconds=10), suppress_health_check=list(HealthCheck), database=None
    )
    @given(contents)
    def reads_or_refuses(data: bytes) -> None:
        (run.folder / name).write_bytes(data)
        refused = refusal(lambda: read(run))
        assert refused is None or (refused.message and refused.hint)

    reads_or_refuses()


@pytest.mark.parametrize("what", READERS)
def test_any_contents_are_read_or_refused(what: str, run: Journal) -> None:
    fuzz(READERS[what], run, 60)


@pytest.mark.parametrize("what", READERS)
def test_extremes_are_read_or_refused(what: str, run: Journal) -> None:
    name, read, _ = READERS[what]
    for data in DEEP:
        (run.folder / name).write_bytes(data + b"\n")
        refused = refusal(lambda: read(run))
        assert refused is None or (refused.message and refused.hint)


@pytest.mark.slow
@pytest.mark.parametrize("what", READERS)
def test_many_contents_are_read_or_refused(what: str, run: Journal) -> None:
    fuzz(READERS[what], run, 3000)


@pytest.mark.parametrize("what", READERS)
def test_the_real_contents_are_read(what: str, run: Journal) -> None:
    """The readers above would pass if they refused everything."""
    name, read, _ = READERS[what]
    real = {
        "0001/samples.jsonl": "".join(json.dumps(row) + "\n" for row in rows_of("0001/samples.jsonl")),
        "0001/examples.jsonl": "".join(json.dumps(row) + "\n" for row in rows_of("0001/examples.jsonl")),
        "0001/verdicts.jsonl": "".join(json.dumps(row) + "\n" for row in rows_of("0001/verdicts.jsonl")),
        "r.toml": (ROOT / "selfimprove/recipes/demo.toml").read_text(),
        "problems.csv": CSV.decode(),
        "cases.jsonl": json.dumps(LABELLED) + "\n",
    }
    if name in real:
        (run.folder / name).write_text(real[name])
    elif not (run.folder / name).exists():
        (run.folder / name).write_text(json.dumps(PROBLEM) + "\n")
    read(run)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*Recipe.model_fields, "x"]),
        JSON | st.dictionaries(st.sampled_from([key.split("\n")[1] for key in KEYS]), JSON, max_size=3),
        max_size=3,
    )
)
def test_any_data_is_a_recipe_or_refused(data: dict[str, Any]) -> None:
    refused = refusal(lambda: parse_recipe(data, "here").fingerprint())
    assert refused is None or (refused.message.startswith("here: ") and refused.hint)
