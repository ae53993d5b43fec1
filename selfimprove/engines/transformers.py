"""The engine that runs everywhere: continuous batching over a model that transformers has loaded.

Llama-like models run through a forward pass of our own (`llama`, `rows`), all others through transformers' (`general`);
`decoding` schedules the rows, `draws` chooses the tokens. A request's completion is drawn from its own seed.

Reproducible on a processor with a fixed number of threads; on a GPU, kernels choose their own order of summation and
nothing is promised, nor has anything been measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from selfimprove.engines.decoding import Decoder, Plan, decode
from selfimprove.engines.general import GeneralDecoder, refuse_unfaithful
from selfimprove.engines.llama import Llama, fits
from selfimprove.engines.native import Attention
from selfimprove.engines.ordered import Ordered, never
from selfimprove.engines.release import gpus_of, memory_back
from selfimprove.engines.rows import LlamaDecoder
from selfimprove.errors import UsageError
from selfimprove.merging.applying import apply_adapter
from selfimprove.models import compute_dtype, end_of_turn, stored_dtype
from selfimprove.models.conversion import silence_transformers
from selfimprove.models.gpus import choose_device, runs_packed, total_memory
from selfimprove.recipe import Runtime
from selfimprove.sampling import (
    ONE_CHUNK,
    Completion,
    DrawRule,
    Hold,
    OnTokens,
    OwnDecoding,
    Request,
    StopReason,
    read_own_decoding,
    resolve,
)

Way = Literal["compiled", "batched", "general"]

WIDTH = 64
"""Most rows in the batch of one of several lanes, and with transformers' own forward pass."""

WIDE = 128
"""Most rows in the batch of a processor's only lane."""

GPU_WIDTH = 256
"""Most rows in the batch on a GPU, where chunks are sampled together up to that."""

LANE_ROWS = 64
"""Requests for each lane, at least: a product over fewer rows waits for its weights. Tokens/s of decode steps on two
cores, two lanes and one: 135 million weights, 64 rows 417 and 485, 128 rows 693 and 619; 0.5 billion 196 and 313, 377
and 335. Over whole chunks of the smaller model, prompts included, the difference is within the noise."""

LANE_WEIGHTS = 2 << 30
"""Most bytes of weights with which a processor decodes in lanes, each of which reads them all in every step. Measured
as above: 1.5 billion weights (3.1 GB), 64 rows 75 and 119, 128 rows 137 and 150."""

CACHE_SHARE = 0.125
"""Share of the machine's memory, or the GPU's, that KV caches may take. Of the total, not of what is free at the time:
which rows are batched together must not depend on that."""


class TransformersSampler:
    """A sampler on `model`, a folder of safetensors; weights are loaded on entry and freed on exit.

    `adapter` is the folder of a LoRA that is added to the weights once they are in memory (`merging/applying.py`).
    `way` is the fastest way of decoding to try, from `compiled` over `batched` (torch's attention) to `general`
    (transformers' own forward pass); a model or a machine that one isn't for takes the next.
    """

    def __init__(self, model: Path, runtime: Runtime, way: Way = "compiled", adapter: Path | None = None) -> None:
        self._folder = model
        self._adapter = adapter
        self._runtime = runtime
        self._way = way
        self._device = choose_device(runtime.device)
        self.reproducible = self._device.type == "cpu"
        self._own = OwnDecoding({})
        self._ends = frozenset[int]()
        self._model: PreTrainedModel | None = None
        self._llama: Llama | None = None
        self._attention: Attention | None = None
        self.hold = ONE_CHUNK
        self.on_tokens: OnTokens = lambda tokens: None
        self._stack = ExitStack()

    def __enter__(self) -> TransformersSampler:
        torch.set_num_threads(self._runtime.usable_threads())
        silence_transformers()
        self._own = read_own_decoding(self._folder)
        with ExitStack() as stack:
            stack.enter_context(memory_back(gpus_of(self._runtime.device), "the transformers engine"))
            model = AutoModelForCausalLM.from_pretrained(
                self._folder,
                dtype=compute_dtype(self._folder, self._device),
                trust_remote_code=self._runtime.trust_remote_code,
                local_files_only=True,
            )
            if self._adapter:
                apply_adapter(model, self._adapter, stored_dtype(self._folder))
            self._ends = _end_ids(model, end_of_turn(self._folder, self._runtime.trust_remote_code))
            self._model = model.to(self._device).eval()  # type: ignore[arg-type]  # a wrapped method without stubs
            own = runs_packed(self._device) and self._way != "general" and fits(model)
            self._llama = Llama(model) if own else None
            self._attention = self._llama.attention() if self._llama and self._way == "compiled" else None
            if self._llama is None:
                refuse_unfaithful(self._model)
            else:
                self.hold = held(self._device, self._llama.cache_shape.token_bytes())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._model = self._llama = None
        self._stack.__exit__(kind, error, trace)

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in order; raises `UsageError` if a row can't fit the model's positions."""
        yield from self._decode(requests)  # whole, so that an iterator that is never finished holds no weights

    def _decode(self, requests: Sequence[Request]) -> list[Completion]:
        model = self._loaded()
        if not requests:
            return []
        _refuse_long(requests, getattr(model.config, "max_position_embeddings", None))
        ends, plan = self._ends, self._plan(requests)
        rule = _rule(requests, self._own)
        found = decode(lambda: self._decoder(requests, plan), requests, rule, ends, plan, self.on_tokens)
        return [
            request.completion(ids, StopReason.EOS if ids[-1] in ends else StopReason.LENGTH)
            for request, ids in zip(requests, found, strict=True)
        ]

    def sample_chunks(self, chunks: Iterable[Sequence[Request]]) -> Iterator[list[Completion]]:
        """The completions of each chunk, in the order of the chunks; on a GPU, several are sampled together."""
        order = Ordered(chunks, 1, self.hold.joins if self.hold.rows else never)
        while loads := order.loads(1):
            for load in loads:
                found = iter(list(self.sample([request for _, chunk in load for request in chunk])))
                order.done(load, [[next(found) for _ in chunk] for _, chunk in load])
            yield from order.in_turn()

    def _loaded(self) -> PreTrainedModel:
        if self._model is None:
            raise RuntimeError("the sampler is used outside `with`")
        return self._model

    @property
    def compiled(self) -> bool:
        """Whether this model's attention is compiled here."""
        return self._attention is not None

    def _decoder(self, requests: Sequence[Request], plan: Plan) -> Decoder:
        if self._llama is None:
            return GeneralDecoder(self._loaded())
        return LlamaDecoder(self._llama, min(len(requests), plan.width), _capacity(requests), self._attention)

    def _plan(self, requests: Sequence[Request]) -> Plan:
        threads = self._runtime.usable_threads()
        if self._llama is None:
            return Plan(lanes=1, width=WIDTH, threads=threads)
        row_bytes = self._llama.cache_shape.token_bytes() * _capacity(requests)
        room = int(total_memory(self._device) * CACHE_SHARE) // row_bytes
        return plan_for(requests, threads, self._device, self._llama.weight_bytes, room)


def plan_for(requests: Sequence[Request], threads: int, device: torch.device, weight_bytes: int, room: int) -> Plan:
    """How these requests are decoded on the device, with a KV cache for `room` rows."""
    lanes = lanes_for(requests, threads, weight_bytes) if device.type == "cpu" else 1
    widest = GPU_WIDTH if device.type != "cpu" else WIDTH if lanes > 1 else WIDE
    return Plan(lanes=lanes, width=max(1, min(widest, room // lanes)), threads=threads // lanes)


def lanes_for(requests: Sequence[Request], threads: int, weight_bytes: int) -> int:
    """In how many lanes a processor decodes these requests with a model of so many bytes."""
    prompts = len({request.prompt_ids for request in requests})
    return max(1, min(threads, len(requests) // LANE_ROWS, prompts)) if weight_bytes <= LANE_WEIGHTS else 1


def held(device: torch.device, token_bytes: int) -> Hold:
    """What a device holds, with a KV cache of so many bytes a token: a processor one chunk, a GPU all that fits."""
    if device.type == "cpu":
        return ONE_CHUNK
    return Hold(rows=GPU_WIDTH, tokens=int(total_memory(device) * CACHE_SHARE) // token_bytes)


def _capacity(requests: Sequence[Request]) -> int:
    return max(len(request.prompt_ids) + request.max_new_tokens for request in requests)


def _rule(requests: Sequence[Request], own: OwnDecoding) -> DrawRule:
    """The rule by which a chunk's requests, which share their decoding, are drawn."""
    decoding = requests[0].decoding
    if any(request.decoding != decoding for request in requests):
        raise ValueError("the requests of one chunk must share their decoding")
    return resolve(decoding, own)


def _end_ids(model: PreTrainedModel, tokenizer_end: int) -> frozenset[int]:
    """Every id that ends a completion: those of the generation config, without one of the config, and the tokenizer's.

    A chat model's generation config may be its base model's, which doesn't end a turn. vLLM's worker does the same.
    """
    ends = getattr(model.generation_config, "eos_token_id", None)
    ends = model.config.eos_token_id if ends is None else ends
    return frozenset({tokenizer_end, *([ends] if isinstance(ends, int) else ends or [])})


def _refuse_long(requests: Sequence[Request], positions: int | None) -> None:
    longest = max(len(request.prompt_ids) + request.max_new_tokens for request in requests)
    if positions is not None and longest > positions:
        raise UsageError(
            f"prompt and completion need {longest} tokens, the model has positions for {positions}",
            "Lower sampling.max_new_tokens in the recipe, or leave out the longest problems.",
        )
