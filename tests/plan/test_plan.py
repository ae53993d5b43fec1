"""What a run will take, from made-up rates and from a calibration of the tiny model by the real command."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfimprove.plan.calibration import Calibration, mean_length
from selfimprove.plan.disk import Need
from selfimprove.plan.forecast import calibrated_lines
from selfimprove.recipe.reading import parse_recipe
from selfimprove.sampling import Completion, StopReason
from tests.workshop import make_workshop

FOUND = Calibration(
    seconds=30.0,
    rows=64,
    load_seconds=2.0,
    short_tokens=8.0,
    short_rate=100.0,
    long_tokens=(20.0, 40.0),
    long_rate=200.0,
    limit=64,
    kept=(1.0, 1.0),
    train_load_seconds=3.0,
    row_seconds=0.1,
    merge_seconds=9.0,
    peak_rss_mb=1234,
    peak_gpu_mb=None,
)


def completion(tokens: int, stop: StopReason) -> Completion:
    return Completion(key="k", sample=0, token_ids=tuple(range(tokens)), stop=stop, seed=0)


def test_cut_completions_make_the_length_a_range() -> None:
    assert mean_length([completion(10, StopReason.EOS)] * 4, 100) == (10, 10)
    assert mean_length([completion(10, StopReason.LENGTH)] * 4, 100) == (10, 100)
    low, high = mean_length([completion(10, StopReason.EOS), completion(20, StopReason.EOS)], 100)
    assert (low, high) == (pytest.approx(5.0), pytest.approx(25.0))
    assert mean_length([completion(1, StopReason.EOS), completion(9, StopReason.EOS)], 9) == (1.0, 9.0)


def test_rates_become_ranges_of_tokens_and_time() -> None:
    recipe = parse_recipe({"problems": {"train_size": 100, "heldout_size": 128, "sealed_size": 50}}, "the test")
    lines = calibrated_lines(recipe, Need(int(3e9), 10, 10, 1000), FOUND, 100, 2)
    told = "\n".join(lines)
    # 90 prefixes of 8 tokens at 100 a second, 10 whole rows of 20 to 40 at 200, and 2 s to load
    assert "sampling: 920 to 1,120 tokens of 100 completions, 10 s to 11 s" in told
    assert "training: 100 rows, 1 epoch at 0.1 s a row, 13 s" in told
    # the champion's 128 and 64 to 128 of the challenger
    assert "judging: 3,840 to 10,240 tokens of 192 to 256 answers, 23 s to 55 s" in told
    assert "Sealed problems at the end: 1,000 to 4,000 tokens of 50 to 100 answers, 9.0 s to 24 s" in told
    # rounds of 10.2+13+9+23.2 to 11.2+13+9+55.2, then judged from 64 answers on, and the sealed look
    assert "All 2 rounds: 1:47 to 3:21" in told
    assert "1,234 MiB" in told
    assert "at most 3.0 GB" in told


def test_what_was_not_measured_is_said_and_not_zero() -> None:
    from dataclasses import replace

    slow = replace(FOUND, row_seconds=None, merge_seconds=None)
    told = "\n".join(calibrated_lines(parse_recipe({}, "the test"), Need(1, 1, 1, 1), slow, 256, 1))
    assert "time not measured" in told
    assert "All 1 round without what was not measured" in told


def test_the_command_calibrates_on_the_recipes_own_model(tmp_path: Path) -> None:
    workshop = make_workshop(tmp_path)
    done = workshop.call("plan", "--recipe", "tiny.toml", "--calibrate", "--threads", "1", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "8 completions of" in done.stdout
    assert "tokens/s" in done.stdout
    assert "a row" in done.stdout
    assert "not measured" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "sums.jsonl", "tiny", "tiny.toml"]
