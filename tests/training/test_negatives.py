"""Rows of wrong answers in the trainer: the loss by its definition, and its bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from selfimprove.models.tiny import make_tiny_model
from selfimprove.round.prefixes import Example
from selfimprove.store.rows import Kind
from selfimprove.training import train
from selfimprove.training.attention import branches_hold
from selfimprove.training.loss import Batch, _HeadLoss, pack, pad, row_ids, surprises, weighted_loss
from tests.training.train_once import make_examples, make_job

CPU = torch.device("cpu")
Way = Callable[[Sequence[Example], torch.device], Batch]


def mixed() -> list[Example]:
    """Nine rows, every third of them wrong."""
    rows = [replace(e, kind=Kind.WRONG) if n % 3 == 0 else e for n, e in enumerate(make_examples(9))]
    return sorted(rows, key=row_ids)


def by_definition(model: torch.nn.Module, examples: list[Example]) -> torch.Tensor:
    """Each row alone: the mean of its targets' probabilities if it is wrong, of their surprise otherwise."""
    losses = []
    for example in examples:
        ids = torch.tensor([[*example.prompt_ids, *example.target_ids]])
        probabilities = torch.softmax(model(input_ids=ids).logits[0].float(), dim=-1)
        start = len(example.prompt_ids)
        drawn = torch.stack([probabilities[start + at - 1, token] for at, token in enumerate(example.target_ids)])
        losses.append(example.weight * (drawn if example.kind == Kind.WRONG else -drawn.log()).mean())
    return torch.stack(losses).sum()


@pytest.mark.parametrize("way", [pack, pad])
@pytest.mark.parametrize("head_alone", [True, False])
def test_loss_and_gradients_of_wrong_rows_equal_the_definition(tmp_path: Path, way: Way, head_alone: bool) -> None:
    folder = make_tiny_model(tmp_path / "model")
    reference, ours = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for _ in range(2))
    for model in (reference, ours):
        model.get_input_embeddings().weight.requires_grad_(False)
        model.get_output_embeddings().weight.requires_grad_(False)
    if way is pack:
        assert branches_hold(ours, mixed()[0].prompt_ids, 50, CPU)
    naive = by_definition(reference, mixed())
    naive.backward()
    loss = weighted_loss(ours, way(mixed(), CPU), head_alone=head_alone, at_once=5)
    loss.backward()
    assert loss.item() == pytest.approx(naive.item(), rel=1e-5)
    for (name, p), q in zip(reference.named_parameters(), ours.parameters(), strict=True):
        assert not q.requires_grad or torch.allclose(p.grad, q.grad, rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize("head_alone", [True, False])
def test_the_loss_under_autocast_is_the_float32_sum_of_its_terms(tmp_path: Path, head_alone: bool) -> None:
    model = AutoModelForCausalLM.from_pretrained(make_tiny_model(tmp_path / "model"), dtype=torch.float32)
    model.requires_grad_(False)
    batch = pad(mixed(), CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        told = surprises(model, batch, head_alone)
        loss = weighted_loss(model, batch, head_alone, at_once=len(batch.targets))
    terms = torch.where(batch.wrong, torch.exp(-told), told).double() * batch.weights.double()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(terms.sum().item(), rel=1e-6)


@given(
    logits=st.lists(st.floats(-80, 80), min_size=2, max_size=6),
    target=st.integers(0, 5),
    weight=st.floats(0.01, 10),
)
@settings(deadline=None)
def test_the_loss_of_a_wrong_row_and_its_gradient_stay_below_its_weight_however_unlikely_it_is(
    logits: list[float], target: int, weight: float
) -> None:
    """The negative of a log-likelihood has no such bound: pushing on would pay for ever, and the model diverges."""
    size, wanted = len(logits), target % len(logits)
    head = torch.nn.Linear(size, size, bias=False)
    head.weight.requires_grad_(False)
    head.weight.copy_(torch.eye(size))
    hidden = torch.tensor([logits], requires_grad=True)
    one = torch.tensor([wanted])
    weights, wrong = torch.tensor([weight]), torch.tensor([True])
    batch = Batch(ids=one, others={}, places=one, targets=one, weights=weights, wrong=wrong)
    loss = _HeadLoss.apply(hidden, head, batch, 8)
    loss.backward()
    assert 0 <= loss.item() <= weight * (1 + 1e-6)
    assert hidden.grad is not None
    assert hidden.grad.abs().max() <= weight / 4 * (1 + 1e-4)
    likely = torch.softmax(torch.tensor(logits), 0)[wanted]
    assert hidden.grad.abs().max() <= weight * likely * (1 + 1e-4) + 1e-6


def test_a_training_on_wrong_rows_makes_them_unlikely_and_does_not_diverge(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    rows = [replace(e, kind=Kind.WRONG, weight=1.0) for e in make_examples(8)]
    job = make_job(tmp_path, folder, examples=rows)
    job = replace(job, settings=job.settings.model_copy(update={"learning_rate": 0.05, "epochs": 20, "batch_rows": 4}))
    counts = train(job, lambda *step: None)
    assert all(0 <= loss <= 1 for loss in counts.losses)
    assert counts.last_loss < counts.first_loss
