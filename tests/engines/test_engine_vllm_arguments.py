"""What the vLLM engine and its worker say to each other, and what the worker passes to vLLM on GPUs.

Both are held against vLLM itself where it is installed: its own CUDA platform is told of GPUs (`vllm_gpu.py`), so
that everything before the weights is the real thing. No figure of a kernel, and no bit of a real GPU, is shown here.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import Field, asdict, fields, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.engines.gpus import CONTEXT_MIB
from selfimprove.engines.vllm import AHEAD, MODEL, VllmSampler, worker_environment
from selfimprove.engines.vllm_messages import Answer, Load, Ready, Row, Sampled, Setup, to_line
from selfimprove.engines.vllm_worker import (
    LEAST_GPU_SHARE,
    MOST_ROWS,
    Machine,
    engine_arguments,
    gpu_share,
    own_memory,
    sampling_arguments,
)
from selfimprove.errors import StageError, UsageError
from selfimprove.host.gpus import Memory
from selfimprove.models.gpus import pretend_gpus
from selfimprove.recipe import Model, Runtime
from selfimprove.sampling import Decoding, Request
from tests.engines.test_engine_vllm import needs_vllm
from tests.engines.vllm_gpu import END, MIB, install_gpus, told_token
from tests.scripted_gpus import ScriptedGpus

SETUP = Setup(
    model="/model",
    dtype="bfloat16",
    adapter="",
    max_model_len=512,
    trust_remote_code=False,
    tensor_parallel=2,
    gpu_memory=((70000, 81559), (40000, 81559)),
)
ROW = Row(
    prompt_ids=(5, 6, 7),
    max_tokens=48,
    seed=11,
    repetition_penalty=1.1,
    temperature=1.0,
    min_p=0.05,
    top_k=20,
    top_p=0.9,
)
READY = Ready(reproducible=True, max_model_len=512, rows=0, tokens=0)
MESSAGES = (SETUP, READY, ROW, Sampled(token_ids=(8, 9), stop="eos"))
GPU = Machine(on_cpu=False, cpu_cache_bytes=0)
MEMORY = [(80000, 81559), (40000, 81559)]
"""Free MiB and all MiB of the GPUs that vLLM is told of: on the second somebody else holds half."""


def _name(message: object) -> str:
    return type(message).__name__


@pytest.mark.parametrize("message", MESSAGES, ids=_name)
def test_a_message_is_read_back_as_it_was_sent(message: Setup | Ready | Row | Sampled) -> None:
    line = to_line([message])
    assert line.endswith("\n")
    (read,) = json.loads(line)
    assert to_line(type(message)(**read)) == to_line(message)
    assert list(read) == [field.name for field in fields(message)]


def test_a_load_and_its_answer_are_read_back_with_their_rows() -> None:
    load, answer = Load(number=3, rows=[ROW]), Answer(number=3, rows=[Sampled(token_ids=(8, 9), stop="eos")])
    assert to_line(Load.read(to_line(load))) == to_line(load)
    assert to_line(Answer.read(to_line(answer).encode())) == to_line(answer)
    with pytest.raises(TypeError, match="unexpected keyword argument 'gpus'"):
        Load.read('{"number": 3, "rows": [{"gpus": 2}]}')


@pytest.mark.parametrize("message", MESSAGES, ids=_name)
def test_a_key_that_only_one_side_knows_is_refused(message: Setup | Ready | Row | Sampled) -> None:
    sent = asdict(message)
    with pytest.raises(TypeError, match="unexpected keyword argument 'gpus'"):
        type(message)(**sent, gpus=2)
    for name in sent:
        with pytest.raises(TypeError, match=f"missing 1 required keyword-only argument: '{name}'"):
            type(message)(**{key: value for key, value in sent.items() if key != name})


@pytest.mark.parametrize("field", fields(Setup), ids=lambda field: field.name)
def test_every_key_of_the_setup_reaches_the_engine(field: Field[object]) -> None:
    other = Setup(
        model="/other",
        dtype="float32",
        adapter="/lora",
        max_model_len=256,
        trust_remote_code=True,
        tensor_parallel=4,
        gpu_memory=((60000, 81559),),
    )
    changed = replace(SETUP, **{field.name: getattr(other, field.name)})
    assert engine_arguments(changed, 16, GPU) != engine_arguments(SETUP, 16, GPU)


@pytest.mark.parametrize("field", [field for field in fields(Row) if field.name != "prompt_ids"], ids=lambda f: f.name)
def test_every_key_of_a_row_reaches_the_sampler(field: Field[object]) -> None:
    other = Row(
        prompt_ids=(),
        max_tokens=24,
        seed=12,
        repetition_penalty=1.0,
        temperature=0.5,
        min_p=0.0,
        top_k=0,
        top_p=1.0,
    )
    changed = replace(ROW, **{field.name: getattr(other, field.name)})
    assert sampling_arguments(changed, [2]) != sampling_arguments(ROW, [2])


def test_vllm_is_told_every_parameter_of_the_draw_and_takes_none_from_the_model() -> None:
    assert engine_arguments(SETUP, 16, GPU)["generation_config"] == "vllm"
    assert sampling_arguments(ROW, [2]) == {
        "repetition_penalty": 1.1,
        "temperature": 1.0,
        "min_p": 0.05,
        "top_k": 20,
        "top_p": 0.9,
        "max_tokens": 48,
        "seed": 11,
        "stop_token_ids": [2],
        "detokenize": False,
    }


def test_a_processor_is_given_a_cache_and_gpus_a_share() -> None:
    on_cpu = engine_arguments(SETUP, 0, Machine(on_cpu=True, cpu_cache_bytes=1 << 20))
    on_gpu = engine_arguments(SETUP, 0, GPU)
    assert on_cpu["kv_cache_memory_bytes"] == 1 << 20
    assert not on_cpu["enable_chunked_prefill"]
    assert set(on_gpu) - set(on_cpu) == {"gpu_memory_utilization", "max_num_seqs"}
    assert on_gpu["max_num_seqs"] == MOST_ROWS
    assert set(on_cpu) - set(on_gpu) == {"kv_cache_memory_bytes", "enforce_eager", "enable_chunked_prefill"}


@pytest.mark.gpu_branch
def test_a_worker_whose_gpu_the_driver_says_nothing_of_asks_for_its_memory_itself() -> None:
    part = Memory(free=18 << 30, total=20 << 30)
    silent = replace(SETUP, gpu_memory=(), tensor_parallel=1)
    with pretend_gpus(ScriptedGpus(memories=[part])):
        found = own_memory(silent)
        assert own_memory(replace(SETUP, tensor_parallel=1)) == own_memory(replace(SETUP, gpu_memory=())) == []
    machine = replace(GPU, gpu_memory=found)
    share = engine_arguments(silent, 0, machine)["gpu_memory_utilization"]
    assert share == gpu_share([(18 << 10, 20 << 10)]) < 0.8
    assert engine_arguments(SETUP, 0, machine) == engine_arguments(SETUP, 0, GPU)


def test_the_fullest_gpu_decides_the_share() -> None:
    assert gpu_share(MEMORY[:1]) == 0.89
    assert gpu_share(MEMORY) == gpu_share(MEMORY[::-1]) == gpu_share(MEMORY[1:]) == 0.439
    assert gpu_share([]) == 0.92
    assert gpu_share([(300, 81559)]) == LEAST_GPU_SHARE


@given(st.lists(st.integers(4000, 200_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))))
def test_the_share_is_free_on_every_gpu_when_vllm_looks(memory: list[tuple[int, int]]) -> None:
    share = gpu_share(memory)
    assert 0 < share <= 1
    assert share == LEAST_GPU_SHARE or all(math.ceil(share * total) <= free - CONTEXT_MIB for free, total in memory)


@pytest.fixture(scope="module")
def gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two GPUs, for this process and its children; what was set in the environment for them."""
    added = install_gpus(tmp_path_factory.mktemp("gpus"), MEMORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        for name, value in added.items():
            patch.setenv(name, value)
        yield added


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of four heads, which two GPUs can share, without weights; the embedded model's nine they can't."""
    from selfimprove.models import default_cache, resolve_model

    base, folder = resolve_model(Model(), default_cache()).path, tmp_path_factory.mktemp("model")
    for path in base.glob("*token*"):
        (folder / path.name).symlink_to(path)
    shape = {"hidden_size": 256, "head_dim": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = json.loads((base / "config.json").read_text()) | shape | {"num_hidden_layers": 2, "eos_token_id": END}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _arguments(model: Path, share: list[tuple[int, int]]) -> dict[str, Any]:
    """What the worker starts vLLM with on GPUs that have this memory."""
    return engine_arguments(
        Setup(
            model=str(model),
            dtype="bfloat16",
            adapter="",
            max_model_len=None,
            trust_remote_code=False,
            tensor_parallel=len(share),
            gpu_memory=share,
        ),
        0,
        GPU,
    )


class Checks:
    """vLLM's own checks, in one process that imports it once; `ask` puts a question of `vllm_gpu.py` to it."""

    def __init__(self, folder: Path) -> None:
        self._said = (folder / "said").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("vllm_gpu.py"))],
            env=os.environ | worker_environment(1, ["0", "1"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer; what the process said before it ended, if it did."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                return dict(json.loads(line.removeprefix("ANSWER ")))
        self._said.seek(0)
        raise AssertionError(self._said.read()[-3000:])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._said.close()


@pytest.fixture(scope="module")
def checks(gpus: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checks]:
    made = Checks(tmp_path_factory.mktemp("checks"))
    yield made
    made.close()


@needs_vllm
def test_vllms_own_checks_pass_what_the_worker_passes_and_nothing_else(model: Path, checks: Checks) -> None:
    one, pair = _arguments(model, MEMORY[:1]), _arguments(model, MEMORY)
    # Two GPUs that hold one copy of the model, and a copy on each of two, as on one.
    taken = [("0,1", pair), ("0", one), ("1", _arguments(model, MEMORY[1:]))]
    refused = {
        "unexpected keyword argument 'tensor_paralel_size'": ("0,1", pair | {"tensor_paralel_size": 2}),
        "unexpected keyword argument 'gpus'": ("0,1", pair | {"gpus": 2}),
        "less than desired GPU memory utilization": ("0,1", pair | {"gpu_memory_utilization": gpu_share(MEMORY[:1])}),
        "is larger than the number of available GPUs": ("0", pair),
        "Input should be": ("0", one | {"enable_prefix_caching": "as you like"}),
    }
    row = sampling_arguments(ROW, [END])
    engines = [
        {"gpus": names, "arguments": arguments, "folder": str(model)}
        for names, arguments in (*taken, *refused.values())
    ]
    answer = checks.ask({"engines": engines, "rows": [row, row | {"max_token": 3}]})
    started, turned_away = answer["engines"][: len(taken)], answer["engines"][len(taken) :]
    for (names, arguments), found in zip(taken, started, strict=True):
        count = len(names.split(","))
        asked = math.ceil(arguments["gpu_memory_utilization"] * MEMORY[0][1] * MIB)
        assert found == {
            "platform": "cuda",
            "executor": "UniProcExecutor" if count == 1 else "MultiprocExecutor",
            "world": count,
            "dtype": "torch.bfloat16",
            "max_model_len": 8192,
            "prefix_caching": True,
            "key": found["key"],
            "requested": [asked] * count,
        }
    for words, found in zip(refused, turned_away, strict=True):
        assert words in found.get("refused", ""), found
    assert answer["rows"][0] == row
    assert "max_token" in answer["rows"][1]["refused"]
    assert answer["unknown"] == []


@needs_vllm
def test_models_of_one_shape_have_one_key_for_what_vllm_compiles(model: Path, checks: Checks, tmp_path: Path) -> None:
    later, wider = tmp_path / "0002" / "model", tmp_path / "wider"
    for copy in (later, wider):
        shutil.copytree(model, copy)
    config = json.loads((wider / "config.json").read_text())
    (wider / "config.json").write_text(json.dumps(config | {"intermediate_size": 2 * config["intermediate_size"]}))

    def case(folder: Path, path: str) -> dict[str, Any]:
        return {"gpus": "0", "arguments": _arguments(Path(path), MEMORY[:1]), "folder": str(folder)}

    cases = []
    for number, folder in enumerate((model, later, wider)):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        (scratch / MODEL).symlink_to(folder)
        cases.append(case(scratch, MODEL))
    by_path = [case(tmp_path, str(folder)) for folder in (model, later)]
    found = checks.ask({"engines": cases + by_path, "rows": []})["engines"]
    first, second, other, *named = (each["key"] for each in found)
    assert first == second != other
    assert len({first, *named}) == 3  # what the path would do


REQUESTS = [
    Request(key=f"p{n}", sample=0, prompt_ids=tuple(range(5, 40 + n)), max_new_tokens=8, seed=n, decoding=Decoding(1.0))
    for n in range(10)
]


def _told(request: Request) -> tuple[int, ...]:
    tokens = [told_token(request.seed, place) for place in range(request.max_new_tokens)]
    return tuple(tokens[: tokens.index(END) + 1] if END in tokens else tokens)


# The longest is what the told cache holds, less the block of 16 tokens that vLLM keeps for itself.
@needs_vllm
@pytest.mark.parametrize(
    ("runtime", "visible", "longest", "killed"),
    [
        (Runtime(), ["0"], 3056, False),
        (Runtime(tensor_parallel=2), ["0,1"], 6128, True),
        (Runtime(data_parallel=2), ["0", "1"], 3056, False),
    ],
    ids=["one_gpu", "tensor_parallel", "data_parallel"],
)
def test_the_engine_starts_on_gpus_and_samples_until_the_process_of_a_gpu_is_killed(
    runtime: Runtime,
    visible: list[str],
    longest: int,
    killed: bool,
    model: Path,
    gpus: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(psutil.Process().children())
    told = ScriptedGpus(memories=[Memory(free=free * MIB, total=total * MIB) for free, total in MEMORY])
    with pretend_gpus(told), VllmSampler(model, runtime) as sampler:
        workers = sorted(set(psutil.Process().children()) - before, key=lambda worker: worker.pid)
        assert [worker.environ()["CUDA_VISIBLE_DEVICES"] for worker in workers] == visible
        assert {Path(worker.cwd(), MODEL).resolve() for worker in workers} == {model.resolve()}
        everyone = workers + [child for worker in workers for child in worker.children(recursive=True)]
        assert {os.getpgid(process.pid) for process in everyone} == {worker.pid for worker in workers}
        for requests in (REQUESTS, REQUESTS[::-1]):
            assert [found.token_ids for found in sampler.sample(requests)] == [_told(request) for request in requests]
        assert not sampler.reproducible
        _hold_and_drop(sampler)
        with pytest.raises(UsageError, match=f"fills the whole context of {longest} tokens"):
            list(sampler.sample([replace(REQUESTS[0], prompt_ids=tuple([5] * longest))]))
        if killed:
            _second_gpu(everyone).send_signal(signal.SIGKILL)
            with pytest.raises(StageError, match="the vllm engine ended with exit status 1") as raised:
                list(sampler.sample(REQUESTS))
            assert "died unexpectedly" in raised.value.hint
    assert not [process for process in everyone if _lives(process)]
    assert killed or not list(tmp_path.glob("selfimprove-vllm-*"))


def _hold_and_drop(sampler: VllmSampler) -> None:
    """Workers hold many chunks, each gets whole ones, and a caller that stops in the middle leaves nothing behind."""
    assert sampler.hold.rows == MOST_ROWS
    assert sampler.hold.joins([REQUESTS], REQUESTS)
    chunks = [REQUESTS[first : first + 2] for first in range(0, len(REQUESTS), 2)] * 3
    taken: list[int] = []
    large = (taken.append(number) or REQUESTS * (MOST_ROWS // len(REQUESTS)) for number in range(20))
    ahead = sampler.sample_chunks(large)
    next(iter(ahead))
    assert len(taken) > AHEAD  # while one is looked at, the next are sampled
    ahead.close()  # type: ignore[attr-defined]  # a generator
    stopped = sampler.sample_chunks(chunks)
    next(iter(stopped))
    stopped.close()  # type: ignore[attr-defined]  # a generator
    found = list(sampler.sample_chunks(chunks[::-1]))
    assert [[c.token_ids for c in part] for part in found] == [[_told(r) for r in chunk] for chunk in chunks[::-1]]


def _second_gpu(processes: list[psutil.Process]) -> psutil.Process:
    """The last that vLLM started for a GPU; it names them so."""
    return next(process for process in reversed(processes) if "Worker" in " ".join(process.cmdline()))


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
