"""The report's page, built from the records of the example, from spoilt ones and from hostile ones; no browser needed.

`tests/cases/hostile_text.jsonl` holds the hostile texts. The page is read back by the standard library's parser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove import formatting
from selfimprove.escaping import escape_lines, escape_text
from selfimprove.events import RunFinished, SealedJudged
from selfimprove.recipe import Recipe
from selfimprove.report.contests import contests
from selfimprove.report.flips import flips
from selfimprove.report.overview import facts
from selfimprove.report.page import ANSWER, report_html
from selfimprove.report.records import RunRecords, read_run
from selfimprove.report.svg import ROLES
from selfimprove.store.journal import Identity, Journal
from selfimprove.store.parsing import parsed
from selfimprove.store.records import RoundRecord
from tests import paths
from tests.example import HISTORY, RUNS, copy_first_start, flip_counts, last_look, records
from tests.paths import ROOT

BASE = formatting.percent(last_look().base_accuracy)
CHAMPION = formatting.percent(last_look().champion_accuracy)
GAIN = formatting.points(last_look().gain)
CASES = [json.loads(line) for line in (paths.CASES / "hostile_text.jsonl").open(encoding="utf-8")]
VOID = {"meta", "link", "input", "br"}
LOADS = {"src", "srcset", "href", "action", "formaction", "poster", "data", "background", "ping", "xlink:href"}
ALLOWED = set(
    re.findall(
        r"\w+",
        """
        html head meta title link style body a header h1 bdi p div span dl dt dd nav ul li main section h2 figure
        figcaption table thead tbody tr th td details summary fieldset legend label input select option output kbd
        article h3 h4 pre mark br footer script svg defs path clippath rect g use text
        """,
    )
)


@dataclass
class Page(HTMLParser):
    """What stands in a page: tags with their attributes, the text outside style and script, and what isn't closed."""

    source: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    raw: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data
        else:
            self.text.append(data)

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.tags if name in attrs]

    def all_text(self) -> str:
        return "".join(self.text)


@cache
def example() -> Page:
    return Page(report_html(read_run(RUNS, "example")))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The example's records in a folder of their own."""
    shutil.copytree(RUNS / "example", tmp_path / "example")
    return tmp_path


def rewrite(path: Path, change: Any) -> None:  # noqa: ANN401 - a function from row to row
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(row)) + "\n" for row in rows))


def assert_sound(page: Page) -> None:
    """Well-formed, closed, nothing that runs, loads or restyles beside what the policy names."""
    assert page.open == page.faults == []
    assert {tag for tag, _ in page.tags} <= ALLOWED
    counts = Counter(tag for tag, _ in page.tags)
    assert counts["script"] == counts["style"] == counts["h1"] == 1
    names = {name for _, attrs in page.tags for name in attrs}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    loads = [attrs[name] for _, attrs in page.tags for name in attrs if name in LOADS]
    assert {target for target in loads if not target.startswith("#")} == {"data:,"}
    assert {target[1:] for target in loads if target.startswith("#")} <= set(ids)
    assert {found for value in page.attributes("clip-path") for found in re.findall(r"#([\w-]+)", value)} <= set(ids)


def test_the_page_is_sound_and_asks_for_nothing() -> None:
    assert_sound(example())
    assert "://" not in example().raw["style"] + example().raw["script"]
    assert len(example().source.encode()) < 300_000


def test_the_policy_allows_this_style_and_this_script_alone() -> None:
    page = example()
    policy = next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs)
    hashed = {
        tag: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for tag, text in page.raw.items()
    }
    assert policy == (
        f"default-src 'none'; style-src '{hashed['style']}'; script-src '{hashed['script']}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert page.source.index("Content-Security-Policy") < page.source.index("<style>")


def test_the_outcome_comes_first_then_the_flips_then_how_it_came_to_that() -> None:
    text = example().all_text()
    last = records().rounds[-1]
    assert text.index(GAIN) < 1200
    parts = (f"base model{BASE}", f"champion{CHAMPION}", "Flips: problems won and lost",
             f"Round {last.round}: {last.scorecard.wins} won, {last.scorecard.losses} lost",
             "Accuracies with their intervals", "Every look of the gate", f"Most common openings, round {last.round}",
             "Mean loss by fifths of the steps", "Time by round and stage", "delta kept",
             "training.learning_rate")  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_the_headline_stands_once() -> None:
    text = example().all_text()
    outcome = text[text.index(f"base model{BASE}") : text.index("All figures, look by look")]
    assert outcome.count(GAIN) == 1
    assert f"Base {BASE} → champion {CHAMPION}" not in text


def test_the_time_goes_on_to_the_end_of_the_sealed_finish(tmp_path: Path) -> None:
    run = read_run(copy_first_start(tmp_path / "example").parent, "example")
    history, _ = run.journal.events_since(0)
    (look,) = (timed.time for timed in history if isinstance(timed.event, SealedJudged))
    told = dict(facts(run))["Time"]
    assert f" to {datetime.fromtimestamp(look, UTC):%H:%M} UTC" in told
    assert run.rounds[-1].stages[-1].end[11:16] not in told


def test_a_start_with_nothing_to_judge_leaves_the_time_as_it_was(tmp_path: Path) -> None:
    run = read_run(copy_first_start(tmp_path / "example").parent, "example")
    before = dict(facts(run))["Time"]
    for timed in run.journal.events_since(0)[0]:
        if isinstance(timed.event, SealedJudged | RunFinished):  # a start on a complete run tells the last look again
            run.journal.write_event(timed.event)
    again = [timed.time for timed in run.journal.events_since(0)[0] if isinstance(timed.event, SealedJudged)]
    assert len(again) == 2
    assert f"{datetime.fromtimestamp(again[0], UTC):%H:%M}" in before
    assert dict(facts(run))["Time"] == before


def test_a_second_look_is_timed_by_its_own_judging() -> None:
    looks = [timed for timed in HISTORY if isinstance(timed.event, SealedJudged)]
    assert [timed.event.look for timed in looks if isinstance(timed.event, SealedJudged)] == [1, 2, 2]
    judged = replace(records(), rounds=records().rounds[:3])
    assert f" to {datetime.fromtimestamp(looks[1].time, UTC):%H:%M} UTC" in dict(facts(judged))["Time"]


def test_headings_step_down_one_level_at_a_time() -> None:
    levels = [int(tag[1]) for tag, _ in example().tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_chart_is_named_and_coloured_by_the_style_sheet() -> None:
    pictures = [attrs for tag, attrs in example().tags if tag == "svg"]
    assert len(pictures) == 8
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in pictures)
    colours = {
        word for tag, attrs in example().tags for word in attrs.get("class", "").split() if word[:3] in ("fi-", "st-")
    }
    assert {word[3:] for word in colours} <= set(ROLES)
    assert not re.search(r'(fill|stroke)="#', example().source)
    assert "mathdefault" not in example().source


def test_the_page_shows_the_flips_that_the_scorecards_count() -> None:
    for record, contest in zip(read_run(RUNS, "example").rounds, contests(read_run(RUNS, "example")), strict=True):
        found = flips(contest)
        card = record.scorecard
        assert (sum(flip.won for flip in found), sum(not flip.won for flip in found)) == (card.wins, card.losses)
    kinds = Counter(attrs["class"] for _, attrs in example().tags if attrs.get("class", "").startswith("flip "))
    won, lost = flip_counts()
    assert kinds == {"flip won": won, "flip lost": lost}
    text = example().all_text()
    assert "The question is not available" not in text
    assert "To solve this, we need to add 81 to 84. 81 + 81 equals 102." in text
    assert re.search(r"the champion won \d+ and lost \d+ against the base model", text)


def test_sealed_problems_are_counted_not_shown() -> None:
    rows = [json.loads(line) for line in (RUNS / "example" / "sealed.verdicts.jsonl").open()]
    text = example().all_text()
    models = {0, *(look.champion for look in records().looks)}
    assert len(models) == 3
    assert len(rows) == len(models) * 512
    assert not [row["key"] for row in rows if row["key"] in text]


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    words = ["report", "example", "--html", str(tmp_path / "page.html"), "--rounds-dir", str(RUNS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-m", "selfimprove", *words], env=environment, capture_output=True, text=True, check=True
    )
    written = (tmp_path / "page.html").read_bytes()
    assert written.decode() == example().source
    assert re.search(rf"{len(written):,} bytes, built in \d+\.\d s", done.stdout)
    assert done.stderr == ""


def test_compare_wants_a_page(tmp_path: Path) -> None:
    words = ["report", "example", "--compare", "example", "--rounds-dir", str(RUNS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "selfimprove", *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Add --html FILE." in done.stderr


def hostile_run(folder: Path, text: str) -> RunRecords:
    """The example with `text` wherever a model, a file or a name can put some."""
    for number in (1, 2):
        strange = {"text": text, "candidate": text, "reason": text, "stage": text}
        rewrite(folder / f"example/000{number}/verdicts.jsonl", lambda row, strange=strange: row | strange)
    told = {"question": text, "reference": text, "champion_text": text, "challenger_text": text}
    rewrite(folder / "example/events.jsonl", lambda row: row | (told if row["event"] == "flip" else {}))
    run = read_run(folder, "example")
    record = run.rounds[0].plain()
    record["decision"] |= {"sentence": text, "reason": text}
    first, *others = record["stages"]
    record["stages"] = [first | {"stage": text, "start": text}, *others]
    record["versions"] = {text: text, "engine": text, "system": text}
    record["certificate"] = {"passed": False, "failures": [text], "sha256": "0" * 64}
    assert run.recipe
    return replace(
        run,
        name=text,
        running=text,
        bound=run.bound.model_copy(update={"recipe": run.bound.recipe | {text: text, "model": {"name": text}}}),
        recipe=run.recipe.model_copy(update={"model": run.recipe.model.model_copy(update={"name": text})}),
        rounds=(parsed(record, RoundRecord, "round.json"), *run.rounds[1:]),
    )


@pytest.mark.parametrize(
    "name",
    [
        "html script",
        "right-to-left override",
        "a megabyte of escapes",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("html entity", "NUL")),
    ],
)
def test_hostile_text_stays_text(name: str, copy: Path) -> None:
    case = next(case for case in CASES if case["name"] == name)
    text = case["text"] * (case["times"] if case["times"] == 1 else 2000)
    page = Page(report_html(hostile_run(copy, text)))
    assert_sound(page)
    shown = page.all_text()
    assert shown.replace("\n", "").isprintable()
    assert escape_lines(text, ANSWER).start in shown
    assert escape_text(text, 200) in shown


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_excerpts_hold_printing_characters_and_line_breaks_alone(case: dict[str, Any]) -> None:
    text = case["text"] * case["times"]
    excerpt = escape_lines(text, 300)
    assert (excerpt.start + excerpt.end).replace("\n", "").isprintable()
    assert len(excerpt.start + excerpt.end) <= 10 * 300
    assert excerpt.left_out == max(0, len(text.strip()) - 300)


@given(st.text(alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=60), st.integers(2, 30))
def test_an_excerpt_keeps_both_ends_and_counts_the_rest(text: str, limit: int) -> None:
    excerpt = escape_lines(text, limit)
    assert text.startswith(excerpt.start)
    assert text.endswith(excerpt.end)
    assert len(excerpt.start) + len(excerpt.end) + excerpt.left_out == len(text)


def spoilt(value: Any, new: Any) -> Any:  # noqa: ANN401 - JSON
    """Every leaf replaced."""
    if isinstance(value, dict):
        return {key: spoilt(inner, new) for key, inner in value.items()}
    return [spoilt(inner, new) for inner in value] if isinstance(value, list) else new


SPOILT = [None, "text", 10**400, {}]
MORE_SPOILT = [pytest.param(value, marks=pytest.mark.slow) for value in (-1, float("nan"), True, [])]


@pytest.mark.parametrize("new", [*SPOILT, *MORE_SPOILT], ids=repr)
def test_spoilt_records_spoil_cells_not_the_page(new: Any, copy: Path) -> None:  # noqa: ANN401 - JSON
    for path in copy.glob("example/000*/verdicts.jsonl"):
        rewrite(path, lambda row: spoilt(row, new))
    for path in copy.glob("example/000*/round.json"):
        path.write_text(json.dumps(steerable(spoilt(json.loads(path.read_text()), new), json.loads(path.read_text()))))
    stored = json.loads((copy / "example/recipe.json").read_text())
    (copy / "example/recipe.json").write_text(json.dumps(stored | {"recipe": spoilt(stored["recipe"], new)}))
    assert_sound(Page(report_html(read_run(copy, "example"))))


def steerable(record: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """The spoilt record with what a run steers by as it was: without that it is refused by name."""
    stages = [
        {**spoiled, "stage": stage["stage"], "sha256": stage["sha256"]}
        for spoiled, stage in zip(record["stages"], whole["stages"], strict=True)
    ]
    card = {
        **record["scorecard"],
        **{
            side: {**record["scorecard"][side], "accuracy": whole["scorecard"][side]["accuracy"]}
            for side in ("champion", "challenger", "champion_heldout")
        },
    }
    decided = {name: whole["decision"][name] for name in ("accepted", "sentence")}
    return {
        **record,
        "round": whole["round"],
        "chain": whole["chain"],
        "stages": stages,
        "scorecard": card,
        "decision": {**record["decision"], **decided},
        "certificate": {**record["certificate"], "sha256": whole["certificate"]["sha256"]},
    }


def test_a_run_without_rounds_has_a_page(tmp_path: Path) -> None:
    Journal(tmp_path / "new").bind(Recipe(), Identity("m", "p"))
    page = Page(report_html(read_run(tmp_path, "new")))
    assert_sound(page)
    assert "Not judged yet" in page.all_text()


def test_verdicts_that_cannot_be_read_are_named(copy: Path) -> None:
    path = copy / "example/0002/verdicts.jsonl"
    path.write_bytes(b"{\n" + path.read_bytes())
    (copy / "example/0001/verdicts.jsonl").unlink()
    page = Page(report_html(read_run(copy, "example")))
    assert_sound(page)
    assert "0002/verdicts.jsonl:1: not a line of JSON" in page.all_text()
    assert "0001/verdicts.jsonl: contains no answers" in page.all_text()


def test_runs_stand_side_by_side(copy: Path) -> None:
    shutil.copytree(copy / "example", copy / "other")
    path = copy / "other/recipe.json"
    stored = json.loads(path.read_text())
    stored["recipe"]["training"]["rank"] = 64
    path.write_text(json.dumps(stored | {"problems": "1" * 64}))
    parts = {"became_readable": 0.1, "became_right": 0.1, "became_unreadable": 0.0, "became_wrong": 0.015}
    path = copy / "other/sealed.json"
    looks = json.loads(path.read_text())
    looks["looks"][-1]["split"] = parts
    path.write_text(json.dumps(looks))
    page = Page(report_html(read_run(copy, "example"), [read_run(copy, "other")]))
    assert_sound(page)
    assert f"B:other+10.0+10.00.0−1.5{GAIN}" in "".join(page.all_text().split())
    text = page.all_text()
    assert text.index("Runs side by side") < text.index(f"base model{BASE}")
    assert "used different problems: their figures can't be compared" in text
    table = text[text.index("Where the recipes differ") :].split("Outcome on")[0]
    assert "".join(table.split()) == "WheretherecipesdifferkeyA:exampleB:othertraining.rank1664"
    assert "A: example" in text
    assert "B: other" in text


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_contrast_on_both_grounds(scheme: int) -> None:
    css = example().raw["style"]
    root = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]
    found = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", root))
    for ground in ("ground", "raised"):
        for role in ("ink", "muted", "link", "good", "bad", "champion", "challenger"):
            assert contrast(found[ground], found[role]) >= 4.5, (ground, role)
    assert contrast(found["mark"], found["ink"]) >= 4.5


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
