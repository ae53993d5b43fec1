"""The library on real tiny runs: the same records as the command line, events in order, a close that lets go."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import selfimprove as si
from selfimprove.cli import app as cli
from selfimprove.errors import UsageError
from selfimprove.models.weights import fingerprint_folder
from selfimprove.store.journal import Journal
from tests import warm
from tests.comparable import comparable_records
from tests.paths import ROOT
from tests.workshop import Workshop, make_workshop

PAGE = ROOT / "docs" / "library.md"
RUNTIME = si.Runtime(threads=1, checker_workers=1, device="cpu", engine="transformers")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One workshop with a run of the command line, `typed`."""
    made = make_workshop(tmp_path_factory.mktemp("workshop"))
    with contextlib.chdir(made.folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFIMPROVE_CACHE", str(made.folder / "cache"))
        assert not cli.app([*made.run_words("typed", 1), "--quiet"], standalone_mode=False)
    return made


@pytest.fixture
def inside(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """The workshop as the current folder."""
    monkeypatch.chdir(workshop.folder)
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(workshop.folder / "cache"))
    return workshop


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "selfimprove"]


def test_a_run_leaves_the_records_of_the_command_line_and_tells_its_outcome(inside: Workshop) -> None:
    seen: list[si.events.Event] = []
    outcome = si.run("tiny.toml", 1, name="called", runtime=RUNTIME, on_event=seen.append)
    assert comparable_records(inside.runs / "called") == comparable_records(inside.runs / "typed")
    assert isinstance(seen[-1], si.events.RunFinished)
    sealed = next(event for event in seen if isinstance(event, si.events.SealedJudged))
    assert (outcome.n, outcome.gain, outcome.gain_interval) == (16, sealed.gain, tuple(sealed.gain_interval))
    assert outcome.folder == Path("rounds/called")
    assert (outcome.rounds, outcome.look) == (1, 1)
    assert outcome.champion == Journal(outcome.folder).champion().number == (max(outcome.accepted, default=0))
    assert any(outcome.model.glob("*.safetensors"))


def test_the_iterator_gives_the_same_events_and_the_outcome_is_its_value(inside: Workshop) -> None:
    stream = si.run_events(si.read_recipe("tiny.toml"), 1, name="iterated", runtime=RUNTIME)
    seen = []
    while True:
        try:
            seen.append(next(stream))
        except StopIteration as end:
            outcome = end.value
            break
    told = (inside.runs / "iterated" / "events.jsonl").read_text().splitlines()
    assert len(seen) == len(told)
    assert all(f'"event": "{si.events.event_name(event)}"' in line for event, line in zip(seen, told, strict=True))
    assert comparable_records(inside.runs / "iterated") == comparable_records(inside.runs / "typed")
    assert outcome == si.run("tiny.toml", 1, name="iterated", runtime=RUNTIME)
    assert not _threads()


def test_a_merged_model_that_was_pruned_is_there_again_in_the_outcome(inside: Workshop) -> None:
    point = {"gate": {"rule": "point"}}  # takes what is not worse, so that a random model has a champion
    recipe = si.read_recipe("tiny.toml", point)
    outcome = si.run(recipe, 1, name="pruned", runtime=RUNTIME)
    assert outcome.champion == 1
    before = fingerprint_folder(outcome.model)
    assert inside.call("prune", "pruned").returncode == 0
    assert not outcome.model.exists()
    assert si.run(recipe, 1, name="pruned", runtime=RUNTIME).model == outcome.model
    assert fingerprint_folder(outcome.model) == before


def test_an_iterator_that_is_left_stops_the_run_and_lets_go_of_its_folder(inside: Workshop) -> None:
    folder = inside.runs / "left"
    stream = si.run_events("tiny.toml", 1, name="left", runtime=RUNTIME)
    assert isinstance(next(stream), si.events.RunStarted)
    assert Journal(folder).held_by()
    stream.close()
    assert not _threads()
    assert not Journal(folder).held_by()
    for event in si.run_events("tiny.toml", 1, name="left", runtime=RUNTIME):
        if isinstance(event, si.events.TrainStep):
            break
    assert not _threads()
    assert not Journal(folder).held_by()
    assert not (folder / "sealed.json").exists()
    si.run("tiny.toml", 1, name="left", runtime=RUNTIME)
    assert comparable_records(folder) == comparable_records(inside.runs / "typed")


def test_ctrl_c_while_waiting_for_an_event_stops_the_run(inside: Workshop) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored
    try:
        stream = si.run_events("tiny.toml", 1, name="interrupted", runtime=RUNTIME)
        next(stream)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            list(stream)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not _threads()
    assert not Journal(inside.runs / "interrupted").held_by()


def test_what_a_listener_raises_ends_the_run_where_it_is(inside: Workshop) -> None:
    def listen(event: si.events.Event) -> None:
        if isinstance(event, si.events.StageFinished):
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        si.run("tiny.toml", 1, name="raised", runtime=RUNTIME, on_event=listen)
    assert not Journal(inside.runs / "raised").held_by()


def test_what_the_run_raises_comes_out_of_the_iterator(inside: Workshop) -> None:
    recipe = si.read_recipe("tiny.toml", {"problems": {"train": "absent.jsonl"}})
    stream = si.run_events(recipe, 1, name="absent", runtime=RUNTIME)
    with pytest.raises(si.SelfImproveError, match=r"absent\.jsonl"):
        next(stream)
    assert not (inside.runs / "absent").exists()


REFUSED = [
    ({"recipe": "absent.toml"}, "absent.toml"),
    ({"recipe": {"training": {"rnak": 3}}}, "training.rnak"),
    ({"recipe": {"training": 3}}, "training"),
    ({"recipe": {}, "name": "../outside"}, "not a folder's name"),
    ({"recipe": {}, "rounds": 0}, "0 rounds"),
    ({"recipe": {"seed": 7}, "name": "typed"}, "changed: "),
]


@pytest.mark.parametrize(("arguments", "named"), REFUSED, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("call", [si.run, si.run_events])
def test_a_mistake_is_refused_at_the_call(inside: Workshop, call, arguments, named: str) -> None:
    with pytest.raises(UsageError) as refused:
        call(**arguments)
    assert named in refused.value.message


def test_recipes_come_from_files_dicts_and_recipes() -> None:
    base = si.read_recipe({"training": {"rank": 4}})
    assert base == si.read_recipe(base)
    over = si.read_recipe(base, {"training": {"alpha": 8.0}})
    assert (over.training.rank, over.training.alpha) == (4, 8.0)
    assert si.read_recipe(Path("demo"), {"seed": 3}).seed == si.read_recipe(base, {"seed": 3}).seed == 3
    with pytest.raises(UsageError):
        si.read_recipe(base, {"seed": {"x": 1}})


LEFT_OPEN = """
import selfimprove as si
stream = si.run_events("tiny.toml", 1, name="open", runtime=si.Runtime(threads=1, checker_workers=1, device="cpu"))
print(type(next(stream)).__name__, flush=True)
"""


def test_an_iterator_left_open_at_the_end_of_the_program_stops_its_run(inside: Workshop) -> None:
    done = warm.call((), inside.folder, inside.environment(), 60, LEFT_OPEN)
    assert (done.returncode, done.stdout) == (0, "RunStarted\n"), done.stderr
    assert not (inside.runs / "open" / "sealed.json").exists()
    assert not Journal(inside.runs / "open").held_by()


def test_the_public_names_are_few_and_typed_and_are_what_is_there() -> None:
    assert len(si.__all__) <= 12
    assert dir(si) == sorted(si.__all__)
    assert all(getattr(si, name).__doc__ for name in si.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        si.nonsense  # noqa: B018 - the look-up is the test


def test_check_is_given_a_mode_and_is_quick_after_the_first_call() -> None:
    assert si.check("7", "7").outcome == "correct"
    assert si.check("7", "7", "boxed").outcome == "unparsed"
    assert si.check(r"\boxed{7}", "7", "boxed").outcome == "correct"
    began = time.perf_counter()
    for number in range(50):
        assert si.check(f"the answer is {number}", f"{number + 1}").outcome == "wrong"
    assert time.perf_counter() - began < 5  # about 0.1 s where nothing else is at work


def _blocks() -> Iterator[tuple[str, str]]:
    """The page's Python blocks, each with the output that stands below it."""
    fences = [token for token in MarkdownIt().parse(PAGE.read_text()) if token.type == "fence"]
    for place, fence in enumerate(fences):
        if fence.info == "python":
            shown = fences[place + 1 : place + 2]
            yield fence.content, shown[0].content if shown and shown[0].info == "text" else ""


def test_the_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(tmp_path / "cache"))
    scope: dict[str, object] = {"__name__": "page"}
    blocks = list(_blocks())
    assert len(blocks) >= 8
    for code, shown in blocks:
        with contextlib.redirect_stdout(StringIO()) as printed:
            exec(compile(code, str(PAGE), "exec"), scope)
        assert printed.getvalue() == shown, code
    assert os.path.isdir("rounds/first")  # noqa: PTH112 - relative to where the page was run
