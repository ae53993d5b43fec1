"""The trainer's checkpoint: what it holds is there again after a kill."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from selfimprove.training.checkpoint import State, restore_checkpoint, save_checkpoint


def make_state() -> State:
    parameters = {name: nn.Parameter(torch.ones(3)) for name in ("used", "idle")}
    return State("work", parameters, torch.optim.AdamW(parameters.values(), lr=0.1))


def step(state: State, *names: str) -> None:
    for name in names:
        state.parameters[name].grad = torch.arange(3.0)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)


def test_weights_that_had_no_gradient_yet_are_restored_with_the_others_and_train_on(tmp_path: Path) -> None:
    """As those of an expert to which no token was sent yet."""
    whole, killed = make_state(), make_state()
    for state in (whole, killed):
        step(state, "used")
    save_checkpoint(killed, [0.5], tmp_path / "checkpoint.safetensors")
    resumed = make_state()
    assert restore_checkpoint(resumed, tmp_path / "checkpoint.safetensors") == [0.5]
    for state in (whole, resumed):
        step(state, "used", "idle")
    for name, parameter in whole.parameters.items():
        assert torch.equal(parameter, resumed.parameters[name]), name
