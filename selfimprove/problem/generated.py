"""Problems from the generators of reasoning-gym: named mixtures, and what makes two generated problems the same.

A generator is endless, its pool of distinct problems is not: one-digit sums of two terms are 200, so two seeds of 256
share nearly everything. Problems are therefore told apart by what is asked (the expression, the equation, the numbers)
and drawn until enough distinct ones are there. The draw depends on the seed alone, and its first n problems are the
same for every n. A part of a mixture whose pool runs low gives way to the others, so a mixture keeps its proportions
only while each part's pool is well above its share of what is drawn.

reasoning-gym seeds item i of a dataset with `seed + i`, so neighbouring seeds give the same items. Each part
therefore draws in blocks (of the library's default size, which every dataset can make) under seeds hashed from the
run's seed.
`gym` says which tasks are judged by the library, and draws those that depend on the process's hash seed apart.

Two mixtures are built in, for models that fail at two-digit sums. `sums` is small:

| part | share of the draw | distinct problems |
| --- | --- | --- |
| a + b and a - b, 0 to 10 | 20 % | 242 |
| a + b and a - b, -9 to 9 | 30 % | 722, of which 200 are in the row above |
| a * b, -9 to 9 | 20 % | 361 |
| a + b, 0 to 100 | 30 % | 10,201, of which 121 are in the first row |

Together 11,205 problems. SmolLM2-135M-Instruct, asked plainly and decoded greedily (96 tokens), ends 38 of 192 of
them with the right number. `arithmetic` has the same parts at other shares (10, 10, 10 and 45%), a - b from 0 to 100
(10%) and a ± b ± c of one-digit numbers (15%): over 25,000 problems, so that 10,000 and more can be trained on.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from selfimprove.errors import UsageError
from selfimprove.problem.gym import UNSTATED, Item, carried_item, items_of, made_dataset, solution_in
from selfimprove.problem.values import Problem, make_problem
from selfimprove.problem.wording import normal_form
from selfimprove.recipe import MixturePart

PREFIX = "reasoning-gym:"
_CALL = 'Parameters are those of the reasoning-gym dataset, without "seed" and "size".'


_Params = dict[str, object]
_ONE_DIGIT: _Params = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
_TWO_DIGITS: _Params = {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2}
_THREE: _Params = {**_ONE_DIGIT, "min_terms": 3, "max_terms": 3}
_WORDED: _Params = {"allow_parentheses": False, "format_style": "natural"}

_PLUS, _BOTH = {"operators": ["+"]}, {"operators": ["+", "-"]}
_NEGATIVE = {"allow_negation": True}

BUILT_IN: Mapping[str, tuple[MixturePart, ...]] = MappingProxyType(
    {
        "sums": (
            MixturePart(name="basic_arithmetic", weight=0.2, params={**_ONE_DIGIT, **_WORDED, **_BOTH}),
            MixturePart(name="chain_sum", weight=0.3, params={**_ONE_DIGIT, **_NEGATIVE}),
            MixturePart(name="products", weight=0.2, params={**_ONE_DIGIT, **_NEGATIVE}),
            MixturePart(name="basic_arithmetic", weight=0.3, params={**_TWO_DIGITS, **_WORDED, **_PLUS}),
        ),
        "arithmetic": (
            MixturePart(name="basic_arithmetic", weight=0.1, params={**_ONE_DIGIT, **_WORDED, **_BOTH}),
            MixturePart(name="chain_sum", weight=0.1, params={**_ONE_DIGIT, **_NEGATIVE}),
            MixturePart(name="products", weight=0.1, params={**_ONE_DIGIT, **_NEGATIVE}),
            MixturePart(name="basic_arithmetic", weight=0.45, params={**_TWO_DIGITS, **_WORDED, **_PLUS}),
            MixturePart(name="basic_arithmetic", weight=0.1, params={**_TWO_DIGITS, **_WORDED, "operators": ["-"]}),
            MixturePart(name="chain_sum", weight=0.15, params=_THREE),
        ),
    }
)

_EVALUATE = ("evaluate", ("expression",))
TASKS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "chain_sum": _EVALUATE,
        "products": _EVALUATE,
        "basic_arithmetic": _EVALUATE,
        "decimal_chain_sum": _EVALUATE,
        "bitwise_arithmetic": ("evaluate bits", ("problem",)),
        "complex_arithmetic": ("evaluate complex", ("num1", "operation", "num2")),
        "power_function": ("power", ("base", "exponent")),
        "gcd": ("gcd", ("numbers",)),
        "lcm": ("lcm", ("numbers",)),
        "prime_factorization": ("factorise", ("number",)),
        "count_bits": ("count bits", ("number",)),
        "count_primes": ("count primes", ("start", "end")),
        "fraction_simplification": ("simplify", ("numerator", "denominator")),
        "base_conversion": ("convert", ("source_repr", "source_base", "target_base")),
        "leg_counting": ("count legs", ("animals",)),
        "simple_equations": ("solve", ("equation",)),
        "polynomial_equations": ("solve polynomial", ("polynomial_expr",)),
        "simple_integration": ("integrate", ("integrand",)),
        "intermediate_integration": ("integrate", ("integrand",)),
    }
)
"""By dataset: what is asked, and the metadata that states it in full. Of the other datasets the metadata leaves out
part of the problem or adds what isn't asked, so their problems are known by the question."""


def draw(name: str, mixtures: Mapping[str, Sequence[MixturePart]], seed: int, count: int) -> tuple[list[Problem], int]:
    """Up to `count` distinct problems of `reasoning-gym:NAME`, in an order set by `seed`; how many repeats were drawn.

    Fewer come back when the pool is exhausted: after so many repeats in a row (1,000 and three times what was found)
    that one more problem, if it is as likely as the others, would have been drawn with 95% probability.
    Raises `UsageError` for an unknown name or parameters that the dataset refuses.
    """
    found: list[Problem] = []
    seen: set[str] = set()
    repeated = in_a_row = 0
    stream = _stream(_parts(name, mixtures), name, seed)
    while len(found) < count and in_a_row < 1000 + 3 * len(found):
        problem = next(stream)
        names = problem.names()
        if seen.isdisjoint(names):
            found.append(problem)
            in_a_row = 0
        else:
            repeated, in_a_row = repeated + 1, in_a_row + 1
        seen |= names
    return found, repeated


def _parts(name: str, mixtures: Mapping[str, Sequence[MixturePart]]) -> Sequence[MixturePart]:
    from reasoning_gym.factory import DATASETS

    parts: Sequence[MixturePart] = mixtures.get(name) or BUILT_IN.get(name) or (MixturePart(name=name),)
    if not (named := [part for part in parts if part.name not in DATASETS]):
        return parts
    unknown = named[0].name
    raise UsageError(f"{PREFIX}{name}: reasoning-gym has no dataset `{unknown}`", _suggestion(unknown, list(DATASETS)))


def _suggestion(unknown: str, datasets: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(unknown, [*datasets, *BUILT_IN])
    named = f"Did you mean {' or '.join(close)}? " if close else ""
    built_in = " and ".join(f"`{PREFIX}{name}`" for name in BUILT_IN)
    return f"{named}A mixture of your own goes under [problems.mixtures]; {built_in} are built in."


def _stream(parts: Sequence[MixturePart], mixture: str, seed: int) -> Iterator[Problem]:
    chooser = random.Random(_derived(seed, "mixture"))
    streams = [_problems(part, mixture, _derived(seed, f"{place}:{part.name}")) for place, part in enumerate(parts)]
    bounds = list(itertools.accumulate(part.weight for part in parts))
    while True:
        pick = chooser.random() * bounds[-1]
        place = next((place for place, bound in enumerate(bounds) if pick < bound), len(bounds) - 1)
        yield next(streams[place])


def _problems(part: MixturePart, mixture: str, seed: int) -> Iterator[Problem]:
    if own := {"seed", "size"} & part.params.keys():
        raise UsageError(f"{PREFIX}{mixture}: `{part.name}` may not set {' and '.join(sorted(own))}", _CALL)
    try:
        made_dataset(part.name, part.params, seed)
    except (AssertionError, TypeError, ValueError) as error:
        raise UsageError(f"{PREFIX}{mixture}: `{part.name}` refuses its parameters: {error}", _CALL) from None
    for item in items_of(part.name, part.params, lambda block: _derived(seed, str(block))):
        yield _problem(part, item)


def _problem(part: MixturePart, item: Item) -> Problem:
    dataset, answer = part.name, item["answer"]  # of some datasets a number
    task, keys = TASKS.get(dataset, ("", ()))
    stated = [normal_form(str(item["metadata"][key])) for key in keys]
    identity = f"{task}: {' | '.join(stated)}" if stated else ""
    question, source, carried = str(item["question"]), f"{PREFIX}{dataset}", carried_item(dataset, part.params, item)
    if not carried:
        return make_problem(question, None if answer is None else str(answer), source, identity)
    return replace(make_problem(question, solution_in(item) or UNSTATED, source, identity), drawn=carried)


def derive_round(seed: int, number: int) -> int:
    """The seed of the held-out problems that are drawn for a round alone."""
    return _derived(seed, f"round {number}")


def _derived(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4])
