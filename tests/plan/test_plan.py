"""What a run will take, from made-up rates and from a calibration of the tiny model by the real command."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.plan.calibration import Calibration, Pace, mean_length, pace_of_chunk
from selfimprove.plan.forecast import DiskNeed, Forecast, forecast_round, problems_within, rows_by_kind
from selfimprove.plan.lines import calibrated_lines, plan_lines
from selfimprove.recipe.reading import parse_recipe
from selfimprove.round.machinery import Footprint
from selfimprove.round.prefixes import assign_kinds
from selfimprove.sampling import Completion, StopReason
from tests.workshop import make_workshop

FOUND = Calibration(
    seconds=30.0,
    rows=64,
    long_rows=64,
    load_seconds=2.0,
    short_tokens=8.0,
    short_rate=100.0,
    long_tokens=(20.0, 40.0),
    long_rate=200.0,
    limit=64,
    kept=(1.0, 1.0),
    train_load_seconds=3.0,
    row_seconds=0.1,
    merge_seconds=9.0,
    peak_rss_mb=1234,
    peak_gpu_mb=None,
)

MEMORY = "a round takes about 12.6 GB"
NEED = DiskNeed(models=int(3e9), adapters=10, training=10, rows=1000)


def _forecast(train: int, **sections: dict[str, Any]) -> Forecast:
    return forecast_round(parse_recipe(sections, "the test"), train)


def completion(tokens: int, stop: StopReason) -> Completion:
    return Completion(key="k", sample=0, token_ids=tuple(range(tokens)), stop=stop, seed=0)


def test_cut_completions_make_the_length_a_range() -> None:
    assert mean_length([completion(10, StopReason.EOS)] * 4, 100) == (10, 10)
    assert mean_length([completion(10, StopReason.LENGTH)] * 4, 100) == (10, 100)
    low, high = mean_length([completion(10, StopReason.EOS), completion(20, StopReason.EOS)], 100)
    assert (low, high) == (pytest.approx(5.0), pytest.approx(25.0))
    assert mean_length([completion(1, StopReason.EOS), completion(9, StopReason.EOS)], 9) == (1.0, 9.0)


def test_a_chunks_pace_follows_from_fewer_completions_that_went_on() -> None:
    # 64 rows: prompts 4 s, steps of 0.25 s; 8 rows: prompts 0.5 s, steps of 0.05 s
    found = pace_of_chunk(Pace(prompts=0.5, step=0.05), 8, 4 + 8 * 0.25, 8)
    assert (found.prompts, found.step) == (4.0, pytest.approx(0.25))
    assert found.token(100) == pytest.approx((4 + 100 * 0.25) / 100)
    # a chunk as quick as its eighth, on a GPU that isn't busy: no step is quicker than that of fewer rows
    assert pace_of_chunk(Pace(prompts=0.1, step=0.05), 8, 0.4, 8).step == 0.05


def test_rates_become_ranges_of_tokens_and_time() -> None:
    recipe = parse_recipe({"problems": {"train_size": 100, "heldout_size": 128, "sealed_size": 50}}, "the test")
    told = "\n".join(calibrated_lines(forecast_round(recipe, 100), NEED, MEMORY, FOUND, 2))
    # 90 prefixes of 8 tokens at 100 a second, 10 whole rows of 20 to 40 at 200, and 2 s to load
    assert "sampling: 920 to 1,120 tokens of 100 completions, 10 s to 11 s" in told
    assert "training: 100 rows, 1 epoch at 0.1 s per row, 13 s" in told
    # the champion's 128 and 64 to 128 of the challenger
    assert "judging: 3,840 to 10,240 tokens of 192 to 256 answers, 23 s to 55 s" in told
    assert "Sealed problems at the end: 1,000 to 4,000 tokens of 50 to 100 answers, 9.0 s to 24 s" in told
    # rounds of 10.2+13+9+23.2 to 11.2+13+9+55.2, then judged from 64 answers on, and the sealed look
    assert "All 2 rounds: 1:47 to 3:21" in told
    assert "1,234 MiB" in told
    assert "at most 3.0 GB" in told


def test_what_was_not_measured_is_said_and_not_zero() -> None:
    slow = replace(FOUND, row_seconds=None, merge_seconds=None)
    told = "\n".join(calibrated_lines(_forecast(256), NEED, MEMORY, slow, 1))
    assert "time not measured" in told
    assert "All 1 round without what was not measured" in told


SELECTIONS = st.sampled_from(["all", "modal", "consistent", "verified", "rollout"])


@given(SELECTIONS, st.integers(1, 40), st.integers(2, 5), st.floats(0, 1), st.booleans())
def test_the_rows_are_those_that_a_round_samples(
    select: str, problems: int, samples: int, share: float, whole: bool
) -> None:
    length = "full" if whole and select not in ("modal", "rollout") else 4
    prefixes = {"select": select, "structure_ratio": share, "length": length}
    recipe = parse_recipe({"prefixes": prefixes, "sampling": {"samples": samples}}, "the test")
    listed = [(str(number), sample) for number in range(problems) for sample in range(samples)]
    made = Counter(assign_kinds(listed, recipe.prefixes, 3).values())
    assert made == Counter(rows_by_kind(recipe, problems))
    fitting = problems_within(recipe, made.total())
    assert sum(rows_by_kind(recipe, fitting).values()) == made.total()
    assert fitting == problems
    assert problems_within(recipe, made.total() - 1) == problems - 1


def test_a_round_draws_no_more_problems_than_there_are() -> None:
    work = _forecast(100, sampling={"problems_per_round": 1000})
    assert (work.problems, work.rows, work.steps) == (100, 100, 2)
    sections = {"problems": {"train_size": 100, "heldout_size": 20}, "sampling": {"problems_per_round": 1000}}
    told = plan_lines(parse_recipe(sections, "the test"), 1)
    assert told[0].startswith("A round samples 100 completions of 100 problems")


def test_what_a_selection_can_keep_bounds_what_is_trained() -> None:
    modal = _forecast(100, prefixes={"select": "modal"}, sampling={"samples": 4})
    assert (modal.rows, modal.trained_rows) == (90 * 4 + 10, 100)
    verified = _forecast(100, prefixes={"select": "verified"}, sampling={"samples": 4})
    assert (verified.trained_rows, verified.short_rows) == (400, 0)
    assert verified.target_tokens == 360 * 8 + 40 * 512
    rollout = _forecast(100, prefixes={"select": "rollout", "rollouts": 3}, sampling={"samples": 4})
    assert (rollout.continuations, rollout.continued_tokens) == (1200, 1200 * 504)


@pytest.mark.parametrize(("negatives", "rows"), [(0.0, 200), (0.5, 400)])
def test_a_cap_on_the_rows_of_a_problem_bounds_what_is_trained(negatives: float, rows: int) -> None:
    capped = {"select": "verified", "length": "full", "per_problem": 2}
    sections = {"sampling": {"samples": 8}, "prefixes": capped, "training": {"negatives": negatives}}
    found = forecast_round(parse_recipe(sections, "the test"), 100)
    assert (found.rows, found.trained_rows) == (800, rows)
    assert found.target_tokens == rows * 512


def test_prefixes_that_grow_after_rejections_are_in_the_bound() -> None:
    grown = _forecast(100, schedule={"rejected_lengths": [4, 16]}, prefixes={"train_eos": True})
    assert grown.sampled_tokens == 90 * 16 + 10 * 512
    assert grown.target_tokens == 90 * 17 + 10 * 512


def test_a_placebo_costs_what_its_round_does() -> None:
    plain, placebo = _forecast(256), _forecast(256, gate={"placebo": True})
    told = "\n".join(calibrated_lines(placebo, NEED, MEMORY, FOUND, 1))
    assert "placebo: trained and merged in the same way, 1,280 to 10,240 tokens of 64 to 256 answers" in told
    assert "All 1 round: 2:06 to 4:36" in "\n".join(calibrated_lines(plain, NEED, MEMORY, FOUND, 1))
    assert "All 1 round: 2:54 to 6:09" in told
    needs = [work.disk(Footprint(1000, 10), 1, keep_models=False) for work in (plain, placebo)]
    assert needs[1].models - needs[0].models == 1000
    assert needs[1].rows - needs[0].rows == 256 * (512 * 14 + 400)


@pytest.mark.parametrize(
    ("gate", "first", "later"),
    [
        ({}, (320, 512), (64, 512)),
        ({"fresh": True}, (320, 512), (320, 512)),
        ({"rule": "point"}, (512, 512), (256, 512)),
    ],
    ids=["sequential", "fresh", "point"],
)
def test_judging_costs_no_less_than_its_first_look(
    gate: dict[str, Any], first: tuple[int, int], later: tuple[int, int]
) -> None:
    work = _forecast(256, gate=gate)
    assert (work.judged_answers(first=True), work.judged_answers(first=False)) == (first, later)


def test_the_command_calibrates_on_the_recipes_own_model(tmp_path: Path) -> None:
    workshop = make_workshop(tmp_path)
    done = workshop.call("plan", "--recipe", "tiny.toml", "--calibrate", "--threads", "1", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "8 completions of" in done.stdout
    assert "tokens/s" in done.stdout
    assert "per row" in done.stdout
    assert "not measured" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "sums.jsonl", "tiny", "tiny.toml"]


def test_a_problem_file_is_read_and_refused_as_a_run_refuses_it(tmp_path: Path) -> None:
    workshop = make_workshop(tmp_path)
    told = workshop.call("plan", "--recipe", "tiny.toml", "--set", "problems.train_size=0").stdout.splitlines()
    assert told[0] == "Problems read: 41 to train on, 24 held out, 16 sealed"
    assert told[1].startswith("A round samples 41 completions of 41 problems: ")
    (tmp_path / "bad.jsonl").write_text(
        '{"question": "What is 1 + 1?", "answer": "2"}\n{"question": "", "answer": "4"}\n'
    )
    (tmp_path / "bare.jsonl").write_text('{"question": "What is 1 + 1?"}\n{"question": "And 2 + 3?"}\n')
    verified = ["--set", "prefixes.select=verified", "--set", "problems.train_size=0"]
    for source, more, fault in (
        ("bad.jsonl", [], "bad.jsonl:2: `question` is empty"),
        ("gone.jsonl", [], "problems.train: gone.jsonl: no such file"),
        ("bare.jsonl", ["--set", "problems.heldout=sums.jsonl", *verified], "2 of 2 training problems have no answer"),
    ):
        words = ["--recipe", "tiny.toml", "--problems", source, *more]
        planned, run = workshop.call("plan", *words), workshop.call("run", *words, "--run", "refused")
        assert (planned.returncode, run.returncode) == (2, 2)
        assert fault in planned.stderr
        assert planned.stderr == run.stderr


def test_problems_on_the_hub_are_not_read_and_said_so(tmp_path: Path) -> None:
    told = make_workshop(tmp_path).call("plan", "--recipe", "tiny.toml", "--problems", "openai/gsm8k").stdout
    assert told.startswith(
        "Problems on the hub are not read for the plan. To check them: selfimprove problems openai/gsm8k\n"
    )


def test_guards_are_planned_for() -> None:
    guards = [{"problems": "english.jsonl"}, {"problems": "code.jsonl", "rule": "proof of no harm", "size": 2000}]
    recipe = parse_recipe({"guards": guards}, "the test")
    told = plan_lines(recipe, 2)
    assert "A challenger that the gate accepts gives at most 2,200 answers to guards' problems." in told
    start = told.index("Guards, in the first round whose challenger the gate accepts:")
    english, code, harmless, harmful = told[start + 1 :]
    assert english.startswith("  guard english, 200 problems: a drop of more than 2 points must not be shown; ")
    assert code.startswith(
        "  guard code, 2,000 problems: a drop of 2 points or more must be ruled out; problems needed "
    )
    assert harmless.endswith("because harm is shown: at most 0.05 in any number of rounds.")
    assert harmful.endswith("no harm must be proven: at most 0.05 in any number of rounds.")
    assert not any("uard" in line for line in plan_lines(parse_recipe({}, "the test"), 2))
    plain, guarded = (forecast_round(one, 100) for one in (parse_recipe({}, "the test"), recipe))
    assert guarded.judged_answers(first=True)[1] == plain.judged_answers(first=True)[1] + 2 * 2200
    disks = [one.disk(Footprint(8, 4), 1, keep_models=False).rows for one in (plain, guarded)]
    assert disks[1] > disks[0]
