"""The engine against transformers' own `generate`, and its promises on ends, seeds, limits and schedules."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from selfimprove.engines import decoding
from selfimprove.engines.decoding import Plan, decode
from selfimprove.engines.llama import Llama, fits, packs
from selfimprove.engines.native import compiled_attention, compiler
from selfimprove.engines.rows import LlamaDecoder
from selfimprove.engines.scripted import ScriptedSampler
from selfimprove.engines.transformers import LANE_ROWS, TransformersSampler, Way
from selfimprove.errors import UsageError
from selfimprove.models import compute_dtype, load_tokenizer
from selfimprove.models.tiny import EOS, make_tiny_model, make_tokenizer
from selfimprove.recipe import Runtime
from selfimprove.sampling import GREEDY, Completion, Decoding, DrawRule, Request, StopReason

HEAD = tuple(range(40, 60))
"""Long enough to be computed once for all that begin with it."""

PROMPTS = [(5, 9, 7), (5, 9, 7, 8, 11, 6, 4), (12, 13), (9,), (30, 31, 32, 33, 34), (*HEAD, 5), (*HEAD, 6, 7), HEAD]
WARM = Decoding(1.0, 0.95, 0)
WAYS: tuple[Way, ...] = ("compiled", "batched", "general")
KINDS = ("llama", "qwen2", "qwen3", "mistral", "gpt_neox")
SIZES = {
    "vocab_size": 258,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": EOS,
    "pad_token_id": EOS,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@dataclass(frozen=True)
class Kind:
    """A random model of one architecture, the same with a generation config of its own, and what `generate` gives."""

    folder: Path
    own: Path
    greedy: list[tuple[int, ...]]
    penalized: list[tuple[int, ...]]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    folder = tmp_path_factory.mktemp("kinds") / request.param
    config = AutoConfig.for_model(request.param, **SIZES, sliding_window=None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for name, weight in made.named_parameters():  # norms and biases that do nothing would hide their absence
            if name.endswith(("bias", "norm.weight", "layernorm.weight")):
                torch.nn.init.normal_(weight, 0.5, 0.3)
    made.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=EOS, pad_token_id=EOS)
    made.save_pretrained(folder)
    make_tokenizer(None).save_pretrained(folder)
    model = Path(shutil.copytree(folder, folder.with_name("own")))
    # With a min-p of 1 the likeliest id alone is left, after the penalty.
    own = {"eos_token_id": EOS, "pad_token_id": EOS, "repetition_penalty": 1.3, "min_p": 1.0}
    (model / "generation_config.json").write_text(json.dumps(own))
    plain, penalized = (_generated(_load(path)) for path in (folder, model))
    return Kind(folder, model, plain, penalized)


def _requests(decoding: Decoding, limit: int = 24) -> list[Request]:
    return [_request(n, ids, limit, decoding, seed=100 + n) for n, ids in enumerate(PROMPTS)]


def _request(number: int, prompt_ids: tuple[int, ...], limit: int, decoding: Decoding, seed: int = 0) -> Request:
    key = f"k{number}"
    return Request(key=key, sample=0, prompt_ids=prompt_ids, max_new_tokens=limit, seed=seed, decoding=decoding)


def _sample(model: Path, requests: list[Request], way: Way = "compiled", threads: int = 1) -> list[Completion]:
    with TransformersSampler(model, Runtime(device="cpu", threads=threads), way) as sampler:
        return list(sampler.sample(requests))


def _load(folder: Path) -> PreTrainedModel:
    dtype = compute_dtype(folder, torch.device("cpu"))
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    return loaded


def _generated(reference: PreTrainedModel) -> list[tuple[int, ...]]:
    return [_generate(reference, prompt, 24) for prompt in PROMPTS]


def _generate(reference: PreTrainedModel, prompt: tuple[int, ...], limit: int) -> tuple[int, ...]:
    ids = torch.tensor([prompt])
    found = reference.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=limit)
    return tuple(found[0, len(prompt) :].tolist())


@pytest.mark.parametrize("way", WAYS)
def test_greedy_ids_are_those_of_generate(kind: Kind, way: Way) -> None:
    assert [completion.token_ids for completion in _sample(kind.folder, _requests(GREEDY), way)] == kind.greedy
    assert len(set(kind.greedy)) > len(PROMPTS) / 2


@pytest.mark.parametrize("way", WAYS)
def test_sampling_takes_the_models_own_penalty_and_min_p_and_greedy_decoding_neither(kind: Kind, way: Way) -> None:
    with TransformersSampler(kind.own, Runtime(device="cpu", threads=1), way) as sampler:
        sampled, greedy = (list(sampler.sample(_requests(decoding))) for decoding in (Decoding(1.0), GREEDY))
    assert [completion.token_ids for completion in sampled] == kind.penalized
    assert [completion.token_ids for completion in greedy] == kind.greedy
    assert sum(one != other for one, other in zip(kind.greedy, kind.penalized, strict=True)) > len(PROMPTS) / 2


def test_each_known_architecture_but_one_is_decoded_from_its_weights(kind: Kind) -> None:
    assert fits(_load(kind.folder)) == (kind.folder.name != "gpt_neox")


def test_sliding_windows_and_moving_rotary_angles_are_left_to_transformers() -> None:
    moving = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    for change in ({"sliding_window": 4}, {"rope_parameters": moving}):
        config = AutoConfig.for_model("mistral", **(SIZES | {"sliding_window": None} | change))
        assert not fits(AutoModelForCausalLM.from_config(config))


@pytest.mark.skipif(compiler() is None, reason="no C compiler is found, so attention is torch's")
def test_with_a_compiler_attention_is_compiled(model: Path) -> None:
    with TransformersSampler(model, Runtime(device="cpu", threads=1)) as sampler:
        assert sampler.compiled


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_compiled_attention_is_torchs(tmp_path: Path, dtype: str) -> None:
    llama = Llama(_load(make_tiny_model(tmp_path / "model", dtype=dtype)))  # type: ignore[arg-type]
    with torch.inference_mode():
        logits = [_three_steps(LlamaDecoder(llama, len(PROMPTS), 64, way)) for way in (llama.attention(), None)]
    assert (llama.attention() is None) == (compiler() is None)
    # bfloat16 alone is 0.013 from float32 here.
    assert float((logits[0] - logits[1]).abs().mean()) < (1e-5 if dtype == "float32" else 0.02)


def _three_steps(decoder: LlamaDecoder) -> torch.Tensor:
    found = [decoder.prefill(PROMPTS)]
    found += [decoder.step(torch.arange(len(PROMPTS)) + 7 * step) for step in range(3)]
    return torch.stack(found).float()


def test_the_same_chunk_gives_the_same_completions_again(model: Path) -> None:
    first = _sample(model, _requests(WARM))
    assert _sample(model, _requests(WARM)) == first
    assert len({completion.token_ids for completion in first}) == len(first)


def test_lanes_and_samples_of_one_problem_change_nothing_but_speed(model: Path) -> None:
    requests = [
        replace(_request(n, (*HEAD[: n % 9 + 1], 5 + n), 24, WARM, seed=9 * n + sample), sample=sample)
        for n in range(2 * LANE_ROWS // 3 + 1)
        for sample in range(3)
    ]
    with TransformersSampler(model, Runtime(device="cpu")) as sampler:
        found, again = list(sampler.sample(requests)), list(sampler.sample(requests))
    assert found == again
    assert found == [_sample(model, [request])[0] for request in requests[:9]] + found[9:]
    general = _sample(model, requests, "general")
    # Attention is rounded otherwise there, and on some processors a draw falls on the other side of it.
    assert sum(one != other for one, other in zip(found, general, strict=True)) <= len(found) / 50


def test_rows_that_wait_enter_as_others_leave(model: Path) -> None:
    llama, requests = Llama(_load(model)), _requests(Decoding(2.0), 40)
    many, few = (_decode(llama, requests, width) for width in (len(requests), 3))
    assert many == few
    assert len({len(ids) for ids in few}) > 3


def _decode(llama: Llama, requests: Sequence[Request], width: int) -> list[list[int]]:
    plan = Plan(1, width, 1)
    return decode(
        lambda: LlamaDecoder(llama, width, 80), requests, DrawRule(temperature=2.0), frozenset(range(1, 200, 9)), plan
    )


class _Faulty:
    """A decoder that fails in the lane that meets token 2, and is slow in the others."""

    refills = True

    def prefill(self, prompts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        self._rows, self._fails = len(prompts), any(2 in prompt for prompt in prompts)
        return torch.ones(self._rows, 8)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        if self._fails:
            raise ValueError("a lane failed")
        time.sleep(0.02)
        return torch.ones(self._rows, 8)

    def keep(self, order: Sequence[int]) -> None:
        self._rows = len(order)


def test_a_lane_that_fails_ends_the_others_and_the_threads_are_as_before() -> None:
    requests = [_request(n, (n,), 10**6, WARM) for n in (1, 2)]
    before, running = torch.get_num_threads(), threading.active_count()
    with pytest.raises(ValueError, match="a lane failed"):
        decode(_Faulty, requests, DrawRule(temperature=0.0), frozenset(), Plan(2, 4, 1))
    assert (torch.get_num_threads(), threading.active_count()) == (before, running)


def test_a_chunk_tells_how_many_tokens_it_has_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PULSE", 0.05)
    requests, told = [_request(n, (n,), 20, WARM) for n in (4, 5)], list[int]()
    found = decode(_Faulty, requests, DrawRule(temperature=0.0), frozenset(), Plan(2, 4, 1), told.append)
    assert len(told) >= 2
    assert told == sorted(told)
    assert 0 < told[-1] < sum(map(len, found)) == 40


def test_draws_of_a_row_do_not_depend_on_its_neighbours(model: Path) -> None:
    together = _sample(model, _requests(WARM))
    for place, request in enumerate(_requests(WARM)):
        assert _sample(model, [request]) == [together[place]]


def test_another_seed_gives_other_tokens(model: Path) -> None:
    other = [replace(request, seed=request.seed + 1) for request in _requests(WARM)]
    assert [c.token_ids for c in _sample(model, other)] != [c.token_ids for c in _sample(model, _requests(WARM))]


def test_a_prefix_row_stops_at_its_limit_and_a_shorter_limit_gives_a_prefix(model: Path) -> None:
    long = _sample(model, _requests(GREEDY))
    for short, whole in zip(_sample(model, _requests(GREEDY, 3)), long, strict=True):
        assert short.token_ids == whole.token_ids[:3]


def test_an_end_stands_in_the_ids_if_and_only_if_the_stop_says_so(model: Path) -> None:
    ends = {AutoModelForCausalLM.from_pretrained(model, dtype="auto").generation_config.eos_token_id}
    warm = [_request(n, (5 + n,), 200, Decoding(3.0), seed=n) for n in range(24)]
    found = _sample(model, warm)
    assert {completion.stop for completion in found} == set(StopReason)
    for completion in found:
        assert (completion.token_ids[-1] in ends) == (completion.stop == StopReason.EOS)
        assert not ends & set(completion.token_ids[:-1])


def test_a_row_too_long_for_the_model_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match=r"sampling\.max_new_tokens"):
        _sample(model, _requests(GREEDY, 10**6))


def test_a_device_that_is_not_there_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="device `nonsense`"):
        TransformersSampler(model, Runtime(device="nonsense"))


def test_a_script_is_cut_as_an_engine_cuts() -> None:
    asked = [_request(n, (1,), limit, GREEDY) for n, limit in enumerate((4, 2))]
    with ScriptedSampler(lambda request: [7, 8, 9, 2, 7], eos_id=2) as sampler:
        first, second = sampler.sample(asked)
    assert (first.token_ids, first.stop) == ((7, 8, 9, 2), StopReason.EOS)
    assert (second.token_ids, second.stop) == ((7, 8), StopReason.LENGTH)


BFLOAT16_STEP = 2.0**-7
"""Largest distance of two neighbours in bfloat16, as a share of the number."""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_embedded_models_greedy_ids_are_those_of_generate(dtype: str) -> None:
    from selfimprove.models import default_cache, load_tokenizer, resolve_model
    from selfimprove.recipe import Model

    folder = resolve_model(Model(dtype=dtype), default_cache()).path
    tokenizer, reference = load_tokenizer(folder), _load(folder)
    questions = [f"What is {n * 7 % 50 + 3} + {n % 13} * {n % 5 + 2}?" for n in range(24)]
    prompts = [tuple(tokenizer.render("", question)) for question in questions]
    found = _sample(folder, [_request(n, ids, 24, GREEDY) for n, ids in enumerate(prompts)])
    apart = 0
    for prompt, completion in zip(prompts, found, strict=True):
        expected = _generate(reference, prompt, 24)
        apart += completion.token_ids != expected
        assert _parts_at_a_tie(reference, prompt, completion.token_ids, expected)
    assert apart <= (0.05 * len(prompts) if dtype == "float32" else len(prompts) - 1)


def _parts_at_a_tie(
    reference: PreTrainedModel, prompt: tuple[int, ...], ours: tuple[int, ...], theirs: tuple[int, ...]
) -> bool:
    """Where two completions part, the two tokens are as likely as rounding can tell."""
    shared = next((n for n, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None)
    if shared is None:
        return ours == theirs
    with torch.inference_mode():
        logits = reference(torch.tensor([prompt + theirs[:shared]])).logits[0, -1].float()
    bound = 1e-2 if reference.dtype == torch.float32 else 4 * BFLOAT16_STEP * float(logits.max())
    return float(logits.max() - min(logits[ours[shared]], logits[theirs[shared]])) <= bound


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler here")
def test_compiled_attention_leaves_the_arithmetic_of_the_process_alone() -> None:
    """Fast arithmetic may flush subnormal numbers to zero in whoever loads the library: training must not change."""
    assert compiled_attention(8, 3, torch.float32) is not None
    assert sys.float_info.min / 2 > 0


def _held_bytes() -> int:
    """Bytes of all tensors in this process; those that share their storage count once, packed ones by their numbers."""
    gc.collect()
    tensors = [found for found in gc.get_objects() if issubclass(type(found), torch.Tensor)]
    dense = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if t.layout == torch.strided}
    return sum(dense.values()) + sum(t.numel() * t.itemsize for t in tensors if t.layout != torch.strided)


@pytest.fixture
def nothing_before() -> Iterator[None]:
    """What was there before the test is left out of Python's list of objects, which so is short."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("nothing_before")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tied", [False, True])
def test_each_matrix_stands_in_memory_once(dtype: Literal["float32", "bfloat16"], tied: bool, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model", tied=tied, dtype=dtype)
    computed = compute_dtype(folder, torch.device("cpu"))
    weights = {name: weight.to(computed) for name, weight in load_file(folder / "model.safetensors").items()}
    size = sum(weight.nbytes for weight in weights.values())
    head = weights["model.embed_tokens.weight"]
    rows_and_packed = head.nbytes if tied and packs(head) else 0  # to be looked up, and to be multiplied by
    del weights, head
    before = _held_bytes()
    with TransformersSampler(folder, Runtime(device="cpu", threads=1)) as sampler:
        held = _held_bytes() - before
        assert len(list(sampler.sample(_requests(GREEDY)))) == len(PROMPTS)
    assert size <= held <= size + rows_and_packed + 4096  # the rotary embedding's frequencies beside them
    assert _held_bytes() <= before + 4096


@pytest.mark.parametrize("way", ["compiled", "general"])
def test_a_completion_ends_on_the_tokenizers_end_where_the_generation_config_names_another(
    way: Way, tmp_path: Path
) -> None:
    """As in a chat model that kept the generation config of its base model: vLLM's worker ends on either, too."""
    folder, other = make_tiny_model(tmp_path / "model"), 70
    for name in ("config.json", "generation_config.json"):
        settings = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(settings | {"eos_token_id": other}))
    own = load_tokenizer(folder).eos_id
    found = _sample(folder, [_request(n, (5 + n,), 400, Decoding(3.0), seed=n) for n in range(24)], way)
    assert {completion.token_ids[-1] for completion in found if completion.stop is StopReason.EOS} == {own, other}
    assert all({own, other}.isdisjoint(completion.token_ids[:-1]) for completion in found)
