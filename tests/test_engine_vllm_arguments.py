"""What the vLLM worker starts its engine with on GPUs, held against vLLM's own checks on a machine that has none.

Both sides' messages are tested without vLLM; the arguments with vLLM's real `EngineArgs` and engine configuration, in a
process whose vLLM platform is CUDA (`tests/vllm_on_cuda.py`).
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from selfimprove.engines import vllm, vllm_worker
from selfimprove.engines.gpus import share_gpus
from selfimprove.engines.vllm_messages import Ready, Row, Sampled, Setup, from_line, to_line
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Runtime
from selfimprove.sampling import GREEDY, Decoding
from tests.test_engine_vllm import ROOT, needs_vllm

ROW = Row(prompt_ids=[1, 2], max_tokens=4, seed=2**62 + 1, temperature=0.6, top_p=None, top_k=0)
MESSAGES = [
    Setup(model="m", max_model_len=None, trust_remote_code=False, tensor_parallel=2, free_memory=0.9),
    Ready(reproducible=True, max_model_len=99, stop_ids=[1]),
    ROW,
    Sampled(token_ids=[1, 2], stop="eos"),
]
CASES = [(1, 1), (2, 1), (1, 2), (2, 2)]
"""Tensor parallel and data parallel."""


def setups(model: Path, tensor: int, data: int) -> list[Setup]:
    """What the sampler sends its workers on as many GPUs as it takes, all of them nearly free."""
    sampler = object.__new__(vllm.VllmSampler)  # without vLLM's check that it is installed
    sampler.__dict__ |= {"_model": model, "_asked_model_len": None}
    sampler.__dict__ |= {"_runtime": Runtime(tensor_parallel=tensor, data_parallel=data)}
    shares = share_gpus([str(gpu) for gpu in range(tensor * data)], tensor, data)
    return [from_line(to_line([sampler._setup(share)]), Setup)[0] for share in shares]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent_and_another_key_is_refused(message: Setup | Ready | Row | Sampled) -> None:
    kind = type(message)
    assert from_line(to_line([message, message]), kind) == [message, message]
    (plain,) = json.loads(to_line([message]))
    for name in plain:
        lacking = {key: value for key, value in plain.items() if key != name}
        for wrong in (lacking, {**lacking, f"{name}s": plain[name]}):
            with pytest.raises(TypeError):
                from_line(json.dumps([wrong]), kind)


@pytest.mark.parametrize(
    ("kind", "side", "name"),
    [(Setup, vllm_worker, "setup"), (Row, vllm_worker, "row"), (Sampled, vllm, "found"), (Ready, vllm, "part")],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_whatever_one_side_sends_the_other_side_reads(kind: type, side: ModuleType, name: str) -> None:
    """Ready's ids that end a turn are read by the worker, which made them."""
    tree = ast.parse(inspect.getsource(side))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in (name, "ready")
    }
    own = {"stop_ids"} if kind is Ready else set()
    assert {field.name for field in fields(kind)} - own <= read


@pytest.mark.parametrize(("tensor", "data"), CASES)
def test_each_copy_is_told_its_gpus_once(tensor: int, data: int, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "tiny", dtype="bfloat16", sharded=True)
    found = setups(model, tensor, data)
    assert len(found) == data
    for setup in found:
        arguments = vllm_worker.engine_arguments(setup, None)
        assert arguments["tensor_parallel_size"] == tensor
        assert arguments["dtype"] == "bfloat16"
        assert 0 < arguments["gpu_memory_utilization"] <= vllm_worker.GPU_SHARE
    environment = vllm._environment(1, ["2", "3"])
    assert environment["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"  # the order in which the driver counts


WRONG: list[dict[str, Any]] = [
    {"tensor_paralel_size": 2},
    {"gpus": 2},
    {"gpu_memory_utilization": 1.5},
    {"dtype": "bf17"},
]


@needs_vllm
@pytest.mark.timeout(600)
def test_vllm_takes_exactly_the_arguments_that_the_worker_passes_on_gpus_and_no_others(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "tiny", dtype="bfloat16", sharded=True)
    sent = [(tensor, setup) for tensor, data in CASES[:3] for setup in setups(model, tensor, data)]
    right = [vllm_worker.engine_arguments(setup, None) for _, setup in sent]
    found = configured_by_vllm([*right, *(right[0] | wrong for wrong in WRONG)])
    for (tensor, _), config in zip(sent, found, strict=False):
        assert "error" not in config, config
        assert config["device"] == "cuda"
        assert config["worker"] == "vllm.v1.worker.gpu_worker.Worker"
        assert config["executor"] == ("mp" if tensor > 1 else "uni")
        assert (config["world_size"], config["data_parallel"]) == (tensor, 1)
        assert config["utilization"] == vllm_worker.GPU_SHARE
        assert config["dtype"] == "torch.bfloat16"
        assert config["prefix_caching"]
        assert config["seed"] == 0
    for wrong, config in zip(WRONG, found[len(sent) :], strict=True):
        assert config.get("error"), f"{wrong} was taken"


def configured_by_vllm(arguments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What vLLM makes of each set of arguments, on two GPUs."""
    words = [sys.executable, str(ROOT / "tests" / "vllm_on_cuda.py"), json.dumps(arguments)]
    environment = os.environ | vllm._environment(1, ["0", "1"]) | {"VLLM_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@needs_vllm
@pytest.mark.parametrize("decoding", [GREEDY, Decoding(0.6), Decoding(1.0, 0.9, 20)], ids=str)
def test_vllm_takes_exactly_the_sampling_parameters_of_a_row(decoding: Decoding) -> None:
    from vllm import SamplingParams

    row = Row([1], 4, 2**62, decoding.temperature, decoding.top_p, decoding.top_k)
    made = SamplingParams(**vllm_worker.sampling_arguments(row, {"top_k": 7, "repetition_penalty": 1.1}, [0, 5]))
    assert made.temperature == decoding.temperature
    assert made.repetition_penalty == 1.1
    assert made.stop_token_ids == [0, 5]
    assert made.max_tokens == 4
    with pytest.raises(TypeError):
        SamplingParams(**vllm_worker.sampling_arguments(row, {"top_kk": 7}, [0]))
