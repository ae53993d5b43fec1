from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from selfimprove.models.memory import peak_rss_mb, reset_peaks, resident_memory
from selfimprove.models.weights import rewrite


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory can be reset on Linux alone")
def test_rewriting_weights_takes_the_memory_of_the_new_ones_and_not_of_the_files_that_it_reads(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    new.mkdir()
    old.mkdir()
    weights = {f"weight{number:02}": torch.full((512, 1024), float(number)) for number in range(64)}  # 128 MiB
    save_file(weights, old / "model.safetensors")
    reset_peaks()
    before = resident_memory() >> 20
    rewrite(old, new, lambda _, tensor: tensor.bfloat16())  # 64 MiB
    assert peak_rss_mb() - before < 128
    assert all(torch.equal(found, weights[name]) for name, found in load_file(new / "model.safetensors").items())
