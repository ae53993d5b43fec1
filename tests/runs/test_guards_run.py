"""Runs with guards, through the real loop: what is judged, what is written, and how a run that is stopped goes on."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selfimprove import events as ev
from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.events import Event
from selfimprove.recipe import Runtime
from selfimprove.report import report_markdown
from selfimprove.report.records import read_run
from selfimprove.runs.verify import faults_in, verify
from selfimprove.store.champion import champion_of
from selfimprove.store.durable import content_hash
from selfimprove.store.journal import Journal
from selfimprove.tracking.metrics import Points
from selfimprove.view import PlainView
from tests.comparable import comparable_records
from tests.edits import edit
from tests.peers import World
from tests.workshop import events_of, make_workshop

SIZES = {"train_size": 20, "heldout_size": 150, "sealed_size": 20}


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as made:
        yield made


def guarded_world(folder: Path, checker: Checker, gains: list[float], **more: Any) -> World:  # noqa: ANN401
    """A world with two guards: more sums, in other words, and products of none; 100 problems each."""
    world = World(folder, checker, gains=gains, settings={"problems": SIZES}, **more)
    rows = [{"question": f"Tell me {a} plus {b} ?", "answer": f"{a + b}"} for a in range(60, 70) for b in range(80, 90)]
    (folder / "told.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    world.guards = [
        {"problems": str(folder / "told.jsonl"), "size": 100},
        {
            "name": "more",
            "problems": str(folder / "sums.jsonl"),
            "size": 100,
            "rule": "proof of no harm",
            "max_drop": 0.2,
        },
    ]
    return world


def forgets(*rounds: str, word: str = "Tell") -> Callable[[str, str], float]:
    """The models of these rounds have lost what they could of the questions with this word."""
    return lambda model, question: 0.9 if model in rounds and word in question else 0.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, checker: Checker) -> World:
    """Three rounds: one accepted, one that passes the gate and forgets what the first guard asks, one accepted."""
    made = guarded_world(tmp_path_factory.mktemp("world"), checker, [0.2, 0.2, 0.25], forgets=forgets("0002"))
    made.run(3)
    return made


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Journal:
    shutil.copytree(world.journal.folder, tmp_path / "run")
    return Journal(tmp_path / "run")


def test_a_challenger_that_forgot_what_a_guard_asks_is_rejected_by_its_name(world: World) -> None:
    rounds = world.journal.rounds()
    assert [record.accepted for record in rounds] == [True, False, True]
    assert champion_of(rounds).chain == (1, 3)
    second = rounds[1].decision
    assert second.reason == "guard told"
    assert second.sentence.startswith("Rejected by the guard told: a drop of more than 2 points is shown; 0 won, ")
    assert rounds[0].decision.sentence.split(" Guards passed: ")[1].startswith("told +")
    assert ", more +" in rounds[0].decision.sentence
    assert world.round(2)["decision"]["looks"][-1]["evidence"] >= world.round(2)["decision"]["looks"][-1]["threshold"]


def test_a_drop_on_each_of_three_guards_that_none_shows_is_shown_by_all_together(
    tmp_path: Path, checker: Checker
) -> None:
    lost = lambda model, question: 0.27 if model == "0001" and "Tell" in question else 0.0  # noqa: E731
    world = guarded_world(tmp_path, checker, [0.2, 0.2], forgets=lost)
    world.guards = []
    for n, name in enumerate("abc"):
        rows = [
            {"question": f"Tell me {a} plus {b} ?", "answer": f"{a + b}"}
            for a in range(60 + 10 * n, 70 + 10 * n)
            for b in range(90, 100)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        world.guards = [*world.guards, {"problems": str(tmp_path / f"{name}.jsonl"), "size": 100}]
    world.run(2)
    first, second = world.journal.rounds()
    assert [found.name for found in first.guards] == ["a", "b", "c", "all guards"]
    assert [found.passed for found in first.guards] == [True, True, True, False]
    assert first.decision.reason == "all guards together"
    assert first.decision.sentence.startswith(
        "Rejected by all guards together: harm on at least one of the 3 guards is shown; 0 won, "
    )
    assert [found.alpha for found in first.guards] == [0.05 / 2 / 4] * 4
    assert [found.judged for found in first.guards] == [100, 100, 100, 300]
    assert second.accepted
    assert second.guards[0].alpha == pytest.approx((0.05 / 2 + 0.05 / 6) / 4), "harm that was shown is carried on"
    assert "all guards" not in second.decision.sentence
    assert not faults_in(verify(world.journal, content_hash))


def test_guards_are_judged_where_the_gate_accepted_until_one_rejects_and_stand_in_the_record(world: World) -> None:
    first, second, third = (world.round(number)["guards"] for number in (1, 2, 3))
    assert [[one["name"] for one in found] for found in (first, second, third)] == [
        ["told", "more"],
        ["told"],
        ["told", "more"],
    ]
    assert [one["reason"] for one in first] == ["no harm shown", "harm ruled out"]
    assert [one["judged"] for one in first] == [100, 100]
    assert second[0]["judged"] == 50 < second[0]["total"] == 100
    assert second[0]["evidence"] >= second[0]["threshold"]
    # the second judgement has the share 1/6, the third carries on that of the harm that was shown
    assert [found[0]["alpha"] for found in (first, second, third)] == pytest.approx(
        [0.05 / 2, 0.05 / 6, 0.05 / 6 + 0.05 / 12]
    )
    assert third[1]["alpha"] == pytest.approx(0.05 / 12), "not all passed in round 2"
    counts = [record.counts_of("judge").guard_problems for record in world.journal.rounds()]
    assert counts == [400, 50, 200], "the champion's answers are those of its own round, after the base's"


def test_a_champion_answers_guards_in_its_own_round_alone(world: World) -> None:
    for number in (2, 3):
        rows = [
            json.loads(line) for line in world.journal.round(number).guard_verdicts("told").read_text().splitlines()
        ]
        assert {row["model"] for row in rows} == {number}


def test_views_report_and_events_tell_guards(world: World) -> None:
    lines: list[str] = []
    with PlainView(lines.append) as view:
        for event in world.events:
            view(event)
    told = "\n".join(lines)
    assert (
        "guards: told (100 problems, no proof of harm), more (100 problems, proof of no harm); in the whole run" in told
    )
    assert "  guard told: 50 of 100 judged, 0 won, " in told
    assert "evidence of harm " in told
    assert "evidence of no harm " in told
    assert "  Rejected by the guard told: " in told
    report = report_markdown(read_run(world.folder / "rounds", "run"))
    assert "## Guards" in report
    assert "| 2 | told | no proof of harm | 50/100 |" in report
    points = Points()
    sent = [point for timed in world.journal.events_since(0)[0] for point in points.hear(timed)]
    assert [
        (point.round, point.values["guard/told_judged"]) for point in sent if "guard/told_judged" in point.values
    ] == [
        *((1, 100.0), (2, 50.0), (3, 100.0)),
    ]
    (second,) = (point.values for point in sent if point.round == 2 and "guard/told_judged" in point.values)
    assert second["guard/told_evidence"] >= second["guard/told_threshold"]
    assert "guard/more_gain" not in second


def test_a_run_with_guards_verifies(copy: Journal) -> None:
    assert not faults_in(verify(copy, content_hash))


def _turn_a_verdict(folder: Path) -> None:
    path = folder / "0001" / "guard.told.jsonl"
    before = content_hash(path)
    path.write_text(path.read_text().replace('"wrong"', '"correct"', 1))
    for name in ("0001/round.json", "0001/done/judge.json"):
        (folder / name).write_text((folder / name).read_text().replace(before, content_hash(path)))


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "evidence": (edit("0001/round.json", lambda r: r["guards"][0].update(evidence=0.5)), "guards from the verdicts"),
    "rule": (edit("0001/round.json", lambda r: r["guards"][0].update(rule="none")), "guards from the verdicts"),
    "left out": (edit("0003/round.json", lambda r: r.pop("guards")), "0003/round.json: guards from the verdicts"),
    "passed": (edit("0002/round.json", lambda r: r["guards"][0].update(passed=True)), "0003/round.json: guards from"),
    "decision": (
        edit("0002/round.json", lambda r: r["decision"].update(accepted=True)),
        "decision from the verdicts",
    ),
    "verdict": (_turn_a_verdict, "guards from the verdicts"),
    "file": (lambda folder: (folder / "0001/guard.more.jsonl").unlink(), "0001/guard.more.jsonl: SHA-256"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_whatever_of_guards_is_tampered_with_is_named(copy: Journal, name: str) -> None:
    tamper, named = TAMPERED[name]
    tamper(copy.folder)
    told = [f"{f.where}: {f.what}: {f.fault}" for f in faults_in(verify(copy, content_hash))]
    assert any(named in line for line in told), told


@pytest.mark.parametrize("looks", [3])
def test_a_run_stopped_while_guards_are_judged_ends_with_the_same_records(
    looks: int, tmp_path: Path, checker: Checker
) -> None:
    folder = tmp_path / "place"
    guarded_world(folder, checker, [0.2]).run(1)
    records = comparable_records(folder / "rounds" / "run")
    shutil.rmtree(folder)
    seen: list[Event] = []

    def stop(event: Event) -> None:
        seen.extend([event] if isinstance(event, ev.GuardLooked) else [])
        if len(seen) == looks:
            raise KeyboardInterrupt

    stopped = guarded_world(folder, checker, [0.2], on_event=stop)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(1)
    resumed = guarded_world(folder, checker, [0.2], ahead=True)
    resumed.run(1)
    assert comparable_records(resumed.journal.folder) == records
    asked = [request.key for model, request in resumed.sampled if model == "0001"]
    assert len(asked) <= 250 - 50 * looks, "what was judged is not judged again"


def test_a_guard_has_its_own_prompt_and_checker(tmp_path: Path, checker: Checker) -> None:
    world = guarded_world(tmp_path, checker, [0.3], runtime=Runtime(checker_workers=1))
    judge = tmp_path / "judge.py"
    judge.write_text(
        "def short(completion, problem):\n    return len(completion) < 100 and 'please' not in completion\n"
    )
    world.guards = [{**world.guards[0], "prompt": "Please: {question}", "checker": f"{judge}:short"}]
    world.run(1)
    (found,) = world.round(1)["guards"]
    assert (found["champion"]["accuracy"], found["challenger"]["accuracy"]) == (1.0, 1.0)
    assert any("".join(map(chr, request.prompt_ids)).startswith("Please: Tell me") for _, request in world.sampled)
    assert not faults_in(verify(world.journal, content_hash))
    judge.write_text(judge.read_text().replace("100", "99"))
    with pytest.raises(UsageError, match=r"the checker of run `run` changed"):
        world.run(2)


def test_other_guards_or_other_problems_of_theirs_make_another_run(tmp_path: Path, checker: Checker) -> None:
    world = guarded_world(tmp_path, checker, [0.0])
    world.run(1)
    guards = list(world.guards)
    world.guards = guards[:1]
    with pytest.raises(UsageError, match="changed: guards"):
        world.run(2)
    world.guards = guards
    path = tmp_path / "told.jsonl"
    path.write_text(path.read_text().replace("Tell me 60", "Tell me now 60"))
    with pytest.raises(UsageError, match="the problems of run `run` changed"):
        world.run(2)


def test_a_guard_whose_references_cannot_be_judged_against_is_refused(tmp_path: Path, checker: Checker) -> None:
    world = guarded_world(tmp_path, checker, [0.0])
    broken = "9" * 200_000
    rows = [{"question": f"Tell {n}", "answer": broken} for n in range(10)]
    (tmp_path / "told.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    world.guards = [{**world.guards[0], "size": 10}]
    with pytest.raises(UsageError, match="10 of 10 references can't be judged against"):
        world.run(1)
    assert not world.journal.folder.exists()


@pytest.mark.slow
def test_the_command_killed_while_a_guard_is_judged_ends_with_the_same_records(tmp_path: Path) -> None:
    """A tiny random model, which the naive rule accepts since it is no worse; the process is killed, not asked."""
    workshop = make_workshop(tmp_path)
    rows = [{"question": f"What is {a} - {b}?", "answer": f"{a - b}"} for a in range(20, 26) for b in range(4)]
    (tmp_path / "less.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    guards = 'guards=[{problems="less.jsonl", size=24}, {name="more", problems="sums.jsonl", size=8}]'
    more = ("--set", "gate.rule=point", "--set", guards)
    events_of(workshop.run("whole", 1, *more))
    looked = lambda event: event["event"] == "guard_looked" and event["judged"] == 16  # noqa: E731
    assert workshop.run_until("torn", 1, looked, signal.SIGKILL, *more) == -signal.SIGKILL
    torn = workshop.runs / "torn" / "0001"
    assert 16 <= len((torn / "guard.less.jsonl").read_text().splitlines()) < 48
    assert not (torn / "round.json").exists()
    events_of(workshop.run("torn", 1, *more))
    assert comparable_records(workshop.runs / "torn") == comparable_records(workshop.runs / "whole")
    record = json.loads((torn / "round.json").read_text())
    assert [found["judged"] for found in record["guards"]] == [24, 8, 32]  # the last are both guards together
    assert workshop.call("verify", "torn").returncode == 0
