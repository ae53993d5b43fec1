"""The problems of a recipe's guards: sets beside the three, none of whose problems is trained on, held out or sealed.

That they are apart from the held-out problems is what the guards' tests stand on: a challenger is judged on them
because of its held-out answers, and on problems of both it would be chosen by what it is tested on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem.hub import JUDGED_SPLITS
from selfimprove.problem.sources import Source, found_source, read_stock, refuse_lacking
from selfimprove.problem.stock import Reading, Stock
from selfimprove.problem.taking import cause_of_lack, take_answered, without_these
from selfimprove.problem.values import Problem, Tally
from selfimprove.recipe import Guard, Problems


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """The guards' sets by name, what their sources' rows gave, and how many rows were left out of each."""

    sets: dict[str, tuple[Problem, ...]]
    tallies: tuple[tuple[str, Tally], ...]
    dropped: dict[str, int]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Those of all guards."""
        return tuple(problem for part in self.sets.values() for problem in part)

    def keys(self) -> list[str]:
        """A name of the problems taken, under which figures that depend on them are kept; none without guards."""
        names = " ".join(problem.key for problem in self.problems)
        return [f"guards {hashlib.sha256(names.encode()).hexdigest()}"] if self.sets else []


def take_guards(
    guards: Sequence[Guard], wanted: Problems, taken: Sequence[Problem], reading: Reading, *, as_written: bool
) -> Guarded:
    """Each guard's problems, which are none of the `taken` ones; `UsageError` where a source can't give them.

    A source is read by the guard's own names of fields. `as_written`: the recipe's checker is one's own.
    """
    sets, tallies, dropped = {}, [], {}
    for guard in guards:
        named = f"guards.{guard.name}.problems"
        source = found_source(guard.problems, named, JUDGED_SPLITS)
        fields = {"question": guard.question, "answer": guard.answer, "context": "", "options": ""}
        sizes = {"train_size": 0, "heldout_size": len(taken), "sealed_size": guard.size}
        own = wanted.model_copy(update={**fields, **sizes})
        stock = read_stock(source, own, reading, as_written=as_written or bool(guard.checker))
        refuse_lacking({source: stock}, f"guards.{guard.name}")
        left, repeated = without_these(stock.problems, taken)
        sets[guard.name], _ = take_answered(left, guard.size)
        if len(sets[guard.name]) < guard.size:
            raise _too_few(guard, sets[guard.name], stock, source)
        tallies.append((named, stock.tally(source)))
        dropped[f"guard {guard.name} in heldout or sealed"] = repeated
    return Guarded(sets=sets, tallies=tuple(tallies), dropped=dropped)


def _too_few(guard: Guard, found: Sequence[Problem], stock: Stock, source: Source) -> UsageError:
    why, instead = cause_of_lack(stock, source, "[[guards]]")
    fault = f"guards.{guard.name}.size is {guard.size}, but {source} has {len(found)} distinct problems with answers"
    smaller = f"Set it to at most {len(found)}" if found else instead
    return UsageError(
        f"{fault} left for it{why}", f"{smaller}, or name another source in guards.{guard.name}.problems."
    )
