"""`selfimprove watch` on runs that other processes make, kill and finish, on terminals of every kind."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from selfimprove import events, formatting
from selfimprove.cli.output import next_steps
from selfimprove.events import Timed, read_event, to_json
from selfimprove.store.journal import Journal
from selfimprove.view import JsonView, PlainView, can_move
from selfimprove.view.glyphs import SUBSTITUTES, can_draw, writable
from selfimprove.view.live import LiveView, frame
from selfimprove.view.picture import picture
from selfimprove.view.scene import Scene, advance
from selfimprove.view.watching import watch
from tests.example import EXAMPLE, HISTORY, last_look, records
from tests.paths import ROOT
from tests.problem.test_fuzz_readers import spoilt
from tests.workshop import Workshop, hear_interrupts, make_workshop

LINES = (EXAMPLE / "events.jsonl").read_bytes().splitlines(keepends=True)
BASE = f"base {formatting.percent(last_look().base_accuracy)}"
CHAMPION = f"champion {formatting.percent(last_look().champion_accuracy)}"
GAIN = f"gain {formatting.points(last_look().gain)} points"
HOLDER = """
import os, sys, time
from pathlib import Path
from selfimprove.store.journal import Journal
journal = Journal(Path(sys.argv[1]))
with journal.lock():
    journal.events_path.write_bytes(Path(sys.argv[2]).read_bytes())
    print("held", flush=True)
    time.sleep(60)
"""


class Told:
    """A JSON view of lines in a list."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.view = JsonView(self.lines.append)

    def names(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.lines]


def test_every_line_of_a_history_is_read_back_as_it_was() -> None:
    assert len(HISTORY) == len(LINES)
    assert [to_json(timed.event, timed.time).encode() + b"\n" for timed in HISTORY] == LINES


@given(st.sampled_from(LINES).flatmap(lambda line: spoilt(json.loads(line))))
def test_a_spoilt_line_is_an_event_that_can_be_shown_or_none(row: dict[str, Any]) -> None:
    timed = read_event(json.dumps(row).encode())
    if timed is None:
        return
    with PlainView(lambda line: None) as plain:
        plain(timed.event, timed.time)
    scene = advance(Scene(), timed.event, timed.time)
    for width in (20, 80):
        for height in (23, None):
            frame(scene, width, height, timed.time)


@given(st.binary() | st.sampled_from([b"", b"{}", b"[]", b"1", b'{"event": "note"}', b'{"event": [], "time": 1}']))
def test_a_line_that_is_no_event_is_none(line: bytes) -> None:
    assert read_event(line) is None


def test_a_run_is_followed_from_before_it_begins_and_line_by_line(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path / "run"), Told()
    steps = _written_in_pieces(journal)
    assert watch(journal, told.view, lambda _: next(steps)) is True
    waiting, *lines = told.lines
    assert "has not begun yet" in json.loads(waiting)["text"]
    assert [line.encode() + b"\n" for line in lines] == LINES


def test_a_run_that_is_not_there_is_waited_for_beside_the_names_of_those_that_are(tmp_path: Path) -> None:
    for name in ("algebra", "demo", "demo-2"):
        shutil.copytree(EXAMPLE, tmp_path / name)
    journal, told = Journal(tmp_path / "dmeo"), Told()
    steps = _written_in_pieces(journal)
    assert watch(journal, told.view, lambda _: next(steps)) is True
    waiting, *lines = told.lines
    assert "has not begun yet; waiting for it. Runs there, if the name is mistyped: demo, demo-2, algebra." in waiting
    assert [line.encode() + b"\n" for line in lines] == LINES


def test_a_comparison_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "length").mkdir()
    (tmp_path / "length" / "compare.json").write_text("{}")
    done = call("watch", "length", "--rounds-dir", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "selfimprove: `length` is a comparison, not a run",
        f"Use: selfimprove watch RUN --rounds-dir {tmp_path / 'length'}",
    ]


def _written_in_pieces(journal: Journal) -> Iterator[None]:
    """The example's history, appended in pieces that end inside lines, by a holder of the lock."""
    yield  # no folder yet
    data, cuts = b"".join(LINES), [0, 100, 101, 5000, 5000, 30_000]
    with journal.lock():
        yield  # no history yet
        for start, end in zip(cuts, [*cuts[1:], len(data)], strict=True):
            with journal.events_path.open("ab") as file:
                file.write(data[start:end])
            yield
    raise AssertionError("watching went on after the run had finished")


def test_a_history_that_begins_anew_is_followed_from_its_start(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()

    def writing() -> Iterator[None]:
        with journal.lock():
            journal.events_path.write_bytes(b"".join(LINES[:50]))
            yield
            journal.events_path.write_bytes(b"".join(LINES[:3]))
            yield

    steps = writing()
    next(steps)
    assert watch(journal, told.view, lambda _: next(steps, None)) is False
    assert told.names() == [json.loads(line)["event"] for line in [*LINES[:50], *LINES[:3]]]


def test_a_run_whose_process_was_killed_ends_the_watching(tmp_path: Path) -> None:
    history = tmp_path / "history"
    history.write_bytes(b"".join(LINES[:40]) + LINES[40][:30])
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "run"), str(history)]
    holder = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    told, looks = Told(), [0]

    def sleep(_: float) -> None:
        looks[0] += 1
        if looks[0] == 3:
            holder.kill()
            holder.wait()

    assert watch(Journal(tmp_path / "run"), told.view, sleep) is False
    holder.stdout.close()
    assert looks[0] == 3
    assert len(told.lines) == 40


def test_a_lock_that_cannot_be_tried_is_believed_to_be_held(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (tmp_path / ".lock").mkdir()
    (tmp_path / ".holder.json").write_text('{"pid": 7, "host": "far", "since": "today"}')
    assert journal.held_by() == "process 7 on far since today"


def test_a_resume_drops_what_was_under_way_and_keeps_what_was_done() -> None:
    scene = Scene()
    shown = [timed.event for timed in HISTORY[:120]]
    start = shown[0]
    assert isinstance(start, events.RunStarted)
    resumed = events.RunStarted(**{**vars(start), "rounds_done": 1})
    reused = events.StageFinished(number=2, stage="sample", seconds=1.0, counts={}, reused=True)
    kept = [
        events.RoundStarted(2, 1),
        reused,
        events.StageStarted(number=2, stage="harvest", total=512, kept=128, unit="rows"),
    ]
    for moment, event in enumerate(
        [*shown, resumed, *kept, events.StageFinished(number=2, stage="harvest", seconds=1.0, counts={}, reused=False)]
    ):
        scene = advance(scene, event, float(moment))
    text = "\n".join(line.plain for line in frame(scene, 80, 30, 200.0))
    assert "round 2 of 2, 1 kept" in text
    assert "reused   sample (whole), 128 of 512 rows of harvest" in text
    assert [row.number for row in scene.rounds] == [1, 2]
    assert scene.rounds[0].accepted
    assert scene.rounds[1].accepted is None


def test_a_finished_run_that_gets_more_rounds_is_under_way_again() -> None:
    scene = Scene()
    for timed in HISTORY:
        scene = advance(scene, timed.event, timed.time)
    assert scene.finished
    start = HISTORY[0].event
    assert isinstance(start, events.RunStarted)
    scene = advance(scene, events.RunStarted(**{**vars(start), "rounds_done": 5, "rounds_wanted": 6}), 0.0)
    assert (scene.finished, scene.sealed, len(scene.rounds)) == (None, None, 5)


def on_terminal(words: list[str], columns: int, sign: int = 0, **environment: str) -> tuple[int, bytes]:
    """What the command line writes to a terminal of that width, and its exit code; `sign` is sent after a second."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "selfimprove", *words],
        cwd=ROOT,
        env={**kept, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **environment},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=hear_interrupts,
    )
    os.close(slave)
    written = b""
    while piece := _read(master):
        written += piece
        if sign and b"2 of 2" in written:
            process.send_signal(sign)
            sign = 0
    os.close(master)
    return process.wait(30), written


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def screen_lines(written: bytes, encoding: str = "utf-8") -> list[str]:
    """The lines of a terminal's input, without its codes."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", written.decode(encoding)))


@pytest.mark.parametrize("columns", [20, 80, *(pytest.param(n, marks=pytest.mark.slow) for n in (40, 200))])
def test_the_end_of_a_run_is_shown_on_a_terminal_of_any_width(columns: int) -> None:
    code, written = on_terminal(["watch", "example"], columns)
    lines = screen_lines(written)
    assert code == 0
    typed = next(place for place, line in enumerate(lines) if line.startswith("  selfimprove report example --html"))
    assert max(map(cell_len, lines[:typed])) <= columns
    for told in (BASE, CHAMPION, GAIN, "accepted", "rejected"):
        assert any(told in line for line in lines)
    assert b"\x1b[1;32m" in written


def test_without_colour_the_terminal_gets_none() -> None:
    _, written = on_terminal(["watch", "example"], 80, NO_COLOR="1")
    assert "accepted" in "\n".join(screen_lines(written))
    assert not re.search(rb"\x1b\[[0-9;]*3\d", written)


@pytest.mark.parametrize(
    "environment",
    [{"TERM": "dumb"}, {"JPY_PARENT_PID": "1"}, pytest.param({"TERM": ""}, marks=pytest.mark.slow)],
    ids=["dumb", "notebook", "unnamed"],
)
def test_where_no_cursor_can_be_moved_lines_are_written(environment: dict[str, str]) -> None:
    code, written = on_terminal(["watch", "example"], 80, **environment)
    assert code == 0
    assert b"\x1b" not in written
    assert b"round 2: ACCEPTED" in written
    assert b"round 5: REJECTED" in written


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", pytest.param("cp437", marks=pytest.mark.slow)])
def test_a_terminal_gets_signs_that_it_has(encoding: str) -> None:
    code, written = on_terminal(["watch", "example"], 80, PYTHONIOENCODING=encoding)
    text = "\n".join(screen_lines(written, encoding))
    assert code == 0
    assert f"{BASE}  >  {CHAMPION}" in text
    assert "=" * 80 in text
    assert "?" not in text.replace("[?", "")


def test_signs_and_their_substitutes_are_equally_wide() -> None:
    for code, substitute in SUBSTITUTES.items():
        assert cell_len(chr(code)) == cell_len(chr(substitute)) == 1
        assert chr(substitute).isascii()
    assert can_draw("utf-8")
    assert not can_draw("cp1252")


def test_the_views_draw_with_no_sign_that_has_no_substitute() -> None:
    drawn = set()
    scene = Scene()
    for timed in HISTORY:
        scene = advance(scene, timed.event, timed.time)
        for height in (23, None):
            drawn |= {sign for line in frame(scene, 100, height, timed.time) for sign in line.plain}
    own = {sign for sign in drawn if not sign.isascii()}
    assert own
    assert own <= set(map(chr, SUBSTITUTES))


def test_plain_lines_keep_what_the_encoding_has() -> None:
    assert writable("gain −0.4 – naïve → 答", "cp1252") == "gain -0.4 – naïve > \\u7b54"
    assert writable("gain −0.4 – naïve → 答", "ascii") == "gain -0.4 - na\\xefve > \\u7b54"
    assert writable("gain −0.4 – naïve → 答", "utf-8") == "gain −0.4 – naïve → 答"


def test_a_terminal_that_got_narrower_is_cleared_of_what_it_folded() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, no_color=True)
    with LiveView(console, clock=lambda: 0.0) as view:
        for timed in HISTORY[:2]:
            view(timed.event, timed.time)
        view(events.Note("drawn"))
        before, drawn = out.tell(), [line.cell_len for line in frame(_scene_of(HISTORY[:2]), 80, 23, 0.0)]
        console.width = 40
        view(events.Note("narrower"))
        after = out.getvalue()[before : out.getvalue().index("narrower")]
    rows = sum(max(1, -(-width // 40)) for width in drawn)
    assert rows > len(drawn)
    # Up to the first row of the old drawing, then once more over the new one before the note is printed.
    new = len(frame(_scene_of(HISTORY[:2]), 40, 23, 0.0))
    assert after.count("\x1b[1A") == rows - 1 + new - 1


def _scene_of(history: list[Timed]) -> Scene:
    scene = Scene()
    for timed in history:
        scene = advance(scene, timed.event, timed.time)
    return scene


def test_a_terminal_without_a_name_or_of_a_notebook_can_not_draw() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        assert can_move(terminal, {"TERM": "xterm"})
        assert not can_move(terminal, {})
        assert not can_move(terminal, {"TERM": "xterm", "JPY_PARENT_PID": "1"})
    os.close(master)


def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "selfimprove", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment})


def test_a_piped_watch_writes_plain_lines_and_json_gives_the_history() -> None:
    plain, as_json = call("watch", "example"), call("watch", "example", "--json")
    assert (plain.returncode, as_json.returncode) == (0, 0)
    *_, last, tip, more, _, command = plain.stdout.splitlines()
    assert re.fullmatch(r"run demo: 5 rounds done in \d+:\d\d; accepted: rounds 1, 2 and 3", last)
    final = records().rounds[-1]
    card = final.scorecard
    assert f"{tip} {more.strip()}".startswith(
        f"  In round {final.round}, the challenger won {card.wins} problems and lost {card.losses}. "
        "The difference is too small to accept the challenger: try"
    )
    assert command.split("   ")[0].strip() == "selfimprove report example --html example.html"
    assert "\x1b" not in plain.stdout
    assert as_json.stdout.encode() == b"".join(LINES)


def test_only_a_champion_whose_weights_are_there_is_offered_to_ask_and_export(tmp_path: Path) -> None:
    journal = Journal(Path(shutil.copytree(ROOT / "rounds" / "example", tmp_path / "example")))
    ask, export = "selfimprove ask example 'your question'", "selfimprove export example --to example-model"
    assert not any(ask in line or export in line for line in next_steps(journal, Path("rounds")))
    for number in journal.champion().chain:
        journal.round(number).adapter_weights.write_bytes(b"")
    lines = next_steps(journal, Path("rounds"))
    assert [ask in lines[-2], export in lines[-1]] == [True, True]


def test_a_stopped_run_is_waited_for_and_shown_from_its_resume_on(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path / "run"), Told()
    journal.folder.mkdir()
    journal.events_path.write_bytes(b"".join(LINES[:60]))

    def resumed() -> Iterator[None]:
        yield  # nobody works on it
        with journal.lock():
            yield
            journal.events_path.write_bytes(b"".join(LINES))
            yield

    steps = resumed()
    assert watch(journal, told.view, lambda _: next(steps)) is True
    waiting, *lines = told.lines
    assert "isn't running; waiting for it" in json.loads(waiting)["text"]
    assert [line.encode() + b"\n" for line in lines] == LINES


def test_a_finished_run_that_is_resumed_is_shown_from_its_new_start_on(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path / "run"), Told()
    journal.folder.mkdir()
    journal.events_path.write_bytes(b"".join(LINES))

    def resumed() -> Iterator[None]:
        with journal.lock():  # its files are looked through before it tells of its start
            yield
            with journal.events_path.open("ab") as file:
                file.write(LINES[0])
            yield
        yield

    steps = resumed()
    next(steps)
    assert watch(journal, told.view, lambda _: next(steps)) is False
    assert told.names()[-2:] == ["run_finished", "run_started"]


def test_what_a_watch_that_was_left_says(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "a run")
    (tmp_path / "a run" / "events.jsonl").write_bytes(b"".join(LINES[:60]))
    words = [sys.executable, "-m", "selfimprove", "watch", "a run", "--plain", "--rounds-dir", str(tmp_path)]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_interrupts
    )
    assert process.stdout is not None
    assert b"Run a run in" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == b""
    assert call("watch", "../example", "--rounds-dir", str(tmp_path)).returncode == 2


def test_a_watch_ends_with_its_reader(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    journal = Journal(tmp_path / "run")
    with journal.lock():  # held, so that nothing but the reader's leaving can end it
        journal.events_path.write_bytes(b"".join(LINES[:100]))
        words = [sys.executable, "-m", "selfimprove", "watch", "run", "--json", "--rounds-dir", str(tmp_path)]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == LINES[0]
        process.stdout.close()
        for line in LINES[100:150]:
            time.sleep(0.05)
            with journal.events_path.open("ab") as file:
                file.write(line)
            if process.poll() is not None:
                break
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()


def test_ctrl_c_ends_the_watching_and_leaves_the_terminal_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    with journal.lock():
        journal.events_path.write_bytes(b"".join(LINES[:150]))
        words = ["watch", "run", "--rounds-dir", str(tmp_path)]
        code, written = on_terminal(words, 80, signal.SIGINT)
        assert journal.held_by()
    assert code == 130
    assert written.rstrip().endswith(b"\x1b[?25h")
    assert b"Traceback" not in written


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.slow
def test_a_real_run_is_watched_from_before_it_begins_until_it_is_killed_and_finished(workshop: Workshop) -> None:
    watching = subprocess.Popen(
        workshop.command("watch", "seen", "--json"),
        cwd=workshop.folder,
        env=workshop.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    workshop.run_until("seen", 1, lambda event: event["event"] == "looked", signal.SIGKILL)
    seen, _ = watching.communicate(timeout=120)
    assert watching.returncode == 1
    history = workshop.runs / "seen" / "events.jsonl"
    assert seen.splitlines()[1:] == history.read_text().splitlines()
    assert workshop.run("seen", 1).returncode == 0
    again = workshop.call("watch", "seen", "--json")
    assert again.returncode == 0
    assert again.stdout == history.read_text()


def test_the_picture_in_the_readme_is_the_one_that_its_target_makes() -> None:
    committed = (ROOT / "docs" / "view.svg").read_text(encoding="utf-8")
    assert committed == picture(HISTORY, "selfimprove run"), "make view-svg"
    assert ET.fromstring(committed).tag == "{http://www.w3.org/2000/svg}svg"
    assert "docs/view.svg" in (ROOT / "README.md").read_text(encoding="utf-8")
