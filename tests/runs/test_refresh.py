"""Rounds of several steps: what each step samples from, what stands on disk, and that a kill costs no step twice."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selfimprove.answer.checking import Checker
from selfimprove.engines.vllm_worker import lora_room
from selfimprove.errors import StageError, UsageError
from selfimprove.events import Event, StageFinished, StageProgress, StepStarted, Timed
from selfimprove.plan.forecast import forecast_round
from selfimprove.recipe.reading import parse_recipe
from selfimprove.report import report_markdown
from selfimprove.report.records import read_run
from selfimprove.runs.assemble import refuse_large_lora
from selfimprove.runs.verify import faults_in, verify
from selfimprove.store.durable import content_hash, read_rows
from selfimprove.tracking.metrics import Points
from selfimprove.view import PlainView
from tests.comparable import comparable_records
from tests.peers import World
from tests.workshop import events_of, make_workshop

STEPS = {"schedule": {"steps": 3}}
OPENINGS = (("I see. ", 0.9), ("Well: ", 0.2))


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as made:
        yield made


def test_each_step_samples_its_own_problems_from_the_model_as_the_step_before_left_it(
    tmp_path: Path, checker: Checker
) -> None:
    world = World(tmp_path, checker, gains=[0.4], settings=STEPS)
    world.run(1)
    base = tmp_path.name
    assert world.opened[:4] == [base, f"{base}+1", f"{base}+2", base]
    folder = world.journal.round(1).path
    files = [folder / "steps" / "1", folder / "steps" / "2", folder]
    keys = [{row["key"] for row in read_rows(step / "samples.jsonl")} for step in files]
    assert sorted(map(len, keys)) == [13, 13, 14]
    assert len(set().union(*keys)) == 40
    gains = [float((step / "adapter" / "gain").read_text()) for step in files]
    assert gains == pytest.approx([0.4 / 3, 0.8 / 3, 0.4])
    assert world.journal.rounds()[0].gain == pytest.approx(0.4, abs=0.1)  # of the last adapter alone, merged once


def test_the_record_has_every_step_and_counts_them_together(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.4], settings=STEPS)
    world.run(1)
    (record,) = world.journal.rounds()
    made = [(stage.step, stage.stage) for stage in record.stages]
    stages = ["sample", "harvest", "train"]
    assert made == [*itertools.product((1, 2, 0), stages), (0, "merge"), (0, "judge")]
    assert record.counts_of("sample").rows == 40
    assert record.counts_of("harvest").examples == 40
    trained = record.counts_of("train")
    assert (trained.steps, trained.losses) == (3, (0.5, 0.5, 0.5))
    assert not faults_in(verify(world.journal, content_hash))
    assert "| 1 | 36 | 4 | 3 |" in report_markdown(read_run(tmp_path / "rounds", "run"))


def test_a_run_without_steps_names_none_in_its_records(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.4])
    world.run(1)
    assert not any("step" in stage for stage in world.round(1)["stages"])
    assert "schedule" not in json.loads((world.journal.folder / "recipe.json").read_text())["recipe"] or (
        "steps" not in json.loads((world.journal.folder / "recipe.json").read_text())["recipe"]["schedule"]
    )
    assert not any(isinstance(event, StepStarted) for event in world.events)


@pytest.mark.parametrize("every", [12, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_stopped_in_any_stage_of_any_step_leaves_the_records_of_an_unbroken_one(
    every: int, tmp_path: Path, checker: Checker
) -> None:
    whole = World(tmp_path / "whole", checker, gains=[0.4, 0.1], settings=STEPS)
    whole.run(2)
    kinds = (StageFinished, StageProgress)
    told = [event for event in whole.events if isinstance(event, kinds) and event.number == 1]
    for stop in range(0, len(told), every):
        place = itertools.count()

        def end(event: Event, stop: int = stop, place: Iterator[int] = place) -> None:
            if isinstance(event, kinds) and event.number == 1 and next(place) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            World(tmp_path / f"{stop}", checker, gains=[0.4, 0.1], settings=STEPS, on_event=end).run(2)
        resumed = World(tmp_path / f"{stop}", checker, gains=[0.4, 0.1], settings=STEPS)
        resumed.run(2)
        ours, theirs = (comparable_records(world.journal.folder) for world in (resumed, whole))
        for records in (ours, theirs):  # it names the folder of its problems
            del records["recipe.json"]
        assert ours == theirs


def test_a_changed_file_of_an_earlier_step_is_refused_by_name(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.4, 0.0], settings=STEPS)
    world.run(1)
    (world.journal.round(1).path / "steps" / "2" / "examples.jsonl").write_text("")
    assert any("steps/2/examples.jsonl" in fault.where for fault in faults_in(verify(world.journal, content_hash)))
    with pytest.raises(UsageError, match=r"steps/2/examples\.jsonl: missing or changed since stage `step-2-harvest`"):
        World(tmp_path, checker, gains=[0.4, 0.0], settings=STEPS).run(2)


def test_views_and_trackers_tell_the_step(tmp_path: Path, checker: Checker) -> None:
    lines: list[str] = []
    world = World(tmp_path, checker, gains=[0.4], settings=STEPS, on_event=PlainView(lines.append))
    world.run(1)
    heads = [line.split(":")[0].strip() for line in lines if line.startswith("  step ") or ": done in" in line]
    assert heads[:8] == ["step 1 of 3", "sample", "harvest", "train", "step 2 of 3", "sample", "harvest", "train"]
    points = Points()
    held = [event for event in world.events if isinstance(event, StageFinished) and event.stage == "train"]
    assert [event.counts["micro_tokens"] for event in held] == [4096] * 3
    sent = [point for event in world.events for point in points.hear(Timed(0.0, event))]
    assert [point.step for point in sent if "train/loss" in point.values] == [1, 2, 3]
    assert [point.values["round/sample_rows"] for point in sent if "round/sample_rows" in point.values] == [14, 27, 40]
    assert {
        point.values["round/train_micro_tokens"] for point in sent if "round/train_micro_tokens" in point.values
    } == {4096}


@pytest.mark.parametrize(("select", "samples"), [("all", 1), ("all", 4), ("modal", 4), ("rollout", 4)])
def test_kinds_and_rows_are_those_of_the_whole_round(
    tmp_path: Path, checker: Checker, select: str, samples: int
) -> None:
    kinds = []
    for steps in (1, 20):
        settings = {"sampling": {"samples": samples}, "prefixes": {"select": select}, "schedule": {"steps": steps}}
        world = World(tmp_path / f"{steps}", checker, gains=[0.4], settings=settings, openings=OPENINGS)
        world.run(1)
        files = world.journal.round(1).path.rglob("samples.jsonl")
        rows = {(row["key"], row["sample"]): row["kind"] for path in files for row in read_rows(path)}
        forecast = forecast_round(world.recipe(), 40)
        assert (forecast.refreshes, forecast.rows) == (steps, len(rows))
        kinds.append(rows)
    assert kinds[0] == kinds[1]


def test_a_step_without_examples_is_named_with_what_helps(tmp_path: Path, checker: Checker) -> None:
    settings = {"schedule": {"steps": 40}, "prefixes": {"select": "verified", "length": "full"}}
    world = World(tmp_path, checker, gains=[0.4], settings=settings)
    with pytest.raises(StageError, match=r"round 1, step \d+ of 40: none of 1 completions") as caught:
        world.run(1)
    assert "take fewer steps (schedule.steps)" in caught.value.hint


def test_an_adapter_that_vllm_can_not_apply_is_refused_before_anything_is_sampled() -> None:
    recipe = parse_recipe({"training": {"rank": 513}, **STEPS}, "the test")
    with pytest.raises(UsageError, match="vLLM applies a LoRA of at most 512"):
        refuse_large_lora(recipe, "vllm")
    refuse_large_lora(recipe, "transformers")
    refuse_large_lora(parse_recipe({"training": {"rank": 513}}, "the test"), "vllm")
    assert [lora_room(rank) for rank in (1, 8, 9, 16, 300, 512)] == [8, 8, 16, 16, 320, 512]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"gate": {"placebo": True}, "schedule": {"steps": 2}}, "schedule.steps must be 1"),
        ({"problems": {"train_size": 8}, "schedule": {"steps": 9}}, "only 8 training problems"),
        ({"sampling": {"problems_per_round": 4}, "schedule": {"steps": 5}}, "only 4 training problems"),
    ],
)
def test_steps_that_can_not_be_dealt_are_refused(settings: dict[str, dict[str, object]], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_recipe(settings, "the test")


def test_more_steps_than_there_are_problems_are_refused(tmp_path: Path, checker: Checker) -> None:
    few = {"problems": {"train_size": 0, "heldout_size": 500, "sealed_size": 390}, "schedule": {"steps": 50}}
    with pytest.raises(UsageError, match=r"schedule\.steps is 50, but a round has only \d+ training problems"):
        World(tmp_path, checker, gains=[0.4], settings=few).run(1)


@pytest.mark.slow
def test_real_parts_killed_in_any_stage_of_any_step_go_on_to_the_same_records(tmp_path: Path) -> None:
    workshop = make_workshop(tmp_path)
    words = ["--set", "schedule.steps=2", "--set", "sampling.samples=4"]
    events_of(workshop.run("whole", 1, *words))
    for step, kind in itertools.product((1, 2), ("stage_progress", "train_step")):
        name = f"{kind}-{step}"
        assert workshop.run_until(name, 1, _reached(step, kind), signal.SIGKILL, *words) == -signal.SIGKILL
        events_of(workshop.run(name, 1, *words))
        assert comparable_records(workshop.runs / name) == comparable_records(workshop.runs / "whole")
    assert workshop.call("verify", "stage_progress-2").returncode == 0


def _reached(step: int, kind: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an event is of that kind and comes in that step of the round."""
    begun = 0

    def there(event: dict[str, Any]) -> bool:
        nonlocal begun
        begun += event["event"] == "step_started"
        return begun == step and event["event"] == kind

    return there
