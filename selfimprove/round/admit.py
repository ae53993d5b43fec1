"""Admission: what the problems of a run must pass before anything is written.

`admit` is the one way from the sets that were read to the sets that a run works on. It needs the checker and the
tokenizer, which `problem/` may not import, so it stands in the folder whose `Job` holds those sets. `doctor` reports
the same facts without refusing, and takes them from the functions that `admit` calls.

*Lost questions.* Some questions are rendered as prompts and decoded again: a chat template may look for the question
in another field than it stands in, and a tokenizer may lack its letters; the model would then be asked nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem import Problem, ProblemSets, fresh_heldout
from selfimprove.problem.references import FaultyReference, faulty_references
from selfimprove.recipe import Guard, Recipe, Sampling
from selfimprove.round.guarding import guards_checker
from selfimprove.round.lengths import context_of, refuse_too_long
from selfimprove.round.machinery import Machinery
from selfimprove.sampling import Tokenizer, render_prompt

MOST_TRIED = 8
"""Questions on which rendering is tried before a run, at most."""
TOLERATED = 0.1
"""Share of references that are prose or can't be judged against, above which it is the source that is at fault."""


@dataclass(frozen=True)
class Admitted:
    """The problem sets that a run works on, and the problems left out of them because their reference is faulty.

    `faulty` says the same by key (GUARD/key: of a guard), as a run's folder keeps it.
    """

    problems: ProblemSets
    set_aside: tuple[FaultyReference, ...]
    faulty: Mapping[str, str]


@dataclass(frozen=True)
class TriedPrompt:
    """A question with its prompt: the ids, and the text that they are decoded to."""

    question: str
    prompt_ids: tuple[int, ...]
    text: str

    @property
    def lost(self) -> bool:
        """Whether the text doesn't hold the question; white space and compatibility forms (`x²`, `x2`) may differ."""
        text, question = (" ".join(unicodedata.normalize("NFKC", s).split()) for s in (self.text, self.question))
        return question not in text


def admit(
    problems: ProblemSets, recipe: Recipe, machinery: Machinery, known: Mapping[str, str] | None = None
) -> Admitted:
    """The sets without problems whose reference can't be judged against, with what was set aside.

    `known` are those that an earlier start of the run found faulty (`Admitted.faulty`); the checker isn't asked again.
    Raises `UsageError`, in this order, if a problem brings another system turn than the recipe's, if more than a tenth
    of a source's references are prose, if training problems lack answers that the recipe needs, if more than a tenth
    of the references can't be judged against, if a set is empty without the faulty ones, if most prompts lose their
    question, if a prompt and the answer limit are above the model's context, or if fresh held-out problems can't be
    drawn.
    """
    refuse_unfit(recipe, problems)
    named = {"": _faulty(recipe, problems, machinery) if known is None else _known(known, "", problems.answered())}
    for guard in recipe.guards:
        asked, name = problems.guards[guard.name], f"{guard.name}/"
        found = _faulty_in_guard(recipe, guard, asked, machinery) if known is None else _known(known, name, asked)
        named[name] = found
    faulty = tuple(found for part in named.values() for found in part)
    kept = problems.without(found.problem for found in faulty)
    if empty := empty_sets(kept):
        raise UsageError(f"no {empty[0]} problems are left", "Look at their references: selfimprove check --references")
    _refuse_unaskable(recipe.sampling, kept.all_problems(), machinery)
    for guard in recipe.guards:
        _refuse_unaskable(recipe.guarding(guard).sampling, kept.guards[guard.name], machinery)
    if recipe.gate.fresh:
        fresh_heldout(recipe.problems, kept, 1)
    by_key = {f"{name}{found.problem.key}": found.fault for name, part in named.items() for found in part}
    return Admitted(kept, faulty, by_key)


def refuse_unfit(recipe: Recipe, problems: ProblemSets) -> None:
    """`UsageError` for what shows without checker and model: two system turns, prose for references, no answers."""
    _refuse_two_systems(recipe, problems)
    refuse_empty_steps(recipe, len(problems.train))
    refuse_prose(recipe, problems)
    if missing := missing_answers(recipe, problems):
        settings = recipe.prefixes
        key = f"select is `{settings.select}`" if settings.selection.needs_answers else f"value is `{settings.value}`"
        fault = f"{missing} of {len(problems.train)} training problems have no answer"
        raise UsageError(f"prefixes.{key}, but {fault}", answers_hint(recipe))


def refuse_empty_steps(recipe: Recipe, train: int) -> None:
    """`UsageError` if a round that draws from `train` training problems has more steps than problems to deal."""
    steps, dealt = recipe.schedule.steps, min(recipe.sampling.problems_per_round or train, train)
    if steps > max(1, dealt):
        raise UsageError(
            f"schedule.steps is {steps}, but a round has only {dealt} training problems to deal",
            "Lower schedule.steps, or use more problems.",
        )


def refuse_lost(tokenizer: Tokenizer, settings: Sampling, problems: Iterable[Problem]) -> None:
    """`UsageError` if most of the prompts that are tried lose their question."""
    tried = try_prompts(tokenizer, settings, problems)
    if most_are_lost(tried):
        lost = f"the prompts of {sum(prompt.lost for prompt in tried)} of {len(tried)} don't contain it"
        hint = "Fix chat_template in the model's tokenizer_config.json, or use another model."
        raise UsageError(f"chat template or tokenizer loses the question: {lost}", hint)


def refuse_prose(recipe: Recipe, problems: ProblemSets) -> None:
    """`UsageError` if more than a tenth of what stands for a reference in a source that is judged by is prose."""
    for key, tally in problems.tallies:
        needed = key != "problems.train" or recipe.prefixes.needs_answers
        if needed and tally.prose > TOLERATED * (tally.prose + tally.answered):
            share = f"{tally.prose:,} of {tally.prose + tally.answered:,} answers"
            raise UsageError(
                f"{key}: {share} of {tally.source} aren't final answers, such as {tally.first}",
                f"Look at them: selfimprove problems {tally.source}; to use another field, set problems.answer.",
            )


def _known(known: Mapping[str, str], name: str, problems: Sequence[Problem]) -> tuple[FaultyReference, ...]:
    """Those of the problems that are known as faulty: of the guard of this name, or of the run's own if it is empty."""
    return tuple(
        FaultyReference(problem, known[f"{name}{problem.key}"])
        for problem in problems
        if f"{name}{problem.key}" in known
    )


def _faulty(recipe: Recipe, problems: ProblemSets, machinery: Machinery) -> tuple[FaultyReference, ...]:
    """The problems whose reference the checker can't judge against; `UsageError` if they are too many."""
    asked = problems.answered()
    faulty = faulty_references(asked, machinery.checker, recipe.answers)
    _refuse_faulty(faulty, len(asked))
    return faulty


def _faulty_in_guard(
    recipe: Recipe, guard: Guard, problems: Sequence[Problem], machinery: Machinery
) -> tuple[FaultyReference, ...]:
    """The guard's problems whose reference its checker can't judge against; `UsageError` if they are too many."""
    with guards_checker(recipe, guard, machinery) as checker:
        faulty = faulty_references(problems, checker, recipe.guarding(guard).answers)
    _refuse_faulty(faulty, len(problems), f"{guard.problems} --recipe RECIPE")
    return faulty


def _refuse_unaskable(settings: Sampling, problems: Sequence[Problem], machinery: Machinery) -> None:
    """`UsageError` if most prompts lose their question, or one leaves no room for its answer."""
    refuse_lost(machinery.tokenizer, settings, problems)
    refuse_too_long(machinery.tokenizer, settings, problems, context_of(machinery.base))


def _refuse_faulty(faulty: Sequence[FaultyReference], answered: int, source: str = "SOURCE") -> None:
    if len(faulty) > TOLERATED * answered:
        one = faulty[0]
        raise UsageError(
            f"{len(faulty):,} of {answered:,} references can't be judged against, such as {one.problem.source}: "
            f"{one.problem.answer}: {one.fault}",
            f"Look at their references: selfimprove check --references {source}",
        )


def _refuse_two_systems(recipe: Recipe, problems: ProblemSets) -> None:
    system = recipe.sampling.system
    asked = (*problems.all_problems(), *(problem for part in problems.guards.values() for problem in part))
    other = next((one for one in asked if one.system and system and one.system != system), None)
    if other is not None:
        raise UsageError(
            f"sampling.system is set, and {other.source} has its own system turn",
            "Leave sampling.system empty, or take the system turns out of the problems.",
        )


def missing_answers(recipe: Recipe, problems: ProblemSets) -> int:
    """How many training problems lack an answer, if the recipe selects by answers; else 0."""
    return sum(problem.answer is None for problem in problems.train) if recipe.prefixes.needs_answers else 0


def answers_hint(recipe: Recipe) -> str:
    """What to do about missing answers."""
    instead = "select=all" if recipe.prefixes.selection.needs_answers else "value=agreement"
    return f"Add them, leave these problems out (--set problems.answered_only=true), or use --set prefixes.{instead}."


def empty_sets(problems: ProblemSets) -> list[str]:
    """The names of the sets without a problem."""
    sets = {"train": problems.train, "heldout": problems.heldout, "sealed": problems.sealed, **problems.guards}
    return [name for name, part in sets.items() if not part]


def try_prompts(tokenizer: Tokenizer, settings: Sampling, problems: Iterable[Problem]) -> list[TriedPrompt]:
    """The prompts of some of the questions; `UsageError` if the chat template can't render one."""
    tried = []
    systems = {problem.question: problem.system for problem in problems}
    for question in some_questions(systems):
        prompt = render_prompt(tokenizer, systems[question] or settings.system, settings.prompt, question)
        tried.append(TriedPrompt(question, prompt, tokenizer.decode(prompt)))
    return tried


def some_questions(questions: Iterable[str]) -> list[str]:
    """At most `MOST_TRIED` of the questions, of all lengths, the shortest and the longest among them."""
    ordered = sorted(questions, key=lambda question: (len(question), question))
    places = {round(at * (len(ordered) - 1) / (MOST_TRIED - 1)) for at in range(MOST_TRIED)} if ordered else set()
    return [ordered[place] for place in sorted(places)]


def most_are_lost(tried: Sequence[TriedPrompt]) -> bool:
    """Whether more than half of the prompts lost their question: too many to blame the questions."""
    return 2 * sum(prompt.lost for prompt in tried) > len(tried)
