"""Which completions are worth training: the selections of a recipe (`prefixes.select`), as pure functions.

UPFT's bound (arXiv 2503.02875, section 3) splits the log-likelihood of a right answer over the openings z of a
solution, log P(right | x) ≥ Σ_z P(z | x, right) [log P(z | x) + log P(right | x, z)]: how often the model opens so
(*coverage*) and how often that opening ends well (*accuracy*). Each selection is a way to spend tokens on these two:

| select | what it raises | samples of a problem | labels |
| --- | --- | --- | --- |
| `all` | coverage of any opening; accuracy is trusted to be even | k prefixes | no |
| `modal` | coverage of the commonest opening: prefix self-consistency | k prefixes | no |
| `consistent` | openings of solutions that end in the majority's answer | k solutions | no |
| `verified` | openings of solutions that end right, seen once each | k solutions | yes |
| `rollout` | openings whose m continuations do better than the mean | k prefixes, m for each distinct one | either |

`verified` credits an opening with one outcome, so a poor opening that ended well by luck is trained, and the commonest
opening gets most of that luck. `rollout` sees each opening m times and asks for its *advantage*: its value minus the
problem's mean over what the model opens with, so an opening isn't rewarded for the ease of its problem. Few
continuations say little, so the advantage is shrunk toward zero as if `shrinkage` more of them had come out like the
mean, and what stays below `least_advantage` is left out. With `pooled`, openings that are the same but for the
problem's own numbers (`pattern_of`) are shrunk toward their pattern's advantage on the other problems instead. An
opening that was drawn c times becomes one row of weight c: coverage times, and with `weighted` also its advantage.

`consistent` and `verified` also tell which completions end in a wrong answer (`Choice.wrong`), as far as they know.

Nothing here samples or checks: outcomes and classes of answers come in as values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from selfimprove.recipe import Prefixes
from selfimprove.round.agreement import majority
from selfimprove.round.prefixes import Choice
from selfimprove.sampling import Completion, Row

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def verified(
    completions: Sequence[Completion], right: Collection[Row], wrong: Collection[Row] = (), *, weighted: bool = False
) -> Choice:
    """The completions whose rows are `right`; the others are left out as `not_verified`, `wrong` among them.

    `weighted`: by p(1 - p) of their problem, p = (right + 1)/(samples + 2), against a bias towards easy problems.
    """
    choice = _split(completions, frozenset(right), "not_verified")
    weights = dict(choice.weights)
    for found in _by_key(completions).values() if weighted else ():
        rows = [completion.row for completion in found if completion.row in weights]
        rate = (len(rows) + 1) / (len(found) + 2)
        weights |= dict.fromkeys(rows, rate * (1 - rate))
    return Choice(weights, choice.reasons, wrong=frozenset(wrong))


def modal(completions: Sequence[Completion], length: int) -> Choice:
    """Of each problem the commonest prefix of `length` ids, once; none where no two samples agree (`no_mode`).

    Between equally common ones the first sample decides. A problem sampled once is a full row and kept.
    """
    kept: set[Row] = set()
    reasons: dict[Row, str] = {}
    for found in _by_key(completions).values():
        prefixes = [completion.token_ids[:length] for completion in found]
        mode, votes = Counter(prefixes).most_common(1)[0]
        agreed = votes > 1 or len(found) == 1
        if agreed:
            kept.add(found[prefixes.index(mode)].row)
        reasons |= {completion.row: "not_modal" if agreed else "no_mode" for completion in found}
    return Choice(dict.fromkeys(kept, 1.0), {row: why for row, why in reasons.items() if row not in kept})


def consistent(
    completions: Sequence[Completion],
    answers: Mapping[Row, str | None],
    least: float = 0.0,
    *,
    weighted: bool = False,
) -> Choice:
    """The completions that end in their problem's majority answer; `answers` names the class of each, None: no answer.

    Left out are those of the minority (`not_consistent`; wrong, unless they have no answer), of problems without a
    majority (`no_majority`), and of those where less than the share `least` of the samples agree (`little_agreement`).
    `weighted`: by that share.
    """
    weights: dict[Row, float] = {}
    reasons: dict[Row, str] = {}
    wrong: set[Row] = set()
    for found in _by_key(completions).values():
        winner = majority([(answers[completion.row], 1) for completion in found])
        share = sum(answers[completion.row] == winner for completion in found) / len(found)
        for completion in found:
            row = completion.row
            if winner is None:
                reasons[row] = "no_majority"
            elif share < least:
                reasons[row] = "little_agreement"
            elif answers[row] == winner:
                weights[row] = share if weighted else 1.0
            else:
                reasons[row] = "not_consistent"
                wrong |= set() if answers[row] is None else {row}
    return Choice(weights, reasons, wrong=frozenset(wrong))


@dataclass(frozen=True)
class Tried:
    """A distinct prefix of a problem: the rows that drew it, how its continuations ended, and its pattern, if pooled.

    `solution` is a whole solution that begins with the prefix and ended well, if one did.
    """

    key: str
    rows: tuple[Row, ...]
    outcomes: tuple[bool, ...]
    pattern: str = ""
    solution: tuple[int, ...] = field(default=(), repr=False)

    @property
    def value(self) -> float:
        """The share of its continuations that ended well."""
        return sum(self.outcomes) / len(self.outcomes)


def advantages(tried: Sequence[Tried], shrinkage: float) -> list[float]:
    """The shrunk advantage of each prefix over its problem's mean, which weighs prefixes by how often they were drawn.

    A prefix with a pattern is shrunk toward that pattern's advantage on other prefixes, itself shrunk toward zero.
    """
    excess = [len(t.outcomes) * (t.value - mean) for t, mean in zip(tried, _means(tried), strict=True)]
    sums: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for one, amount in zip(tried, excess, strict=True):
        sums[one.pattern] += amount
        counts[one.pattern] += len(one.outcomes)
    found = []
    for one, amount in zip(tried, excess, strict=True):
        n = len(one.outcomes)
        others = counts[one.pattern] - n if one.pattern else 0
        prior = (sums[one.pattern] - amount) / (others + shrinkage) if others else 0.0
        found.append((amount + shrinkage * prior) / (n + shrinkage))
    return found


def rollout(completions: Sequence[Completion], tried: Sequence[Tried], settings: Prefixes) -> Choice:
    """Of each prefix with enough advantage its first row, weighted by how often it was drawn; the mean weight is 1.

    The other rows of a chosen prefix are left out as `repeated`, those of the others as `no_advantage`.
    """
    weights: dict[Row, float] = {}
    reasons = {completion.row: "no_advantage" for completion in completions}
    solutions: dict[Row, tuple[int, ...]] = {}
    for one, advantage in zip(tried, advantages(tried, settings.shrinkage), strict=True):
        if advantage > settings.least_advantage:
            first, *others = sorted(one.rows)
            weights[first] = len(one.rows) * (advantage if settings.weighted else 1.0)
            solutions |= {first: one.solution} if one.solution else {}
            reasons |= dict.fromkeys(others, "repeated")
            del reasons[first]
    mean = sum(weights.values()) / len(weights) if weights else 1.0
    return Choice({row: weight / mean for row, weight in weights.items()}, reasons, solutions)


def pattern_of(text: str, question: str) -> str:
    """The text with the question's numbers as placeholders, so that openings that differ in numbers alone are equal."""
    places = {number: place for place, number in reversed(list(enumerate(_NUMBER.findall(question))))}
    return _NUMBER.sub(lambda match: f"⟨{places[match[0]]}⟩" if match[0] in places else match[0], text)


def _means(tried: Sequence[Tried]) -> list[float]:
    """For each prefix, the mean value of its problem's prefixes."""
    values: defaultdict[str, float] = defaultdict(float)
    drawn: Counter[str] = Counter()
    for one in tried:
        values[one.key] += len(one.rows) * one.value
        drawn[one.key] += len(one.rows)
    return [values[one.key] / drawn[one.key] for one in tried]


def _split(completions: Sequence[Completion], kept: frozenset[Row], reason: str) -> Choice:
    rows = [completion.row for completion in completions]
    return Choice(
        {row: 1.0 for row in rows if row in kept},
        {row: reason for row in rows if row not in kept},
    )


def _by_key(completions: Sequence[Completion]) -> dict[str, list[Completion]]:
    found: dict[str, list[Completion]] = {}
    for completion in sorted(completions, key=lambda completion: completion.row):
        found.setdefault(completion.key, []).append(completion)
    return found
