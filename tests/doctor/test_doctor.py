"""The doctor: a sound setting has no error line, each fault has its own, and no fault hides another check."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
import sysconfig
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from selfimprove.cli import app as cli
from selfimprove.doctor import Finding, Subject, content, examine, machine, resources
from selfimprove.engines.vllm import is_installed
from selfimprove.errors import UsageError
from selfimprove.host.cgroups import Bounds, bounds, usable_cores
from selfimprove.host.gpus import Counter, Memory
from selfimprove.host.hub import fault_of_reaching
from selfimprove.models.gpus import pretend_gpus
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Runtime
from selfimprove.recipe.reading import read_recipe
from selfimprove.round.admit import some_questions
from selfimprove.training.forecast import MemoryNeed
from selfimprove.training.sizes import Sizes
from tests import paths
from tests.runs.test_embedded import needs_model
from tests.scripted_gpus import ScriptedGpus
from tests.workshop import Workshop, make_workshop

CASES: list[dict[str, Any]] = tomllib.loads((paths.CASES / "cgroups.toml").read_text())["case"]
CHECKS = ["packages", "torch", "vllm", "compiler", "threads", "energy", "hub", "model cache"]
CHECKS += ["model", "problems", "power", "memory", "disk", "template", "targets", "decoding", "merge", "checker"]
WITHOUT_CONTENT = "{% for m in messages %}<|start|>{{ m.role }}{% endfor %}<|start|>assistant\n"
"""A chat template that looks for the words in no place."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def inside(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.chdir(workshop.folder)
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(workshop.folder / "cache"))
    return workshop


def _subject(workshop: Workshop, settings: dict[str, dict[str, Any]], rounds: int = 2) -> Subject:
    recipe = read_recipe(workshop.recipe, settings)
    return Subject(
        recipe=recipe,
        runtime=Runtime(threads=1, device="cpu"),
        folder=workshop.runs,
        cache=workshop.folder / "cache",
        rounds=rounds,
    )


def _findings(workshop: Workshop, settings: dict[str, dict[str, Any]]) -> dict[str, Finding]:
    found = list(examine(_subject(workshop, settings)))
    assert [finding.check for finding in found] == CHECKS  # whatever is wrong, nothing is hidden
    assert all(finding.found for finding in found)
    assert all(bool(finding.advice) == (finding.level != "ok") for finding in found)
    return {finding.check: finding for finding in found}


def _typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["selfimprove", "doctor", "--threads", "1", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code, capsys.readouterr().out


def test_a_sound_setting_is_told_in_lines_and_in_json(
    inside: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _typed(monkeypatch, capsys, "--recipe", "tiny.toml", "--json")
    found = [json.loads(line) for line in told.splitlines()]
    assert [row["check"] for row in found] == CHECKS
    assert code == 0
    by_check = {row["check"]: row for row in found}
    assert by_check["checker"]["found"] == "64 of 64 references equal themselves, 0 of 64 perturbed copies accepted"
    assert "8 of 8 questions verbatim in their prompts, 8 of 8 re-encoded" in by_check["template"]["found"]
    assert not inside.runs.exists()  # looking at a run writes nothing into it


def test_samples_of_the_model_are_judged_if_that_is_asked_for_and_nothing_else_is_wrong(
    inside: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _typed(monkeypatch, capsys, "--recipe", "tiny.toml", "--sample", "5", "--json")
    *_, last = [json.loads(line) for line in told.splitlines()]
    assert (code, last["check"], last["level"]) == (0, "samples", "warning")
    assert last["found"].startswith("4 samples of each of 5 problems with an answer: one sample is right 0% of the ")
    assert "Only 0% of the samples are right" in last["advice"]  # a model of random weights
    code, told = _typed(monkeypatch, capsys, "--recipe", "tiny.toml", "--sample", "5", "--json", "--model", "./none")
    assert code == 1
    assert "samples" not in [json.loads(line)["check"] for line in told.splitlines()]
    assert not inside.runs.exists()


def test_faults_are_told_with_what_to_do_and_give_exit_code_1(
    inside: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"question": f"What is {a} + 1?", "answer": "21 + 19 = 30"} for a in range(80)]
    Path("unsound.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, told = _typed(
        monkeypatch, capsys, "--recipe", "tiny.toml", "--problems", "unsound.jsonl", "--model", "\x1b[31m"
    )
    assert code == 1
    assert "\x1b" not in told
    assert "\\x1b[31m: no such folder" in told
    lines = told.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("error   checker"))
    assert "0 of 64 references equal themselves" in lines[place]
    assert re.fullmatch(r"2 errors and \d+ warnings?: fix every error before you start a run\.", lines[-1])
    assert lines[place + 1].strip().startswith("A run sets these aside.")


def test_some_references_at_fault_are_a_warning(inside: Workshop) -> None:
    rows = [{"question": f"What is {a} + 1?", "answer": str(a + 1)} for a in range(63)]
    rows.append({"question": "What is odd?", "answer": "0*7"})  # whose perturbed copy, 0*8, is 0 as well
    Path("odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = _findings(inside, {"problems": {"train": "odd.jsonl"}})["checker"]
    assert found.level == "warning"
    assert "64 of 64 references equal themselves, 1 of 64 perturbed copies accepted; 1 faulty" in found.found


def test_a_gain_that_the_held_out_problems_cannot_show_is_a_warning_with_the_size_that_can(inside: Workshop) -> None:
    few = _findings(inside, {"problems": {"heldout_size": 24}})["power"]
    assert few.level == "warning"
    assert few.found.startswith("with 24 held-out problems no gain is detectable at 80% power")
    needed = re.search(
        r"takes (\d+) held-out problems, and at most 64 can be held out: add problems", few.advice
    )  # 81 - 16 - 1
    assert needed is not None
    sizes = {"train": "reasoning-gym:arithmetic", "heldout_size": int(needed[1])}
    modal = {"prefixes": {"select": "modal"}, "sampling": {"samples": 4}}
    enough = content.detectable(_subject(inside, {"problems": sizes, **modal}))
    assert enough.level == "ok", enough
    assert enough.found.startswith(f"with {needed[1]} held-out problems and 10% flips a gain of ")


def test_missing_problems_and_model_are_each_told_once(inside: Workshop) -> None:
    found = _findings(inside, {"problems": {"train": "absent.jsonl"}, "model": {"name": "./absent"}})
    assert "absent.jsonl" in found["problems"].found
    assert "./absent" in found["model"].found
    assert {name for name, finding in found.items() if finding.level == "error"} == {"problems", "model"}
    assert [found[name].level for name in ("checker", "template")] == ["warning", "warning"]


def test_what_the_recipe_takes_from_the_hub_is_named_where_there_is_no_hub(inside: Workshop) -> None:
    found = _findings(inside, {"problems": {"train": "openai/gsm8k:main:train"}, "model": {"name": "owner/model"}})
    assert found["hub"].level == "warning"
    assert "owner/model, openai/gsm8k:main:train" in found["hub"].found
    assert "hub can't be reached" in found["model"].found
    assert _findings(inside, {})["hub"].level == "ok"


@pytest.mark.parametrize(
    ("template", "level", "told"),
    [(None, "warning", "no chat template"), (WITHOUT_CONTENT, "error", "8 of 8 questions lost")],
)
def test_a_template_that_is_missing_or_drops_the_question_is_found(
    inside: Workshop, template: str | None, level: str, told: str
) -> None:
    model = make_tiny_model(inside.folder / f"model-{level}", chat_template=template)
    found = _findings(inside, {"model": {"name": str(model)}})["template"]
    assert found.level == level
    assert told in found.found


def test_what_no_engine_applies_of_a_generation_config_is_told(inside: Workshop) -> None:
    model = make_tiny_model(inside.folder / "model-decoding")
    own = {"min_p": 0.1, "repetition_penalty": 1.3, "typical_p": 0.9, "no_repeat_ngram_size": 3, "num_beams": 1}
    (model / "generation_config.json").write_text(json.dumps(own))
    found = _findings(inside, {"model": {"name": str(model)}, "sampling": {"temperature": 0.5}})["decoding"]
    assert found.level == "warning"
    assert found.found == (
        "samples: temperature 0.5, min-p 0.1, repetition penalty 1.3; judging: greedy; "
        "not applied from its generation config: no_repeat_ngram_size, typical_p"
    )


def test_a_run_on_a_template_that_drops_the_question_is_refused_before_anything_is_written(
    inside: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tiny_model(inside.folder / "deaf", chat_template=WITHOUT_CONTENT)
    words = ["run", "--recipe", "tiny.toml", "--model", "deaf", "--checker-workers", "1"]
    monkeypatch.setattr(sys, "argv", ["selfimprove", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert "loses the question: the prompts of 8 of 8 don't contain it" in capsys.readouterr().err
    assert not list(inside.runs.glob("*/*"))


def test_a_cache_that_can_hold_nothing_hides_no_other_check(inside: Workshop) -> None:
    (inside.folder / "file").write_text("")
    found = list(
        examine(replace(_subject(inside, {}), folder=inside.folder / "file" / "runs", cache=Path("file/cache")))
    )
    assert [finding.check for finding in found] == CHECKS
    errors = {finding.check for finding in found if finding.level == "error"}
    assert {"model cache", "model", "disk"} <= errors


def test_room_is_held_against_what_the_run_needs(inside: Workshop) -> None:
    assert resources.disk(_subject(inside, {}, rounds=10**12)).level == "error"
    assert resources.disk(_subject(inside, {})).level == "ok"
    subject = _subject(inside, {})
    assert resources.memory(subject, Bounds(None, 2**28)).level == "error"
    assert resources.memory(subject, Bounds(None, int(1.02e9))).level == "warning"
    assert resources.memory(subject, Bounds(None, int(1.5e9))).level == "ok"
    assert "the container may use" in resources.memory(subject, Bounds(None, 2**28)).found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_limits_of_control_groups_are_read(tmp_path: Path, case: dict[str, Any]) -> None:
    (tmp_path / "own").write_text(case["own"])
    for name, text in case["files"].items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    found = bounds(tmp_path / "groups", tmp_path / "own")
    assert (found.cores or 0, found.memory or 0) == (case["cores"], case["memory"])
    assert bounds(tmp_path / "groups", tmp_path / "absent") == Bounds(None, None)


def test_a_quota_bounds_the_cores() -> None:
    cores = usable_cores(Bounds(None, None))
    assert [usable_cores(Bounds(quota, None)) for quota in (0.5, 1.5, cores, cores + 0.5)] == [1, 1, cores, cores]
    assert Runtime(threads=cores + 1).usable_threads() == Runtime().usable_threads() == usable_cores()


def test_threads_are_held_against_variable_and_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = usable_cores()
    assert machine.threads(Runtime(), 0.0).level == "ok"
    if cores > 1:
        assert machine.threads(Runtime(), cores + 1.0).level == "warning"
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert "--threads 1" in machine.threads(Runtime(), 0.0).advice


@pytest.mark.gpu_branch
def test_a_gpu_is_told_with_its_memory_and_one_that_torch_cannot_use_is_an_error() -> None:
    card = Memory(free=70 << 30, total=80 << 30)
    with pretend_gpus(ScriptedGpus(memories=[card], counters=[Counter("gpu", lambda: 0.0)])):
        found = machine.torch_device(Runtime())
        assert (found.level, found.found.partition(" on ")[2]) == ("ok", "cuda: Scripted 0, 70.0 of 80.0 GiB free")
        assert machine.energy().found.startswith("counted: gpu")
        assert machine.compiler(Runtime(engine="transformers")).found == "not needed on a GPU without vLLM"
        assert machine.vllm(Runtime()).level == ("ok" if is_installed() else "warning")
    with pretend_gpus(ScriptedGpus(memories=[card], bfloat16=False)):
        assert machine.torch_device(Runtime()).found.endswith("free, which has no bfloat16: computed in float32")
    with pretend_gpus(ScriptedGpus(memories=[card], torch_sees_them=False)):
        with pytest.raises(UsageError, match="the driver shows 1 GPU, but torch .* can't use it"):
            machine.torch_device(Runtime())
        assert machine.torch_device(Runtime(ray="auto")).level == "warning"
        assert "selfimprove[energy]" in machine.energy().found


@pytest.mark.gpu_branch
def test_vllm_on_a_gpu_needs_a_c_compiler_and_pythons_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Memory(free=70 << 30, total=80 << 30)
    monkeypatch.delenv("CC", raising=False)
    with pretend_gpus(ScriptedGpus(memories=[card])):
        found = machine.compiler(Runtime(engine="vllm"))
        headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
        assert found.level == ("ok" if headers and (shutil.which("gcc") or shutil.which("clang")) else "error")
        monkeypatch.setenv("PATH", str(tmp_path))
        found = machine.compiler(Runtime(engine="vllm"))
        assert found.level == "error"
        assert found.found.startswith("no C compiler")


def test_memory_of_the_machine_is_looked_at_where_the_gpu_lacks_room_for_the_certificate() -> None:
    sizes = Sizes(micro_tokens=256, gradient_checkpointing=True, head_targets=16)
    need = MemoryNeed(sampling=50, training=50, merging=50, least=40, sizes=sizes, host=200)
    told = [resources.held_against("here", need, 80, machine).level for machine in (100, 200)]
    assert told == ["error", "ok"]
    assert "machine's memory, which has 100 bytes available" in resources.held_against("here", need, 80, 100).found
    assert resources.held_against("here", need, 30, 200).level == "error"
    assert resources.held_against("here", need, 52, 200).level == "warning"


def test_packages_are_held_to_what_the_program_requires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "wanting-1.0.dist-info"
    info.mkdir()
    wanted = ["pytest>=1", "torch==1.0", "not-there-at-all>=2", 'absent-extra; extra == "more"']
    (info / "METADATA").write_text(
        "\n".join(["Name: wanting", "Version: 1.0", *(f"Requires-Dist: {w}" for w in wanted)])
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = machine.packages("wanting")
    assert found.level == "error"
    assert "torch is 2" in found.found
    assert "not-there-at-all is missing" in found.found
    assert "pytest" not in found.found
    assert "absent-extra" not in found.found
    assert machine.packages("selfimprove-under-no-such-name").level == "warning"


class _Refusing(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def answering() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_hub_that_answers_refuses_or_is_silent_is_told_apart_in_time(answering: str) -> None:
    assert fault_of_reaching(answering, 2.0) == ""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert fault_of_reaching(address, 0.3)
        assert time.monotonic() - began < 2
    assert fault_of_reaching(address, 2.0)


def test_rendering_is_tried_on_few_questions_of_all_lengths() -> None:
    questions = ["x" * length for length in range(1, 1000)]
    tried = some_questions(questions)
    assert len(tried) == 8
    assert {len(tried[0]), len(tried[-1])} == {1, 999}
    assert some_questions(["one"]) == ["one"]
    assert some_questions([]) == []


@pytest.mark.slow
def test_a_model_on_the_hub_is_looked_at_without_its_weights(workshop: Workshop, tmp_path: Path) -> None:
    """The hub's cache holds what a look fetches: everything but the weights."""
    revision = "a" * 40
    place = tmp_path / "hf" / "hub" / "models--owner--model"
    shutil.copytree(
        make_tiny_model(tmp_path / "tiny"), place / "snapshots" / revision, ignore=lambda *_: ["model.safetensors"]
    )
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(revision)
    home = {"HF_HOME": str(tmp_path / "hf")}
    words = ["doctor", "--recipe", "tiny.toml", "--model", "owner/model", "--json"]
    done = workshop.call_fresh(*words, environment=home)  # a warm process has read HF_HOME already
    found = {row["check"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert f"owner/model@{revision}: the first run downloads the weights" in found["model"]["found"]
    assert "8 of 8 questions verbatim" in found["template"]["found"]
    assert done.returncode == 0, done.stdout


@needs_model
@pytest.mark.slow
def test_the_embedded_model_with_the_default_recipe_has_no_error(tmp_path: Path) -> None:
    done = Workshop(tmp_path).call("doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = {row["check"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert found["template"]["level"] == "ok"
    assert "768 of 768 references equal themselves, 0 of 768 perturbed" in found["checker"]["found"]


@pytest.mark.parametrize(
    ("settings", "level", "said"),
    [
        ({}, "ok", "stochastic rounding to bfloat16, at most 6 steps per round"),
        ({"training": {"learning_rate": 1e-7}}, "warning", "stochastic rounding"),
        ({"merging": {"rounding": "nearest"}, "training": {"learning_rate": 1e-5}}, "warning", "nearest rounding"),
        ({"model": {"dtype": "float32"}, "training": {"learning_rate": 1e-9}}, "ok", "float32 weights hold"),
    ],
    ids=["as it is", "too small a rate", "nearest", "float32"],
)
def test_an_update_too_small_for_the_merge_is_told_before_a_run(
    inside: Workshop, settings: dict[str, dict[str, Any]], level: str, said: str
) -> None:
    found = content.merge(_subject(inside, settings))
    assert (found.level, found.check) == (level, "merge")
    assert said in found.found
    assert level == "ok" or "--set model.dtype=float32" in found.advice


def test_generated_problems_say_why_they_are_not_compared_by_ngrams(inside: Workshop) -> None:
    settings = {"problems": {"train": "reasoning-gym:sums", "decontaminate": "ngram"}}
    finding = content.problems(_subject(inside, settings))
    assert finding.level == "ok"
    assert "decontamination by n-grams is off" in finding.found
