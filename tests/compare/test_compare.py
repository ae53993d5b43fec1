"""`selfimprove compare`: through its command line on a tiny real model, and with the real loop on scripted models."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from selfimprove.answer.checking import Checker
from selfimprove.compare.arms import Arm, read_arms
from selfimprove.compare.budget import read_budget
from selfimprove.compare.folder import Budget, Folder, Plan
from selfimprove.compare.outcome import read_outcome, results
from selfimprove.compare.plot import paint, picture
from selfimprove.compare.running import Comparing, fit_arms, make_runs, owed
from selfimprove.compare.tables import markdown, sections
from selfimprove.errors import UsageError
from selfimprove.events import Emit, Event, Note, RunStarted, StageProgress, StageStarted
from selfimprove.formatting import points
from selfimprove.problem import ProblemSets, load_problems
from selfimprove.recipe import Recipe, Training
from selfimprove.recipe.reading import read_settings
from selfimprove.round.machinery import Machinery
from selfimprove.runs.loop import run_rounds
from selfimprove.runs.verify import faults_in, verify
from selfimprove.store.durable import content_hash
from selfimprove.store.journal import Identity, Journal
from tests.comparable import comparable_records
from tests.peers import World
from tests.workshop import Workshop, events_of, make_workshop

RUNTIME = ["--threads", "1", "--checker-workers", "1", "--device", "cpu", "--engine", "transformers"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = make_workshop(tmp_path_factory.mktemp("workshop"))
    common = (made.folder / "tiny.toml").read_text()
    (made.folder / "upft.toml").write_text(common + 'rule = "point"\n')
    (made.folder / "sft.toml").write_text(common.replace("length = 4", "length = 6"))
    (made.folder / "other.toml").write_text(common.replace("[problems]", "[problems]\nseed = 1"))
    return made


@pytest.fixture(scope="module")
def interrupted(workshop: Workshop) -> Path:
    """A comparison of two arms that was interrupted in its second run and brought to its end."""
    words = ["compare", "upft.toml", "sft.toml", "--seeds", "1", "--rounds", "1", "--name", "two", "--json", *RUNTIME]
    in_second = lambda event: event["event"] == "looked" and (folder / "sft-s0").exists()  # noqa: E731
    folder = workshop.runs / "two"
    assert workshop.until(words, in_second, signal.SIGINT) == 130
    events = events_of(workshop.call(*words))
    assert [event["run"] for event in events if event["event"] == "run_started"] == ["sft-s0"]
    assert events[-1]["event"] == "compared"
    assert [len(arm["runs"]) for arm in events[-1]["arms"]] == [1, 1]
    return folder


@pytest.fixture(scope="module")
def two_seeds(interrupted: Path) -> Folder:
    """The comparison once more, bound to a second seed of which nothing is made."""
    folder = Folder(Path(shutil.copytree(interrupted, interrupted.with_name("more"))))
    folder.write(replace(folder.plan(), seeds=2))
    return folder


def test_the_commands_on_runs_read_an_arm(workshop: Workshop, interrupted: Path) -> None:
    assert workshop.call("verify", "sft-s0", "--rounds-dir", "rounds/two").returncode == 0
    assert workshop.call("status", "--rounds-dir", "rounds/two").stdout.count("1 round, champion") == 2
    assert "two" not in workshop.call("status").stdout


def test_what_is_made_is_shown_without_a_model(workshop: Workshop, interrupted: Path) -> None:
    shown = workshop.call("compare", "--name", "two", "--markdown", "two.md")
    assert shown.returncode == 0, shown.stderr
    assert "upft" in shown.stdout
    assert "| sft | 1/1 |" in (workshop.folder / "two.md").read_text()
    figures = json.loads((interrupted / "results.json").read_text())
    for arm in figures["arms"]:
        low, high = arm["gain"]["interval"]
        assert low <= arm["gain"]["mean"] <= high
        assert arm["cost"]["sampled"] > 0 < arm["cost"]["targets"]
    ElementTree.parse(interrupted / "compare.svg")
    assert "is a comparison, not a run" in workshop.run("two", 1).stderr


RANK = "training.rank=3"
MANY = ",".join(map(str, range(1, 40)))
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"rounds": 3}, "--rounds 1"),
    ({"seeds": 1}, "--seeds 2"),
    ({"files": ["upft"]}, "`sft`, which is missing"),
    ({"budget": "rows=8"}, "no --budget"),
    ({"settings": ["training.rank=3"]}, "another `upft` .changed: training.rank"),
    ({"vary": ["model.dtype=float32,bfloat16"]}, "--vary model.dtype"),
    ({"vary": ["prefixes.length"]}, "section.key=V1,V2"),
    ({"vary": [RANK, RANK]}, "varied twice"),
    ({"vary": [f"training.rank={MANY}", f"training.epochs={MANY}"]}, "combinations"),
    ({"files": ["upft", "upft"]}, "two arms would be called `upft`"),
    ({"files": ["upft", "tiny"], "settings": ["gate.rule=point"]}, "are the same recipe"),
    ({"files": ["upft", "other"]}, "differs in problems.seed"),
    ({"budget": "euros=3"}, "not a budget"),
]


@pytest.mark.parametrize(("asked", "named"), REFUSALS, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_refused_by_name(
    asked: dict[str, Any], named: str, two_seeds: Folder, workshop: Workshop
) -> None:
    with pytest.raises(UsageError, match=named):
        _agreed(workshop, two_seeds, **asked)


def _agreed(
    workshop: Workshop,
    folder: Folder,
    files: tuple[str, ...] = ("upft", "sft"),
    vary: tuple[str, ...] = (),
    settings: tuple[str, ...] = (),
    seeds: int = 2,
    rounds: int = 1,
    budget: str = "",
) -> Plan:
    arms = read_arms([workshop.folder / f"{name}.toml" for name in files], vary, read_settings(settings))
    return folder.agreed(arms, seeds, rounds, read_budget(budget))


def test_a_refusal_is_two_lines_and_changes_nothing(interrupted: Path, workshop: Workshop) -> None:
    before = comparable_records(interrupted)
    for words in (["upft.toml", "--name", "two"], ["--vary", RANK], ["upft.toml", "--name", "../out"]):
        refused = workshop.call("compare", *words)
        assert refused.returncode == 2, refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 2
    assert comparable_records(interrupted) == before


@dataclass
class Peers:
    """What arms share, with scripted models; `fails` are the prefix lengths whose merge fails."""

    world: World
    fails: tuple[int, ...] = ()

    @property
    def problems(self) -> ProblemSets:
        return load_problems(self.world.recipe().problems)

    def machinery_for(self, recipe: Recipe) -> Machinery:
        self.world.passed = recipe.prefixes.length not in self.fails
        return self.world.machinery()

    def run(self, recipe: Recipe, journal: Journal, rounds: int, emit: Emit) -> dict[str, Any]:
        identity = Identity("base", self.problems.fingerprint())
        return run_rounds(recipe, self.problems, identity, self.machinery_for(recipe), journal, rounds, emit)


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as checker:
        yield checker


@dataclass
class Table:
    """A comparison on peers: arms that differ in the prefix length."""

    world: World
    fails: tuple[int, ...] = ()

    @property
    def folder(self) -> Folder:
        return Folder(self.world.folder / "rounds" / "table")

    def arms(self, *lengths: int, **sampling: Any) -> list[Arm]:  # noqa: ANN401 - keys of a recipe
        self.world.settings = {
            "sampling": {"max_new_tokens": 24, "chunk_rows": 16, **sampling},
            "problems": {"heldout_size": 100, "sealed_size": 60},
        }
        recipe = self.world.recipe()
        made = [
            recipe.model_copy(update={"prefixes": recipe.prefixes.model_copy(update={"length": n})}) for n in lengths
        ]
        return [Arm(f"length-{n}", recipe) for n, recipe in zip(lengths, made, strict=True)]

    def make(self, arms: list[Arm], seeds: int = 2, budget: Budget | None = None, rounds: int = 1) -> Plan:
        comparing = Comparing(folder=self.folder, ground=Peers(self.world, self.fails), open_view=self.view)
        with self.folder.holder().lock():
            plan = fit_arms(comparing, self.folder.agreed(arms, seeds, rounds, budget))
            self.folder.write(plan)
            return make_runs(comparing, plan)

    @contextmanager
    def view(self) -> Iterator[Emit]:
        yield self.world.emit

    def records(self) -> dict[str, Any]:
        """Every record of every run, and the plan."""
        runs = {path.parent.name: comparable_records(path.parent) for path in self.folder.path.glob("*/recipe.json")}
        return {**runs, "plan": self.folder.plan()}

    def started(self) -> list[str]:
        started = [event.run for event in self.world.events if isinstance(event, RunStarted)]
        self.world.events.clear()
        return started


@pytest.fixture
def table(tmp_path: Path, checker: Checker) -> Table:
    return Table(World(tmp_path, checker, gains=[0.2, 0.1, 0.0]))


def test_runs_are_made_seed_by_seed_and_arms_and_seeds_can_be_added(table: Table) -> None:
    table.make(table.arms(4, 6))
    assert table.started() == ["length-4-s0", "length-6-s0", "length-4-s1", "length-6-s1"]
    table.make(table.arms(4, 6, 8), seeds=3)
    assert table.started() == ["length-8-s0", "length-8-s1", "length-4-s2", "length-6-s2", "length-8-s2"]
    plan = table.folder.plan()
    assert not owed(table.folder, plan)
    outcome = read_outcome(table.folder, plan)
    for arm in outcome.arms:
        assert arm.gain is not None
        assert arm.gain.mean == pytest.approx(0.2, abs=0.1)
        assert arm.gain.interval[0] > 0
        assert {run.accepted for run in arm.runs} == {1}
        assert arm.split is not None
        assert arm.split.became_right - arm.split.became_wrong == pytest.approx(arm.gain.mean)
        assert arm.split.became_readable == arm.split.became_unreadable == 0
        assert f"| {arm.name} | 0.0 | {points(arm.split.became_right)} | 0.0 |" in markdown(outcome)
    assert outcome.arms[1].over_first is not None
    assert outcome.arms[1].over_first.mean == 0
    assert not list(table.folder.path.glob("*/*/model")), "merged models go once a run is made"


def test_an_arm_is_an_ordinary_run(table: Table) -> None:
    plan = table.make(table.arms(4, 6))
    alone = Journal(table.world.folder / "alone")
    Peers(table.world).run(plan.arms[1].recipe(1), alone, 1, table.world.emit)
    arm = table.folder.path / "length-6-s1"
    expected = {name: made for name, made in comparable_records(alone.folder).items() if "/model/" not in name}
    found = comparable_records(arm)
    assert {name: made for name, made in found.items() if "sealed" not in name} == {
        name: made for name, made in expected.items() if "sealed" not in name
    }
    rows = [sorted((path / "sealed.verdicts.jsonl").read_text().splitlines()) for path in (alone.folder, arm)]
    assert rows[0] == rows[1], "what the arm took over from another is not what it would have made"
    looks = [records["sealed.json"]["looks"][0] | {"verdicts": None} for records in (expected, found)]
    assert looks[0] == looks[1]


def test_arms_that_ask_for_the_same_samples_take_them_over_with_their_cost(table: Table) -> None:
    arms = [
        Arm(f"rate-{rate}", table.arms(4)[0].recipe.model_copy(update={"training": Training(learning_rate=rate)}))
        for rate in (1e-3, 1e-4)
    ]
    table.make(arms)
    events = [event for event in table.world.events if isinstance(event, StageStarted) and event.stage == "sample"]
    assert [event.kept for event in events[:2]] == [0, events[0].total]
    runs = [table.folder.path / f"rate-{rate}-s0" / "0001" for rate in (1e-3, 1e-4)]
    samples = [(run / "samples.jsonl").read_bytes() for run in runs]
    assert samples[0] == samples[1]
    done = [json.loads((run / "done" / "sample.json").read_text()) for run in runs]
    assert done[1]["seconds"] >= done[0]["seconds"]
    assert done[1]["counts"] == done[0]["counts"]
    assert not faults_in(verify(Journal(runs[1].parent), content_hash))


def test_the_picture_shows_each_gain_with_its_interval(table: Table) -> None:
    outcome = read_outcome(table.folder, table.make(table.arms(4, 6)))
    axes = Figure().add_subplot()
    paint(axes, outcome)
    bars = [container.lines[2][0] for container in axes.containers]
    for arm, bar in zip(outcome.arms, bars, strict=True):
        assert arm.cost is not None
        assert arm.gain is not None
        (low, high) = bar.get_segments()[0]
        assert low.tolist() == pytest.approx([arm.cost.spent, 100 * arm.gain.interval[0]])
        assert high.tolist() == pytest.approx([arm.cost.spent, 100 * arm.gain.interval[1]])
    assert picture(outcome) == picture(outcome)
    root = ElementTree.fromstring(picture(outcome))
    assert [text for arm in outcome.arms if (text := arm.name) not in {node.text for node in root.iter()}] == []
    assert "prefers-color-scheme: dark" in picture(outcome).decode()
    assert b"http" not in picture(outcome).replace(b"http://www.w3.org/2000/svg", b"")


def test_killed_in_a_run_it_goes_on_there_with_equal_records(table: Table) -> None:
    def kill(event: Event) -> None:
        second = any(isinstance(note, Note) and "run 2 of 2" in note.text for note in table.world.events)
        if second and isinstance(event, StageProgress) and event.stage == "judge":
            raise KeyboardInterrupt

    table.world.on_event = kill
    with pytest.raises(KeyboardInterrupt):
        table.make(table.arms(4, 6), seeds=1)
    assert table.started() == ["length-4-s0", "length-6-s0"]
    table.world.on_event = lambda event: None
    table.make(table.arms(4, 6), seeds=1)
    assert table.started() == ["length-6-s0"]
    broken = table.records()
    shutil.rmtree(table.folder.path)
    table.make(table.arms(4, 6), seeds=1)
    assert table.records() == broken


def test_an_arm_that_fails_is_told_and_the_others_go_on(table: Table) -> None:
    table.fails = (6,)
    plan = table.make(table.arms(6, 4), seeds=1)
    assert list(plan.failed) == ["length-6-s0"]
    assert "failed its certificate" in plan.failed["length-6-s0"]
    outcome = read_outcome(table.folder, plan)
    assert [len(arm.runs) for arm in outcome.arms] == [0, 1]
    assert "| length\\-6\\-s0 |" in markdown(outcome) or "| length-6-s0 |" in markdown(outcome)
    picture(outcome)
    table.fails = ()
    assert not table.make(table.arms(6, 4), seeds=1).failed
    assert [len(arm.runs) for arm in read_outcome(table.folder, table.folder.plan()).arms] == [1, 1]


def test_a_budget_of_rows_is_kept_by_every_arm(table: Table) -> None:
    plan = table.make(table.arms(4, 6, samples=2), seeds=1, budget=Budget("rows", 31))
    assert [fitted.problems for fitted in plan.arms] == [15, 15]
    for name in ("length-4-s0", "length-6-s0"):
        samples = (table.folder.path / name / "0001" / "samples.jsonl").read_text()
        assert samples.count("\n") == 30


@pytest.mark.parametrize(
    ("budget", "named"), [(Budget("rows", 1), "2 rows per problem"), (Budget("rows", 500), "250 problems")]
)
def test_a_budget_that_no_pool_can_keep_is_refused(table: Table, budget: Budget, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        table.make(table.arms(4, samples=2), budget=budget)
    assert not table.folder.exists()


def test_a_budget_of_tokens_is_measured_once_and_nearly_kept(table: Table) -> None:
    arms = table.arms(2, 12)
    with pytest.raises(UsageError, match="training problems"):
        table.make(arms, seeds=1, budget=Budget("tokens", 10**6))
    sampled = len(table.world.sampled)
    plan = table.make(arms, seeds=1, budget=Budget("tokens", 5000))
    assert plan.arms[0].pilot == table.folder.plan().arms[0].pilot
    assert not (table.folder.path / ".pilot").exists()
    outcome = read_outcome(table.folder, plan)
    for arm in outcome.arms:
        assert arm.cost is not None
        assert arm.cost.spent == pytest.approx(5000, rel=0.1)
    shorter, longer = (fitted.problems for fitted in plan.arms)
    assert shorter is not None
    assert longer is not None
    assert shorter > longer
    first_pilot = [request for _, request in table.world.sampled[:sampled] if request.max_new_tokens == 2]
    assert first_pilot, "the pilot of the first arm stands from the refused start"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--problems", "absent.jsonl"], "absent.jsonl"),
        (["--budget", "rows=100000"], "needs 100,000 problems per round"),
        (
            ["--problems", "bare.jsonl", "--set", "problems.heldout=sums.jsonl", "--set", "prefixes.select=verified"],
            "no answer",
        ),
    ],
    ids=["problems", "budget", "answers"],
)
def test_a_comparison_that_is_refused_leaves_no_folder(workshop: Workshop, words: list[str], named: str) -> None:
    rows = [{"question": f"What is {number} + 1?"} for number in range(30)]
    (workshop.folder / "bare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = workshop.call("compare", "upft.toml", "--rounds", "1", "--name", "refused", "--device", "cpu", *words)
    assert done.returncode == 2
    assert named in done.stderr
    assert not (workshop.runs / "refused").exists()


def test_a_lock_keeps_a_second_process_out(table: Table) -> None:
    with table.folder.holder().lock(), pytest.raises(UsageError, match="in use by process"):
        table.make(table.arms(4))


def test_model_text_and_file_names_do_no_harm(table: Table, tmp_path: Path) -> None:
    plan = table.make(table.arms(4), seeds=1)
    hostile = "\x1b[31m| <script>alert(1)</script>"
    outcome = read_outcome(table.folder, replace(plan, failed={"length-4-s0": hostile}))
    assert "<script" not in markdown(outcome)
    assert "\x1b" not in markdown(outcome)
    assert sections(outcome)[-1].rows == (("length-4-s0", hostile),), "escaped where it is written, not before"
    assert json.loads(json.dumps(results(outcome)))["arms"][0]["failed"]
    recipe = tmp_path / "a|b\x1b $x$ \u202e.toml"
    recipe.write_text("")
    (arm,) = read_arms([recipe], [], {})
    assert arm.name.isascii()
    assert not {"|", "$", " ", "\x1b"} & set(arm.name)


def test_arms_are_all_combinations_and_named_by_them(tmp_path: Path) -> None:
    recipe = tmp_path / "upft.toml"
    recipe.write_text("seed = 7\n")
    arms = read_arms(
        [recipe], ["prefixes.length=4,full", "training.learning_rate=1e-4, 1e-5"], {"training": {"rank": 8}}
    )
    assert [arm.name for arm in arms] == [
        "upft-length-4-learning_rate-0.0001",
        "upft-length-4-learning_rate-1e-05",
        "upft-length-full-learning_rate-0.0001",
        "upft-length-full-learning_rate-1e-05",
    ]
    assert {(arm.recipe.seed, arm.recipe.training.rank) for arm in arms} == {(0, 8)}
    templates = read_arms([recipe], ["prefixes.template='{question}, first','{question}; second'"], {})
    assert [arm.recipe.prefixes.template for arm in templates] == ["{question}, first", "{question}; second"]
    assert len({arm.name for arm in templates}) == 2


@pytest.mark.parametrize("text", ["rows=0", "tokens=-1", "rows", "=3", "rows=1e6", "tokens=" + "9" * 5000])
def test_no_such_budget(text: str) -> None:
    with pytest.raises(UsageError, match="not a budget"):
        read_budget(text)


def test_a_damaged_plan_is_refused_by_its_key(table: Table) -> None:
    table.make(table.arms(4), seeds=1)
    content = json.loads(table.folder.plan_path.read_text())
    table.folder.plan_path.write_text(json.dumps({**content, "seeds": "many"}))
    with pytest.raises(UsageError, match="seeds"):
        table.folder.plan()


def test_help_tells_what_the_exit_codes_mean(workshop: Workshop) -> None:
    told: subprocess.CompletedProcess[str] = workshop.call("compare", "--help")
    assert "1 a run failed (the others continued)" in " ".join(told.stdout.split())
