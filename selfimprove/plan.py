"""What a run will cost at most and what its gate can see, before anything is spent: `selfimprove plan`.

Everything follows from the recipe alone: no problem is read and no model is loaded.
"""

from __future__ import annotations

from selfimprove.gate import alpha_of_round, power_lines
from selfimprove.prefixes import assign_kinds, token_limit
from selfimprove.recipe import Recipe


def plan_lines(recipe: Recipe, rounds: int) -> list[str]:
    """The plan in words, a line each: work of a round, the gate's thresholds, the gains it can see."""
    return [
        *_work(recipe),
        "",
        *_gate(recipe, rounds),
        "",
        "Round 1 at 80 % power:",
        *(
            f"  {line}"
            for line in power_lines(recipe.problems.heldout_size, alpha_of_round(recipe.gate.alpha, 1)).lines()
        ),
    ]


def _work(recipe: Recipe) -> list[str]:
    settings = recipe.sampling
    problems = settings.problems_per_round or recipe.problems.train_size or 1000
    whole = settings.problems_per_round or recipe.problems.train_size
    of = f"{problems:,} problems" if whole else "each 1,000 problems"
    kinds = assign_kinds(((str(n), s) for n in range(problems) for s in range(settings.samples)), recipe.prefixes, 0)
    tokens = sum(token_limit(kind, recipe.prefixes, settings.max_new_tokens) for kind in kinds.values())
    answers = recipe.problems.heldout_size * recipe.gate.samples
    return [
        f"A round samples {len(kinds):,} completions of {of}: at most {tokens:,} tokens,",
        f"trains at most {len(kinds):,} rows {recipe.training.epochs} times,",
        f"and judges at most {answers:,} answers of the challenger, {answers * settings.max_new_tokens:,} tokens.",
        f"Each new champion is judged on the rest of the {recipe.problems.heldout_size:,} held-out problems once;",
        f"at the end base and champion answer {recipe.problems.sealed_size:,} sealed problems each.",
    ]


def _gate(recipe: Recipe, rounds: int) -> list[str]:
    if recipe.gate.rule == "point":
        return ["The gate takes any challenger that is not worse on the problems judged (the naive rule)."]
    alphas = [alpha_of_round(recipe.gate.alpha, number) for number in range(1, rounds + 1)]
    needed = ", ".join(f"{1 / alpha:,.0f}" for alpha in alphas)
    return [
        f"Evidence needed in rounds 1 to {rounds}: {needed}.",
        f"Chance of any false accept: at most {sum(alphas):.3f} in these rounds, {recipe.gate.alpha:g} in any number.",
    ]
