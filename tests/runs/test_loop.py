"""The loop's decisions and records, with peers in place of the models and everything else real."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfimprove import events as ev
from selfimprove.answer.checking import Checker
from selfimprove.errors import StageError, UsageError
from selfimprove.events import Event, StageProgress
from selfimprove.formatting import split_told
from selfimprove.plan.lines import plan_lines
from selfimprove.report import report_markdown
from selfimprove.report.records import read_run
from selfimprove.runs.verify import faults_in, verify
from selfimprove.store.champion import champion_of
from selfimprove.store.durable import content_hash
from selfimprove.view import PlainView
from tests.comparable import comparable_records
from tests.peers import World


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as made:
        yield made


def test_better_challengers_become_champions_and_worse_ones_do_not(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, -0.2, 0.2])
    look = world.run(3)
    assert [world.round(number)["decision"]["accepted"] for number in (1, 2, 3)] == [True, False, True]
    assert [world.round(number)["parent"] for number in (1, 2, 3)] == [0, 1, 1]
    assert world.round(3)["chain"] == [1]
    assert champion_of(world.journal.rounds()).chain == (1, 3)
    assert look.champion == 3
    assert look.gain == pytest.approx(0.4, abs=0.08)
    assert look.gain_interval[0] > 0


@pytest.mark.parametrize(("rambling", "cause"), [(True, "became_readable"), (False, "became_right")])
def test_a_gain_is_split_by_what_the_answers_were(tmp_path: Path, checker: Checker, rambling: bool, cause: str) -> None:
    """The same gain over a base that doesn't finish what it can't solve, and over one that solves it wrongly."""
    world = World(tmp_path, checker, gains=[0.3], rambling=rambling, settings={"gate": {"placebo": True}})
    look = world.run(1)
    record = world.journal.rounds()[0]
    assert look.split is not None
    assert record.scorecard.split is not None
    for split, gain in ((record.scorecard.split, record.gain), (look.split, look.gain)):
        told = {"became_readable": 0, "became_right": 0, "became_unreadable": 0, "became_wrong": 0, cause: gain}
        assert split.plain() == pytest.approx(told)
    assert f"(all {cause.replace('_', ' ')})" in record.decision.sentence
    assert record.placebo is not None
    assert record.placebo.split is not None
    (sealed,) = [event for event in world.events if isinstance(event, ev.SealedJudged)]
    assert (sealed.champion, sealed.split) == (1, split_told(look.split))
    text = report_markdown(read_run(tmp_path / "rounds", "run"))
    assert text.count(split_told(look.split)) == 1
    assert "What the gains are made of, in points" in text


def test_a_champion_that_is_the_base_is_called_that_and_no_chance(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0])
    look = world.run(1)
    lines: list[str] = []
    with PlainView(lines.append) as view:
        for event in world.events:
            view(event)
    told = "\n".join([*lines, look.sentence, report_markdown(read_run(tmp_path / "rounds", "run"))])
    assert told.count("Base and champion are the same model, so there is no gain to judge.") == 3
    assert "chance" not in told.replace("Chance of any false accept", "")


def test_the_start_tells_the_power_in_one_line_for_the_flips_seen(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.0])
    world.run(1)
    world.run(2)
    told = [event.notes for event in world.events if isinstance(event, ev.RunStarted)]
    power = [[note for note in notes if "held-out problems and" in note] for notes in told]
    card = world.round(1)["scorecard"]
    seen = f"{(card['wins'] + card['losses']) / card['judged']:.0%}"
    assert [len(lines) for lines in power] == [1, 1]
    assert "with 400 held-out problems and 10% flips a gain of " in power[0][0]
    assert f"with 400 held-out problems and {seen} flips a gain of " in power[1][0]
    assert power[0][0].endswith("(`selfimprove plan` shows other sizes and flip rates)")


def test_the_start_tells_what_guessing_would_solve(tmp_path: Path, checker: Checker) -> None:
    path = tmp_path / "choices.jsonl"
    rows = [{"question": f"What is {n}?", "choices": [f"{n}", "no", "yes"], "answer": "A"} for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sizes = {"train_size": 20, "heldout_size": 20, "sealed_size": 20}
    world = World(tmp_path / "world", checker, gains=[0.0], settings={"problems": {"train": str(path), **sizes}})
    world.run(1)
    (started,) = [event for event in world.events if isinstance(event, ev.RunStarted)]
    assert "held-out problems: guessing would solve about 33% (multiple choice)" in started.notes


def test_judging_stops_as_soon_as_the_gate_has_decided(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.4])
    world.run(1)
    card = world.round(1)["scorecard"]
    assert card["judged"] < card["total"] == 400
    assert card["judged"] == world.round(1)["decision"]["looks"][-1]["judged"]


def test_a_sampler_that_works_ahead_of_the_looks_leaves_the_same_records(tmp_path: Path, checker: Checker) -> None:
    worlds = [World(tmp_path, checker, gains=[0.4, 0.0], ahead=ahead) for ahead in (False, True)]
    records = []
    for world in worlds:
        world.run(2)
        records.append(comparable_records(world.journal.folder))
        shutil.rmtree(world.journal.folder)
    assert records[0] == records[1]
    assert len(worlds[1].sampled) > len(worlds[0].sampled), "nothing was sampled in vain"


def test_the_rows_that_an_engine_has_at_once_stand_in_the_record(tmp_path: Path, checker: Checker) -> None:
    for ahead, held in ((False, {}), (True, {"sample": 256, "judge": 256})):
        world = World(tmp_path, checker, gains=[0.4], ahead=ahead)
        world.run(1)
        stages = {stage["stage"]: stage["counts"].get("held_rows") for stage in world.round(1)["stages"]}
        assert {stage: rows for stage, rows in stages.items() if rows} == held
        shutil.rmtree(world.journal.folder)


def test_tokens_are_told_within_a_chunk_under_the_stage_that_asked_for_it(tmp_path: Path, checker: Checker) -> None:
    records = []
    for telling in (False, True):
        world = World(tmp_path, checker, gains=[0.4], telling=telling, settings={"gate": {"placebo": True}})
        world.run(1)
        records.append(comparable_records(world.journal.folder))
        shutil.rmtree(world.journal.folder)
    assert records[0] == records[1]
    told = [event for event in world.events if isinstance(event, StageProgress)]
    for stage in ("sample", "judge", "placebo", "sealed"):
        found = [(event.done, event.tokens) for event in told if event.stage == stage]
        assert found == sorted(found)
        assert any(done == 0 < tokens for done, tokens in found)
        assert len(found) > 2 * len({done for done, _ in found})


@pytest.mark.parametrize("stage", ["sample", "judge"])
def test_a_run_stopped_on_one_machine_goes_on_where_the_engine_holds_more(
    stage: str, tmp_path: Path, checker: Checker
) -> None:
    whole = World(tmp_path, checker, gains=[0.4])
    whole.run(1)
    records = comparable_records(whole.journal.folder)
    shutil.rmtree(whole.journal.folder)

    def stop(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        World(tmp_path, checker, gains=[0.4], on_event=stop).run(1)
    resumed = World(tmp_path, checker, gains=[0.4], ahead=True)
    resumed.run(1)
    assert comparable_records(resumed.journal.folder) == records


def test_the_rate_of_a_resumed_stage_counts_no_token_of_the_earlier_start(tmp_path: Path, checker: Checker) -> None:
    for stage, kept in (("judge", 96), ("sealed", 48)):  # whole chunks

        def stop(event: Event, stage: str = stage, kept: int = kept) -> None:
            if isinstance(event, StageProgress) and (event.stage, event.done) == (stage, kept):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            World(tmp_path / stage, checker, gains=[0.4], on_event=stop).run(1)
        resumed = World(tmp_path / stage, checker, gains=[0.4])
        look = resumed.run(1)
        told = [event for event in resumed.events if isinstance(event, StageProgress) and event.stage == stage]
        counted = (
            resumed.journal.rounds()[0].counts_of("judge").sampled_tokens if stage == "judge" else look.sampled_tokens
        )
        assert {event.tokens for event in told if event.done <= kept} == {0}
        answer = (counted or 0) // told[-1].done  # all answers have as many letters
        assert told[-1].tokens == (told[-1].done - kept) * answer


def test_the_time_of_a_resumed_run_is_that_of_all_its_starts(tmp_path: Path, checker: Checker) -> None:
    def dawdle(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "sealed" and event.done == 48:
            time.sleep(1)

    World(tmp_path, checker, gains=[0.4, 0.0], on_event=dawdle).run(1)
    world = World(tmp_path, checker, gains=[0.4, 0.0])
    world.run(2)
    (finished,) = [event for event in world.events if isinstance(event, ev.RunFinished)]
    stages = sum(stage.seconds or 0 for record in world.journal.rounds() for stage in record.stages)
    assert finished.seconds == pytest.approx(
        stages + sum(look.seconds or 0 for look in world.journal.sealed()), abs=0.01
    )
    assert finished.seconds > 1


def test_one_start_of_an_engine_serves_the_judging_of_a_champion_and_the_next_sampling(
    tmp_path: Path, checker: Checker
) -> None:
    world = World(tmp_path, checker, gains=[0.4, 0.0])
    world.run(2)
    # Sampling, training, judging of both sides; sampling of round 2, training, judging of both sides; the sealed end.
    assert world.opened[:5] == [tmp_path.name, tmp_path.name, "0001", "0001", "0002"]


def test_a_champion_is_judged_on_a_held_out_problem_once(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0, 0.0, 0.3, 0.0])
    world.run(4)
    heldout = set(_keys(world, "heldout"))
    for model in ("base", "0003"):
        name = world.folder.name if model == "base" else model
        judged = [r.key for where, r in world.sampled if where == name and r.key in heldout]
        assert len(judged) == len(set(judged)) == 400


def _keys(world: World, name: str) -> list[str]:
    from selfimprove.problem import load_problems

    return [problem.key for problem in getattr(load_problems(world.recipe().problems), name)]


def test_sealed_problems_are_touched_at_the_end_alone(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.3, 0.0])
    world.run(2)
    sealed = set(_keys(world, "sealed"))
    first = next(place for place, (_, request) in enumerate(world.sampled) if request.key in sealed)
    assert {request.key for _, request in world.sampled[first:]} == sealed


def test_a_second_look_at_the_sealed_problems_is_on_record(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.0, 0.3])
    world.run(1)
    assert (world.run(2).look, len(world.journal.sealed())) == (1, 1)
    world.run(3)
    assert [(look.look, look.champion) for look in world.journal.sealed()] == [(1, 1), (2, 3)]
    assert any(isinstance(event, ev.Note) and "look 2" in event.text for event in world.events)


def test_a_failed_certificate_stops_the_round_with_its_reason(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2], passed=False)
    with pytest.raises(StageError, match="nothing of the update survived"):
        world.run(1)
    assert not world.journal.round(1).model.exists()
    assert not world.journal.round(1).record.exists()
    world.passed = True
    world.run(1)
    assert world.round(1)["decision"]["accepted"]


def test_a_lost_champion_is_rebuilt_from_its_chain_or_refused(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.2, 0.0, 0.0])
    world.run(2)
    shutil.rmtree(world.journal.round(2).model)
    world.run(3)
    assert (world.journal.round(2).model / "skill").read_text() == "0.700000"
    shutil.rmtree(world.journal.round(2).model)
    (world.folder / "base" / "skill").write_text("0.1")
    with pytest.raises(StageError, match="its certificate says"):
        world.run(4)


def test_a_changed_champion_is_built_again_and_said_so(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.0])
    world.run(1)
    (world.journal.round(1).model / "skill").write_text("0.9")
    world.run(2)
    assert (world.journal.round(1).model / "skill").read_text() == "0.500000"
    assert any(isinstance(event, ev.Note) and "changed since it was made" in event.text for event in world.events)


def test_only_the_champions_model_stays_on_disk(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.2, 0.0])
    world.run(3)
    assert [world.journal.round(number).model.exists() for number in (1, 2, 3)] == [False, True, False]


def test_a_changed_file_of_a_finished_round_is_refused_by_name(tmp_path: Path, checker: Checker) -> None:
    for name in ("samples.jsonl", "examples.jsonl", "adapter/gain", "certificate.json", "verdicts.jsonl"):
        world = World(tmp_path / name.partition(".")[0].replace("/", "-"), checker, gains=[0.2, 0.0])
        world.run(1)
        path = world.journal.round(1).path / name
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(UsageError, match=rf"0001/{name.partition('/')[0]}: missing or changed"):
            world.run(2)


def test_a_rollback_moves_the_champion_and_deletes_nothing(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.2, 0.1])
    world.run(2)
    before = comparable_records(world.journal.folder)
    assert world.journal.roll_back(1).chain == (1,)
    after = comparable_records(world.journal.folder)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"rollbacks.jsonl"}
    look = world.run(3)
    assert (world.round(3)["parent"], world.round(3)["chain"]) == (1, [1])
    assert look.champion == world.journal.champion().number in (1, 3)
    with pytest.raises(UsageError, match="round 7 was not accepted"):
        world.journal.roll_back(7)


def test_less_than_a_batch_of_examples_is_a_warning_with_what_was_dropped(tmp_path: Path, checker: Checker) -> None:
    rft = {"prefixes": {"select": "verified", "length": "full"}, "training": {"batch_rows": 64}}
    world = World(tmp_path, checker, gains=[0.0], settings=rft)
    world.run(1)
    counts = world.journal.rounds()[0].counts_of("harvest")
    *_, told = [event.text for event in world.events if isinstance(event, ev.Note) and "warning" in event.text]
    kept = f"round 1 trains on {counts.examples} examples from 40 completions, less than one batch"
    assert f"{kept} (dropped: not_verified {counts.dropped['not_verified']}). " in told


def test_a_round_that_can_not_fill_a_batch_is_a_warning_before_anything_is_sampled(
    tmp_path: Path, checker: Checker
) -> None:
    world = World(tmp_path, checker, gains=[0.0], settings={"training": {"batch_rows": 64}})
    world.run(1)
    place, told = next((at, e.text) for at, e in enumerate(world.events) if isinstance(e, ev.Note))
    assert told.startswith(
        "warning: a round trains on at most 40 examples, less than one batch (training.batch_rows = 64). Add "
    )
    assert not any(isinstance(event, ev.StageStarted) for event in world.events[:place])
    assert told in plan_lines(world.recipe(), 1)
    world.settings["training"] = {"batch_rows": 40}
    assert not any("batch" in line for line in plan_lines(world.recipe(), 1))


def test_rejection_sampling_trains_whole_verified_solutions(tmp_path: Path, checker: Checker) -> None:
    rft = {"prefixes": {"select": "verified", "length": "full"}, "sampling": {"samples": 2}}
    world = World(tmp_path, checker, gains=[0.0], settings=rft)
    world.run(1)
    counts = {stage["stage"]: stage["counts"] for stage in world.round(1)["stages"]}
    assert counts["sample"]["rows"] == 80
    assert counts["harvest"]["prefix"] == 0
    assert 0 < counts["harvest"]["full"] == 80 - counts["harvest"]["dropped"]["not_verified"] < 80


def test_verified_prefixes_are_cut_from_whole_samples(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0], settings={"prefixes": {"select": "verified"}})
    world.run(1)
    rows = [json.loads(line) for line in world.journal.round(1).examples.read_text().splitlines()]
    assert {len(row["target_ids"]) for row in rows if row["kind"] == "prefix"} == {4}


def test_verified_selection_without_answers_is_refused(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0], settings={"prefixes": {"select": "verified"}})
    (tmp_path / "bare.jsonl").write_text('{"question": "What is 1 + 1?"}\n' * 1 + '{"question": "And 2 + 3?"}\n')
    world.settings["problems"] = {
        "train": str(tmp_path / "bare.jsonl"),
        "train_size": 0,
        "heldout": str(tmp_path / "sums.jsonl"),
    }
    with pytest.raises(UsageError, match="2 of 2 training problems have no answer"):
        world.run(1)
    assert not world.journal.folder.exists()


def test_several_answers_per_problem_are_drawn_with_common_seeds(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.3], settings={"gate": {"samples": 2, "batch": 50}})
    world.run(1)
    heldout = set(_keys(world, "heldout"))
    seeds = {}
    for where, request in world.sampled:
        if request.key in heldout:
            assert request.decoding.temperature > 0
            seeds.setdefault((request.key, request.sample), set()).add((where, request.seed))
    assert all(len({seed for _, seed in found}) == 1 for found in seeds.values())
    assert world.round(1)["scorecard"]["challenger"]["answers"] == 2 * world.round(1)["scorecard"]["judged"]


def test_rounds_walk_through_the_training_problems(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0, 0.0, 0.0], settings={"sampling": {"problems_per_round": 16}})
    world.run(3)
    seen = []
    for number in (1, 2, 3):
        lines = world.journal.round(number).samples.read_text().splitlines()
        seen.append({json.loads(line)["key"] for line in lines})
    assert all(len(keys) == 16 for keys in seen)
    assert seen[0].isdisjoint(seen[1])
    assert len(seen[0] | seen[1] | seen[2]) == 40


def test_a_reference_the_checker_cannot_judge_is_set_aside_and_said(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0])
    broken = "9" * 200_000
    rows = [f'{{"question": "Broken {n}: 1 + {n}", "answer": "{broken}"}}' for n in range(3)]
    world.settings["problems"] = {"heldout": str(tmp_path / "mixed.jsonl"), "heldout_size": 350, "sealed_size": 100}
    lines = (tmp_path / "sums.jsonl").read_text().splitlines()
    (tmp_path / "mixed.jsonl").write_text("\n".join([*lines[:447], *rows]) + "\n")
    world.run(1)
    notes = [event.text for event in world.events if isinstance(event, ev.Note)]
    assert sum("set aside" in note for note in notes) == 3


def test_two_runs_of_one_recipe_write_equal_records(tmp_path: Path, checker: Checker) -> None:
    records = []
    for name in ("one", "two"):
        shutil.rmtree(tmp_path / "place", ignore_errors=True)
        world = World(tmp_path / "place", checker, gains=[0.1, 0.3])
        world.run(2)
        shutil.copytree(world.journal.folder, tmp_path / name)
        records.append(comparable_records(tmp_path / name))
    assert records[0] == records[1]


def test_fresh_held_out_problems_are_new_each_round_and_never_trained_or_sealed(
    tmp_path: Path, checker: Checker
) -> None:
    sums = {"train": "reasoning-gym:pluses", "train_size": 40, "heldout_size": 100, "sealed_size": 50}
    part = {"name": "chain_sum", "params": {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2}}
    world = World(tmp_path, checker, gains=[0.0, 0.0], script_of_sums=False)
    world.settings = {"problems": {**sums, "mixtures": {"pluses": [part]}}, "gate": {"fresh": True, "batch": 25}}
    world.run(2)
    kept = {*_keys(world, "train"), *_keys(world, "sealed")}
    judged = []
    for number in (1, 2):
        rows = [json.loads(line) for line in world.journal.round(number).verdicts.read_text().splitlines()]
        judged.append({row["key"] for row in rows})
        assert world.round(number)["scorecard"]["uses_of_heldout"] == 1
        assert judged[-1].isdisjoint(kept)
    assert judged[0].isdisjoint(judged[1])
    assert not faults_in(verify(world.journal, content_hash))


def test_fresh_problems_of_a_small_generator_are_refused_before_the_round_that_lacks_them(
    tmp_path: Path, checker: Checker
) -> None:
    """Of two terms of one digit there are some 200 sums and differences: enough for two rounds of 20, not for 20."""
    sums = {"train": "reasoning-gym:digits", "train_size": 10, "heldout_size": 20, "sealed_size": 10}
    part = {"name": "chain_sum", "params": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}}
    world = World(tmp_path, checker, gains=[0.0, 0.0], script_of_sums=False)
    world.settings = {"problems": {**sums, "mixtures": {"digits": [part]}}, "gate": {"fresh": True, "batch": 10}}
    with pytest.raises(UsageError, match=r"gate\.fresh: round 10 needs 20 new held-out problems"):
        world.run(20)
    assert not world.journal.folder.exists()
    world.run(2)
    judged = [set(_champions(world, number)) for number in (1, 2)]
    assert [len(keys) for keys in judged] == [20, 20]
    assert judged[0].isdisjoint(judged[1])
    assert not faults_in(verify(world.journal, content_hash))


def _champions(world: World, number: int) -> list[str]:
    """The keys of the round's held-out problems, which the champion of the time answered."""
    rows = [json.loads(line) for line in world.journal.round(number).verdicts.read_text().splitlines()]
    return [row["key"] for row in rows if row["model"] != number]


def test_fresh_problems_from_a_file_are_refused(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0], settings={"gate": {"fresh": True}})
    with pytest.raises(UsageError, match=r"gate\.fresh needs a generated held-out source"):
        world.run(1)
    assert not world.journal.folder.exists()


def _rotating(folder: Path, checker: Checker, gains: list[float]) -> World:
    """A world whose held-out file, apart from the training file, has 500 sums: three parts of 150 beside 50 sealed."""
    world = World(folder, checker, gains=gains)
    rows = [{"question": f"What is {a} + {b}?", "answer": f"{a + b}"} for a in range(60, 80) for b in range(100, 125)]
    (folder / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sizes = {"heldout_size": 150, "sealed_size": 50}
    world.settings = {"problems": {"heldout": str(folder / "judged.jsonl"), **sizes}, "gate": {"rotate": True}}
    return world


def test_a_rotated_source_gives_each_round_a_part_of_its_own_that_was_never_judged(
    tmp_path: Path, checker: Checker
) -> None:
    world = _rotating(tmp_path, checker, [0.4, 0.0, 0.0])
    world.run(2)
    world.run(3)
    judged = [{*_keys(world, "train"), *_keys(world, "sealed")}]
    for number in (1, 2, 3):
        rows = [json.loads(line) for line in world.journal.round(number).verdicts.read_text().splitlines()]
        judged.append({row["key"] for row in rows})
        assert world.round(number)["scorecard"]["uses_of_heldout"] == 1
        assert world.round(number)["scorecard"]["total"] == 150
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(judged, 2))
    assert world.round(1)["decision"]["accepted"]
    assert not faults_in(verify(world.journal, content_hash))
    with pytest.raises(UsageError, match=r"lasts for 3 rounds of 150 problems, but 4 are requested"):
        world.run(4)


def test_a_rotated_source_must_be_the_held_out_sets_own(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0], settings={"gate": {"rotate": True}})
    with pytest.raises(UsageError, match=r"gate\.rotate needs its own held-out source"):
        world.run(1)


def test_the_placebo_is_trained_on_permuted_targets_and_has_no_vote(tmp_path: Path, checker: Checker) -> None:
    records = []
    for name, settings in [("with", {"gate": {"placebo": True}}), ("without", {})]:
        world = World(tmp_path / name, checker, gains=[0.3], settings=settings)
        world.run(1)
        records.append(world.round(1))
        if settings:
            real, twin = world.trained
            assert sorted(e.target_ids for e in real) == sorted(e.target_ids for e in twin)
            assert [(e.key, e.kind, e.prompt_ids) for e in real] == [(e.key, e.kind, e.prompt_ids) for e in twin]
    assert records[0]["decision"] == records[1]["decision"]
    assert records[0]["placebo"]["scorecard"]["n"] == records[0]["scorecard"]["judged"]
    assert records[0]["placebo"]["gain_over_placebo"] == pytest.approx(0.0)
    assert records[1]["placebo"] is None


@pytest.mark.parametrize(("finished", "correct"), [(True, 0), (False, 400)])
def test_an_answer_that_repeats_the_question_earns_nothing(
    tmp_path: Path, checker: Checker, finished: bool, correct: int
) -> None:
    world = World(tmp_path, checker, gains=[0.0], echo=True, settings={"answers": {"finished": finished}})
    world.run(1)
    assert world.round(1)["scorecard"]["champion_heldout"]["correct"] == correct


def test_the_report_shows_placebo_and_reuse_of_the_held_out_set(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.3, 0.0], settings={"gate": {"placebo": True}})
    world.run(2)
    text = report_markdown(read_run(tmp_path / "rounds", "run"))
    assert "gain over placebo" in text
    assert "used for 2 decisions" in text
