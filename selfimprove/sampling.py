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

*Engines that hold more.* A chunk of 64 rows leaves a GPU half idle, and one of long completions has three rows. An
engine that promises no equal completions anyway (on a GPU) therefore samples many chunks at once, as its `Hold` says.
Chunks stay what is durable, resumed and recorded: how many an engine joins changes no plan and no file's order.

*Seeds.* Each request carries its own, derived from (run seed, round, stage, problem key, sample number) by
`derive_seed`; no generator is shared between rows, so a row's draws don't depend on its neighbours.

*Decoding.* A `Decoding` is what the recipe asks for, a `DrawRule` what an engine draws by: only `resolve` makes one of
the other and of the model's own generation config. Engines apply all of a rule, in its order, and nothing else.

*Prompts.* `render_prompt` is the only way from a question to prompt ids, in sampling, training and judging. Before a
run it is tried on a few questions (`round/admit.py`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from selfimprove.answer.extract import opened_thinking
from selfimprove.errors import UsageError
from selfimprove.formatting import decimal

Row = tuple[str, int]
"""A unit of work within a round: (problem key, sample number)."""


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn: temperature 0 is greedy; a bound that is `None` is the model's generation config's."""

    temperature: float
    top_p: float | None = None
    top_k: int | None = None


GREEDY = Decoding(0.0)


@dataclass(frozen=True, kw_only=True)
class DrawRule:
    """A `Decoding` with every parameter set, applied in this order; the defaults change nothing.

    `repetition_penalty` divides the positive logits of ids in the prompt or the completion so far, and multiplies the
    negative ones. Then come temperature, `min_p` (ids less likely than that share of the likeliest are out), `top_k`
    (0: all) and `top_p`. Temperature 0 is greedy.
    """

    repetition_penalty: float = 1.0
    temperature: float
    min_p: float = 0.0
    top_k: int = 0
    top_p: float = 1.0


OWN_PARAMETERS: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "repetition_penalty": ("above 0", lambda value: value > 0),
    "min_p": ("from 0 to 1", lambda value: 0 <= value <= 1),
    "top_k": ("a whole number", lambda value: value == int(value)),
    "top_p": ("above 0 and at most 1", lambda value: 0 < value <= 1),
}
"""What a model's generation config may set of a `DrawRule`: what each must be, in words and as a test."""

NEVER_APPLIED: Mapping[str, tuple[object, ...]] = {
    "bad_words_ids": (),
    "begin_suppress_tokens": (),
    "diversity_penalty": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "exponential_decay_length_penalty": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "frequency_penalty": (0,),
    "guidance_scale": (0, 1),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (0, 1),
    "penalty_alpha": (0,),
    "presence_penalty": (0,),
    "sequence_bias": (),
    "suppress_tokens": (),
    "top_h": (1,),
    "typical_p": (1,),
    "watermarking_config": (),
}
"""Parameters of a generation config that would change the draw and that no engine applies, with their values (beside
null and empty ones) that ask for nothing."""


@dataclass(frozen=True)
class OwnDecoding:
    """What a model's generation config says about decoding: the parameters that are applied, and the others' names."""

    applied: Mapping[str, float]
    ignored: tuple[str, ...] = ()


def read_own_decoding(model: Path, title: str = "") -> OwnDecoding:
    """The decoding parameters of `generation_config.json` in the folder, or of `config.json` where there is none.

    Raises `UsageError` for a value that is no number, or is out of its range; it names the model by `title`, by
    default the folder's name.
    """
    paths = [path for path in (model / "generation_config.json", model / "config.json") if path.is_file()]
    found: Mapping[str, object] = json.loads(paths[0].read_text(encoding="utf-8")) if paths else {}
    given = {name: found[name] for name in OWN_PARAMETERS if found.get(name) is not None}
    applied = {name: _own_parameter(f"{title or model.name}/{paths[0].name}", name, given[name]) for name in given}
    ignored = [name for name, idle in NEVER_APPLIED.items() if found.get(name) and found[name] not in idle]
    return OwnDecoding(applied, tuple(ignored))


def told_rule(rule: DrawRule) -> str:
    """The rule in words, without the parameters that change nothing."""
    if rule.temperature == 0:
        return "greedy"
    told = [f"temperature {decimal(rule.temperature)}"]
    told += [f"top-p {rule.top_p}"] if rule.top_p < 1 else []
    told += [f"top-k {rule.top_k}"] if rule.top_k else []
    told += [f"min-p {rule.min_p}"] if rule.min_p else []
    told += [f"repetition penalty {rule.repetition_penalty}"] if rule.repetition_penalty != 1 else []
    return ", ".join(told)


def _own_parameter(file: str, name: str, value: object) -> float:
    must_be, is_valid = OWN_PARAMETERS[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not isinstance(value, int | float) or not is_number or not is_valid(value):
        raise UsageError(f"{file}: {name} is {value!r}, it must be {must_be}", f"Correct {name} there.")
    return value


def resolve(decoding: Decoding, own: OwnDecoding) -> DrawRule:
    """The one rule by which all engines draw.

    Greedy decoding is plain: nothing of the model's own applies to it. Else what the decoding leaves open is the
    model's own, and where the model says nothing it is off.
    """
    if decoding.temperature == 0:
        return DrawRule(temperature=0.0)
    asked = {name: getattr(decoding, name) for name in ("top_p", "top_k") if getattr(decoding, name) is not None}
    chosen = {**own.applied, **asked}
    return DrawRule(
        repetition_penalty=chosen.get("repetition_penalty", 1.0),
        temperature=decoding.temperature,
        min_p=chosen.get("min_p", 0.0),
        top_k=max(0, int(chosen.get("top_k", 0))),
        top_p=chosen.get("top_p", 1.0),
    )


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


OnTokens = Callable[[int], None]
"""Called now and then while chunks are sampled, with the tokens of those in hand so far, in the caller's thread."""


@runtime_checkable
class TellingSampler(Protocol):
    """What a `Sampler` is besides that tells how far it is inside a chunk, which may take minutes."""

    on_tokens: OnTokens


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What one worker of an engine samples at once: whole chunks, up to so many rows and padded tokens."""

    rows: int
    tokens: int

    def joins(self, load: Sequence[Sequence[Request]], chunk: Sequence[Request]) -> bool:
        """Whether the chunk may be sampled together with those of `load`."""
        rows = sum(map(len, load)) + len(chunk)
        width = max(len(r.prompt_ids) + r.max_new_tokens for part in (*load, chunk) for r in part)
        return rows <= self.rows and rows * width <= self.tokens


ONE_CHUNK = Hold(rows=0, tokens=0)
"""A worker that samples each chunk by itself: what an engine must do that promises equal completions."""


@runtime_checkable
class ManySampler(Protocol):
    """What a `Sampler` is besides that has several workers, or holds several chunks: it samples many at once."""

    hold: Hold
    """What each worker holds; known once the sampler is open."""

    def sample_chunks(self, chunks: Iterable[Sequence[Request]]) -> Iterator[list[Completion]]:
        """The completions of each chunk, in the order of the chunks; one is taken only shortly before it is begun."""
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


def held_rows(sampler: Sampler) -> int | None:
    """Rows that each worker of an open sampler has at once; None where it samples chunk by chunk."""
    rows = sampler.hold.rows if isinstance(sampler, ManySampler) else 0
    return rows or None


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
