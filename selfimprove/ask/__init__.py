"""Base and champion answer the same questions, as they would be asked and judged in their run.

The prompt is the run's own rendering, the decoding that of its judging unless another temperature, seed or length is
asked for, and the engine is the one that rounds use; all questions of a model are sampled together, base first, then
champion, with common seeds. The answer is read by the run's checker, in a process of its own; with a reference it is
also judged.

The base's folder belongs to nobody. The champion's is a cache of the run's, used and built there under the run's lock;
while another process holds the run, the model is built in a folder of its own instead, which goes afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from selfimprove.answer import Verdict
from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.events import Event
from selfimprove.export.source import Source, build, source_of
from selfimprove.models import default_cache
from selfimprove.recipe import Recipe, Runtime
from selfimprove.round.answers import check_completions, judging_decoding
from selfimprove.round.machinery import Parts
from selfimprove.round.model_cache import ModelCache
from selfimprove.runs.assemble import parts_of
from selfimprove.sampling import (
    Completion,
    Decoding,
    Request,
    StopReason,
    Tokenizer,
    derive_seed,
    plan_chunks,
    render_prompt,
    sample_chunks,
)
from selfimprove.store.journal import Champion, Journal


@dataclass(frozen=True)
class Question:
    """What is asked, and the reference to judge the answers against, if there is one."""

    text: str
    gold: str | None = None


@dataclass(frozen=True)
class Manner:
    """How it is asked: what is None is as the run judges."""

    temperature: float | None = None
    seed: int | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True)
class Reply:
    """One model's answer: its text, its tokens, the final answer that the checker reads in it, and its verdict."""

    text: str
    tokens: int
    stop: StopReason
    candidate: str | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Answered:
    """A question with the base's reply and the champion's; with the base's alone where it is the champion."""

    question: Question
    replies: tuple[Reply, ...]


@dataclass(frozen=True)
class Asked:
    """All that was answered, by the base and this champion, and how tokens were drawn."""

    champion: Champion
    recipe: Recipe
    decoding: Decoding
    answers: tuple[Answered, ...]


def ask(
    journal: Journal,
    questions: Sequence[Question],
    manner: Manner,
    runtime: Runtime,
    cache: Path | None = None,
) -> Asked:
    """The replies to each question, in order; `cache` is the folder of converted models, by default the user's.

    Raises `UsageError` if the run's base or adapters aren't what its records say, or a question doesn't fit the model.
    """
    cache = cache or default_cache()
    source = source_of(journal, runtime, cache)
    recipe, decoding = _recipe(source.recipe, manner), _decoding(source.recipe, manner)
    with Checker(workers=1) as checker:
        parts = parts_of(recipe, source.base, runtime, checker, cache)
        seed = recipe.seed if manner.seed is None else manner.seed
        requests = [_request(n, q, recipe, parts.tokenizer, decoding, seed) for n, q in enumerate(questions)]
        sides = [_sampled(parts, source.base.path, requests, recipe)]
        if source.champion.number:
            with champion_folder(source, parts, cache) as folder:
                sides.append(_sampled(parts, folder, requests, recipe))
        replies = [_read(questions, side, parts.tokenizer, checker, recipe) for side in sides]
    answers = [Answered(question, tuple(pair)) for question, *pair in zip(questions, *replies, strict=True)]
    return Asked(source.champion, recipe, decoding, tuple(answers))


@contextmanager
def champion_folder(source: Source, parts: Parts, cache: Path) -> Iterator[Path]:
    """The merged model of a champion that isn't the base, whole as long as the context is open."""
    with ExitStack() as stack:
        try:
            stack.enter_context(source.journal.lock())
        except UsageError:  # another process may delete the run's models at any time, or it can't be written to
            folder = Path(stack.enter_context(TemporaryDirectory(prefix=".ask-", dir=cache))) / "model"
            build(source, folder, parts.runtime)
        else:
            folder = ModelCache(source.journal, parts, source.recipe, _unheard).folder(source.champion)
        yield folder


def _unheard(event: Event) -> None:
    """A cache that is built again is nothing to tell here."""


def _recipe(recipe: Recipe, manner: Manner) -> Recipe:
    if manner.max_new_tokens is None:
        return recipe
    sampling = recipe.sampling.model_copy(update={"max_new_tokens": manner.max_new_tokens})
    return recipe.model_copy(update={"sampling": sampling})


def _decoding(recipe: Recipe, manner: Manner) -> Decoding:
    decoding = judging_decoding(recipe)
    if manner.temperature is None:
        return decoding
    settings = recipe.sampling
    return replace(decoding, temperature=manner.temperature, top_p=settings.top_p, top_k=settings.top_k)


def _request(
    number: int, question: Question, recipe: Recipe, tokenizer: Tokenizer, decoding: Decoding, seed: int
) -> Request:
    settings = recipe.sampling
    prompt = render_prompt(tokenizer, settings.system, settings.prompt, question.text)
    own = derive_seed(seed, "ask", question.text, number)
    return Request(
        key=str(number),
        sample=0,
        prompt_ids=prompt,
        max_new_tokens=settings.max_new_tokens,
        seed=own,
        decoding=decoding,
    )


def _sampled(parts: Parts, model: Path, requests: Sequence[Request], recipe: Recipe) -> list[Completion]:
    """The model's completions in the order of the requests."""
    chunks = plan_chunks(requests, recipe.sampling.chunk_rows, recipe.sampling.chunk_tokens)
    with parts.open_sampler(model) as sampler:
        found = [completion for completions in sample_chunks(sampler, chunks) for completion in completions]
    return sorted(found, key=lambda completion: int(completion.key))


def _read(
    questions: Sequence[Question],
    completions: Sequence[Completion],
    tokenizer: Tokenizer,
    checker: Checker,
    recipe: Recipe,
) -> list[Reply]:
    """Texts and verdicts; without a reference the answer is held against nothing, and only its reading is kept."""
    texts = [tokenizer.decode(completion.token_ids) for completion in completions]
    pairs = [(text, question.gold or "") for text, question in zip(texts, questions, strict=True)]
    verdicts = check_completions(checker, pairs, recipe.answers)
    return [
        Reply(text, len(c.token_ids), c.stop, verdict.candidate, None if question.gold is None else verdict)
        for text, c, verdict, question in zip(texts, completions, verdicts, questions, strict=True)
    ]
