"""The engine against transformers' own `generate`, and its promises on ends, seeds and limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from selfimprove.engines.scripted import ScriptedSampler
from selfimprove.engines.transformers import TransformersSampler, draw
from selfimprove.errors import UsageError
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Runtime
from selfimprove.sampling import GREEDY, Completion, Decoding, Request

PROMPTS = [(5, 9, 7), (5, 9, 7, 8, 11, 6, 4), (12, 13), (9,), (30, 31, 32, 33, 34)]
WARM = Decoding(1.0, 0.95, 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def _requests(decoding: Decoding, limit: int = 24) -> list[Request]:
    return [Request(f"k{n}", 0, ids, limit, 100 + n, decoding) for n, ids in enumerate(PROMPTS)]


def _sample(model: Path, requests: list[Request]) -> list[Completion]:
    with TransformersSampler(model, Runtime(device="cpu", threads=1)) as sampler:
        return list(sampler.sample(requests))


def test_greedy_ids_are_those_of_generate(model: Path) -> None:
    reference = AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval()
    for completion, prompt in zip(_sample(model, _requests(GREEDY)), PROMPTS, strict=True):
        alone = reference.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, max_new_tokens=24
        )
        assert completion.token_ids == tuple(alone[0, len(prompt) :].tolist())


def test_the_same_chunk_gives_the_same_completions_again(model: Path) -> None:
    first = _sample(model, _requests(WARM))
    assert _sample(model, _requests(WARM)) == first
    assert len({completion.token_ids for completion in first}) == len(first)


def test_draws_of_a_row_do_not_depend_on_its_neighbours(model: Path) -> None:
    together = _sample(model, _requests(WARM))
    for place, request in enumerate(_requests(WARM)):
        assert _sample(model, [request]) == [together[place]]


def test_another_seed_gives_other_tokens(model: Path) -> None:
    other = [Request(r.key, r.sample, r.prompt_ids, r.max_new_tokens, r.seed + 1, WARM) for r in _requests(WARM)]
    assert [c.token_ids for c in _sample(model, other)] != [c.token_ids for c in _sample(model, _requests(WARM))]


def test_a_prefix_row_stops_at_its_limit_and_a_shorter_limit_gives_a_prefix(model: Path) -> None:
    long = _sample(model, _requests(GREEDY))
    for short, whole in zip(_sample(model, _requests(GREEDY, 3)), long, strict=True):
        assert short.token_ids == whole.token_ids[:3]


def test_an_end_stands_in_the_ids_if_and_only_if_the_stop_says_so(model: Path) -> None:
    ends = {AutoModelForCausalLM.from_pretrained(model, dtype="auto").generation_config.eos_token_id}
    warm = [Request(f"k{n}", 0, (5 + n,), 200, n, Decoding(3.0)) for n in range(24)]
    found = _sample(model, warm)
    assert {completion.stop for completion in found} == {"eos", "length"}
    for completion in found:
        assert (completion.token_ids[-1] in ends) == (completion.stop == "eos")
        assert not ends & set(completion.token_ids[:-1])


def test_a_row_too_long_for_the_model_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match=r"sampling\.max_new_tokens"):
        _sample(model, _requests(GREEDY, 10**6))


def test_a_device_that_is_not_there_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="device `nonsense`"):
        TransformersSampler(model, Runtime(device="nonsense"))


@pytest.mark.parametrize(
    "decoding", [Decoding(0.7), Decoding(1.0, 0.8, 0), Decoding(1.3, 0.9, 5), Decoding(0.5, 1.0, 3)]
)
def test_tokens_are_drawn_with_the_probabilities_asked_for(decoding: Decoding) -> None:
    logits = torch.randn(12, generator=torch.Generator().manual_seed(3))
    uniforms = (torch.arange(20_000) + 0.5) / 20_000
    drawn = draw(logits.expand(20_000, -1), decoding, uniforms)
    frequency = torch.bincount(drawn, minlength=12) / 20_000
    assert torch.allclose(frequency, _reference(logits, decoding), atol=2e-4)


def _reference(logits: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """The definition, token by token: temperature, then top-k, then the smallest set that reaches p."""
    probabilities = (logits / decoding.temperature).softmax(-1)
    order = probabilities.argsort(descending=True)[: decoding.top_k or None]
    kept = torch.zeros_like(probabilities)
    kept[order] = probabilities[order]
    kept /= kept.sum()
    reached = 0.0
    for token in order.tolist():
        if decoding.top_p is not None and reached >= decoding.top_p:
            kept[token] = 0
        reached += float(kept[token])
    return kept / kept.sum()


def test_a_script_is_cut_as_an_engine_cuts() -> None:
    asked = [Request("a", 0, (1,), 4, 0, GREEDY), Request("b", 0, (1,), 2, 0, GREEDY)]
    with ScriptedSampler(lambda request: [7, 8, 9, 2, 7], eos_id=2) as sampler:
        first, second = sampler.sample(asked)
    assert (first.token_ids, first.stop) == ((7, 8, 9, 2), "eos")
    assert (second.token_ids, second.stop) == ((7, 8), "length")
