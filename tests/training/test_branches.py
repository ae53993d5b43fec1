"""Rows packed as branches of a tree compute what the rows alone compute, gradients included."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from selfimprove.models import load_model
from selfimprove.models.tiny import make_tiny_model
from selfimprove.training.attention import ATTENTION, branches_hold
from selfimprove.training.branches import Ids, added_places, grow, shared_length
from selfimprove.training.products import slim

CPU = torch.device("cpu")
IDS = st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple)


@given(st.lists(IDS, min_size=1, max_size=20))
def test_every_place_holds_the_token_of_its_row(rows: list[Ids]) -> None:
    rows.sort()
    tree = grow(rows, CPU)
    ids, places = tree.ids[0].tolist(), tree.positions[0].tolist()
    for row, path in zip(rows, tree.paths, strict=True):
        assert tuple(ids[token] for token in path) == row
        assert [places[token] for token in path] == list(range(len(row)))
    assert len(ids) == len(
        {row[:end] for row in rows for end in range(1, len(row) + 1)}
    )  # one token for each beginning
    assert sorted(set(tree.queries[tree.query_places].tolist())) == list(range(len(ids)))
    assert tree.keys[tree.key_places].tolist() == list(range(len(ids)))


@given(st.lists(IDS, min_size=1, max_size=20))
def test_gradients_of_a_token_are_summed_over_all_rows_that_have_it(rows: list[Ids]) -> None:
    rows.sort()
    tree = grow(rows, CPU)
    places, at = [], 0
    for bucket in tree.buckets:
        places.append(torch.arange(at, at + len(bucket.members) * bucket.keys).view(-1, bucket.keys))
        at += len(bucket.members) * bucket.keys
    found = [{int(place)} for place in tree.key_places]
    for part in tree.sums:
        for step, token in enumerate(range(part.tokens.start, part.tokens.stop)):
            found[token] |= set(places[part.bucket][part.rows, part.places][:, step].tolist())
    wanted: list[set[int]] = [set() for _ in found]
    for bucket, own in zip(tree.buckets, places, strict=True):
        for member, row in zip(bucket.members, own.tolist(), strict=True):
            for token, place in zip(tree.paths[member], row, strict=False):
                wanted[token].add(place)
    assert found == wanted
    at_once = [{int(place)} for place in tree.key_places]
    for place, token in zip(*(part.tolist() for part in added_places(tree.sums, tree.buckets, CPU)), strict=True):
        assert place not in at_once[token]
        at_once[token].add(place)
    assert at_once == wanted


def some_rows(seed: int) -> list[Ids]:
    """A head shared by all, prompts shared by some, unlike lengths, a row that is the beginning of another, a twin."""
    draw = random.Random(seed)
    rows = []
    for _ in range(4):
        prompt = tuple(draw.randrange(60, 66) for _ in range(draw.randrange(1, 8)))
        ends = [tuple(draw.randrange(60, 70) for _ in range(draw.randrange(1, 20))) for _ in range(3)]
        rows += [(5, 6, 7, 8, 9, *prompt, *end) for end in ends]
    return sorted([*rows, rows[0], rows[3][:-1]])


def long_rows() -> list[Ids]:
    """Rows too long for attention by whole matrices."""
    draw = random.Random(0)
    head = tuple(draw.randrange(60, 90) for _ in range(300))
    ends = [tuple(draw.randrange(60, 90) for _ in range(length)) for length in (260, 280, 30)]
    return sorted((*head, *end) for end in ends)


def adapted(folder: Path) -> PeftModel:
    """The tiny model with a LoRA on all layers whose factors are all but zero."""
    peft = get_peft_model(load_model(folder, torch.float32), LoraConfig(r=4, target_modules="all-linear"))
    with torch.no_grad():
        for number, parameter in enumerate(p for p in peft.parameters() if p.requires_grad):
            generator = torch.Generator().manual_seed(number)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return peft


def gradients(peft: PeftModel) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in peft.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "as on a GPU"])
@pytest.mark.parametrize("rows", [some_rows(0), some_rows(1), some_rows(2), long_rows()], ids=["0", "1", "2", "long"])
def test_packed_rows_on_slim_modules_give_the_gradients_of_rows_alone_with_peft(
    rows: list[Ids], at_once: bool, tmp_path: Path
) -> None:
    folder = make_tiny_model(tmp_path / "model")
    weights = [torch.randn(len(row), 32, generator=torch.Generator().manual_seed(n)) for n, row in enumerate(rows)]
    plain, ours = adapted(folder), adapted(folder)
    body = plain.get_base_model().get_decoder()
    alone = [body(torch.tensor([row]), use_cache=False).last_hidden_state[0] for row in rows]
    sum((states * weight).sum() for states, weight in zip(alone, weights, strict=True)).backward()
    assert branches_hold(ours.get_base_model(), (60, 61, 62), 600, CPU)
    slim(ours)
    assert ours.get_base_model().model.layers[0].mlp.up_proj.forward.func.__name__ == "_adapted"
    assert ours.get_base_model().model.norm.forward.func.__name__ == "_normed"
    tree = grow(rows, CPU)
    assert len(tree.buckets) > 1
    assert tree.sums
    assert tree.added is None
    tree = replace(tree, added=added_places(tree.sums, tree.buckets, CPU)) if at_once else tree
    packed = ours.get_base_model().get_decoder()(tree.ids, position_ids=tree.positions, use_cache=False, branches=tree)
    states = [packed.last_hidden_state[0, list(path)] for path in tree.paths]
    sum((part * weight).sum() for part, weight in zip(states, weights, strict=True)).backward()
    for one, other in zip(alone, states, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)
    expected, found = gradients(plain), gradients(ours)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= 1e-4 * gradient.norm(), name


SIZE = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def unlike_models() -> list[tuple[PreTrainedModel, bool]]:
    """Models, and whether rows of 40 tokens may be packed in them."""
    from transformers import (
        FalconH1Config,
        FalconH1ForCausalLM,
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        MistralConfig,
        MistralForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    return [
        (LlamaForCausalLM(LlamaConfig(**SIZE)), True),
        (Qwen3ForCausalLM(Qwen3Config(**SIZE, head_dim=8)), True),
        (MistralForCausalLM(MistralConfig(**SIZE, sliding_window=64)), True),
        (MistralForCausalLM(MistralConfig(**SIZE, sliding_window=32)), False),  # a window narrower than the rows
        (Gemma3ForCausalLM(Gemma3TextConfig(**SIZE, head_dim=8, sliding_window=64)), True),
        (FalconH1ForCausalLM(FalconH1Config(**SIZE, mamba_d_ssm=16, mamba_n_heads=2, mamba_d_head=8)), False),
    ]


def test_models_that_mix_tokens_otherwise_are_noticed() -> None:
    torch.manual_seed(0)
    for model, packs in unlike_models():
        model.eval()
        before = model.config._attn_implementation
        assert branches_hold(model, (5, 6, 7, 8, 9, 10), 40, CPU) == packs, type(model).__name__
        assert model.config._attn_implementation == (ATTENTION if packs else before)


def test_norms_that_compute_something_else_keep_their_own() -> None:
    for model, packs in unlike_models():
        kept = [type(m).__name__ for m in model.modules() if "RMSNorm" in type(m).__name__ and "forward" not in vars(m)]
        assert kept
        slim(model)
        replaced = [m for m in model.modules() if "RMSNorm" in type(m).__name__ and "forward" in vars(m)]
        assert bool(replaced) == ("Gemma" not in type(model).__name__), (type(model), packs)


def test_shared_lengths() -> None:
    assert shared_length((), (1,)) == 0
    assert shared_length((1, 2), (1, 2, 3)) == 2
    assert shared_length((1, 2, 4), (1, 2, 3)) == 2
