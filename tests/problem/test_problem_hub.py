"""Hub sources: the choice of config and split, and a hub out of reach."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem.hub import JUDGED_SPLITS, HubSource, chosen_config, chosen_split
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("configs", "asked", "chosen"),
    [
        (["main", "socratic"], "", "main"),
        (["default"], "", "default"),
        (["default", "main"], "", "main"),
        (["algebra"], "", "algebra"),
        (["main", "socratic"], "socratic", "socratic"),
    ],
)
def test_a_config_is_chosen(configs: list[str], asked: str, chosen: str) -> None:
    assert chosen_config(configs, HubSource("o/d", asked)) == chosen


@pytest.mark.parametrize(("configs", "asked"), [(["algebra", "geometry"], ""), (["main"], "other"), ([], "")])
def test_an_open_config_lists_them(configs: list[str], asked: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen_config(configs, HubSource("o/d", asked))
    assert caught.value.message == f"o/d: the config must be named; there are: {', '.join(configs) or 'none'}"
    assert caught.value.hint == "Name one of them: o/d:CONFIG."


@pytest.mark.parametrize(
    ("splits", "asked", "preferred", "chosen"),
    [
        (["train", "test"], "", ("train",), "train"),
        (["test"], "", ("train",), "test"),
        (["train", "validation"], "", JUDGED_SPLITS, "validation"),
        (["train", "validation", "test"], "", JUDGED_SPLITS, "test"),
        (["train", "extra"], "extra", ("train",), "extra"),
    ],
)
def test_a_split_is_chosen(splits: list[str], asked: str, preferred: tuple[str, ...], chosen: str) -> None:
    assert chosen_split(splits, HubSource("o/d", "main", asked), preferred) == chosen


def test_an_open_split_lists_them() -> None:
    with pytest.raises(UsageError, match=r"o/d: the split must be named; there are: a, b"):
        chosen_split(["a", "b"], HubSource("o/d", "main"), ("train",))


def run_offline(code: str, argument: str, home: Path) -> str:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "HF_HOME": str(home)}
    command = [sys.executable, "-c", code, argument]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_a_dataset_is_resolved_and_read(tmp_path: Path) -> None:
    """A folder laid out like a dataset repository stands in for the hub: `datasets` treats both alike."""
    data = tmp_path / "data-set"
    data.mkdir()
    for split in ("train", "test"):
        (data / f"{split}.jsonl").write_text(f'{{"question": "{split}?", "answer": "1"}}\n')
    code = (
        "import sys\nfrom selfimprove.problem.hub import HubSource, hub_table, judged_split, resolved\n"
        "train = resolved(HubSource(sys.argv[1]), ('train',))\ntest = judged_split(train)\n"
        "rows = [list(hub_table(one).rows) for one in (train, test)]\n"
        "print(train.config, train.split, rows[0], test.split, rows[1], judged_split(test))"
    )
    rows = [[{"question": f"{split}?", "answer": "1"}] for split in ("train", "test")]
    printed = run_offline(code, str(data), tmp_path / "home").strip()
    assert printed == f"default train {rows[0]} test {rows[1]} None"


def test_a_hub_that_does_not_answer_is_asked_once_and_its_cache_is_used(tmp_path: Path) -> None:
    """Port 9 of this machine refuses at once; the hub's own client would try it six times for each file."""
    code = (
        "import sys\nfrom huggingface_hub import constants\nfrom selfimprove.models import resolve_model\n"
        "from selfimprove.errors import UsageError\nfrom selfimprove.problem.hub import HubSource, resolved\n"
        "from selfimprove.recipe import Model\nfrom pathlib import Path\n"
        "asks = [lambda: resolved(HubSource('a/b'), ('train',)), lambda: resolve_model(Model(name='a/b'), Path('.'))]\n"
        "for ask in asks if sys.argv[1] == 'data' else asks[1:]:\n"
        "    try:\n        ask()\n"
        "    except UsageError as error:\n        print(error.message, constants.HF_HUB_OFFLINE)"
    )
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith(("hub_offline", "_proxy"))}
    environment = kept | {"HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path)}
    for asked in ("data", "model"):
        done = subprocess.run(
            [sys.executable, "-c", code, asked], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.stderr == ""
        assert done.stdout.count("can't be reached") == (2 if asked == "data" else 1)
        assert done.stdout.count(" True\n") == done.stdout.count("\n")


def test_a_hub_out_of_reach_is_one_line(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom selfimprove.errors import UsageError\nfrom selfimprove.problem import load_problems\n"
        "from selfimprove.recipe import Problems\n"
        "for source in sys.argv[1].split():\n"
        "    try:\n        load_problems(Problems(train=source))\n"
        "    except UsageError as error:\n        print(error)"
    )
    start = time.perf_counter()
    sources = ["openai/gsm8k", "openai/gsm8k:main:train", "gsm8k"]
    lines = run_offline(code, " ".join(sources), tmp_path).strip().split("\n")
    assert lines[::2] == [f"{source}: the Hugging Face hub can't be reached" for source in sources]
    assert all(hint.startswith("Connect, or name a local file") for hint in lines[1::2])
    assert len(lines) == 2 * len(sources)
    assert time.perf_counter() - start < 60  # 3 s measured, most of it the import of datasets
