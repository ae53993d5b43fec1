"""Which engine and GPUs a run gets, and the wait for a GPU's memory, with GPUs that are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfimprove.engines.choice import choose_engine, promises
from selfimprove.engines.gpus import Level, await_memory, share_gpus
from selfimprove.engines.release import memory_back
from selfimprove.engines.vllm import is_installed, worker_dtype, worker_environment
from selfimprove.errors import UsageError
from selfimprove.host.gpus import Memory, NoGpus
from selfimprove.models.gpus import pretend_gpus
from selfimprove.models.tiny import make_tiny_model
from selfimprove.models.working import working_set
from selfimprove.recipe import Runtime
from selfimprove.runs.assemble import engine_of
from selfimprove.runs.devices import refuse_large_model
from tests.scripted_gpus import ScriptedGpus

H100 = Memory(free=70 << 30, total=80 << 30)

pytestmark = pytest.mark.gpu_branch


NONE = Level(used=500, context=False)


def test_memory_is_awaited_until_no_more_is_in_use_than_before() -> None:
    gpus = ScriptedGpus(memories=[H100, H100], used=iter([9000, 4000, 900, 7]))
    with pretend_gpus(gpus):
        await_memory(("0", "1"), NONE, user="the engine", seconds=60)
    assert list(gpus.used) == [7]  # asked three times, and not once more
    with pretend_gpus(NoGpus()):
        await_memory(("0",), NONE, user="the engine")


def test_a_context_that_this_process_made_meanwhile_is_not_waited_for() -> None:
    for peak, asked in ((3, 1), (None, 2)):
        gpus = ScriptedGpus(memories=[H100], used=iter([1900, 100, 7]), peak=peak)
        with pretend_gpus(gpus):
            await_memory(("0",), NONE, user="the engine", seconds=60)
            assert len(list(gpus.used)) == 3 - asked


def test_memory_that_another_program_took_meanwhile_is_told_and_the_run_goes_on() -> None:
    holder = "4711, python\033[31m train.py, 9000"
    gpus = ScriptedGpus(memories=[H100], used=iter([9300]), held_by=[holder])
    told = "9300 MiB of GPU memory are in use after the engine ended, 500 MiB were before"
    with pretend_gpus(gpus), pytest.warns(UserWarning, match=told) as caught:
        await_memory(("0",), NONE, user="the engine", seconds=0.3)
    assert "4711" in str(caught[0].message)
    assert "\x1b" not in str(caught[0].message)


def test_the_engine_of_a_run_is_vllm_where_it_is_installed_and_torch_uses_the_gpu() -> None:
    with pretend_gpus(ScriptedGpus(memories=[H100])):
        assert engine_of(Runtime()) == ("vllm" if is_installed() else "transformers")


def test_a_gpu_that_torch_cannot_use_is_no_silent_run_on_the_processor() -> None:
    with pretend_gpus(ScriptedGpus(memories=[H100], torch_sees_them=False)):
        with pytest.raises(
            UsageError, match="--device auto: the driver shows 1 GPU, but torch .* can't use it"
        ) as told:
            engine_of(Runtime())
        assert "--device cpu" in told.value.hint
        assert engine_of(Runtime(device="cpu")) == engine_of(Runtime(ray="auto")) == "transformers"
    with pretend_gpus(NoGpus()):
        assert engine_of(Runtime()) == "transformers"


def test_every_training_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    two = Runtime(engine="transformers", train_processes=2)
    with pretend_gpus(ScriptedGpus(memories=[H100, H100])):
        engine_of(two)
        with pytest.raises(UsageError, match="--train-processes 3: each process needs a GPU, and this run sees 2 GPUs"):
            engine_of(two.model_copy(update={"train_processes": 3}))
        with pytest.raises(UsageError, match="--device cuda:1: 2 training processes need a GPU each"):
            engine_of(two.model_copy(update={"device": "cuda:1"}))
        engine_of(two.model_copy(update={"train_processes": 3, "device": "cpu"}))
        monkeypatch.setenv("WORLD_SIZE", "3")  # under `torchrun`, which gives each process its GPU
        engine_of(two.model_copy(update={"train_processes": 3}))
    with pretend_gpus(NoGpus()):
        engine_of(two)


def test_vllms_worker_is_told_its_gpus_by_the_drivers_order_or_its_threads() -> None:
    on_gpus, on_cpu = worker_environment(2, ["3", "1"]), worker_environment(2, [])
    assert on_gpus["CUDA_VISIBLE_DEVICES"] == "3,1"
    assert on_gpus["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "OMP_NUM_THREADS" not in on_gpus
    assert on_cpu["OMP_NUM_THREADS"] == "2"
    assert "CUDA_VISIBLE_DEVICES" not in on_cpu


def test_a_model_beyond_a_gpu_is_refused_unless_it_is_sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    model = make_tiny_model(tmp_path / "tiny")
    weights = 4 * working_set(model).weights
    card = Memory(free=0, total=weights - 1)
    with pretend_gpus(ScriptedGpus(memories=[card, card])):
        with pytest.raises(UsageError, match="training holds .* of weights in each process, and its GPU has") as told:
            refuse_large_model(Runtime(), model)
        assert "--sharding fsdp" in told.value.hint
        refuse_large_model(Runtime(train_processes=2, sharding="fsdp"), model)
        refuse_large_model(Runtime(device="cpu"), model)
    with pretend_gpus(ScriptedGpus(memories=[Memory(free=0, total=weights)])):
        refuse_large_model(Runtime(), model)


@pytest.mark.parametrize(("has", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_vllms_worker_computes_in_the_trainers_type(has: bool, dtype: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"dtype": "bfloat16"}')
    with pretend_gpus(ScriptedGpus(memories=[H100], bfloat16=has)):
        assert worker_dtype(tmp_path) == dtype


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_no_engine_promises_equal_completions_on_a_gpu(engine: str) -> None:
    with pretend_gpus(ScriptedGpus(memories=[H100])):
        assert promises(engine, Runtime()) == {"reproducible": False, "compiled_attention": False}
    with pretend_gpus(NoGpus()):
        assert promises(engine, Runtime())["reproducible"]


def test_a_stage_that_ends_gives_its_gpu_memory_back_and_waits_for_it() -> None:
    gpus = ScriptedGpus(memories=[H100], used=iter([100, 9000, 600]))
    with pretend_gpus(gpus), memory_back(("0",), "the training"):
        assert gpus.released == 0
    assert gpus.released == 1
    assert list(gpus.used) == []


def test_each_copy_of_the_model_has_gpus_of_its_own() -> None:
    assert share_gpus(("0", "1", "2", "3", "4"), 2, 2) == [("0", "1"), ("2", "3")]
    assert share_gpus(("5", "6"), 1, 1) == [("5",)]
    assert share_gpus((), 1, 1) == [()]
    with pytest.raises(UsageError, match="need 4 GPUs; 1 seen"):
        share_gpus(("0",), 2, 2)


@pytest.mark.parametrize(("installed", "gpu"), [(False, False), (False, True), (True, False), (True, True)])
def test_the_engine_asked_for_is_taken_and_auto_needs_both_vllm_and_a_gpu(installed: bool, gpu: bool) -> None:
    assert choose_engine("vllm", installed, gpu) == "vllm"
    assert choose_engine("transformers", installed, gpu) == "transformers"
    assert choose_engine("auto", installed, gpu) == ("vllm" if installed and gpu else "transformers")


@pytest.mark.parametrize("option", ["tensor_parallel", "data_parallel"])
def test_several_gpus_are_refused_where_the_engine_would_use_none(option: str) -> None:
    asked = Runtime.model_validate({"engine": "transformers", option: 8})
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} 8: several GPUs need the vllm engine"):
        engine_of(asked)
    engine_of(asked.model_copy(update={"ray": "auto", "engine": "auto"}))  # the cluster says which engine it has
