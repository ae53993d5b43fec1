"""`selfimprove init`: a recipe written from a look at the model and the problems.

`look` reads both, as a run would: how many parameters the model has, how long the prompts are, how many problems there
are and whether all of them have an answer. From that `choose` takes the few keys that matter:

- **Selection**: by whether the training problems have answers, as a run without a recipe has it (`plan/unnamed.py`);
  without answers, a model as large as the paper's gets the paper's method, unselected prefixes.
- **Sizes**: as many held-out problems as detect the gain that can be hoped for (`plan/hope.py`), and as many sealed
  ones; fewer of each, in the same proportions, if there aren't that many (`problem/sizes.py`).
- **Training**: the settings of the recipes that come with the program, the demo's for a small model.

`text.py` writes them down with the reason for each beside it. Every other key has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selfimprove.formatting import byte_count
from selfimprove.models import load_tokenizer, preview_model
from selfimprove.models.weights import footprint
from selfimprove.plan.hope import heldout_needed, power_warning
from selfimprove.plan.unnamed import Answers, method_keys
from selfimprove.problem.generated import PREFIX
from selfimprove.problem.preview import refuse_unusable
from selfimprove.problem.sizes import Pool, Sizes, largest, sizes_of
from selfimprove.problem.sources import GeneratedSource
from selfimprove.problem.split import read_pool
from selfimprove.problem.stock import Reading
from selfimprove.recipe import Model, Recipe, Sampling
from selfimprove.recipe.reading import laid_over, packaged_recipe, parse_recipe
from selfimprove.round.lengths import context_of, measured

SMALL, LARGE = 500 * 10**6, 6 * 10**9
"""Parameters below which a model is trained as the demo's is, and from which on it is as large as the paper's."""
LEAST = 256
"""Held-out and sealed problems, if there are that many, however large the gain hoped for."""
TRAIN = 256
"""Training problems that held-out and sealed ones leave, if there are enough."""
DRAWN = 2000
"""Training problems drawn from a generator, which has no end."""
PER_ROUND = {"cpu": 256, "gpu": 1024}
"""Training problems sampled in a round, at most."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was seen of model and problems.

    `answers` counts the distinct problems of the training source, those that become held out among them. `parameters`
    and `size` (bytes) are None before a model on the hub is downloaded; `room` is what the context leaves for an answer
    beside the longest prompt, None if the model states no context.
    """

    model: str
    parameters: int | None
    size: int | None
    problems: str
    pool: Pool
    answers: Answers
    room: int | None

    def told(self) -> list[str]:
        """The same in words, a line each."""
        weights = "weights not downloaded yet"
        if self.parameters is not None and self.size is not None:
            weights = f"{self.parameters / 1e6:.3g} million parameters, {byte_count(self.size)}"
        answers = "all with an answer" if self.answers.all else f"{self.answers.answered:,} of them with an answer"
        count = "generated as needed" if self.generated else f"{self.answers.problems:,} distinct problems"
        return [f"model: {self.model}: {weights}", f"problems: {self.problems}: {count}, {answers}"]

    @property
    def generated(self) -> bool:
        """Whether the training problems have no end."""
        return isinstance(self.pool.sources.train, GeneratedSource)


def look(
    model: str,
    problems: str,
    cache: Path,
    own: Mapping[str, object],
    *,
    trust_remote_code: bool,
    reading: Reading | None = None,
) -> Found:
    """What there is to know of model and problems; raises `UsageError` for one that no run could use.

    `own` are the keys of the recipe that the user has set, by section. Problems are read first: that takes less time.
    """
    sizes = {"train_size": DRAWN, "heldout_size": DRAWN, "sealed_size": DRAWN}
    every = sizes if problems.startswith(PREFIX) else {"train_size": 0}
    wanted = parse_recipe(laid_over(own, {"problems": {"train": problems, **every}}, "--set"), "--set")
    pool = read_pool(wanted.problems, reading or Reading(), as_written=bool(wanted.answers.checker))
    for source, stock in pool.stocks.items():
        refuse_unusable(str(source), stock)
    named = Model(name=model)
    folder, whole = preview_model(named, cache, trust_remote_code)
    size = footprint(folder.path, named.dtype, 1).model if whole else None
    tokenizer = load_tokenizer(folder.path, trust_remote_code, folder.source)
    trained = pool.stocks[pool.sources.train]
    parts = [stock.problems for stock in pool.stocks.values() if len(stock.problems)]
    longest = max((measured(tokenizer, Sampling(), part, None).longest for part in parts), default=0)
    context = context_of(folder.path)
    return Found(
        model=model,
        parameters=None if size is None else size // 2,
        size=size,
        problems=problems,
        pool=pool,
        answers=Answers(problems=len(trained.problems), answered=trained.answered),
        room=None if context is None else context - longest,
    )


def choose(found: Found, own: Mapping[str, object], *, gpu: bool) -> Recipe:
    """The recipe for what was found, with the keys of `look`'s `own` as they are set there.

    Raises `UsageError` if the problems can't be split into three sets.
    """
    small = found.parameters is not None and found.parameters < SMALL
    chosen = _method(found)
    trained = packaged_recipe("demo").training if small else chosen.training
    limit = chosen.sampling.max_new_tokens
    if found.room is not None:
        limit = max(1, min(limit, found.room))
    per_round = PER_ROUND["gpu" if gpu else "cpu"]
    keys: dict[str, object] = {
        "model": {"name": found.model},
        "problems": {"train": found.problems, "answered_only": found.answers.leaves_out},
        "sampling": {"max_new_tokens": limit, "samples": chosen.sampling.samples},
        "prefixes": {name: getattr(chosen.prefixes, name) for name in ("select", "length", "structure_ratio")},
        "training": {name: getattr(trained, name) for name in ("learning_rate", "epochs", "batch_rows")},
    }
    judged = max(LEAST, heldout_needed(parse_recipe(keys, "init")))
    cut = largest(found.pool, Sizes(DRAWN if found.generated else TRAIN, judged, judged))
    train = len(cut.train) if found.generated else 0
    named = {"train_size": train, "heldout_size": len(cut.heldout), "sealed_size": len(cut.sealed)}
    more = {"problems": named, "sampling": {"problems_per_round": per_round if len(cut.trainable) > per_round else 0}}
    return parse_recipe(laid_over(laid_over(keys, more, "init"), own, "--set"), "--set")


def advice(recipe: Recipe, found: Found) -> list[str]:
    """What the user should know of the choice before running it: rows that changed the method, too few problems."""
    lacking = found.answers.problems - found.answers.answered
    told = f"{lacking:,} of {found.answers.problems:,} problems have no usable answer"
    if found.answers.leaves_out:
        selected = f"{told} and are left out of training (problems.answered_only)"
    else:
        selected = f"{told}, so the recipe trains without answers; problems.answered_only = true leaves such rows out"
    most = None if found.generated else found.answers.answered - recipe.problems.sealed_size - 1
    warning = power_warning(recipe, recipe.problems.heldout_size, most)
    return [*([selected] if lacking and not found.generated else []), *([warning] if warning else [])]


def counted(recipe: Recipe, found: Found) -> Recipe:
    """The recipe with the number of training problems in place of all there are, for its forecast."""
    there = len(found.pool.cut(sizes_of(recipe.problems)).train)
    return parse_recipe(laid_over(recipe.model_dump(), {"problems": {"train_size": there}}, "init"), "init")


def _method(found: Found) -> Recipe:
    """A recipe with the selection and training that fit."""
    if not found.answers.most and found.parameters is not None and found.parameters >= LARGE:
        return packaged_recipe("upft")
    return parse_recipe(method_keys(by_answers=found.answers.most or found.pool.wanted.answered_only), "init")
