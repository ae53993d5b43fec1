"""Margins: the statistics, the scores of a real model, and `compare --margin` through its command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind
from transformers import AutoModelForCausalLM

from selfimprove.answer.checking import Checker
from selfimprove.compare.margin import ScoredAnswer, margin_of, read_scores
from selfimprove.compare.outcome import read_outcome
from selfimprove.compare.running import Comparing, score_runs, unscored
from selfimprove.compare.tables import markdown
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Runtime
from selfimprove.training.scoring import score
from tests.compare.test_compare import Peers, Table
from tests.peers import World
from tests.training.train_once import make_examples
from tests.workshop import Workshop, events_of, make_workshop

RUNTIME = ["--threads", "1", "--checker-workers", "1", "--device", "cpu", "--engine", "transformers"]


def answer(key: str, change: float, *, right: bool, sample: int = 0) -> ScoredAnswer:
    return ScoredAnswer(key=key, sample=sample, right=right, base=-2.0, champion=-2.0 + change)


changes = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=12)


@given(changes, changes)
def test_the_margin_is_a_difference_of_means_with_welchs_interval(right: list[float], wrong: list[float]) -> None:
    rows = [answer(f"r{n}", change, right=True) for n, change in enumerate(right)]
    rows += [answer(f"w{n}", change, right=False) for n, change in enumerate(wrong)]
    found = margin_of(rows)
    assert found is not None
    assert found.interval is not None
    assert (found.right, found.wrong) == (len(right), len(wrong))
    assert found.margin == pytest.approx(sum(right) / len(right) - sum(wrong) / len(wrong), abs=1e-9)
    if len(set(right)) > 1 or len(set(wrong)) > 1:
        expected = ttest_ind(right, wrong, equal_var=False).confidence_interval()
        assert found.interval == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_several_answers_to_a_problem_count_as_one_on_each_side() -> None:
    rows = [
        answer("a", 0.1, right=True),
        answer("a", 0.3, right=True, sample=1),
        answer("a", 0.5, right=False, sample=2),
    ]
    found = margin_of([*rows, answer("b", 0.6, right=True)])
    assert found is not None
    assert (found.right, found.wrong, found.interval) == (2, 1, None)
    assert (found.change_right, found.change_wrong) == pytest.approx((0.4, 0.5))
    assert margin_of(rows[:2]) is None


def test_scores_are_mean_log_likelihoods_in_the_order_asked_for(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    model, examples = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), make_examples(9)[::-1]
    expected = []
    for example in examples:
        ids = torch.tensor([[*example.prompt_ids, *example.target_ids]])
        log_probs = torch.log_softmax(model(input_ids=ids).logits[0].float(), dim=-1)
        start = len(example.prompt_ids)
        expected.append(sum(float(log_probs[start + n - 1, t]) for n, t in enumerate(example.target_ids)))
    found = score(folder, examples, Runtime(device="cpu", threads=1))
    means = [total / len(example.target_ids) for total, example in zip(expected, examples, strict=True)]
    assert found == pytest.approx(means, abs=0.02)  # the tiny model's weights are read in bfloat16 where that is native
    assert score(folder, [], Runtime()) == []


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = make_workshop(tmp_path_factory.mktemp("workshop"))
    text = (made.folder / "tiny.toml").read_text()
    (made.folder / "all.py").write_text("def right(text, reference):\n    return True\n")
    (made.folder / "sft.toml").write_text(text + 'rule = "none"\n\n[answers]\nchecker = "all.py:right"\n')
    return made


@pytest.mark.slow
def test_compare_scores_the_base_answers_under_each_champion_once_and_shows_them(workshop: Workshop) -> None:
    words = ["compare", "sft.toml", "--seeds", "1", "--rounds", "1", "--name", "scored", *RUNTIME]
    assert workshop.call(*words).returncode == 0
    folder = workshop.runs / "scored"
    path = folder / "sft-s0" / "margin.json"
    assert not path.exists()
    assert not list(folder.glob("sft-s0/0001/model"))
    scored = workshop.call(*words, "--margin")
    assert scored.returncode == 0, scored.stderr
    record = json.loads(path.read_text())
    assert record["champion"] == 1
    assert record["answers"]
    assert any(row["base"] != row["champion"] for row in record["answers"])
    assert all(row["base"] < 0 for row in record["answers"])
    assert not list(folder.glob("sft-s0/0001/model"))  # built again for it, and gone again
    before = path.stat().st_mtime_ns
    again = events_of(workshop.call(*words, "--margin", "--json"))
    assert [event["event"] for event in again] == ["compared"]
    assert path.stat().st_mtime_ns == before
    assert workshop.call("verify", "sft-s0", "--rounds-dir", "rounds/scored").returncode == 0


def test_a_better_champion_has_a_table_of_margins_and_unread_answers_are_in_none(tmp_path: Path) -> None:
    """Peers find an answer likelier by their skill, whatever it is: right and wrong ones alike, so the margin is 0."""
    with Checker(workers=1) as checker:
        table = Table(World(tmp_path, checker, gains=[0.2], rambling=True, settings={"gate": {"rule": "none"}}))
        plan = table.make(table.arms(4), seeds=1)
        comparing = Comparing(folder=table.folder, ground=Peers(table.world), open_view=table.view)
        score_runs(comparing, plan)
        assert unscored(table.folder, plan) == []
    outcome = read_outcome(table.folder, plan)
    (run,) = outcome.arms[0].runs
    assert run.margin is None  # what the base can't solve it doesn't finish
    scores = read_scores(table.folder.run(plan.arms[0].arm, 0))
    assert scores is not None
    assert scores.answers
    assert all(row.right and row.champion - row.base == pytest.approx(0.2) for row in scores.answers)
    assert "Margins" not in markdown(outcome)
    mixed = [*scores.answers, answer("w1", 0.0, right=False), answer("w2", 0.1, right=False)]
    told = markdown(replace(outcome, arms=(replace(outcome.arms[0], runs=(replace(run, margin=margin_of(mixed)),)),)))
    assert "| length-4 | 0 |" in told
    assert "+200.0 | +50.0 | +150.0 |" in told


@pytest.mark.slow
def test_scores_of_an_earlier_champion_are_not_shown(workshop: Workshop) -> None:
    folder = Path(shutil.copytree(workshop.runs / "scored", workshop.runs / "older"))
    path = folder / "sft-s0" / "margin.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "champion": 7}))
    shown = workshop.call("compare", "--name", "older")
    assert shown.returncode == 0
    assert "Margins" not in shown.stdout
