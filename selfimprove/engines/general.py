"""The decoder for any causal language model that transformers knows: its own forward pass over a `DynamicCache`.

Prompts are padded on the left and masked by their lengths, never by the padding id, which in many models is the
end-of-sequence id. Rows that have ended leave the batch (with their part of cache and mask); new ones can't enter
before all have ended, because the rows of a `DynamicCache` are equally long.

Some architectures take no such cache, or take it and answer otherwise than without one. So each model is tried first
(`refuse_unfaithful`), since a sampler that draws from other logits than the model's own would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from selfimprove.errors import UsageError
from selfimprove.models.gpus import has_float64

_MOST_APART = 0.2
"""The largest distance between logits with and without the cache, as a share of their norm.

Rounding to bfloat16 makes up to 0.01 (twenty architectures with random weights); a cache that is ignored 0.4 or more.
"""


class GeneralDecoder:
    """A batch of rows on a transformers model; see `decoding.Decoder`."""

    refills = False

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def prefill(self, prompts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """A new batch of rows with these prompts; logits (prompts, vocabulary) of their first new tokens."""
        device = self._model.device
        width = max(len(prompt) for prompt in prompts)
        ids = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts], device=device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self._mask = (torch.arange(width, device=device) >= width - lengths[:, None]).long()
        self._cache = DynamicCache(config=self._model.config)
        return self._forward(ids, (self._mask.cumsum(dim=-1) - 1).clamp(min=0))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (rows,) to each row; logits (rows, vocabulary) of the next."""
        positions = self._mask.sum(dim=-1, keepdim=True)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=-1)
        return self._forward(tokens[:, None].to(positions.device), positions)

    def keep(self, order: Sequence[int]) -> None:
        """Reorder the batch: row i becomes the former row `order[i]`; rows that `order` lacks are dropped."""
        chosen = torch.tensor(order, dtype=torch.long, device=self._mask.device)
        self._mask = self._mask[chosen]
        self._cache.reorder_cache(chosen)  # type: ignore[arg-type]  # a tensor of longs

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits if has_float64(logits.device) else logits.cpu()  # tokens are drawn in float64


@torch.no_grad()
def refuse_unfaithful(model: PreTrainedModel) -> None:
    """`UsageError` if the model gives other logits token by token, in a batch of padded prompts, than in one pass.

    So does a model that takes no cache, or a wrong one, and one whose places see those behind them (BERT).
    """
    vocabulary = model.config.get_text_config().vocab_size
    ids = [(3 + 7 * place) % vocabulary for place in range(12)]
    prompts, tokens = (tuple(ids[:3]), tuple(ids[4:12])), (ids[9], ids[2], ids[5], ids[1])
    rows = [(*prompts[0], tokens[0], tokens[3]), (*prompts[1], tokens[1], tokens[2])]
    try:
        whole = [model(input_ids=_tensor([row], model), use_cache=False).logits[0] for row in rows]
        decoder = GeneralDecoder(model)
        first = decoder.prefill(prompts)
        decoder.step(_tensor(tokens[:2], model))
        decoder.keep([1, 0])
        last = decoder.step(_tensor(tokens[2:], model))
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _refused(model, f"can't be sampled with a cache ({type(error).__name__}: {error!s:.80})") from error
    ends = [logits[len(prompt) - 1] for logits, prompt in zip(whole, prompts, strict=True)]
    for found, expected in ((first, ends), (last, [whole[1][-1], whole[0][-1]])):
        own = _centred(torch.stack(expected)).to(found.device)
        if (_centred(found) - own).norm() > _MOST_APART * own.norm():
            raise _refused(model, "gives other logits token by token than in one pass")


def _refused(model: PreTrainedModel, fault: str) -> UsageError:
    told = f"{type(model).__name__} {fault} in the transformers engine"
    return UsageError(told, "Use --engine vllm if vLLM supports it, or a model of another architecture.")


def _tensor(ids: Sequence[int] | Sequence[Sequence[int]], model: PreTrainedModel) -> torch.Tensor:
    return torch.tensor(ids, device=model.device)


def _centred(logits: torch.Tensor) -> torch.Tensor:
    return logits.float() - logits.float().mean(dim=-1, keepdim=True)
