"""The engine that runs everywhere: a decode loop of its own over a transformers model.

`generate` draws every token from the whole vocabulary with one shared generator, which costs a sixth of the time on a
CPU and ties each row's draws to its neighbours. This loop gives each row its own numbers instead: the uniform draws of
a request come from a generator seeded by the request alone, and a token is taken by inverting the cumulative
probability of the survivors of top-k and top-p. Rows that have ended leave the batch at once (cache and mask are cut),
so a chunk costs the tokens it produces, not rows times the longest.

Prompts are padded on the left and masked by their lengths, never by the pad id, which many models share with the end.
Reproducible on a CPU with a fixed number of threads; on a GPU, kernels choose their own order of summation and nothing
is promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from selfimprove.errors import UsageError
from selfimprove.models.conversion import silence_transformers
from selfimprove.recipe import Runtime
from selfimprove.sampling import Completion, Decoding, Request


@dataclass
class _Batch:
    """The rows still running: `index[i]` is the chunk's row that stands at place i."""

    index: list[int]
    cache: DynamicCache
    mask: torch.Tensor  # (rows, tokens so far), 1 where a token stands
    last: torch.Tensor  # (rows,), the newest token of each


class TransformersSampler:
    """A sampler on `model`, a folder of safetensors; weights are loaded on entry and freed on exit."""

    def __init__(self, model: Path, runtime: Runtime) -> None:
        self._folder = model
        self._runtime = runtime
        self._device = choose_device(runtime.device)
        self.reproducible = self._device.type == "cpu"
        self._model: PreTrainedModel | None = None

    def __enter__(self) -> TransformersSampler:
        torch.set_num_threads(self._runtime.usable_threads())
        silence_transformers()
        model = AutoModelForCausalLM.from_pretrained(
            self._folder, dtype="auto", trust_remote_code=self._runtime.trust_remote_code, local_files_only=True
        )
        self._model = model.to(self._device).eval()  # type: ignore[arg-type]  # a wrapped method without stubs
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in order; raises `UsageError` if a row can't fit the model's positions."""
        model = self._loaded()
        _refuse_long(requests, getattr(model.config, "max_position_embeddings", None))
        ends = _end_ids(model)
        with torch.inference_mode():
            ids = _decode(model, requests, ends)
        for request, row in zip(requests, ids, strict=True):
            ended = bool(row) and row[-1] in ends
            yield Completion(request.key, request.sample, tuple(row), "eos" if ended else "length", request.seed)

    def _loaded(self) -> PreTrainedModel:
        if self._model is None:
            raise RuntimeError("the sampler is used outside `with`")
        return self._model


def choose_device(name: str) -> torch.device:
    """The torch device of that name; `auto` is a CUDA GPU if one is seen, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # not every device that can be named holds numbers
    except (RuntimeError, AssertionError) as error:
        cause = str(error).splitlines()[0]
        raise UsageError(f"device `{name}` can't be used: {cause}", "Type --device cpu, or leave it out.") from None
    return device


def draw(logits: torch.Tensor, decoding: Decoding, uniform: torch.Tensor) -> torch.Tensor:
    """The next token of each row (rows,) from `logits` (rows, vocabulary); `uniform` (rows,) in [0, 1) decides.

    Temperature 0 takes the most likely token. Else: temperature, then top-k, then top-p on what is left (the smallest
    set of most likely tokens that reaches p), then the inverse of the cumulative probability.
    """
    if decoding.temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits.float() / decoding.temperature
    kept, ids = _survivors(scaled, decoding.top_k or 0, decoding.top_p if decoding.top_p is not None else 1.0)
    cumulative = kept.double().softmax(dim=-1).cumsum(dim=-1)
    position = torch.searchsorted(cumulative, uniform.double()[:, None] * cumulative[:, -1:], right=True)
    position = position.clamp(max=kept.shape[-1] - 1)
    return (position if ids is None else ids.gather(1, position)).squeeze(1)


def _survivors(scaled: torch.Tensor, top_k: int, top_p: float) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Logits of the tokens that may be drawn, and their ids (None: all, in order of the vocabulary)."""
    if not top_k and top_p >= 1:
        return scaled, None
    kept, ids = scaled.topk(min(top_k or scaled.shape[-1], scaled.shape[-1]), dim=-1)
    if top_p < 1:
        probabilities = kept.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities
        kept = kept.masked_fill(before >= top_p, -torch.inf)
    return kept, ids


def _decode(model: PreTrainedModel, requests: Sequence[Request], ends: frozenset[int]) -> list[list[int]]:
    decoding = _resolve(requests, model)
    longest = max(request.max_new_tokens for request in requests)
    uniforms = torch.stack([_uniforms(request, longest) for request in requests])
    produced: list[list[int]] = [[] for _ in requests]
    batch, logits = _prefill(model, [request.prompt_ids for request in requests])
    for step in range(longest):
        batch.last = draw(logits, decoding, uniforms[batch.index, step].to(logits.device))
        places = [
            place
            for place, (row, token) in enumerate(zip(batch.index, batch.last.tolist(), strict=True))
            if _goes_on(produced[row], token, requests[row].max_new_tokens, ends)
        ]
        if not places:
            break
        _keep(batch, places)
        logits = _step(model, batch)
    return produced


def _goes_on(row: list[int], token: int, limit: int, ends: frozenset[int]) -> bool:
    row.append(token)
    return token not in ends and len(row) < limit


def _prefill(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> tuple[_Batch, torch.Tensor]:
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
    mask = (torch.arange(width, device=model.device) >= width - lengths[:, None]).long()
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return _Batch(list(range(len(prompts))), cache, mask, ids[:, -1]), output.logits[:, -1]


def _step(model: PreTrainedModel, batch: _Batch) -> torch.Tensor:
    positions = batch.mask.sum(dim=-1, keepdim=True)
    batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.index), 1)], dim=-1)
    output = model(
        input_ids=batch.last[:, None],
        attention_mask=batch.mask,
        position_ids=positions,
        past_key_values=batch.cache,
        use_cache=True,
    )
    logits: torch.Tensor = output.logits[:, -1]
    return logits


def _keep(batch: _Batch, places: list[int]) -> None:
    """Cut the batch down to the rows at `places`."""
    if len(places) == len(batch.index):
        return
    chosen = torch.tensor(places, device=batch.mask.device)
    batch.index = [batch.index[place] for place in places]
    batch.mask, batch.last = batch.mask[chosen], batch.last[chosen]
    batch.cache.batch_select_indices(chosen)


def _uniforms(request: Request, count: int) -> torch.Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(request.seed), dtype=torch.float64)


def _resolve(requests: Sequence[Request], model: PreTrainedModel) -> Decoding:
    """The one decoding of a chunk, with what it leaves open filled in from the model's generation config."""
    decoding = requests[0].decoding
    if any(request.decoding != decoding for request in requests):
        raise ValueError("the requests of one chunk must share their decoding")
    own = model.generation_config
    top_p = decoding.top_p if decoding.top_p is not None else getattr(own, "top_p", None)
    top_k = decoding.top_k if decoding.top_k is not None else getattr(own, "top_k", None)
    return Decoding(decoding.temperature, top_p if top_p is not None else 1.0, top_k or 0)


def _end_ids(model: PreTrainedModel) -> frozenset[int]:
    ends = getattr(model.generation_config, "eos_token_id", None)
    ends = model.config.eos_token_id if ends is None else ends
    return frozenset([ends] if isinstance(ends, int) else ends or [])


def _refuse_long(requests: Sequence[Request], positions: int | None) -> None:
    longest = max(len(request.prompt_ids) + request.max_new_tokens for request in requests)
    if positions is not None and longest > positions:
        raise UsageError(
            f"prompt and completion need {longest} tokens, the model has positions for {positions}",
            "Lower sampling.max_new_tokens in the recipe, or leave out the longest problems.",
        )
