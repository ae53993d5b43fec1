"""The vLLM engine on the embedded model: its promises on ids, ends, seeds and limits, and that nothing outlives it.

The model's generation config is changed to keep only the likeliest token, to penalize repetitions, and to end at a full
stop as well, so that
what a request leaves open, and every end, can be seen to come from there. One engine serves most tests: a start
takes 15 to 40 s.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psutil
import pytest

from selfimprove.engines.vllm import VllmSampler
from selfimprove.errors import StageError, UsageError
from selfimprove.recipe import Model, Runtime
from selfimprove.sampling import (
    GREEDY,
    Completion,
    Decoding,
    Request,
    Sampler,
    StopReason,
    Tokenizer,
    derive_seed,
    render_prompt,
)
from tests.paths import ROOT

CONTEXT = 1024
ALL = Decoding(1.0, 1.0, 0)
"""Draws from the whole vocabulary, whatever the generation config says."""

INSTALLED = importlib.util.find_spec("vllm") is not None


def needs_vllm(test: Callable[..., None]) -> Callable[..., None]:
    reason = "vllm is not installed: `make test-vllm` makes an environment that has it"
    return pytest.mark.vllm(pytest.mark.skipif(not INSTALLED, reason=reason)(test))


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Tokenizer:
    from selfimprove.models import load_tokenizer

    return load_tokenizer(base)


@pytest.fixture(scope="module")
def base() -> Path:
    from selfimprove.models import default_cache, resolve_model

    return resolve_model(Model(), default_cache()).path


@pytest.fixture(scope="module")
def full_stop(base: Path) -> int:
    from transformers import AutoTokenizer

    (only,) = AutoTokenizer.from_pretrained(base).encode(".", add_special_tokens=False)
    return int(only)


@pytest.fixture(scope="module")
def model(base: Path, full_stop: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    for path in base.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [full_stop], "top_k": 1, "repetition_penalty": 1.3})
    )
    return folder


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[VllmSampler]:
    with VllmSampler(model, Runtime(), CONTEXT) as sampler:
        yield sampler


@pytest.fixture
def kept_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the logs of engines that fail stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def chunk(tokenizer: Tokenizer) -> list[Request]:
    questions = [f"What is {n + 3} + {n * 7 % 13} * {n % 5 + 2}? Think step by step" for n in range(16)]
    return [
        Request(
            key=f"p{n}",
            sample=0,
            prompt_ids=render_prompt(tokenizer, "", "{question}", question),
            max_new_tokens=48,
            seed=derive_seed("chunk", n),
            decoding=ALL,
        )
        for n, question in enumerate(questions)
    ]


def _with(chunk: list[Request], decoding: Decoding, limit: int = 48) -> list[Request]:
    return [replace(request, decoding=decoding, max_new_tokens=limit) for request in chunk]


def _ids(completions: list[Completion]) -> list[tuple[int, ...]]:
    return [completion.token_ids for completion in completions]


@pytest.mark.skipif(INSTALLED, reason="vllm is installed")
def test_without_vllm_the_user_is_told_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        VllmSampler(tmp_path, Runtime())
    assert "pip install 'selfimprove[vllm]'" in raised.value.hint


@needs_vllm
def test_completions_come_in_the_order_of_requests_with_their_seeds(engine: VllmSampler, chunk: list[Request]) -> None:
    found = list(engine.sample(chunk[::-1]))
    assert [(c.key, c.sample, c.seed) for c in found] == [(r.key, r.sample, r.seed) for r in chunk[::-1]]
    assert len(set(_ids(found))) == len(found)
    assert list(engine.sample([])) == []


@needs_vllm
def test_an_end_is_in_the_ids_if_and_only_if_the_model_ended(
    engine: VllmSampler, chunk: list[Request], full_stop: int, tokenizer: Tokenizer
) -> None:
    ends = {full_stop, tokenizer.eos_id}
    found = list(engine.sample(chunk))
    for completion in found:
        assert not ends & set(completion.token_ids[:-1])
        assert (completion.token_ids[-1] in ends) == (completion.stop == StopReason.EOS)
        assert completion.stop == StopReason.EOS or len(completion.token_ids) == 48
    assert {completion.stop for completion in found} == set(StopReason)


@needs_vllm
def test_a_prefix_row_stops_at_its_limit(engine: VllmSampler, chunk: list[Request]) -> None:
    found = list(engine.sample(_with(chunk, ALL, 4)))
    assert all(len(completion.token_ids) == 4 for completion in found if completion.stop == StopReason.LENGTH)
    assert all(len(completion.token_ids) <= 4 for completion in found)


@needs_vllm
def test_what_a_request_leaves_open_is_the_models_own_in_both_engines_and_greedy_is_plain(
    engine: VllmSampler, base: Path, model: Path, chunk: list[Request]
) -> None:
    from selfimprove.engines.transformers import TransformersSampler

    def ids(sampler: Sampler, decoding: Decoding) -> list[tuple[int, ...]]:
        return _ids(list(sampler.sample(_with(chunk, decoding, 24))))

    def equal(rows: list[tuple[int, ...]], others: list[tuple[int, ...]]) -> int:
        return sum(row == other for row, other in zip(rows, others, strict=True))

    greedy, penalized = ids(engine, GREEDY), ids(engine, Decoding(1.0))
    with TransformersSampler(model, Runtime(device="cpu")) as own:
        own_greedy, own_penalized = ids(own, GREEDY), ids(own, Decoding(1.0))
    # Not all rows: in bfloat16 two tokens may be equally likely, and kernels round differently.
    most = len(chunk) / 2
    assert equal(greedy, own_greedy) > most
    assert equal(penalized, own_penalized) > most
    assert equal(ids(engine, Decoding(1.0, 1e-6, 0)), penalized) > most
    assert equal(greedy, penalized) < most
    assert equal(ids(engine, ALL), penalized) < most


@needs_vllm
def test_greedy_begins_as_transformers_does(engine: VllmSampler, chunk: list[Request], model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    agreed = 0
    for request, completion in zip(chunk, engine.sample(_with(chunk, GREEDY, 1)), strict=True):
        with torch.inference_mode():
            logits = reference(torch.tensor([request.prompt_ids])).logits[0, -1]
        # The engine rounds to bfloat16, so a near tie may fall either way: what it chose is among the likeliest.
        agreed += bool(logits[completion.token_ids[0]] > logits.max() - 0.5)
    assert agreed == len(chunk)


@needs_vllm
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_engines_give_the_same_greedy_ids(chunk: list[Request], dtype: Literal["float32", "bfloat16"]) -> None:
    from selfimprove.engines.transformers import TransformersSampler
    from selfimprove.models import default_cache, resolve_model

    folder = resolve_model(Model(dtype=dtype), default_cache()).path
    requests = _with(chunk, GREEDY, 24)
    with TransformersSampler(folder, Runtime(device="cpu")) as sampler:
        ours = list(sampler.sample(requests))
    with VllmSampler(folder, Runtime(), CONTEXT) as other:
        theirs = list(other.sample(requests))
    apart = [three for three in zip(requests, ours, theirs, strict=True) if three[1] != three[2]]
    # In bfloat16 transformers itself, one prompt at a time against a batch, parts on a third of the prompts.
    assert len(apart) <= (0.05 if dtype == "float32" else 0.7) * len(requests)
    assert all(_gap(folder, *three) <= (1e-2 if dtype == "float32" else 2**-5) for three in apart)


@needs_vllm
def test_an_adapter_is_applied_as_the_other_engine_applies_it(chunk: list[Request], tmp_path: Path) -> None:
    from selfimprove.engines.transformers import TransformersSampler
    from selfimprove.models import default_cache, resolve_model
    from tests.merging.test_merging import make_adapter

    folder = resolve_model(Model(dtype="float32"), default_cache()).path
    adapter = make_adapter(folder, tmp_path / "adapter", 1, size=0.06, r=12, lora_alpha=24)
    requests = _with(chunk, GREEDY, 12)
    found = []
    for adapted in (None, adapter):
        with TransformersSampler(folder, Runtime(device="cpu"), adapter=adapted) as sampler:
            found.append(list(sampler.sample(requests)))
    with VllmSampler(folder, Runtime(), CONTEXT, adapter=adapter) as other:
        theirs = list(other.sample(requests))
    assert sum(one == two for one, two in zip(found[1], theirs, strict=True)) >= 0.8 * len(requests)
    assert sum(one == two for one, two in zip(found[0], theirs, strict=True)) <= 0.6 * len(requests)


def _gap(folder: Path, request: Request, ours: Completion, theirs: Completion) -> float:
    """How far the two tokens at which completions part are from the likeliest, as a share of its logit, at most."""
    import torch
    from transformers import AutoModelForCausalLM

    pairs = list(zip(ours.token_ids, theirs.token_ids, strict=False))
    place = next(place for place, (left, right) in enumerate(pairs) if left != right)
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
    with torch.inference_mode():
        logits = reference(torch.tensor([request.prompt_ids + ours.token_ids[:place]])).logits[0, -1].float()
    return float(1 - logits[list(pairs[place])].min() / logits.max())


@needs_vllm
def test_the_same_chunk_gives_the_same_completions_whatever_came_before(
    engine: VllmSampler, chunk: list[Request]
) -> None:
    first = list(engine.sample(chunk))
    list(engine.sample(chunk[3:9]))
    assert engine.reproducible == (list(engine.sample(chunk)) == first)


@needs_vllm
def test_seeded_prompts_beyond_one_step_are_not_cut(engine: VllmSampler, chunk: list[Request]) -> None:
    # A step of vLLM holds a few thousand tokens. A prompt cut at its end would crash a seeded request on a processor.
    # Each prompt begins with a token of its own, so that no prefix is shared and spared.
    long = [
        replace(request, prompt_ids=(100 + n, *(request.prompt_ids * 40)[: 900 + n]), max_new_tokens=4)
        for n, request in enumerate(chunk)
    ]
    found = list(engine.sample(long))
    assert len(found) == len(long)


@needs_vllm
def test_the_context_bounds_a_completion_and_refuses_a_prompt_that_fills_it(
    engine: VllmSampler, chunk: list[Request]
) -> None:
    words = chunk[0].prompt_ids * 40
    (found,) = engine.sample([replace(chunk[0], prompt_ids=words[: CONTEXT - 3])])
    assert len(found.token_ids) <= 3
    with pytest.raises(UsageError, match="problem p0: its prompt of 1024 tokens"):
        list(engine.sample([replace(chunk[0], prompt_ids=words[:CONTEXT])]))


@needs_vllm
def test_another_process_samples_the_same_and_its_death_is_a_failed_stage(
    engine: VllmSampler, model: Path, chunk: list[Request], kept_logs: Path
) -> None:
    first, known = list(engine.sample(chunk)), set(_workers(os.getpid()))
    with VllmSampler(model, Runtime(), CONTEXT) as other:
        again = list(other.sample(chunk))
        (worker,) = set(_workers(os.getpid())) - known
        os.killpg(worker, signal.SIGKILL)
        with pytest.raises(StageError, match="was killed by SIGKILL; its full log is ") as raised:
            list(other.sample(chunk))
    assert engine.reproducible == (again == first)
    (log,) = kept_logs.glob("selfimprove-vllm-*.log")
    assert "prefix cache" in raised.value.hint  # which the worker empties before each chunk, and says so
    assert str(log) in raised.value.message
    assert not _alive(worker)


@needs_vllm
def test_a_model_that_does_not_load_is_a_failed_stage_with_the_logs_tail(tmp_path: Path, kept_logs: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-kind"}')
    with pytest.raises(StageError, match="ended with exit status 1") as raised, VllmSampler(tmp_path, Runtime()):
        pass
    assert "no-such-kind" in raised.value.hint
    assert list(kept_logs.glob("selfimprove-vllm-*.log"))


@needs_vllm
def test_leaving_the_block_leaves_no_process_and_no_log(model: Path, tmp_path: Path) -> None:
    parent = _start_parent(model, tmp_path, "pass")
    assert parent.wait(240) == 0
    (group,) = json.loads((tmp_path / "groups.json").read_text())
    assert not _alive(group)
    assert not list(tmp_path.glob("selfimprove-vllm-*"))


@needs_vllm
@pytest.mark.parametrize("ready", [False, True], ids=["while it starts", "while it samples"])
def test_a_killed_parent_leaves_no_process(model: Path, tmp_path: Path, ready: bool) -> None:
    endless = (
        "asked = {'sample': 0, 'prompt_ids': (5, 6, 7), 'max_new_tokens': 900, 'decoding': Decoding(1.0)}; "
        "requests = [Request(key=str(n), seed=n, **asked) for n in range(64)]; "
    )
    parent = _start_parent(model, tmp_path, endless + "[list(engine.sample(requests)) for _ in range(99)]")
    try:
        _await(lambda: bool(_workers(parent.pid)))
        (group,) = _workers(parent.pid)
        time.sleep(3)
        if ready:
            _await((tmp_path / "groups.json").exists)
            time.sleep(3)
        assert _alive(group)
    finally:
        parent.kill()
        parent.wait()
    _await(lambda: not _alive(group), 15)


def _start_parent(model: Path, folder: Path, then: str) -> subprocess.Popen[bytes]:
    program = f"""
import json, psutil
from pathlib import Path
from selfimprove.engines.vllm import VllmSampler
from selfimprove.recipe import Runtime
from selfimprove.sampling import Decoding, Request
with VllmSampler(Path({str(model)!r}), Runtime(), {CONTEXT}) as engine:
    Path({str(folder)!r}, "groups.json").write_text(json.dumps([child.pid for child in psutil.Process().children()]))
    {then}
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return subprocess.Popen([sys.executable, "-c", program], env=environment)


def _workers(parent: int) -> list[int]:
    """Ids of the engine processes that name `parent` as theirs, which are the ids of their groups."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        if "selfimprove.engines.vllm_worker" in words and words[-1] == str(parent):
            found.append(process.info["pid"])
    return found


def _alive(group: int) -> list[int]:
    """Ids of the processes of a group that are more than zombies."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.info["pid"]) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.info["pid"])
    return found


def _await(happened: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)
