"""The bench: how rows are told, what is missing, and the token rows through the real stages on a tiny model."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.bench import Row, table
from benchmarks.bench.clock import Clock
from benchmarks.bench.command import bench
from benchmarks.bench.overhead import Round, measure_round
from benchmarks.bench.suite import MEASUREMENTS, Scale, _engine_rows, _trainer_rows, chosen, rows_of
from benchmarks.bench.tokens import SHORT, Setting, measure_tokens
from selfimprove.errors import UsageError
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Runtime
from selfimprove.recipe.reading import parse_recipe, read_recipe

CPU = Runtime(engine="transformers", device="cpu", threads=1)


def row(ours: tuple[float, ...], other: tuple[float, ...], reach: float, side: str = "at most") -> Row:
    given = {"ours": ours, "other": other, "reach": reach, "side": side}
    return Row(name="r", what="a", against="b", unit="s", **given)  # type: ignore[arg-type] # of those types


@pytest.mark.parametrize(
    ("found", "ratio", "reached"),
    [
        (row((1, 9, 2), (4, 4, 4), 0.5), 0.5, True),
        (row((1, 9, 3), (4, 4, 4), 0.5), 0.75, False),
        (row((8, 8), (2, 4), 2.5, "at least"), 8 / 3, True),
        (row((4, 4), (2, 4), 2.5, "at least"), 4 / 3, False),
        (row((), (1,), 1.0), None, None),
        (row((1,), (0,), 1.0), None, None),
    ],
)
def test_a_row_compares_medians_with_what_it_should_reach(
    found: Row, ratio: float | None, reached: bool | None
) -> None:
    assert found.ratio == pytest.approx(ratio) if ratio else found.ratio is None
    assert found.reached is reached


def test_the_table_tells_medians_spread_ratio_and_outcome() -> None:
    empty = Row(name="x", what="c", against="d", note="why")
    told = table([row((1, 9, 2), (4, 4, 4), 0.6), row((8, 8), (2, 4), 2.5, "at least"), empty])
    assert "| a | b | 2 (1 to 9) s | 4 (4 to 4) s | 50.0% (25.0% to 225.0%) | at most 60.0% | yes |" in told
    assert "| a | b | 8 (8 to 8) s | 3 (2 to 4) s | 2.67 × (2.00 × to 4.00 ×) | at least 2.50 × | yes |" in told
    assert "| c | d | – | – | – | – | – |" in told
    assert told.endswith("- c / d: why")


def test_a_name_that_is_none_is_refused_by_those_there_are() -> None:
    with pytest.raises(UsageError, match="--only speed: not a measurement") as caught:
        chosen(["tokens", "speed"])
    assert "overhead" in str(caught.value)
    assert [one.name for one in chosen(["overhead", "tokens"])] == ["tokens", "overhead"]
    assert chosen([]) == list(MEASUREMENTS)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed here")
def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    said: list[str] = []
    bench(["ray"], tmp_path / "out.json", Scale(1, True, CPU), said.append)
    assert "pip install 'selfimprove[ray]'" in "\n".join(said)
    (found,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert found["ratio"] is None
    assert found["ours"] == []


def test_what_fails_says_so_and_gives_no_figure() -> None:
    def fail(scale: Scale) -> list[Row]:
        raise UsageError("no such model")

    (found,) = rows_of(SimpleNamespace(name="n", needs="", measure=fail), Scale(1, True, CPU))  # type: ignore[arg-type]
    assert found.note == "not measured: no such model"
    assert found.reached is None


def test_engine_and_trainer_figures_become_rows() -> None:
    engine = {"tokens": (100, 100), "seconds": (1.0, 2.0), "share_of_ceiling": 0.4}
    report = {
        "requests": 256,
        "ceilings": {"bfloat16": 700.0, "float32": 170.0, "memory": 20.0},
        "engines": [{"engine": "transformers engine, chunks of 256", **engine}, {"engine": "generate", **engine}],
    }
    generate, vllm, ceiling = _engine_rows(report, "prompts")
    assert (generate.ratio, generate.reached) == (1.0, False)
    assert "vLLM isn't installed" in vllm.note
    assert "40%" in ceiling.note
    kinds = {("ours", "upft"): (20.0, 600.0), ("ours", "full"): (5.0, 900.0), ("trl", "upft"): (8.0, 1000.0)}
    found = {key: SimpleNamespace(rates=(rate,), peaks=(peak,)) for key, (rate, peak) in kinds.items()}
    rows = {one.name: one for one in _trainer_rows(found)}
    assert rows["trainer-upft"].ratio == 2.5
    assert rows["memory-upft"].ratio == pytest.approx(0.6)
    assert rows["trainer-full"].ratio is None
    assert rows["training-time"].ratio == pytest.approx(0.25)


def test_upft_samples_no_further_than_a_prefix_where_rft_samples_16_whole_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(tmp_path / "cache"))
    model = make_tiny_model(tmp_path / "tiny")
    setting = Setting(name="tiny", prompt=SHORT.prompt, longest=24, problems=10, reach=0.025)
    sampled, trained, seconds = measure_tokens(setting, CPU, 1, str(model))
    assert sampled.ours[0] <= 9 * 8 + 24
    assert 9 * 8 < sampled.other[0] <= 10 * 16 * 24
    assert sampled.ratio is not None
    assert sampled.ratio < 0.15
    assert 0 < trained.ours[0] <= sampled.ours[0]
    assert 0 < seconds.ours[0] < seconds.other[0]
    assert "10 problems; RFT completions of" in sampled.note


def test_the_overhead_is_the_wall_clock_without_the_models_work() -> None:
    measured = Round(10.0, {"open": 1.0, "train": 6.5, "judge": 2.0}, {"judge": 90})
    assert (measured.outside, measured.rate("judge")) == (0.5, 45.0)
    clock = Clock()
    with clock.on("a"):
        pass
    assert clock.total == clock.seconds["a"] > 0


@pytest.mark.slow
def test_a_round_is_clocked_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(tmp_path / "cache"))
    recipe = {
        "model": {"name": str(make_tiny_model(tmp_path / "tiny", dtype="bfloat16", sharded=True))},
        "problems": {"train_size": 8, "heldout_size": 8, "sealed_size": 4},
        "sampling": {"max_new_tokens": 8},
        "training": {"learning_rate": 1e-2},  # at the default rate, rounding loses half of so small an update
    }
    found = measure_round(CPU, recipe)
    assert set(found.model) == {"open", "sample", "judge", "train", "merge"}
    assert 8 < found.tokens["judge"] <= 2 * (8 + 4) * 8
    assert 0 < found.tokens["sample"] <= 8 * 8
    assert 0 < found.outside < found.wall


def test_the_measured_round_is_the_demos() -> None:
    from benchmarks.bench.overhead import DEMO

    path = Path("demo")
    demo = read_recipe(path)
    sizes = demo.problems.model_copy(update={"sealed_size": 8})
    assert parse_recipe(DEMO, "the bench") == demo.model_copy(update={"problems": sizes})
