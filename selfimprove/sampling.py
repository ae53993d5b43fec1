"""Requests, completions, and the one protocol that every engine speaks.

An engine is one method wide: inside `with`, `sample(requests)` yields a completion for each request, token ids in and
token ids out. Text never travels: what is trained later is cut from the very ids that were sampled, because decoding
and encoding again does not give the same tokens. An engine that can have many chunks in hand has a second method,
`sample_chunks`; stages and judges call the function of that name, which does without where there is none.

*Chunks.* Kernels round differently with the shape of a batch, so the same request may end in other tokens when other
rows stand beside it. Requests are therefore cut into chunks, planned from the recipe alone (`plan_chunks`): rows with
equal token limits and similar prompt lengths together, under a bound on rows and on tokens. A chunk is handed to the
engine whole, made durable whole and, if a row of it is missing after a kill, sampled again whole. What happens inside a
chunk depends on nothing outside it, so a resumed run equals an uninterrupted one on the same machine and engine.

*Seeds.* Each request carries its own, derived from (run seed, round, stage, problem key, sample number) by
`derive_seed`; no generator is shared between rows, so a row's draws don't depend on its neighbours.

*Prompts.* `render_prompt` is the only way from a question to prompt ids, in sampling, training and judging. Before a
run it is tried on a few questions (`round/admit.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from selfimprove.answer.extract import opened_thinking

Row = tuple[str, int]
"""A unit of work within a round: (problem key, sample number)."""


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn: temperature 0 is greedy; a bound that is `None` is the model's generation config's."""

    temperature: float
    top_p: float | None = None
    top_k: int | None = None


GREEDY = Decoding(0.0)


class StopReason(StrEnum):
    """Why a completion ended."""

    EOS = "eos"
    """The model produced an end-of-sequence id, the last of the completion's ids."""

    LENGTH = "length"
    """It was cut at the request's token limit, or where the model's context ends."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """The sampled ids of one request, the end-of-sequence id included if the model produced it."""

    key: str
    sample: int
    token_ids: tuple[int, ...]
    stop: StopReason
    seed: int

    @property
    def row(self) -> Row:
        """The row this completion belongs to."""
        return self.key, self.sample


@dataclass(frozen=True, kw_only=True)
class Request:
    """One completion to sample: at most `max_new_tokens` ids after `prompt_ids`, drawn with `seed`."""

    key: str
    sample: int
    prompt_ids: tuple[int, ...]
    max_new_tokens: int
    seed: int
    decoding: Decoding

    @property
    def row(self) -> Row:
        """The row this request belongs to."""
        return self.key, self.sample

    def completion(self, token_ids: Sequence[int], stop: StopReason) -> Completion:
        """The completion of this request, of which these ids were sampled."""
        return Completion(key=self.key, sample=self.sample, token_ids=tuple(token_ids), stop=stop, seed=self.seed)


class Sampler(AbstractContextManager["Sampler"], Protocol):
    """An engine with a model loaded; usable inside `with` only."""

    reproducible: bool
    """Whether the same chunk gives the same completions again on this machine."""

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in the order of the requests; the requests are one chunk."""
        ...


@runtime_checkable
class ManySampler(Protocol):
    """What a `Sampler` with several workers is besides: it samples many chunks at once."""

    def sample_chunks(self, chunks: Iterable[Sequence[Request]]) -> Iterator[list[Completion]]:
        """The completions of each chunk, in the order of the chunks; a chunk is taken only when it is begun."""
        ...


class Tokenizer(Protocol):
    """A model's tokenizer and chat template."""

    eos_id: int
    """The id that ends a turn; what is trained where the recipe asks for an end after a prefix."""

    def render(self, system: str, user: str) -> list[int]:
        """Ids of the conversation up to where the model's turn begins; an empty `system` leaves it to the template."""
        ...

    def using(self, template: Mapping[str, bool | int | float | str]) -> Tokenizer:
        """The same tokenizer with these keywords for its chat template."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""
        ...


def render_prompt(tokenizer: Tokenizer, system: str, template: str, question: str) -> tuple[int, ...]:
    """The prompt ids of `question` in `template` (which contains `{question}` once): the only rendering there is."""
    return tuple(tokenizer.render(system, template.replace("{question}", question)))


def opened_by_template(tokenizer: Tokenizer, system: str, template: str) -> str:
    """The tag of a thinking block that the chat template opens at the end of each prompt; empty if it opens none.

    A completion begins inside that block: put before its text, the tag tells the checker so.
    """
    return opened_thinking(tokenizer.decode(render_prompt(tokenizer, system, template, "?")))


def derive_seed(*parts: int | str) -> int:
    """A seed of 63 bits that depends on every part and on nothing else; the same on all machines."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def plan_chunks(requests: Iterable[Request], rows: int, tokens: int) -> tuple[tuple[Request, ...], ...]:
    """Requests cut into chunks of at most `rows` requests and `tokens` padded tokens, whatever order they come in.

    Rows of a chunk have the same token limit and prompts of similar length. A request that is longer than `tokens` by
    itself is a chunk of its own.
    """
    ordered = sorted(requests, key=lambda r: (r.max_new_tokens, len(r.prompt_ids), r.key, r.sample))
    chunks: list[list[Request]] = []
    for request in ordered:
        if not chunks or not _fits(chunks[-1], request, rows, tokens):
            chunks.append([])
        chunks[-1].append(request)
    return tuple(tuple(chunk) for chunk in chunks)


def _fits(chunk: list[Request], request: Request, rows: int, tokens: int) -> bool:
    # Requests come sorted by prompt length, so the new one is the longest and sets the padded width.
    width = len(request.prompt_ids) + request.max_new_tokens
    same_limit = chunk[0].max_new_tokens == request.max_new_tokens
    return same_limit and len(chunk) < rows and (len(chunk) + 1) * width <= tokens


def sample_chunks(sampler: Sampler, chunks: Iterable[Sequence[Request]]) -> Generator[list[Completion], None, None]:
    """The completions of each chunk, in the order of the chunks.

    Closing the generator drops the chunks that are being sampled.
    """
    if isinstance(sampler, ManySampler):
        yield from sampler.sample_chunks(chunks)
    else:
        for chunk in chunks:
            yield list(sampler.sample(chunk))


def owed_chunks(
    chunks: Sequence[tuple[Request, ...]], done: Iterable[Completion]
) -> tuple[list[tuple[Request, ...]], list[Completion]]:
    """The chunks still to sample, and the completions of those that are whole, matched by row and seed."""
    found = {(c.key, c.sample, c.seed): c for c in done}
    owed: list[tuple[Request, ...]] = []
    kept: list[Completion] = []
    for chunk in chunks:
        rows = [found.get((r.key, r.sample, r.seed)) for r in chunk]
        if all(rows):
            kept += [row for row in rows if row]
        else:
            owed.append(chunk)
    return owed, kept
