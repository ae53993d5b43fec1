"""`selfimprove evaluate` on a real run: what is answered, what is kept, what is told, what is refused."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from selfimprove.engines import decoding
from selfimprove.errors import UsageError
from selfimprove.evaluate import Wanted, evaluate, paths
from selfimprove.events import Event, StageProgress, silence
from selfimprove.recipe import Runtime
from selfimprove.recipe.reading import read_settings
from selfimprove.store.durable import read_rows
from selfimprove.store.evaluations import Evaluation
from selfimprove.store.journal import Journal
from tests import warm
from tests.docs_model import make_talker
from tests.workshop import Workshop, make_workshop

RUNTIME = Runtime(device="cpu", threads=1, engine="transformers", checker_workers=1)
EXECUTION = ("--threads", "1", "--checker-workers", "1", "--device", "cpu", "--engine", "transformers")
LEVELS = ("levels.jsonl",)
ALL = ("base", "1", "champion")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A run of two accepted rounds on a model that answers with digits, and a benchmark with levels and subjects."""
    workshop = make_workshop(tmp_path_factory.mktemp("shop"))
    make_talker(workshop.folder / "talker")
    rows = [
        {"problem": f"What is {a} - {b}?", "answer": str(a - b), "level": a % 3 + 1, "about": {"subject": f"s{b % 2}"}}
        for a in range(10, 22)
        for b in range(5, 11)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (workshop.folder / "levels.jsonl").write_text(lines + json.dumps({"problem": "And then?", "answer": ""}) + "\n")
    done = workshop.run("done", 2, "--set", "gate.rule=none", "--model", "talker")
    assert done.returncode == 0, done.stderr
    return workshop


@pytest.fixture(autouse=True)
def _in_the_shop(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.folder)


def _copy(shop: Workshop, name: str) -> Journal:
    """Another run with the same rounds."""
    shutil.copytree(shop.runs / "done", shop.runs / name, ignore=shutil.ignore_patterns("evaluate"))
    return Journal(shop.runs / name)


def _found(
    journal: Journal,
    sources: tuple[str, ...] = (),
    models: tuple[str, ...] = ("base", "champion"),
    settings: tuple[str, ...] = (),
    limit: int = 0,
    by: tuple[str, ...] = (),
) -> Evaluation:
    wanted = Wanted(models=models, sources=sources, settings=read_settings(settings), limit=limit, by=by)
    return evaluate(journal, wanted, RUNTIME, silence, journal.folder.parents[1] / "cache")


def _answers(journal: Journal) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((journal.folder / "evaluate" / "answers").iterdir())}


def _rows(journal: Journal) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (journal.folder / "evaluate").glob("answers/*.jsonl"))


def test_a_chunk_of_minutes_is_seen_to_move(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PULSE", 0.001)
    run, told = _copy(shop, "moving"), list[Event]()
    settings = read_settings(["sampling.max_new_tokens=40"])  # the talker ends after two, this model hardly ever
    wanted = Wanted(models=(str(shop.folder / "tiny"),), sources=LEVELS, settings=settings, limit=4)
    evaluate(run, wanted, RUNTIME, told.append, run.folder.parents[1] / "cache")
    moves = [event for event in told if isinstance(event, StageProgress)]
    assert moves[0].done == 0 < moves[0].tokens
    assert moves[-1].done == moves[-1].total


def test_by_default_it_shows_the_sealed_figures_and_samples_nothing(shop: Workshop) -> None:
    run = _copy(shop, "default")
    (look,) = run.sealed()
    sampled = [*run.sealed_verdicts.read_bytes().splitlines()]
    found = _found(run)
    assert [source.name for source in found.sources] == ["sealed"]
    assert [model.name for model in found.models] == ["base", "round 2 (champion)"]
    assert [side.accuracy for side in found.sides] == [look.base_accuracy, look.champion_accuracy]
    assert (found.gains[0].interval, found.gains[0].split) == (look.gain_interval, look.split)
    assert sum(len(rows.splitlines()) for rows in _answers(run).values()) == len(sampled) == 2 * 16


def test_models_are_compared_by_level_subject_and_length_with_intervals_that_hold_together(shop: Workshop) -> None:
    found = _found(Journal(shop.runs / "done"), LEVELS, ALL)
    assert found.n == 72
    assert found.sources[0].plain() == {
        "name": "levels.jsonl", "problems": 72, "set_aside": 1, "repeated": 0, "faulty": 0
    }  # fmt: skip
    assert [model.round for model in found.models] == [0, 1, 2]
    rows = {(row.field, row.value): row for row in found.groups}
    levels, lengths = [("level", str(number)) for number in (1, 2, 3)], [("length of the answer", "1 character")]
    lengths.append(("length of the answer", "2 characters"))
    assert list(rows) == [*levels, ("about.subject", "s0"), ("about.subject", "s1"), *lengths]
    assert (rows["level", "1"].n, rows["about.subject", "s0"].n) == (24, 36)
    assert (found.intervals, found.level) == (7 * 2, pytest.approx(1 - 0.05 / 14))
    for place in (0, 1):
        parts = sum(rows[level].n * rows[level].gains[place].gain for level in levels)
        assert parts == pytest.approx(72 * found.gains[place].gain)
    assert 0 < found.sides[0].accuracy < 1
    assert rows["length of the answer", "2 characters"].accuracies[0] < rows[lengths[0]].accuracies[0]
    assert all(gain.interval[0] <= gain.gain <= gain.interval[1] for row in rows.values() for gain in row.gains)


def test_what_was_answered_is_not_sampled_again(shop: Workshop) -> None:
    run = _copy(shop, "again")
    first = _found(run, LEVELS, limit=20)
    before = _answers(run)
    _found(run, LEVELS, ALL, limit=30)
    grown = _answers(run)
    assert all(grown[name].startswith(rows) for name, rows in before.items())
    assert [len(rows.splitlines()) for rows in grown.values()] == [30, 30, 30]
    assert _found(run, LEVELS, limit=20) == first
    assert _answers(run) == grown


def test_killed_in_the_middle_and_typed_again_it_ends_with_the_same_files(shop: Workshop) -> None:
    undisturbed, killed = _copy(shop, "undisturbed"), _copy(shop, "killed")
    samples, limit, models = 3, 24, ("base", "1")
    record = _found(undisturbed, LEVELS, models, (f"gate.samples={samples}",), limit=limit)
    asked = ("--samples", str(samples), "--limit", str(limit), "--models", ",".join(models))
    words = ("killed", *LEVELS, *asked, *EXECUTION)
    with warm.started(["evaluate", *words], shop.folder, shop.environment()) as (process, _):
        while not _rows(killed):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert 0 < _rows(killed) < limit * samples * len(models)
    assert list((killed.folder / "evaluate").glob("*.json")) == []
    (torn,) = (killed.folder / "evaluate" / "answers").glob("*-*.jsonl")
    torn.write_bytes(torn.read_bytes()[:-40])
    again = shop.call("evaluate", *words)
    assert again.returncode == 0, again.stderr
    assert _answers(killed) == _answers(undisturbed)
    for ours, theirs in zip(paths(killed, record), paths(undisturbed, record), strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


def test_several_answers_give_pass_at_k(shop: Workshop) -> None:
    found = _found(Journal(shop.runs / "done"), LEVELS, settings=("gate.samples=4",), limit=10)
    assert found.settings["temperature"] == 0.6
    for side in found.sides:
        assert list(side.pass_at_k) == ["1", "2", "4"]
        assert side.pass_at_k["1"] == pytest.approx(side.accuracy)
        assert side.pass_at_k["1"] <= side.pass_at_k["2"] <= side.pass_at_k["4"]


def test_training_problems_stand_apart_and_held_out_ones_are_counted(shop: Workshop) -> None:
    run = Journal(shop.runs / "done")
    found, only = _found(run, ("sums.jsonl",)), _found(run, ("heldout",))
    assert (found.training, found.heldout, found.sealed, found.n) == (24, 24, 0, 57)
    assert (found.groups[-1].field, found.groups[-1].value, found.groups[-1].n) == ("run", "training problems", 24)
    assert (only.n, only.heldout, only.training) == (24, 24, 0)


def test_sealed_problems_stay_sealed_until_the_run_has_judged_them(shop: Workshop) -> None:
    run = _copy(shop, "open")
    run.sealed_path.unlink()
    with pytest.raises(UsageError, match="have yet to be judged by the run itself"):
        _found(run, ("sealed",))
    found = _found(run, ("sums.jsonl",))
    assert (found.sealed, found.n) == (16, 41)
    assert [source.name for source in _found(run).sources] == ["heldout"]


def test_where_the_runs_problems_are_gone_its_records_tell_the_training_ones(shop: Workshop) -> None:
    run, problems = _copy(shop, "moved"), shop.folder / "sums.jsonl"
    lines = problems.read_text().splitlines()
    (shop.folder / "some.jsonl").write_text("\n".join(lines[:40]) + "\n")
    kept = problems.rename(shop.folder / "sums.kept")
    try:
        found = _found(run, ("some.jsonl",), ("base",))
        with pytest.raises(UsageError, match=r"sums\.jsonl: no such file"):
            _found(run, ("heldout",))
    finally:
        kept.rename(problems)
    trained = {row["key"] for number in (1, 2) for row in read_rows(run.round(number).examples)}
    assert 0 < found.training == 40 - found.n <= len(trained)
    assert "recognised only by the hashes in the run's records" in found.notes[0]


def test_a_folder_is_a_model_too_and_one_model_alone_has_intervals_of_its_accuracy(shop: Workshop) -> None:
    run = Journal(shop.runs / "done")
    found = _found(run, LEVELS, ("talker", "base"), limit=12)
    assert [model.round for model in found.models] == [None, 0]
    assert found.models[0].sha256 == found.models[1].sha256
    assert (found.gains[0].wins, found.gains[0].losses) == (0, 0)
    alone = _found(run, LEVELS, ("base",), limit=12, by=("level",))
    assert (alone.gains, alone.intervals) == ((), len(alone.groups))
    assert "about.subject" not in {row.field for row in alone.groups}
    assert all(row.interval and row.interval[0] <= row.accuracies[0] <= row.interval[1] for row in alone.groups)


def test_another_prompt_has_answers_of_its_own(shop: Workshop) -> None:
    run, words = _copy(shop, "asked"), ("sampling.prompt=Answer briefly: {question}", "sampling.max_new_tokens=4")
    _found(run, LEVELS, ("base",), limit=8)
    found = _found(run, LEVELS, ("base",), words, limit=8)
    assert found.settings["prompt"] == "Answer briefly: {question}"
    assert len(_answers(run)) == 2
    assert found.sides[0].mean_tokens <= 4


def test_it_is_written_as_json_and_markdown_and_shown_in_the_report(shop: Workshop) -> None:
    run = _copy(shop, "told")
    shown = shop.call("evaluate", "told", *LEVELS, "--markdown", "told.md", *EXECUTION)
    assert shown.returncode == 0, shown.stderr
    (path,) = (run.folder / "evaluate").glob("*.json")
    assert path.with_suffix(".md").read_text() == (shop.folder / "told.md").read_text()
    assert "An evaluation doesn't affect the run" in path.with_suffix(".md").read_text()
    assert "| level | 1 | 24 |" in path.with_suffix(".md").read_text()
    assert f"Written: rounds/told/evaluate/{path.name}" in shown.stdout
    assert shown.stderr.strip()
    quiet = shop.call("evaluate", "told", *LEVELS, "--quiet", *EXECUTION)
    assert (quiet.stdout, quiet.stderr) == (shown.stdout, "")
    printed = shop.call("evaluate", "told", *LEVELS, "--json", *EXECUTION)
    assert json.loads(printed.stdout) == json.loads(path.read_text())
    report = shop.call("report", "told", "--markdown", "report.md")
    assert report.returncode == 0, report.stderr
    assert "## Evaluations" in (shop.folder / "report.md").read_text()
    assert path.stem in (shop.folder / "report.md").read_text()
    path.write_text("{")
    assert shop.call("report", "told").returncode == 0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"sources": ("missing.jsonl",)}, r"PROBLEMS: missing\.jsonl: no such file"),
        ({"models": ("7",)}, "--models 7: run `done` has rounds 1 to 2"),
        ({"models": ()}, "--models: no model is named"),
        ({"models": ("no such model",)}, "no such model"),
        ({"sources": LEVELS, "by": ("colour",)}, "--by colour: no problem has such a field"),
        ({"settings": ("training.rank=4",)}, r"--set training\.rank: evaluations don't read it"),
        ({"settings": ("sampling.prompt=What?",)}, r"sampling\.prompt"),
        ({"settings": ("sampling.max_new_tokens=100000",)}, "more than the model's context"),
    ],
)
def test_what_cannot_be_is_refused(shop: Workshop, asked: dict[str, tuple[str, ...]], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        _found(Journal(shop.runs / "done"), **asked)


def test_a_refusal_is_one_line_and_leaves_with_2(shop: Workshop) -> None:
    done = shop.call("evaluate", "done", "missing.jsonl", *EXECUTION)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "selfimprove: PROBLEMS: missing.jsonl: no such file"


def test_a_mistyped_model_is_refused_with_what_the_run_has(shop: Workshop) -> None:
    has = "Run `done` has base, champion, 1, 2; a folder or a hub id may be named too."
    for name, fault, hint in (
        ("champoin", "champoin: the hub can't be reached", f"Did you mean champion? {has}"),
        ("round 2", "round 2: no such folder", has),
        ("./elsewhere", "./elsewhere: no such folder", has),
    ):
        done = shop.call("evaluate", "done", "--models", f"base,{name}", *EXECUTION)
        assert done.returncode == 2
        first, second = done.stderr.splitlines()
        assert first.startswith(f"selfimprove: --models {fault}")
        assert second.endswith(hint)


def test_a_round_without_its_weights_is_refused_by_name_and_the_base_is_not(shop: Workshop) -> None:
    run = _copy(shop, "light")
    shutil.rmtree(run.round(1).adapter)
    with pytest.raises(UsageError, match=r"round 1 can't be rebuilt, .*0001/adapter"):
        _found(run, LEVELS, ("base", "1"), limit=4)
    assert _found(run, LEVELS, ("base",), limit=4).n == 4


def test_two_evaluations_of_a_run_at_once_are_refused(shop: Workshop) -> None:
    run = _copy(shop, "busy")
    from filelock import FileLock

    (run.folder / "evaluate").mkdir()
    with FileLock(run.folder / "evaluate" / ".lock"), pytest.raises(UsageError, match="another process is evaluating"):
        _found(run, LEVELS, limit=4)


def test_models_of_other_rounds_leave_nothing_on_the_disk(shop: Workshop) -> None:
    run = _copy(shop, "tidy")
    before = {path for path in run.folder.rglob("*") if "evaluate" not in path.parts}
    _found(run, LEVELS, ("1", "champion"), limit=4)
    assert {path for path in run.folder.rglob("*") if "evaluate" not in path.parts} == before
    assert [path for path in Path(shop.folder / "cache").iterdir() if path.name.startswith(".evaluate")] == []
