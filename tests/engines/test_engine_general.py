"""The decoder for any architecture draws from the model's own logits, or refuses the model before it samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from selfimprove.engines.general import GeneralDecoder, refuse_unfaithful
from selfimprove.errors import UsageError
from selfimprove.models import load_model
from tests.training.architectures import UNFIT, make_model

PROMPTS = [tuple((7 * place + 11 * row) % 250 for place in range(length)) for row, length in enumerate((5, 9, 17, 30))]


@pytest.mark.parametrize("name", ["llama", "lfm2", "qwen3_5", "llama4", "stablelm", "qwen3_moe", "gemma3_text"])
def test_rows_of_a_batch_that_shrinks_get_the_logits_of_one_pass(name: str, tmp_path: Path) -> None:
    model = load_model(make_model(name, tmp_path), torch.float32)
    refuse_unfaithful(model)
    rows, decoder = list(PROMPTS), GeneralDecoder(model)
    with torch.no_grad():
        logits = decoder.prefill(rows)
        for step in range(6):
            for row, found in zip(rows, logits, strict=True):
                whole = model(input_ids=torch.tensor([row]), use_cache=False).logits[0, -1]
                assert torch.allclose(found.float(), whole.float(), atol=1e-4), (name, step)
            tokens = [(31 * step + row) % 250 for row in range(len(rows))]
            rows = [(*row, token) for row, token in zip(rows, tokens, strict=True)]
            logits = decoder.step(torch.tensor(tokens))
            if step == 2:
                decoder.keep([3, 1])
                rows, logits = [rows[3], rows[1]], logits[[3, 1]]


@pytest.mark.parametrize("name", UNFIT)
def test_a_model_that_answers_otherwise_with_a_cache_is_refused(name: str) -> None:
    torch.manual_seed(0)
    model = UNFIT[name]().float().eval()
    with pytest.raises(UsageError, match=r"in the transformers engine\nUse --engine vllm"):
        refuse_unfaithful(model)
