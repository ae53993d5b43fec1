"""What a round takes and what a run of such rounds needs: rows, tokens, answers, bytes and memory are estimated here.

`forecast_round` counts a round from the recipe and the number of training problems alone, before a model is loaded.
`selfimprove plan` prints these counts, `plan/disk.py` holds the disk's room against their bytes before a run starts,
`selfimprove doctor` tells both beside the memory, and `selfimprove compare` fits a budget of rows with them. None of
them counts by itself, so none can disagree.

Counts are upper bounds unless the name says otherwise: every completion runs to its token limit, every selection keeps
all that it may, the gate decides at its last look. The number of rows is exact.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from selfimprove.formatting import plural
from selfimprove.recipe import Prefixes, Recipe
from selfimprove.round.machinery import Footprint
from selfimprove.round.prefixes import token_limit
from selfimprove.store.rows import Kind

PROMPT_TOKENS = 300
"""Allowed for an example's prompt, whose length is known only once it is rendered."""
TOKEN_BYTES = 8
"""Of a token id in JSON: up to six digits, comma and space."""
TEXT_BYTES = 6
"""Of a token's text in JSON; ASCII mostly, escapes now and then."""
ROW_BYTES = 400
"""Of a row's other fields."""
PROGRAM_BYTES = 10**9
"""Memory that the programs take beside the model: torch, transformers, the checker's processes, buffers."""


@dataclass(frozen=True, kw_only=True)
class DiskNeed:
    """Bytes that a run may still write, at most, by what they are for."""

    models: int
    adapters: int
    training: int
    rows: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.models + self.adapters + self.training + self.rows


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The counts of one round. Answers are completions that are judged, of all samples of a problem together."""

    problems: int
    """Training problems sampled."""
    rows: int
    """Completions sampled, continuations of prefixes not counted."""
    short_rows: int
    """Those of them that stop at the prefix's length; the others go on to the sampling limit."""
    sampled_tokens: int
    """Of these rows, without their prompts."""
    continuations: int
    """Completions that continue a prefix (`prefixes.select` is `rollout`)."""
    continued_tokens: int
    """Of the continuations, without their prompts and prefixes."""
    trained_rows: int
    """Examples, each counted once however many epochs there are."""
    target_tokens: int
    """Of the examples' targets."""
    epochs: int
    refreshes: int
    """Steps of the round (`schedule.steps`), each of which samples and trains its share of the problems."""
    steps: int
    """Optimizer steps, all epochs and all steps of the round together."""
    first_look: int
    """The challenger's answers when the gate may decide for the first time; judging costs no less."""
    heldout_answers: int
    """A model's answers to all held-out problems."""
    guard_answers: int
    """A model's answers to all problems of the guards."""
    champion_each_round: bool
    """Whether every round judges the champion (new held-out problems), not only one whose champion is new."""
    placebo: bool
    """Whether a placebo is trained, merged and judged like the challenger."""
    sealed_answers: int
    """A model's answers to all sealed problems, both decodings together."""
    answer_limit: int
    """Tokens of an answer."""

    def judged_answers(self, *, first: bool) -> tuple[int, int]:
        """The least and the most answers of challenger and champion in the first or in a later round."""
        champion = self.heldout_answers if first or self.champion_each_round else 0
        return self.first_look + champion, 2 * (self.heldout_answers + self.guard_answers)

    def disk(self, footprint: Footprint, rounds: int, *, keep_models: bool) -> DiskNeed:
        """What `rounds` more such rounds need on the disk, and the sealed finish.

        A run holds at most two merged models at a time, the champion's and the challenger's (`round/model_cache.py`),
        and the placebo's beside them. Training holds two checkpoints of the LoRA with its two moments, and the LoRA
        that it has made. Adapters and rows of all rounds stay.
        """
        models = rounds + 1 if keep_models else 2
        sealed = 2 * self.sealed_answers * self._answer_bytes
        return DiskNeed(
            models=(models + self.placebo) * footprint.model if rounds else 0,
            adapters=(self.refreshes + self.placebo) * rounds * footprint.adapter,
            training=7 * footprint.adapter if rounds else 0,
            rows=rounds * self._row_bytes + sealed,
        )

    @property
    def prompt_tokens(self) -> int:
        """Of the examples' prompts, as long as is allowed for."""
        return self.trained_rows * PROMPT_TOKENS

    @property
    def _row_bytes(self) -> int:
        tokens = self.sampled_tokens + self.continued_tokens + self.target_tokens + self.prompt_tokens
        rows = self.rows + self.continuations + self.trained_rows
        answers = (2 + self.placebo) * self.heldout_answers + 2 * self.guard_answers
        return tokens * TOKEN_BYTES + rows * ROW_BYTES + answers * self._answer_bytes

    @property
    def _answer_bytes(self) -> int:
        return self.answer_limit * (TOKEN_BYTES + TEXT_BYTES) + ROW_BYTES


def forecast_round(recipe: Recipe, train: int) -> Forecast:
    """The forecast of a round that draws from `train` training problems."""
    sampling, gate, settings = recipe.sampling, recipe.gate, recipe.prefixes
    longest, at_most = sampling.max_new_tokens, _longest_prefixes(recipe)
    problems = min(sampling.problems_per_round or train, train)
    rows = rows_by_kind(recipe, problems)
    continuations = sum(rows.values()) * settings.rollouts if settings.selection.continues else 0
    keeps_one = settings.selection.chooses_prefixes and not settings.selection.continues
    examples = {**rows, Kind.PREFIX: problems - rows[Kind.FULL]} if keeps_one else _at_most(rows, recipe, problems)
    prefix = token_limit(Kind.PREFIX, at_most, longest)
    target = longest if at_most.length == "full" else at_most.length + settings.train_eos
    refreshes = recipe.schedule.steps
    heldout, second = recipe.problems.heldout_size * gate.samples, recipe.beside()
    return Forecast(
        problems=problems,
        rows=sum(rows.values()),
        short_rows=sum(n for kind, n in rows.items() if token_limit(kind, settings, longest) < longest),
        sampled_tokens=sum(n * token_limit(kind, at_most, longest) for kind, n in rows.items()),
        continuations=continuations,
        continued_tokens=continuations * max(1, longest - prefix),
        trained_rows=sum(examples.values()),
        target_tokens=examples[Kind.FULL] * longest + examples[Kind.PREFIX] * target,
        epochs=recipe.training.epochs,
        refreshes=refreshes,
        steps=refreshes
        * recipe.training.epochs
        * -(-sum(examples.values()) // (refreshes * recipe.training.batch_rows)),
        first_look=min(gate.batch * gate.samples, heldout) if gate.rule == "sequential" else heldout,
        heldout_answers=heldout,
        guard_answers=sum(guard.size for guard in recipe.guards) * gate.samples,
        champion_each_round=gate.new_each_round,
        placebo=gate.placebo,
        sealed_answers=recipe.problems.sealed_size * (gate.samples + (second.gate.samples if second else 0)),
        answer_limit=longest,
    )


def _at_most(rows: dict[Kind, int], recipe: Recipe, problems: int) -> dict[Kind, int]:
    """The examples that these rows can become: no more than `per_problem` allows, of wrong answers as many again."""
    most = problems * recipe.prefixes.per_problem
    if not most or not sum(rows.values()):
        return rows
    sides = 2 if recipe.training.negatives else 1
    share = min(1.0, sides * most / sum(rows.values()))
    return {kind: round(share * count) for kind, count in rows.items()}


def few_examples(recipe: Recipe, train: int) -> str:
    """A warning that a round of `train` training problems can't fill one training batch; empty if it can."""
    steps, batch = recipe.schedule.steps, recipe.training.batch_rows
    most = forecast_round(recipe, train).trained_rows // steps
    if most >= batch:
        return ""
    part = "round" if steps == 1 else "step of a round"
    return (
        f"warning: a {part} trains on at most {plural(most, 'example')}, less than one batch (training.batch_rows = "
        f"{batch:,}). Add training problems, sample more (sampling.samples), or set training.batch_rows lower"
    )


def _longest_prefixes(recipe: Recipe) -> Prefixes:
    """The recipe's prefixes at the longest that its schedule may make them."""
    settings = recipe.prefixes
    if settings.length == "full":
        return settings
    return settings.model_copy(update={"length": max((settings.length, *recipe.schedule.rejected_lengths))})


def rows_by_kind(recipe: Recipe, problems: int) -> dict[Kind, int]:
    """How many rows of each kind `round.prefixes.assign_kinds` makes of so many problems, told without naming them."""
    settings, samples = recipe.prefixes, recipe.sampling.samples
    rows = problems * samples
    if settings.selection.chooses_prefixes:
        full = round(settings.structure_ratio * problems)
        whole = full * samples if settings.selection.continues else full
        return {Kind.PREFIX: rows - full * samples, Kind.FULL: whole}
    full = rows if settings.whole else round(settings.structure_ratio * rows)
    return {Kind.PREFIX: rows - full, Kind.FULL: full}


def problems_within(recipe: Recipe, rows: int) -> int:
    """The most problems that give no more than `rows` rows; 0 if one gives more."""
    return bisect_right(range(1, rows + 1), rows, key=lambda problems: sum(rows_by_kind(recipe, problems).values()))
