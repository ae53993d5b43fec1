"""The whole of `selfimprove run` through its command line, on a tiny real model: records, resume, refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from selfimprove.store.journal import Journal
from tests.comparable import comparable_records
from tests.workshop import Workshop, events_of, make_workshop

STAGES = ["sample", "harvest", "train", "merge", "judge"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One workshop with an undisturbed run of two rounds, `whole`, of a process of its own with its own hash seed."""
    made = make_workshop(tmp_path_factory.mktemp("workshop"))
    events_of(made.call_fresh(*made.run_words("whole", 2), environment={"PYTHONHASHSEED": "1"}))
    return made


@pytest.fixture(scope="module")
def longer(workshop: Workshop) -> list[dict[str, Any]]:
    """The events of `longer`, a copy of `whole` that is taken to three rounds."""
    shutil.copytree(workshop.runs / "whole", workshop.runs / "longer")
    return events_of(workshop.run("longer", 3))


@pytest.fixture(scope="module")
def killed(workshop: Workshop) -> Path:
    """The folder of a run that was killed while it sampled its first round, and again while it judged it."""
    folder = workshop.runs / "killed"
    for stage in ("sample", "judge"):
        code = workshop.run_until("killed", 2, _in_stage(1, stage), signal.SIGKILL)
        assert code == -signal.SIGKILL
        if stage == "sample":
            shutil.copy(folder / "0001" / "samples.jsonl", workshop.folder / "sampled.jsonl")
    return folder


def _round(workshop: Workshop, name: str, number: int) -> dict[str, Any]:
    return json.loads((workshop.runs / name / f"{number:04d}" / "round.json").read_text())


def test_a_run_leaves_the_records_of_the_design(workshop: Workshop) -> None:
    folder = workshop.runs / "whole"
    plain = {"repetition_penalty": 1.0, "min_p": 0.0, "top_k": 0, "top_p": 1.0}
    for name in ["recipe.json", "events.jsonl", "sealed.json"]:
        assert (folder / name).is_file()
    for number in (1, 2):
        there = {path.name for path in (folder / f"{number:04d}").iterdir()}
        assert {"samples.jsonl", "examples.jsonl", "adapter", "certificate.json", "verdicts.jsonl"} <= there
        assert ("model" in there) == (number == Journal(folder).champion().number)
        record = _round(workshop, "whole", number)
        assert [stage["stage"] for stage in record["stages"]] == STAGES
        assert record["decision"]["sentence"]
        assert record["decoding"]["judging"]["temperature"] == 0
        assert record["decoding"]["sampling"] == plain | {"temperature": 0.6}
        assert record["scorecard"]["champion"]["n"] == record["scorecard"]["challenger"]["n"]
    look = json.loads((folder / "sealed.json").read_text())["looks"][0]
    assert look["n"] == 16
    assert look["gain_interval"][0] <= look["gain"] <= look["gain_interval"][1]


def test_prefix_rows_stopped_at_t_tokens_and_targets_are_prefixes_of_samples(workshop: Workshop) -> None:
    folder = workshop.runs / "whole" / "0001"
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert {row["kind"] for row in samples} == {"prefix", "full"}
    assert all(len(row["token_ids"]) <= (4 if row["kind"] == "prefix" else 10) for row in samples)
    sampled = {(row["key"], row["sample"]): row["token_ids"] for row in samples}
    for line in (folder / "examples.jsonl").read_text().splitlines():
        row = json.loads(line)
        ids = sampled[row["key"], row["sample"]]
        assert row["target_ids"] == ids[: len(row["target_ids"])]


@pytest.mark.slow
def test_equal_recipe_and_seed_give_equal_records(workshop: Workshop) -> None:
    events_of(workshop.call_fresh(*workshop.run_words("again", 2)))
    assert comparable_records(workshop.runs / "again") == comparable_records(workshop.runs / "whole")


def test_gsm8ks_file_and_a_model_as_the_hub_has_it_end_a_small_round_with_a_decision(workshop: Workshop) -> None:
    """Sharded bfloat16 weights with a tied head, and rows whose answers follow worked solutions."""
    rows = [
        {"question": f"Ann has {n} apples and buys {n + 2}. How many?", "answer": f"{n}+{n + 2}.\n#### {2 * n + 2}"}
        for n in range(60)
    ]
    (workshop.folder / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(list((workshop.folder / "tiny").glob("*.safetensors"))) > 1
    assert json.loads((workshop.folder / "tiny" / "config.json").read_text())["dtype"] == "bfloat16"
    words = ["run", "--rounds", "1", "--model", "./tiny", "--problems", "gsm8k.jsonl", "--run", "gsm8k", "--plain"]
    words += ["--recipe", "upft"]
    words += ["--threads", "1", "--checker-workers", "1"]
    sizes = ["problems.train_size=16", "problems.heldout_size=8", "problems.sealed_size=8"]
    quick = ["sampling.max_new_tokens=8", "training.learning_rate=1e-2"]
    done = workshop.call(*words, *(word for setting in [*sizes, *quick] for word in ("--set", setting)))
    assert done.returncode == 0, done.stderr
    record = _round(workshop, "gsm8k", 1)
    assert record["decision"]["sentence"]
    assert record["certificate"]["rounding"] == "stochastic"


def test_an_update_that_rounding_loses_stops_the_round_before_it_is_judged_and_says_what_to_type(
    workshop: Workshop,
) -> None:
    done = workshop.run("lost", 1, "--set", "training.learning_rate=1e-6")
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 2
    assert "the merged model keeps" in lines[0]
    assert "--set model.dtype=float32" in lines[1]
    assert "1e-06" in lines[1]
    assert not (workshop.runs / "lost" / "0001" / "verdicts.jsonl").exists()
    judging = lambda event: event["event"] == "stage_started" and event["stage"] == "judge"  # noqa: E731
    held = ("--set", "training.learning_rate=1e-6", "--set", "model.dtype=float32")
    assert workshop.run_until("held-in-float32", 1, judging, signal.SIGKILL, *held) == -signal.SIGKILL


def _in_stage(number: int, stage: str) -> Any:  # noqa: ANN401 - a predicate on events
    """True at the first event that shows the stage of that round at work, past its first unit where it has several."""
    first = {"sample": "stage_progress", "train": "train_step", "judge": "looked"}.get(stage, "stage_started")

    def at_work(event: dict[str, Any]) -> bool:
        named = event.get("stage", stage) == stage
        return event["event"] == first and event["number"] == number and named

    return at_work


@pytest.mark.slow
def test_killed_in_every_stage_the_records_equal_an_undisturbed_runs(workshop: Workshop) -> None:
    for number, stage in [*((1, stage) for stage in STAGES), (2, "train")]:
        code = workshop.run_until("often", 2, _in_stage(number, stage), signal.SIGKILL)
        assert code == -signal.SIGKILL, f"round {number}, {stage}"
    finished = lambda event: event["event"] == "round_finished"  # noqa: E731
    assert workshop.run_until("often", 2, finished, signal.SIGKILL) == -signal.SIGKILL
    events_of(workshop.run("often"))
    assert comparable_records(workshop.runs / "often") == comparable_records(workshop.runs / "whole")


def test_a_run_says_when_most_solutions_are_cut(workshop: Workshop) -> None:
    few = ["--set", "prefixes.structure_ratio=1", "--set", "sampling.max_new_tokens=4", "--set", "prefixes.length=4"]
    told = "whole solutions were cut at sampling.max_new_tokens = 4 before they had an answer"
    workshop.run_until("cut", 1, lambda event: told in event.get("text", ""), signal.SIGKILL, *few)


def test_a_kept_chunk_is_not_sampled_again(workshop: Workshop, killed: Path) -> None:
    before = (workshop.folder / "sampled.jsonl").read_bytes()
    history = [json.loads(line) for line in (killed / "events.jsonl").read_text().splitlines()]
    started = [e for e in history if e["event"] == "stage_started" and (e["number"], e["stage"]) == (1, "sample")]
    assert [e["kept"] for e in started] == [0, before.count(b"\n")]
    assert before
    assert (killed / "0001" / "samples.jsonl").read_bytes().startswith(before)


def test_a_torn_last_line_is_owed_again(workshop: Workshop, killed: Path) -> None:
    """Killed twice and torn, by processes with another hash seed: the records are those of the undisturbed run."""
    shutil.copytree(killed, workshop.runs / "torn")
    folder = workshop.runs / "torn" / "0001"
    for record in ("done/sample.json", "done/judge.json", "round.json"):
        (folder / record).unlink(missing_ok=True)  # how far the run came before the kill is a matter of luck
    for name in ("samples.jsonl", "verdicts.jsonl"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-7])
    events_of(workshop.run("torn"))
    assert comparable_records(workshop.runs / "torn") == comparable_records(workshop.runs / "whole")


def test_a_second_process_on_a_run_is_told_who_holds_it(workshop: Workshop) -> None:
    with Journal(workshop.runs / "held").lock():
        refused = workshop.run("held", 1)
    assert refused.returncode == 2
    assert f"run `held` is in use by process {os.getpid()}" in refused.stderr


def test_a_complete_run_owes_nothing_wherever_its_folder_lies(workshop: Workshop, tmp_path: Path) -> None:
    shutil.copytree(workshop.runs / "whole", tmp_path / "moved" / "whole")
    done = workshop.call("run", "--run", "whole", "--rounds", "2", "--plain", "--rounds-dir", str(tmp_path / "moved"))
    assert done.returncode == 0, done.stderr
    assert "already complete" in done.stdout
    assert comparable_records(tmp_path / "moved" / "whole") == comparable_records(workshop.runs / "whole")


def test_rounds_is_a_target(longer: list[dict[str, Any]]) -> None:
    assert [e["number"] for e in longer if e["event"] == "round_finished" and not e["earlier"]] == [3]


def test_a_run_warns_of_its_power_once_and_its_history_keeps_it(
    workshop: Workshop, longer: list[dict[str, Any]]
) -> None:
    assert not [event for event in longer if event["event"] == "note" and event["text"].startswith("warning: with 24")]
    history = (workshop.runs / "longer" / "events.jsonl").read_text()
    assert history.count('"run_started"') == 2
    assert history.count("warning: with 24 held-out problems") == 1


def test_a_missing_model_folder_is_rebuilt_and_held_to_its_hash(
    workshop: Workshop, longer: list[dict[str, Any]]
) -> None:
    shutil.copytree(workshop.runs / "whole", workshop.runs / "pruned")
    for number in (1, 2):
        shutil.rmtree(workshop.runs / "pruned" / f"{number:04d}" / "model", ignore_errors=True)
    assert longer[-1]["event"] == events_of(workshop.run("pruned", 3))[-1]["event"]
    without_models = lambda records: {k: v for k, v in records.items() if "/model/" not in k}  # noqa: E731
    expected = without_models(comparable_records(workshop.runs / "longer"))
    assert without_models(comparable_records(workshop.runs / "pruned")) == expected


REFUSALS = [
    (["--set", "training.rank=3"], "changed: training.rank", "--run"),
    (["--set", "sampling.temperature=0.7", "--set", "seed.x=1"], "seed", ""),
    (["--set", "nonsense"], "section.key=value", ""),
    (["--model", "nowhere/at-all"], "changed: model.name", "--run"),
    (["--problems", "absent.jsonl"], "changed: problems.train", "--run"),
    (["--recipe", "absent.toml"], "absent.toml", "demo, rft"),
    (["--engine", "nonsense"], "--engine", ""),
    (["--run", "../outside"], "not a folder's name", ""),
]


@pytest.mark.parametrize(("words", "named", "hint"), REFUSALS, ids=lambda value: str(value)[:30])
def test_a_mistake_is_refused_in_two_lines_and_nothing_is_lost(
    workshop: Workshop, words: list[str], named: str, hint: str
) -> None:
    before = comparable_records(workshop.runs / "whole")
    done = workshop.run("whole", 2, *words)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 2, done.stderr
    assert named in done.stderr
    assert hint in done.stderr
    assert comparable_records(workshop.runs / "whole") == before


def test_a_run_without_a_recipe_is_compared_by_its_own(workshop: Workshop) -> None:
    words = ["run", "--run", "whole", "--rounds", "2", "--json", "--device", "cpu"]
    same = ["--model", "tiny", "--problems", "sums.jsonl", "--set", "training.rank=2"]
    assert events_of(workshop.call(*words, *same))[-1]["was_complete"]
    other = workshop.call(*words, *same, "--set", "training.rank=3", "--set", "gate.batch=4")
    assert other.returncode == 2
    assert other.stderr.startswith(
        "selfimprove: run `whole` has another recipe; changed: training.rank, gate.batch\nUse --run whole-2 to start a"
    )


def test_a_changed_file_of_an_unfinished_round_is_refused_by_name(workshop: Workshop, killed: Path) -> None:
    changed = Path(shutil.copytree(killed, workshop.runs / "changed")) / "0001"
    (changed / "round.json").unlink(missing_ok=True)
    samples = changed / "samples.jsonl"
    samples.write_text(samples.read_text().replace('"eos"', '"length"', 1) + "\n")
    done = workshop.run("changed", 2)
    assert done.returncode == 2
    assert "samples.jsonl: missing or changed" in done.stderr


def test_status_and_report_read_a_run(workshop: Workshop) -> None:
    status = workshop.call("status")
    assert status.returncode == 0, status.stderr
    assert "whole" in status.stdout
    assert "resume" not in workshop.call("status", "whole").stdout
    stopped = shutil.copytree(workshop.runs / "whole", workshop.runs / "stopped")
    (stopped / "sealed.json").unlink()
    status = workshop.call("status", "stopped")
    assert status.stdout.rstrip().endswith("not finished; resume with: selfimprove run --run stopped --rounds 2")
    (stopped / "0001" / "round.json").unlink()
    damaged = workshop.call("status")
    assert damaged.returncode == 0, damaged.stderr
    assert "stopped: can't be read: rounds/stopped/0002/round.json: expected round 1 here" in damaged.stdout
    assert "whole" in damaged.stdout
    shutil.rmtree(stopped)
    assert workshop.call("status", "--rounds-dir", "none").stdout == "There are no runs in none yet.\n"
    report = workshop.call("report", "whole")
    assert report.returncode == 0, report.stderr
    written = workshop.call("report", "whole", "--markdown", "report.md")
    assert written.returncode == 0, written.stderr
    assert "sealed" in (workshop.folder / "report.md").read_text().lower()
    absent = workshop.call("report", "absent")
    assert absent.returncode == 2
    assert "absent" in absent.stderr


def test_check_gives_a_verdict_and_its_exit_code(workshop: Workshop) -> None:
    assert workshop.call("check", "the answer is \\boxed{1/2}", "0.5").returncode == 0
    wrong = workshop.call("check", "the answer is 7", "8", "--explain")
    assert wrong.returncode == 1
    assert "7" in wrong.stdout
    assert workshop.call("check", "7").returncode == 2


def test_plan_shows_cost_and_power_without_the_model_and_the_hub(workshop: Workshop) -> None:
    elsewhere = ["--model", "absent/model", "--problems", "absent/problems"]
    done = workshop.call("plan", "--recipe", "tiny.toml", "--rounds", "3", *elsewhere)
    assert done.returncode == 0, done.stderr
    assert "A round samples 24 completions of 24 problems: at most 132 tokens" in done.stdout
    assert "Evidence needed in rounds 1 to 3:\n" in done.stdout
    assert re.search(r"gate\.rounds = 0 \(open-ended\) +40, 120, 240 +40, 30, 27\n", done.stdout)
    assert re.search(r"gate\.rounds = 3 +80, 80, 80 +80, 40, 27\n", done.stdout)
    assert "24 held-out problems" in done.stdout
