"""Hostile text from models, problem files and the command line, through the real loop and the real commands.

No text may reach a terminal but as printing characters, leave a row of a record, name a file, or stop a run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.events import Event, Flip
from selfimprove.problem import load_problems
from selfimprove.problem.files import LONGEST_ROW
from selfimprove.problem.plain import LONGEST
from selfimprove.recipe import Problems
from selfimprove.report import report_markdown, report_tables, status_lines
from selfimprove.report.records import read_run
from selfimprove.store.names import run_names
from selfimprove.view import JsonView, PlainView, open_view
from selfimprove.view.live import LiveView
from tests import warm
from tests.paths import ROOT
from tests.peers import World

CASES = [json.loads(line) for line in (ROOT / "tests" / "cases" / "hostile_text.jsonl").open(encoding="utf-8")]
TEXTS = [case["text"] * min(case["times"], 4000) for case in CASES]
OWN_CODES = re.compile(
    r"\x1b\[[0-9;]*m"  # colours
    r"|\x1b\[\?25[lh]"  # hide and show the cursor
    r"|\x1b\[[12]A|\x1b\[[12]K|\r"  # drawing over: up, clear the line, to its start
)
"""What rich writes for a live display; all else that doesn't print would be a model's."""


def chosen(text: str) -> str:
    return TEXTS[int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % len(TEXTS)]


def hostile_world(folder: Path, checker: Checker) -> World:
    """Every completion opens with hostile text, and so does every question; the answers are as ever."""
    settings: dict[str, dict[str, Any]] = {
        "sampling": {"max_new_tokens": 20_000},
        "prefixes": {"length": 4},
        "problems": {"heldout_size": 150, "sealed_size": 40},
    }
    world = World(folder, checker, [0.4], settings=settings, say=chosen)
    rows = [json.loads(line) for line in (folder / "sums.jsonl").read_text().splitlines()]
    for place, row in enumerate(rows):
        hostile = TEXTS[place % len(TEXTS)].encode("utf-8", "replace").decode().replace("\ufffd", "")
        row["question"] = f"{hostile[:300]} {row['question']}"
        row |= {"id": hostile[:300], "key": "../../../owned", "source": "CON", "prompt": hostile[:300]}
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("hostile") / "inner" / "world"
    with Checker(workers=1) as checker:
        made = hostile_world(folder, checker)
        made.run(1)
    return made


def foreign(written: str) -> set[str]:
    """The characters of a terminal's input that neither print nor belong to the program's own codes."""
    return {character for character in OWN_CODES.sub("", written).replace("\n", "") if not character.isprintable()}


def test_the_texts_were_met_and_the_run_judged_them(world: World) -> None:
    flips = [event for event in world.events if isinstance(event, Flip)]
    met = {text for text in TEXTS for flip in flips if text and text in flip.challenger_text}
    assert len(flips) > 15
    assert len(met) > len(TEXTS) / 3
    assert world.round(1)["decision"]["accepted"]


def test_records_are_ascii_with_one_row_a_line_and_nothing_else_is_written(world: World) -> None:
    outside = world.folder.parents[1]
    assert {path.name for path in outside.iterdir()} == {"inner"}
    assert {path.name for path in (outside / "inner").iterdir()} == {"world"}
    assert {path.name for path in world.folder.iterdir()} == {"base", "rounds", "sums.jsonl"}
    files = [path for path in (world.folder / "rounds").rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"[\w.]+", path.name) for path in files)
    for path in files:
        data = path.read_bytes()
        assert data.isascii(), path
        assert not set(data) - set(range(32, 127)) - {10}, path
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in data.decode().splitlines()]
            assert all(isinstance(row, dict) for row in rows)
            assert all(re.fullmatch(r"[0-9a-f]{16}", row["key"]) for row in rows if "key" in row)


def live(events: Sequence[Event], width: int) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=30, force_terminal=True, color_system="truecolor", record=True)
    with LiveView(console) as view:
        for event in events:
            view(event)
            if isinstance(event, Flip):
                view._live.refresh()
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 120])
def test_the_live_view_writes_only_its_own_codes(world: World, width: int) -> None:
    written = live(world.events, width)
    assert "won " in written
    assert not foreign(written)
    assert "\x1b[31mred" not in written
    assert "[red]x[/red]" in live(world.events, 120)  # markup is text: shown, and not read
    written.encode("utf-8")


def test_a_real_terminal_gets_only_the_views_own_codes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream, open_view("auto", stream) as view:
        for event in world.events[:20] + [event for event in world.events if isinstance(event, Flip)][:20]:
            view(event)
    written = b""
    os.set_blocking(master, False)
    with ExitStack() as stack:
        stack.callback(os.close, master)
        while chunk := _read(master):
            written += chunk
    assert b"selfimprove" in written
    assert not foreign(written.decode("utf-8"))


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except (BlockingIOError, OSError):  # nothing more, or the other end is closed
        return b""


def test_plain_and_json_lines_are_whole_and_harmless(world: World) -> None:
    plain: list[str] = []
    rows: list[str] = []
    with PlainView(plain.append) as one, JsonView(rows.append) as other:
        for event in world.events:
            one(event)
            other(event)
    assert all(line.isprintable() and len(line) < 1100 for line in plain)
    assert any("a problem won" in line for line in plain)
    assert all(row.isascii() and row.isprintable() and json.loads(row)["event"] for row in rows)


def test_report_and_status_of_the_run_are_harmless(world: World) -> None:
    records = read_run(world.folder / "rounds", "run")
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system="truecolor")
    for table in report_tables(records):
        console.print(table)
    assert not foreign(out.getvalue())
    runs = [read_run(world.folder / "rounds", name) for name in run_names(world.folder / "rounds")]
    assert runs
    assert all(line.isprintable() for line in status_lines(runs))
    assert report_markdown(records).replace("\n", "").isprintable()


ESCAPES = "\x1b[31mred\x1b]0;owned\x07\u202e[bold]x"
SIZES = ("train", "heldout", "sealed")
FEW = ("--problems", "few.jsonl", *(word for part in SIZES for word in ("--set", f"problems.{part}_size=2")))
COMMANDS: tuple[tuple[str | bytes, ...], ...] = (
    ("run", "--run", f"a{ESCAPES}"),
    ("run", "--run", "a\nb"),
    ("run", "--run", b"a\xff"),
    ("run", *FEW, "--model", f"no{ESCAPES}.gguf"),
    ("run", *FEW, "--model", f"no/{ESCAPES}"),
    ("run", *FEW, "--model", b"no/\xff\xfe"),
    ("run", "--problems", f"no{ESCAPES}.jsonl"),
    ("run", "--problems", f"bad{ESCAPES}.jsonl"),
    ("run", "--problems", b"no\xff.jsonl"),
    ("run", "--recipe", f"no{ESCAPES}.toml"),
    ("run", "--recipe", b"no\xff.toml"),
    ("run", "--set", f"training.{ESCAPES}=1"),
    ("run", "--set", f"training.rank={ESCAPES}"),
    ("run", "--set", f"problems.train=reasoning-gym:{ESCAPES}"),
    ("run", "--set", b"sampling.system=\xff"),
    ("run", "--device", ESCAPES, "--engine", ESCAPES),
    ("run", "--rounds", ESCAPES),
    ("report", ESCAPES),
    ("status", ESCAPES),
    ("check", ESCAPES),
    ("check", f"{ESCAPES} so 5", ESCAPES, "--explain"),
    ("check", b"\xff\xfe", b"\xff", "--explain", "--json"),
    ("check", b"so \xff\xfe", b"\xff", "--explain"),
    ("check", "--cases", f"no{ESCAPES}.jsonl"),
    ("check", "1", "1", "--mode", ESCAPES),
    ("plan", "--set", ESCAPES),
    (ESCAPES,),
)
MARK = "-- end of a command --"
DRIVER = f"""
import os, sys, traceback
from selfimprove.cli.app import main
for words in WORDS:
    sys.argv = ["selfimprove", *(os.fsdecode(bytes.fromhex(word)) for word in words)]
    try:
        main()
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        print({MARK!r}, file=stream, flush=True)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What each command writes, all in one process; nothing is left but what was there."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / f"bad{ESCAPES}.jsonl").write_text(json.dumps({ESCAPES: ESCAPES}) + "\n")
    rows = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(9)]
    (folder / "few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SELFIMPROVE_CACHE": str(folder / "cache")}
    environment |= {"COLUMNS": "200", "FORCE_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    words = [[os.fsencode(word).hex() for word in command] for command in COMMANDS]
    done = warm.call((), folder, environment, 200, f"WORDS = {words}\n{DRIVER}")
    assert {path.name for path in folder.iterdir()} <= {f"bad{ESCAPES}.jsonl", "few.jsonl", "cache"}
    parts = [stream.split(MARK + "\n") for stream in (done.stdout, done.stderr)]
    assert {len(part) for part in parts} == {len(COMMANDS) + 1}
    return {place: parts[0][place] + parts[1][place] for place in range(len(COMMANDS))}


@pytest.mark.parametrize("place", range(len(COMMANDS)), ids=[ascii(command) for command in COMMANDS])
def test_no_command_prints_what_it_was_given_as_codes(place: int, said: dict[int, str]) -> None:
    assert said[place]
    assert "Traceback" not in said[place]
    assert not foreign(said[place])
    assert "\x1b[31mred" not in said[place]


FIELD_VALUES = ["\ud800", "x" * (LONGEST + 1), "\u0000", "\x1b[2J", "../../etc/passwd", "CON", "<script>"]


@pytest.mark.parametrize("value", FIELD_VALUES, ids=lambda value: ascii(value[:20]))
@pytest.mark.parametrize("field", ["question", "answer", "id"])
def test_a_hostile_field_is_a_problem_or_one_line_of_error(field: str, value: str, tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "answer": "1", "id": "i"} for n in range(8)]
    rows[3][field] = value
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fault = _fault(path)
    refused = value == "\ud800" or len(value) > LONGEST
    assert bool(fault) is (refused and field != "id")
    assert not fault or ("rows.jsonl:4" in fault and len(fault) < 1000)


def _fault(path: Path) -> str:
    try:
        sets = load_problems(Problems(train=str(path), train_size=2, heldout_size=2, sealed_size=2))
    except UsageError as error:
        return str(error)
    assert all(re.fullmatch(r"[0-9a-f]{16}", problem.key) for problem in sets.train)
    return ""


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_row_of_many_megabytes_is_refused_by_its_place(suffix: str, tmp_path: Path) -> None:
    row = '{"question": "q", "x": "' + "a" * LONGEST_ROW + '"}'
    (tmp_path / f"bomb{suffix}").write_text(f"\n{row}\n" if suffix == ".jsonl" else f"[\n{row}\n]")
    with pytest.raises(UsageError, match=rf"bomb{suffix}:2: a row of more than"):
        load_problems(Problems(train=str(tmp_path / f"bomb{suffix}")))


def test_a_parquet_file_that_unpacks_to_much_is_refused_unread(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    from selfimprove.problem.plain import refuse_large

    path = tmp_path / "bomb.parquet"
    column = pyarrow.array(["a" * 1000]).take(pyarrow.array([0] * 30_000))
    pyarrow.parquet.write_table(pyarrow.table({"question": column}), path, use_dictionary=False, compression="zstd")
    assert path.stat().st_size < 10**6
    with pytest.raises(UsageError, match="GiB of rows, more than"):
        refuse_large(80 * pyarrow.parquet.read_metadata(path).row_group(0).total_byte_size, path)
