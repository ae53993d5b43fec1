"""The views, driven with real events into strings, pipes and a pseudo-terminal."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from selfimprove import events
from selfimprove.escaping import escape_text
from selfimprove.events import Event
from selfimprove.view import JsonView, Mode, PlainView, QuietView, open_view
from selfimprove.view.blocks import SPARKS, sparkline
from selfimprove.view.blocks import stage as stage_block
from selfimprove.view.live import LiveView, frame
from selfimprove.view.scene import Scene, advance
from selfimprove.view.wording import amount_told
from tests import paths

CASES = [json.loads(line) for line in (paths.CASES / "hostile_text.jsonl").open(encoding="utf-8")]
HOSTILE = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
Keep = Literal["start", "end"]
SEALED = events.SealedJudged(
    look=1,
    rounds=2,
    n=256,
    base_accuracy=0.301,
    champion_accuracy=0.418,
    base_interval=(0.248, 0.36),
    champion_interval=(0.359, 0.48),
    gain=0.117,
    gain_interval=(0.052, 0.184),
    champion=1,
    split="became readable +9.2, right +6.2, unreadable 0.0, wrong −3.7",
)


def text_of(case: dict[str, Any]) -> str:
    return str(case["text"]) * int(case["times"])


def flip(text: str, won: bool = True, number: int = 1) -> events.Flip:
    return events.Flip(number=number, won=won, question=text, reference=text, champion_text=text, challenger_text=text)


def run(hostile: str = "plain") -> Iterator[tuple[float, Event]]:
    """Two rounds, the first one resumed and accepted, the second rejected, as (seconds, event)."""
    notes = (f"note {hostile}",)
    yield (
        0,
        events.RunStarted(
            run="demo",
            folder="rounds/demo",
            model=f"model {hostile}",
            engine="scripted",
            rounds_wanted=2,
            rounds_done=0,
            train=256,
            heldout=256,
            sealed=256,
            notes=notes,
        ),
    )
    for number, accepted in ((1, True), (2, False)):
        begin = 1000.0 * number
        yield begin, events.RoundStarted(number, number - 1)
        yield begin, events.StageStarted(number=number, stage="sample", total=256, kept=64, unit="rows")
        for step in range(1, 4):
            yield (
                begin + 40 * step,
                events.StageProgress(number=number, stage="sample", done=64 + 64 * step, total=256, tokens=6400 * step),
            )
        yield (
            begin + 130,
            events.StageFinished(
                number=number,
                stage="sample",
                seconds=130.0,
                counts={"rows": 256, "sampled_tokens": 19200},
                reused=False,
            ),
        )
        yield (
            begin + 130,
            events.StageFinished(number=number, stage="harvest", seconds=0.1, counts={"examples": 256}, reused=True),
        )
        yield begin + 130, events.StageStarted(number=number, stage="train", total=20, kept=0, unit="steps")
        for step in range(1, 21):
            yield (
                begin + 130 + step,
                events.TrainStep(number=number, step=step, steps=20, loss=2.0 - step / 20, learning_rate=1e-4),
            )
        yield (
            begin + 151,
            events.StageFinished(
                number=number, stage="train", seconds=21.0, counts={"steps": 20, "last_loss": 1.0}, reused=False
            ),
        )
        yield begin + 151, events.StageStarted(number=number, stage="judge", total=256, kept=0, unit="problems")
        for batch in range(1, 4):
            yield (
                begin + 151 + 20 * batch,
                events.StageProgress(number=number, stage="judge", done=64 * batch, total=256, tokens=3000 * batch),
            )
            yield begin + 151 + 20 * batch, flip(hostile, True, number)
            yield begin + 151 + 20 * batch, flip(hostile, False, number)
            yield (
                begin + 151 + 20 * batch,
                events.Looked(
                    number=number,
                    judged=64 * batch,
                    total=256,
                    wins=7 * batch,
                    losses=3,
                    evidence=2.0**batch,
                    threshold=32.9,
                    gain=0.05,
                ),
            )
        yield (
            begin + 215,
            events.StageFinished(number=number, stage="judge", seconds=64.0, counts={"problems": 192}, reused=False),
        )
        sentence = f"{'Accepted' if accepted else 'Rejected'}: {hostile}"
        yield (
            begin + 220,
            events.RoundFinished(
                number=number,
                accepted=accepted,
                champion_accuracy=0.302,
                challenger_accuracy=0.359,
                gain=0.057,
                sentence=sentence,
            ),
        )
    yield 3000, SEALED
    yield 3001, events.RunFinished(run="demo", rounds=2, accepted=(1,), seconds=488.0, was_complete=False)


def plain_lines(timed: Iterator[tuple[float, Event]]) -> list[str]:
    lines: list[str] = []
    now = [0.0]
    with PlainView(lines.append, clock=lambda: now[0]) as view:
        for moment, event in timed:
            now[0] = moment
            view(event)
    return lines


def scenes(timed: Iterator[tuple[float, Event]]) -> list[tuple[float, Scene]]:
    scene, seen = Scene(), []
    for now, event in timed:
        scene = advance(scene, event, now)
        seen.append((now, scene))
    return seen


def live_text(width: int, hostile: str = "plain", no_color: bool | None = None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=24, force_terminal=True, no_color=no_color)
    with LiveView(console) as view:
        for _, event in run(hostile):
            view(event)
    return out.getvalue()


@HOSTILE
@pytest.mark.parametrize("keep", ["start", "end"])
def test_escaped_text_prints_on_one_line_within_its_limit(case: dict[str, Any], keep: Keep) -> None:
    for limit in (1, 2, 7, 40, 400):
        _prints_within(escape_text(text_of(case), limit, keep), limit)


def _prints_within(shown: str, limit: int) -> None:
    assert len(shown) <= limit
    assert all(character.isprintable() for character in shown)
    shown.encode("utf-8")


@HOSTILE
def test_hostile_characters_are_shown_not_dropped(case: dict[str, Any]) -> None:
    assert case["shown"] in escape_text(text_of(case), 400)


def test_work_is_bounded_by_the_limit_not_by_the_text() -> None:
    text = "a\x1b" * 5_000_000
    start = time.perf_counter()
    for _ in range(100):
        escape_text(text, 80)
        escape_text(text, 80, keep="end")
    assert time.perf_counter() - start < 1


@given(st.text(), st.integers(1, 60), st.sampled_from(["start", "end"]))
def test_escaping_twice_is_escaping_once(text: str, limit: int, keep: Keep) -> None:
    once = escape_text(text, limit, keep)
    assert escape_text(once, limit, keep) == once
    assert len(once) <= limit
    assert once.isprintable()


def test_a_cut_never_splits_an_escape_and_is_marked() -> None:
    assert escape_text("ab\x1bcdef", 5) == "ab…"
    assert escape_text("abcde\x1bf", 5, keep="end") == "…f"
    assert escape_text("abcdef", 6) == "abcdef"


def test_plain_lines_tell_the_run() -> None:
    text = "\n".join(plain_lines(run()))
    for told in (
        "run demo in rounds/demo: 0 of 2 rounds done",
        "round 1: challenging the base model",
        "sample: 256 rows (64 already on record)",
        "sample: 50%, 128 of 256 rows, 160 tokens/s, 1.6 rows/s, 1:20 left",
        "harvest: reused, it was finished before the run was resumed",
        "train: 50%, 10 of 20 steps, 1 steps/s, 10 s left, loss 1.5",
        "judge: 256 problems",
        "judge: 50%, challenger: 128 of 256 problems, 150 tokens/s, 40 s left",
        "gate: 64 of 256 judged, 7 won, 3 lost, gain +5.0 points, evidence 2 of 32.9 needed",
        "round 1: ACCEPTED, 30.2% -> 35.9%, gain +5.7 points",
        "round 2: REJECTED",
        "base 30.1% (24.8 to 36.0%) -> champion 41.8% (35.9 to 48.0%)",
        "gain +11.7 points, 95% interval +5.2 to +18.4",
        "became readable +9.2, right +6.2, unreadable 0.0, wrong −3.7",
        "The champion is better than the base model.",
        "run demo: 2 rounds done in 8:08; accepted: round 1",
    ):
        assert told in text


def test_plain_tells_the_first_flip_of_each_kind_in_a_round() -> None:
    lines = plain_lines(run())
    assert sum("a problem won" in line for line in lines) == 2
    assert sum("a problem lost" in line for line in lines) == 2


def test_progress_is_told_at_quarters_and_else_at_most_every_ten_seconds() -> None:
    timed: list[tuple[float, Event]] = [
        (0.0, events.StageStarted(number=1, stage="sample", total=1000, kept=0, unit="rows"))
    ]
    timed += [
        (done / 10, events.StageProgress(number=1, stage="sample", done=done, total=1000, tokens=done))
        for done in range(1, 1001)
    ]
    lines = plain_lines(iter(timed))[1:]
    assert 3 <= len(lines) <= 3 + 100 / 10
    assert all(any(f" {quarter}%" in line for line in lines) for quarter in (25, 50, 75))


def test_a_long_stage_does_not_flood_a_log() -> None:
    timed: list[tuple[float, Event]] = [
        (0.0, events.StageStarted(number=1, stage="sample", total=36000, kept=0, unit="rows"))
    ]
    timed += [
        (float(done), events.StageProgress(number=1, stage="sample", done=done, total=36000, tokens=done))
        for done in range(1, 36001)
    ]
    assert len(plain_lines(iter(timed))) < 100


def test_a_run_that_is_complete_says_so() -> None:
    done = events.RunFinished(run="demo", rounds=4, accepted=(1, 3), seconds=0.1, was_complete=True)
    assert plain_lines(iter([(0.0, done)])) == ["run demo: already complete, 4 rounds done; accepted: rounds 1 and 3"]


def test_the_rate_is_the_mean_from_the_moment_work_began() -> None:
    timed: list[tuple[float, Event]] = [
        (0.0, events.StageStarted(number=1, stage="sample", total=400, kept=100, unit="rows")),
        (50.0, events.StageProgress(number=1, stage="sample", done=100, total=400, tokens=0)),  # the model is loaded
        (60.0, events.StageProgress(number=1, stage="sample", done=200, total=400, tokens=1000)),
        (90.0, events.StageProgress(number=1, stage="sample", done=300, total=400, tokens=2000)),
    ]
    stage = scenes(iter(timed))[-1][1].stage
    assert stage is not None
    assert stage.rate() == pytest.approx(200 / 40)
    assert stage.token_rate() == pytest.approx(2000 / 40)
    assert stage.seconds_left(90.0) == pytest.approx(20)
    assert stage.seconds_left(95.0) == pytest.approx(15)
    assert stage.seconds_left(500.0) == 0


def test_a_stage_without_news_has_no_rate() -> None:
    timed: list[tuple[float, Event]] = [
        (0.0, events.StageStarted(number=1, stage="sample", total=0, kept=0, unit="rows"))
    ]
    stage = scenes(iter(timed))[-1][1].stage
    assert stage is not None
    assert (stage.rate(), stage.token_rate(), stage.seconds_left(9.0)) == (None, None, None)


@pytest.mark.parametrize("width", [1, 12, 40, 80, 120])
@pytest.mark.parametrize("height", [1, 5, 10, 23, 39, None])
@pytest.mark.parametrize("hostile", ["plain", "答えは\x1b[31m三十一です" * 30])
def test_every_drawing_fits_its_screen(width: int, height: int | None, hostile: str) -> None:
    for now, scene in scenes(run(hostile)):
        lines = frame(scene, width, height, now)
        assert height is None or len(lines) <= height
        assert all(line.cell_len <= width for line in lines)


def test_many_rounds_leave_room_for_the_stage_under_way() -> None:
    timed: list[tuple[float, Event]] = []
    for number in range(1, 101):
        timed.append((number, events.RoundStarted(number, 0)))
        timed.append(
            (
                number,
                events.RoundFinished(
                    number=number,
                    accepted=False,
                    champion_accuracy=0.3,
                    challenger_accuracy=0.3,
                    gain=0.0,
                    sentence="Rejected.",
                ),
            )
        )
    timed += [
        (101, events.RoundStarted(101, 0)),
        (101, events.StageStarted(number=101, stage="sample", total=64, kept=0, unit="rows")),
    ]
    now, scene = scenes(iter(timed))[-1]
    drawn = [line.plain for line in frame(scene, 80, 23, now)]
    assert any(line.startswith("sample ") for line in drawn)
    assert any(line.split()[:1] == ["101"] for line in drawn)
    assert sum("rejected" in line for line in frame_text(scene, None)) == 100


def frame_text(scene: Scene, height: int | None, width: int = 80) -> list[str]:
    return [line.plain for line in frame(scene, width, height, 0.0)]


def test_the_screen_while_judging() -> None:
    judging = [scene for _, scene in scenes(run("What is 5 + 4?")) if scene.stage and scene.stage.name == "judge"][-1]
    text = "\n".join(line.rstrip() for line in frame_text(judging, 23))
    for told in (
        "round 2 of 2",
        "accepted",
        "✓ sample  ↺ harvest  ✓ train  · merge  ▶ judge  · decide",
        "challenger: 192 of 256 problems",
        "reused   harvest (whole)",
        "8 of 32.9 needed",
        "won  What is 5 + 4?",
        "lost What is 5 + 4?",
    ):
        assert told in text


def test_the_stage_has_its_three_lines_from_start_to_end_and_nothing_below_it_jumps() -> None:
    places = set()
    for now, scene in scenes(run()):
        lines = [line.plain for line in frame(scene, 120, 39, now)]
        if scene.finished or scene.sealed:
            break
        bars = [place for place, line in enumerate(lines) if "─" in line or "━" in line]
        places.add(bars[0])
        assert len(stage_block(scene, 120, now)) == 3
    assert places == {4}


def test_between_two_stages_the_next_one_is_named() -> None:
    told = [(now, scene) for now, scene in scenes(run()) if scene.passed == ("sample", "harvest") and not scene.stage]
    (_, scene), *_ = told
    (line,) = [line for line in frame_text(scene, 23) if line.startswith("train")]
    assert "starting" in line


def test_time_gone_and_left_of_the_whole_run() -> None:
    heads = [(scene, frame(scene, 120, 39, now)[0].plain) for now, scene in scenes(run())]
    assert "round 1 of 2 · 16:40 elapsed" in heads[1][1]
    assert not any("left" in head for scene, head in heads if not scene.took)
    # round 1 took 220 s; an answer 60/192 s, and 2 times 256 of them are left
    head = next(head for scene, head in heads if scene.current() and scene.took)
    assert head.endswith("round 2 of 2 · 33:20 elapsed, about 6:20 left")


def test_a_rate_is_told_once_it_is_known() -> None:
    timed: list[tuple[float, Event]] = [
        (300.0, events.StageStarted(number=1, stage="train", total=20, kept=0, unit="steps")),
        (300.001, events.TrainStep(number=1, step=1, steps=20, loss=2.0, learning_rate=1e-4)),
        (500.001, events.TrainStep(number=1, step=2, steps=20, loss=1.9, learning_rate=1e-4)),
    ]
    first, second = (scene.stage for _, scene in scenes(iter(timed))[1:])
    assert first
    assert second
    assert first.rate() is None
    assert second.rate() == pytest.approx(1 / 200)


def test_a_chunk_of_minutes_is_seen_to_move() -> None:
    timed: list[tuple[float, Event]] = [
        (0.0, events.StageStarted(number=1, stage="sample", total=64, kept=0, unit="rows")),
        (60.0, events.StageProgress(number=1, stage="sample", done=0, total=64, tokens=3000)),
        (120.0, events.StageProgress(number=1, stage="sample", done=32, total=64, tokens=6000)),
        (180.0, events.StageProgress(number=1, stage="sample", done=32, total=64, tokens=9000)),
    ]
    told = [
        next(line for line in frame_text(scene, 23, 120) if line.startswith("sample "))
        for _, scene in scenes(iter(timed))
    ]
    assert "0 of 64 rows  50 tokens/s  3,000 tokens" in told[1]
    assert "32 of 64 rows" in told[3]
    assert "50 tokens/s  0.267 rows/s  9,000 tokens" in told[3]  # units are counted up to their last report
    assert "sample: 0%, 0 of 64 rows, 3,000 tokens so far, 50 tokens/s" in "\n".join(plain_lines(iter(timed)))


def test_judging_counts_problems_of_one_model_and_not_answers() -> None:
    started = next(event for _, event in run() if isinstance(event, events.RunStarted))
    judge = events.StageStarted(number=1, stage="judge", total=320, kept=0, unit="problems")
    sealed = events.StageStarted(number=1, stage="sealed", total=512, kept=0, unit="problems")
    told = []
    for begun, done in (
        (judge, 32),
        (judge, 64),
        (judge, 112),
        (judge, 320),
        (sealed, 48),
        (sealed, 304),
        (sealed, 512),
    ):
        at = events.StageProgress(number=1, stage=begun.stage, done=done, total=begun.total, tokens=9)
        scene = scenes(iter([(0.0, started), (0.0, begun), (1.0, at)]))[-1][1]
        assert scene.stage
        told.append(amount_told(scene.stage, scene))
    assert told == [
        "champion: 32 of 64 problems",
        "challenger: 0 of 256 problems",
        "challenger: 48 of 256 problems",
        "challenger: 256 of 256 problems",
        "champion: 48 of 256 problems",
        "base: 48 of 256 problems",
        "base: 256 of 256 problems",
    ]


def test_a_decision_has_its_reason_in_words() -> None:
    done = [event for _, event in run() if isinstance(event, events.RoundFinished)]
    rejected = replace(done[1], reason="undecided", sentence="Rejected: undecided; 3 won, 3 lost.")
    by_guard = replace(done[1], number=3, reason="truncation")
    text = "\n".join(frame_text(scenes(iter([(0.0, rejected)]))[-1][1], 23))
    assert "Round 2 rejected: all problems are judged and the evidence falls short." in text
    assert "undecided; 3 won, 3 lost." in text
    assert "  All problems are judged and the evidence falls short." in plain_lines(iter([(0.0, rejected)]))
    assert "  The truncation guard rejected the challenger." in plain_lines(iter([(0.0, by_guard)]))


def test_the_time_of_a_resumed_run_is_that_since_its_resume() -> None:
    started = next(event for _, event in run() if isinstance(event, events.RunStarted))
    resumed = replace(started, rounds_done=2, rounds_wanted=3)
    done = events.RunFinished(run="demo", rounds=3, accepted=(1,), seconds=61.0, was_complete=False)
    timed: list[tuple[float, Event]] = [(0.0, resumed), (61.0, done)]
    assert plain_lines(iter(timed))[-1] == "run demo: 3 rounds done, 1:01 since the run was resumed; accepted: round 1"
    text = "\n".join(frame_text(scenes(iter(timed))[-1][1], 23))
    assert "3 rounds done, 1:01 since the run was resumed; accepted: round 1." in text


def test_a_resumed_run_tells_its_head_once() -> None:
    started = next(event for _, event in run() if isinstance(event, events.RunStarted))
    again = replace(started, rounds_done=1)
    lines = plain_lines(iter([(0.0, started), (9.0, again)]))
    assert sum("engine scripted" in line for line in lines) == 1
    assert lines[-1] == "run demo resumed: 1 of 2 rounds done"
    out = io.StringIO()
    with LiveView(Console(file=out, width=80, force_terminal=True)) as view:
        view(started)
        view(again)
    assert out.getvalue().count("note plain") == 1


def test_the_screen_while_training_shows_the_loss() -> None:
    training = [scene for _, scene in scenes(run()) if scene.losses][19]
    (line,) = [line for line in frame_text(training, 23) if line.startswith("loss")]
    assert line.endswith("1.95 → 1")


def test_the_closing_screen_tells_the_outcome_in_words() -> None:
    text = live_text(80, no_color=True)
    for told in ("base 30.1%  →  champion 41.8%", "gain +11.7 points, 95% interval +5.2 to +18.4"):
        assert told in text
    assert "became readable +9.2, right +6.2, unreadable 0.0, wrong −3.7" in text
    assert "The champion is better than the base model." in text
    assert text.count("note plain") == 1


def test_a_champion_that_is_the_base_is_told_as_one_model() -> None:
    same = replace(SEALED, champion=0, champion_accuracy=0.301, gain=0.0, gain_interval=(-0.01, 0.01))
    drawn = "\n".join(frame_text(Scene(sealed=same), 24))
    for text in (drawn, "\n".join(plain_lines(iter([(0, same)])))):
        assert "base 30.1%" in text
        assert "Base and champion are the same model, so there is no gain to judge." in text
        assert "gain 0.0" not in text
        assert "chance" not in text


def test_a_run_that_stops_leaves_the_stage_it_stopped_in() -> None:
    out = io.StringIO()
    with suppress(KeyboardInterrupt), LiveView(Console(file=out, width=80, force_terminal=True)) as view:
        view(events.RoundStarted(1, 0))
        view(events.StageStarted(number=1, stage="sample", total=256, kept=0, unit="rows"))
        raise KeyboardInterrupt
    assert "0 of 256 rows" in out.getvalue()


def test_no_color_leaves_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = live_text(80)
    assert "accepted" in text
    assert "rejected" in text
    assert "\x1b[32m" not in text
    assert "\x1b[1;32m" not in text


@HOSTILE
def test_no_view_lets_a_models_characters_through(case: dict[str, Any]) -> None:
    hostile = text_of(case)
    plain = "\n".join(plain_lines(run(hostile)))
    assert plain.replace("\n", "").isprintable()
    assert len(plain) < 60_000
    screen = "".join(line.plain for _, scene in scenes(run(hostile)) for line in frame(scene, 80, 39, 0.0))
    assert screen.isprintable()


@HOSTILE
def test_a_terminal_gets_only_the_views_own_codes(case: dict[str, Any]) -> None:
    raw = case["text"]
    own = set(live_text(80, no_color=True)) | {"\x1b"}
    extra = {c for c in live_text(80, raw, no_color=True) if not c.isprintable()} - own
    assert not extra
    if "\x1b[2J" in raw or "\x1b]" in raw:
        assert "\x1b[2J" not in live_text(80, raw)
        assert "\x1b]" not in live_text(80, raw)


@HOSTILE
def test_json_is_one_ascii_line_that_keeps_the_text(case: dict[str, Any]) -> None:
    lines: list[str] = []
    with JsonView(lines.append) as view:
        view(flip(text_of(case)))
    assert len(lines) == 1
    assert lines[0].isascii()
    assert lines[0].isprintable()
    assert json.loads(lines[0])["question"] == text_of(case)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1), st.integers(1, 50))
def test_a_sparkline_fits_and_spans_its_values(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == min(width, len(values))
    assert set(drawn) <= set(SPARKS)
    assert drawn[0] == SPARKS[0] or len(set(drawn)) > 1 or len(drawn) == 1 or set(drawn) == {SPARKS[0]}


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_drawn_as_a_dash(loss: float) -> None:
    timed: list[tuple[float, Event]] = [
        (0.0, events.TrainStep(number=1, step=1, steps=2, loss=loss, learning_rate=1e-4))
    ]
    assert any("–" in line for line in frame_text(scenes(iter(timed))[-1][1], 23))


@pytest.mark.parametrize(("mode", "kind"), [("auto", PlainView), ("plain", PlainView), ("json", JsonView)])
def test_without_a_terminal_lines_are_written(mode: Mode, kind: type) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with open_view(mode, stream) as view:
        assert isinstance(view, kind)
        view(events.Note("naïve → 答え"))
    stream.seek(0)
    assert "na" in stream.read()


def test_quiet_writes_nothing() -> None:
    stream = io.StringIO()
    with open_view("quiet", stream) as view:
        assert isinstance(view, QuietView)
        for _, event in run():
            view(event)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("term", "encoding", "kind"),
    [("xterm", "utf-8", LiveView), ("dumb", "utf-8", PlainView), ("xterm", "ascii", LiveView)],
)
def test_auto_is_live_on_a_terminal_that_can_draw(
    term: str, encoding: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding=encoding) as stream:
        assert isinstance(open_view("auto", stream), kind)
    os.close(master)


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    with open_view("json", stream) as view:
        for _, event in run():
            view(event)
    stream.close()
