"""What follows a rejection, what ends a run early, and the sealed problems at a second decoding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfimprove import events as ev
from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import parse_recipe
from selfimprove.round.schedule import end_of, rejections, scheduled
from selfimprove.runs.verify import faults_in, verify
from selfimprove.store.durable import content_hash
from selfimprove.store.records import Certificate, Counts, DecisionRecord, RoundRecord, Scorecard, Side, StageRecord
from tests.comparable import comparable_records
from tests.peers import World


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as made:
        yield made


def _round(accepted: bool, tokens: int = 100, gain: float = 0.1) -> RoundRecord:
    counted = {"sample": Counts(sampled_tokens=tokens), "placebo": Counts(sampled_tokens=10**9)}
    return RoundRecord(
        round=1,
        chain=(),
        stages=tuple(StageRecord(stage=name, counts=counts, sha256={}) for name, counts in counted.items()),
        scorecard=Scorecard(champion=Side(accuracy=0.2), challenger=Side(accuracy=0.2 + gain)),
        decision=DecisionRecord(accepted=accepted, sentence=""),
        certificate=Certificate(sha256=""),
    )


def _recipe(**schedule: object) -> Recipe:
    return parse_recipe({"training": {"learning_rate": 1e-3}, "schedule": schedule}, "the test")


def test_each_rejection_in_a_row_lowers_the_rate_and_takes_the_next_length() -> None:
    recipe = _recipe(rejected_learning_rate=0.5, rejected_lengths=[16, 4])
    rounds = [_round(True), _round(False), _round(False), _round(False), _round(True)]
    used = [scheduled(recipe, rounds[:count]) for count in range(6)]
    assert [one.prefixes.length for one in used] == [8, 8, 16, 4, 4, 8]
    assert [one.training.learning_rate for one in used] == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4, 1e-3])
    assert [rejections(rounds[:count]) for count in range(6)] == [0, 0, 1, 2, 3, 0]
    assert used[0] == used[5] == recipe


def test_patience_ends_a_run_after_that_many_rejections_in_a_row() -> None:
    recipe = _recipe(patience=2)
    assert not end_of(recipe, [_round(False), _round(True), _round(False)])
    assert "2 rounds in a row rejected" in end_of(recipe, [_round(True), _round(False), _round(False)])
    assert not end_of(_recipe(), [_round(False)] * 9)


def test_a_price_ends_a_run_when_points_cost_more() -> None:
    recipe = _recipe(tokens_per_point=100)
    assert not end_of(recipe, [])
    assert not end_of(recipe, [_round(True, 900, 0.1)])
    assert "1,100 tokens brought a gain of 10.0 points" in end_of(recipe, [_round(True, 1100, 0.1)])
    assert "1,100 tokens" in end_of(recipe, [_round(True, 9), _round(False, 600), _round(True, 500, 0.1)])
    assert not end_of(recipe, [_round(False, 200, 0.0)])
    assert "201 tokens brought no accept" in end_of(recipe, [_round(False, 101, 0.0), _round(False, 100, 0.0)])


def test_a_run_out_of_patience_ends_and_stays_ended(tmp_path: Path, checker: Checker) -> None:
    schedule = {"patience": 2, "rejected_learning_rate": 0.5}
    world = World(tmp_path, checker, gains=[0.3, 0.0, 0.0, 0.3], settings={"schedule": schedule})
    world.run(5)
    assert [record.accepted for record in world.journal.rounds()] == [True, False, False]
    assert [record.schedule.rejections for record in world.journal.rounds()] == [0, 0, 1]
    told = [event.text for event in world.events if isinstance(event, ev.Note) and "The run ends" in event.text]
    assert told == ["The run ends after 3 rounds of 5: 2 rounds in a row rejected, schedule.patience is 2."]
    before = comparable_records(world.journal.folder)
    world.events.clear()
    world.run(9)
    assert comparable_records(world.journal.folder) == before
    assert next(event for event in world.events if isinstance(event, ev.RunFinished)).was_complete
    assert not faults_in(verify(world.journal, content_hash))


def test_the_sealed_problems_are_answered_at_a_second_temperature_and_told_beside(
    tmp_path: Path, checker: Checker
) -> None:
    gate = {"beside_temperature": 0.6, "beside_samples": 2}
    world = World(tmp_path, checker, gains=[0.3], settings={"gate": gate})
    look = world.run(1)
    beside = look.beside
    assert beside
    assert (beside.temperature, beside.samples, beside.n) == (0.6, 2, 200)
    assert beside.champion_accuracy == look.champion_accuracy == beside.champion_pass_at_k
    sealed = [request for _, request in world.sampled[-1200:]]
    assert [sum(request.decoding.temperature == t for request in sealed) for t in (0.0, 0.6)] == [400, 800]
    assert not faults_in(verify(world.journal, content_hash))
    rows = world.journal.beside_verdicts
    rows.write_text(rows.read_text().replace('"correct"', '"wrong"', 1))
    assert {fault.what for fault in faults_in(verify(world.journal, content_hash))} == {
        "SHA-256 of its verdicts at the second temperature",
        "figures at the second temperature from the verdicts",
    }


def test_judged_answers_are_drawn_at_the_gates_temperature(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.3], settings={"gate": {"temperature": 0.25}})
    world.run(1)
    trained = {problem.key for problem in world.job().problems.train}
    assert {r.decoding.temperature for _, r in world.sampled if r.key not in trained} == {0.25}


def test_without_a_rule_every_round_is_accepted(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.1, -0.3], settings={"gate": {"rule": "none"}})
    world.run(2)
    assert [record.decision.reason for record in world.journal.rounds()] == ["none", "none"]
    assert [record.accepted for record in world.journal.rounds()] == [True, True]
    assert "without a rule" in world.round(2)["decision"]["sentence"]


OPENINGS = (("So we get ", 0.9), ("Perhaps it ", 0.1))


def _selected(tmp_path: Path, checker: Checker, **prefixes: object) -> World:
    settings = {
        "problems": {"heldout_size": 50, "sealed_size": 50},
        "sampling": {"samples": 4},
        "prefixes": {"length": 5, "structure_ratio": 0.25, **prefixes},
    }
    world = World(tmp_path, checker, gains=[0.1], settings=settings, openings=OPENINGS)
    world.run(1)
    return world


@pytest.mark.parametrize("value", ["labels", "agreement"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rollouts_find_the_opening_that_ends_well(tmp_path: Path, checker: Checker, value: str, weighted: bool) -> None:
    world = _selected(tmp_path, checker, select="rollout", value=value, rollouts=6, weighted=weighted, pooled=True)
    prefixes = ["".join(map(chr, example.target_ids)) for example in world.trained[0] if example.kind == "prefix"]
    assert prefixes.count("So we") > 10 * prefixes.count("Perha")
    solutions = [example for example in world.trained[0] if example.kind == "full"]
    assert solutions
    assert all(example.target_ids[-1] == 0 and len(example.target_ids) > 5 for example in solutions)
    assert sum(example.weight for example in world.trained[0]) == pytest.approx(len(world.trained[0]), rel=0.2)
    counts = {stage["stage"]: stage["counts"] for stage in world.round(1)["stages"]}
    assert counts["rollout"]["rows"] >= 40 * 6
    assert counts["rollout"]["sampled_tokens"] > counts["sample"]["sampled_tokens"] == 40 * 4 * 5


def test_rollouts_of_nothing_leave_a_file_that_the_round_can_be_held_to(tmp_path: Path, checker: Checker) -> None:
    world = _selected(tmp_path, checker, select="rollout", length=20, rollouts=2)
    done = world.journal.round(1).done("rollout")
    assert done
    assert done.counts.rows == 0
    assert list(done.sha256) == ["rollouts.jsonl"]


def test_each_selection_makes_examples_and_says_what_it_left_out(tmp_path: Path, checker: Checker) -> None:
    reasons = {}
    for select in ("all", "modal", "consistent", "verified"):
        world = _selected(tmp_path / select, checker, select=select)
        counts = {stage["stage"]: stage["counts"] for stage in world.round(1)["stages"]}
        reasons[select] = set(counts["harvest"]["dropped"])
        left_out = sum(counts["harvest"]["dropped"].values())
        assert counts["harvest"]["examples"] + left_out == counts["sample"]["rows"]
    assert reasons["all"] == set()
    assert reasons["modal"] <= {"not_modal", "no_mode"}
    assert reasons["consistent"] == {"not_consistent", "no_majority"}
    assert reasons["verified"] == {"not_verified"}


@pytest.mark.parametrize(
    ("prefixes", "samples", "named"),
    [
        ({"select": "modal"}, 1, "needs sampling.samples of 2 or more"),
        ({"select": "consistent", "length": "full"}, 1, "needs sampling.samples of 2 or more"),
        ({"select": "rollout", "length": "full"}, 4, "chooses among prefixes"),
    ],
)
def test_a_selection_that_cannot_choose_is_refused(prefixes: dict[str, Any], samples: int, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_recipe({"prefixes": prefixes, "sampling": {"samples": samples}}, "the test")
