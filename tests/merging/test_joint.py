"""One adapter that equals a chain: its factors, and the models that they make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel

from selfimprove.errors import StageError
from selfimprove.merging import rebuild
from selfimprove.merging.adapters import Adapter, read_adapter
from selfimprove.merging.joint import join, stack
from selfimprove.models import load_model
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Rounding, Runtime
from selfimprove.round.machinery import MergeJob
from tests.merging.test_merging import make_adapter
from tests.merging.test_summing import delta_of


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor([[0, 70, 71, 72, 80, 90]])).logits
    return found


PARTS = st.lists(
    st.tuples(st.integers(1, 5), st.floats(-64, 64), st.sampled_from(["both", "up", "down"])), min_size=1, max_size=4
)


@given(PARTS, st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_stacked_factors_are_the_sum_of_the_deltas(parts: list[tuple[int, float, str]], seed: int) -> None:
    """Within the rounding of the scaled factors to float32, element by element."""
    random, chain = torch.Generator().manual_seed(seed), []
    for rank, scale, where in parts:
        pairs = {
            name: (torch.randn(6, rank, generator=random), torch.randn(rank, 7, generator=random))
            for name in ("up", "down")
            if where in (name, "both")
        }
        chain.append(Adapter(Path(), scale, pairs))
    ranks = [rank for rank, _, _ in parts]
    for name in {name for adapter in chain for name in adapter.factors}:
        joint = stack(chain, ranks, name)
        assert joint["B"].shape == (6, sum(ranks))
        assert joint["A"].shape == (sum(ranks), 7)
        changed = [(adapter.scale, *adapter.factors[name]) for adapter in chain if name in adapter.factors]
        exact = sum(scale * (b.double() @ a.double()) for scale, b, a in changed)
        room = sum(abs(scale) * (b.double().abs() @ a.double().abs()) for scale, b, a in changed)
        off = (joint["B"].double() @ joint["A"].double() - exact).abs()
        assert torch.all(off <= 2.0**-23 * room + 1e-30)


def test_adapters_of_other_ranks_and_modules_join_into_one_that_merges_alike(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    chain = [
        make_adapter(base, tmp_path / "one", 1, r=2, lora_alpha=3),
        make_adapter(base, tmp_path / "two", 2, r=5, lora_alpha=7, target_modules=["q_proj", "v_proj"]),
        make_adapter(base, tmp_path / "three", 3, r=1, target_modules=["layers.1.mlp.up_proj"]),
    ]
    (tmp_path / "joint").mkdir()
    assert join(chain, base, tmp_path / "joint") == 8
    joint = read_adapter(tmp_path / "joint")
    for weight in joint.factors:
        deltas = [delta_of(read_adapter(path), weight) for path in chain]
        torch.testing.assert_close(delta_of(joint, weight), sum(deltas, start=torch.zeros(())), rtol=1e-5, atol=1e-7)
    rounding, runtime = Rounding(dtype="float32"), Runtime(device="cpu", threads=1)
    rebuild(MergeJob(base=base, adapters=chain, out=tmp_path / "summed", rounding=rounding, runtime=runtime))
    model = PeftModel.from_pretrained(load_model(base, torch.float32), str(tmp_path / "joint"))
    torch.testing.assert_close(_logits(model), _logits(load_model(tmp_path / "summed", torch.float32)))


def test_a_joint_adapter_changes_no_module_that_its_parts_leave_alone(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    part = make_adapter(base, tmp_path / "part", 1, target_modules=["layers.1.mlp.up_proj"])
    (tmp_path / "joint").mkdir()
    join([part], base, tmp_path / "joint")
    config = json.loads((tmp_path / "joint" / "adapter_config.json").read_text())
    assert config["target_modules"] == ["model.layers.1.mlp.up_proj"]
    model = PeftModel.from_pretrained(load_model(base, torch.float32), str(tmp_path / "joint"))
    assert sum("lora_A" in name for name, _ in model.named_parameters()) == 1


def test_no_adapters_join_into_none(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no adapters"):
        join([], make_tiny_model(tmp_path / "base"), tmp_path)
