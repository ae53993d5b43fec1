"""What was read from a source, told before a run: its fields, its first problems, and every row that was left out.

Values here, so that a program gets what a reader sees (`plain`); the command draws them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from selfimprove.errors import UsageError
from selfimprove.problem.choosing import UNREAD
from selfimprove.problem.grams import leaked
from selfimprove.problem.guessing import guessing_told
from selfimprove.problem.hub import JUDGED_SPLITS
from selfimprove.problem.judging import open_checker
from selfimprove.problem.names import listed
from selfimprove.problem.references import FaultyReference, faulty_references
from selfimprove.problem.sources import (
    GeneratedSource,
    Source,
    decontamination_off,
    found_source,
    read_stock,
    refuse_lacking,
)
from selfimprove.problem.stock import Reading, Stock
from selfimprove.problem.table import texts, without_places
from selfimprove.problem.values import Aside, Problem
from selfimprove.recipe import Answers, Problems

TESTED = 2000
"""References that the checker is tested on, at most."""
DRAWN = 256
"""Problems drawn from a generator, which has no end, to show some of them."""

_WRITE_OPTIONS = "Write them as a list of 2 to 26 texts, or in a column each (A, B, …)."
_HELP = {
    "sentence": "Name a field that holds the final answer (--set problems.answer=FIELD), or write it as `#### 7` or in "
    "a box.",
    "program": "Use questions with a final answer, or a checker of your own (answers.checker), which may run programs.",
    "chat": "Use chats with one user turn, or name the field of the question: --set problems.question=FIELD.",
    "options": "Name the field that says which option is right: --set problems.answer=FIELD.",
    "picture": "Use only questions that need no picture.",
    "several answers": "Write one answer per row.",
    "no answer": "Name the field that holds the answer: --set problems.answer=FIELD.",
}


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A source as it was read, its problems in the order of its rows."""

    source: str
    stock: Stock
    problems: tuple[Problem, ...]
    off: str = ""
    """Why its problems aren't compared with those that are judged, if the recipe asks for that in vain."""

    @property
    def answered(self) -> int:
        """How many of the problems have an answer."""
        return sum(problem.answer is not None for problem in self.problems)

    def kinds(self) -> Counter[str]:
        """How many rows were set aside, by what they lack."""
        return Counter(one.kind for one in self.stock.aside)

    def plain(self, limit: int) -> dict[str, object]:
        """As plain data, with `limit` of the problems (0: all)."""
        shown, guessing = self.problems[: limit or None], guessing_told(self.problems)
        return {
            "fields": {role: list(names) for role, names in self.stock.fields},
            "unused": list(self.stock.unused),
            "notes": list(self.stock.notes),
            "rows": self.stock.rows,
            "problems": [
                {"question": one.question, "answer": one.answer, "where": one.source}
                | ({"system": one.system} if one.system else {})
                for one in shown
            ],
            "set_aside": [{"where": one.where, "why": one.why, "kind": one.kind} for one in self.stock.aside],
            "dropped": {"duplicates": self.stock.duplicates},
            **({"guessing": guessing} if guessing else {}),
            **({"decontamination": self.off} if self.off else {}),
        }


def preview(text: str, wanted: Problems, reading: Reading | None = None, *, as_written: bool = False) -> Preview:
    """What a source gives, read as a run reads it; `as_written` as in `load_problems`.

    Raises `UsageError` for a source that isn't there, a row that is none, and rows of which none can be used.
    """
    reading = reading or Reading()
    source = found_source(text, "SOURCE", ("train",))
    settings = {"train": text, "train_size": DRAWN, "heldout_size": 1, "sealed_size": 1}
    drawn = wanted.model_copy(update=settings) if isinstance(source, GeneratedSource) else wanted
    stock = read_stock(source, drawn, reading, as_written=as_written)
    refuse_lacking({source: stock})
    stock = _without_leaks(stock, source, wanted, reading)
    refuse_unusable(text, stock)
    problems = tuple(sorted(stock.problems, key=_place))
    return Preview(source=text, stock=stock, problems=problems, off=decontamination_off(wanted, text))


def _without_leaks(stock: Stock, source: Source, wanted: Problems, reading: Reading) -> Stock:
    """The stock without problems too like one of the recipe's held-out or sealed sources, which are told by row."""
    sources = {"problems.heldout": wanted.heldout, "problems.sealed": wanted.sealed}
    named = [found_source(text, key, JUDGED_SPLITS) for key, text in sources.items() if text]
    others = [one for one in named if one != source and not isinstance(one, GeneratedSource)]
    if wanted.decontaminate != "ngram" or isinstance(source, GeneratedSource) or not others:
        return stock
    judged = [form for one in others for form in texts(read_stock(one, wanted, reading).problems, "form")]
    gone = leaked(texts(stock.problems, "form"), judged, wanted.ngram, wanted.ngram_share)
    why = "too similar to a held-out or sealed problem to be trained on"
    aside = [Aside(where=stock.problems[place].source, kind="leak", why=why) for place in gone]
    return replace(stock, problems=without_places(stock.problems, gone), aside=(*stock.aside, *aside))


def refuse_unusable(text: str, stock: Stock) -> None:
    """`UsageError` if the source `text` has no rows, or none that has an answer to judge by."""
    if not stock.rows:
        raise UsageError(f"{text}: there are no rows", "Name a file with one question and one answer per row.")
    if not stock.aside or stock.answered:
        return
    kind, count = Counter(one.kind for one in stock.aside).most_common(1)[0]
    first = next(one for one in stock.aside if one.kind == kind)
    fields = f" The fields are: {listed(stock.known)}." if kind in ("sentence", "no answer") else ""
    raise UsageError(
        f"{text}: none of {stock.rows:,} rows has an answer to judge by: {first.where}: {first.why}"
        + (f" ({count:,} rows like this)" if count > 1 else ""),
        (_WRITE_OPTIONS if first.why.endswith(UNREAD) else _HELP.get(kind, "Correct the rows.")) + fields,
    )


@dataclass(frozen=True)
class SelfTest:
    """How many references the checker was tested on, and those that it can't judge against."""

    tested: int
    faulty: tuple[FaultyReference, ...]


def self_test(found: Preview, settings: Answers, workers: int) -> SelfTest:
    """The checker on the references, or on every nth where there are many (`references`)."""
    answered = [problem for problem in found.problems if problem.answer is not None]
    some = answered[:: -(-len(answered) // TESTED)] if len(answered) > TESTED else answered
    with open_checker(settings, workers) as checker:
        return SelfTest(len(some), faulty_references(some, checker, settings))


def _place(problem: Problem) -> tuple[str, int]:
    name, _, number = problem.source.rpartition(":")
    return (name, int(number)) if number.isdigit() else (problem.source, 0)
