"""Base and champion answer the same questions, as they would be asked and judged in their run.

Prompts are rendered as in the run, decoding is that of its judging unless another temperature, seed or length is asked
for, and the engine is the one that rounds use. All questions are sampled in one batch per model, first the base, then
the champion, with the same seeds. The run's checker extracts the final answer, in a process of its own; with a
reference it also judges it.

The base's folder needs no lock. The champion's is a cache in the run's folder, used and built under the run's lock;
while another process holds the lock, the model is built in a temporary folder instead.
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
from selfimprove.events import silence
from selfimprove.export.source import Source, build, source_of
from selfimprove.models import default_cache
from selfimprove.problem.judging import open_checker
from selfimprove.problem.values import make_problem
from selfimprove.recipe import Recipe, Runtime
from selfimprove.round.answers import judging_decoding
from selfimprove.round.machinery import Machinery
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.verdicts import check_completions, checked_texts
from selfimprove.runs.assemble import machinery_of
from selfimprove.sampling import (
    Completion,
    Decoding,
    DrawRule,
    Request,
    StopReason,
    Tokenizer,
    derive_seed,
    plan_chunks,
    read_own_decoding,
    render_prompt,
    resolve,
    sample_chunks,
)
from selfimprove.store.champion import Champion
from selfimprove.store.journal import Journal


@dataclass(frozen=True)
class Question:
    """A question, and the reference to judge the answers against, if there is one."""

    text: str
    gold: str | None = None


@dataclass(frozen=True)
class Overrides:
    """What is asked otherwise than the run judges; None leaves the run's value."""

    temperature: float | None = None
    seed: int | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One model's answer: its text, number of tokens, whether it was cut at the limit, and what the checker made of it.

    `candidate` is the final answer that the checker extracted, `verdict` is None without a reference.
    """

    text: str
    tokens: int
    stop: StopReason
    candidate: str | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Answered:
    """A question with the replies of base and champion; one reply where the base is the champion."""

    question: Question
    replies: tuple[Reply, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """All answers, the champion that gave them beside the base, and the recipe and decoding they were sampled with."""

    champion: Champion
    recipe: Recipe
    decoding: DrawRule
    answers: tuple[Answered, ...]


def ask(
    journal: Journal,
    questions: Sequence[Question],
    overrides: Overrides,
    runtime: Runtime,
    cache: Path | None = None,
) -> Asked:
    """The replies to each question, in order; `cache` is the folder of converted models, by default `default_cache()`.

    Raises `UsageError` if the run's base or adapters aren't what its records say, or a question doesn't fit the model.
    """
    cache = cache or default_cache()
    source = source_of(journal, runtime, cache)
    recipe, decoding = _recipe(source.recipe, overrides), _decoding(source.recipe, overrides)
    with open_checker(source.recipe.answers) as checker:
        machinery = machinery_of(recipe, source.base, runtime, checker, cache)
        seed = recipe.seed if overrides.seed is None else overrides.seed
        requests = [_request(n, q, recipe, machinery.tokenizer, decoding, seed) for n, q in enumerate(questions)]
        completions = [_sampled(machinery, source.base.path, requests, recipe)]
        if source.champion.number:
            with champion_folder(source, machinery, cache) as folder:
                completions.append(_sampled(machinery, folder, requests, recipe))
        replies = [_replies(questions, each, machinery.tokenizer, checker, recipe) for each in completions]
    rule = resolve(decoding, read_own_decoding(source.base.path))
    answers = [Answered(question, tuple(pair)) for question, *pair in zip(questions, *replies, strict=True)]
    return Asked(champion=source.champion, recipe=recipe, decoding=rule, answers=tuple(answers))


@contextmanager
def champion_folder(source: Source, machinery: Machinery, cache: Path) -> Iterator[Path]:
    """The merged model of a champion that isn't the base; nobody deletes it while the context is open."""
    with ExitStack() as stack:
        try:
            stack.enter_context(source.journal.lock())
        except UsageError:  # another process holds the run and may delete its models, or the folder is read-only
            folder = Path(stack.enter_context(TemporaryDirectory(prefix=".ask-", dir=cache))) / "model"
            build(source, folder, machinery.runtime)
        else:
            folder = ModelCache(source.journal, machinery, source.recipe, silence).folder(source.champion)
        yield folder


def _recipe(recipe: Recipe, overrides: Overrides) -> Recipe:
    if overrides.max_new_tokens is None:
        return recipe
    sampling = recipe.sampling.model_copy(update={"max_new_tokens": overrides.max_new_tokens})
    return recipe.model_copy(update={"sampling": sampling})


def _decoding(recipe: Recipe, overrides: Overrides) -> Decoding:
    decoding = judging_decoding(recipe)
    if overrides.temperature is None:
        return decoding
    settings = recipe.sampling
    return replace(decoding, temperature=overrides.temperature, top_p=settings.top_p, top_k=settings.top_k)


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


def _sampled(machinery: Machinery, model: Path, requests: Sequence[Request], recipe: Recipe) -> list[Completion]:
    """The model's completions in the order of the requests."""
    chunks = plan_chunks(requests, recipe.sampling.chunk_rows, recipe.sampling.chunk_tokens)
    with machinery.open_sampler(model) as sampler:
        sampled = [completion for completions in sample_chunks(sampler, chunks) for completion in completions]
    return sorted(sampled, key=lambda completion: int(completion.key))


def _replies(
    questions: Sequence[Question],
    completions: Sequence[Completion],
    tokenizer: Tokenizer,
    checker: Checker,
    recipe: Recipe,
) -> list[Reply]:
    """The completions as text with verdicts; without a reference only the extracted answer is kept."""
    texts = [tokenizer.decode(completion.token_ids) for completion in completions]
    problems = [make_problem(question.text, question.gold, "ask") for question in questions]
    answers = list(zip(checked_texts(tokenizer, recipe.sampling, texts), problems, strict=True))
    cut = [completion.stop is StopReason.LENGTH for completion in completions]
    verdicts = check_completions(checker, answers, recipe.answers, cut=cut)
    return [
        Reply(
            text=text,
            tokens=len(c.token_ids),
            stop=c.stop,
            candidate=verdict.candidate,
            verdict=None if question.gold is None else verdict,
        )
        for text, c, verdict, question in zip(texts, completions, verdicts, questions, strict=True)
    ]
