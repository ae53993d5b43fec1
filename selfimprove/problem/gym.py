"""The tasks of reasoning-gym whose answers aren't plain numbers, judged by their own `score_answer`.

Which is whose: a task of `PLAIN` asks for a number, and the answer checker judges it as it does any number. Every other
one says itself what is right (a colouring, a plan, a grid), from the item that was drawn. So a problem of such a task
carries its item (`Problem.drawn`), and a process of `judging` scores the answer that the completion states. Right is
a full score; what a task gives for less is credit for form, and counts as wrong.

Some of the library's scorers evaluate what stands in an answer, so an answer is scored in a process that can't do
anything but compute and read files (`answer.checking.confined`).

Items of `HASHED` depend on the process's hash seed. They are drawn in a process of their own that fixes it, so a seed
means the same problems everywhere (`drawing`).

Items travel pickled, between processes of this program alone: they hold tuples and sets, which JSON has not.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypedDict

from selfimprove.answer import Outcome, Verdict
from selfimprove.answer.boxes import last_box
from selfimprove.answer.checking.confined import confine
from selfimprove.answer.verdict import Statement
from selfimprove.errors import UsageError

PLAIN = frozenset(
    (
        "aiw", "basic_arithmetic", "binary_alternation", "chain_sum", "circuit_logic", "coin_flip", "count_bits",
        "count_primes", "decimal_arithmetic", "decimal_chain_sum", "dice", "fraction_simplification", "gcd",
        "gsm_symbolic", "largest_island", "lcm", "leg_counting", "letter_counting", "maze", "number_format",
        "number_sequence", "products", "rectangle_count", "rotten_oranges", "self_reference", "simple_equations",
        "simple_geometry",
    )
)  # fmt: skip
"""Tasks whose answers are numbers."""
HASHED = frozenset(
    ("isomorphic_strings", "knight_swap", "list_functions", "polynomial_multiplication", "ransom_note", "word_ladder")
)
"""Tasks whose items depend on the hash seed; `python -m benchmarks.generators` looks for others."""
SPELT = frozenset(("game_of_life_halting",))
"""Tasks whose scorer takes any text for the answer: here it must be spelt as the reference."""
BLOCK = 500
UNSTATED = "any solution"
"""Stands for the reference of a task whose items hold none."""

_REFERENCES = ("example_answer", "possible_answer", "example_correct_answer")
_TAGGED = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.DOTALL | re.IGNORECASE)
_FENCED = re.compile(r"```\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_MARKED = re.compile(r"(?:####|\banswer(?: is)?\s*:|\banswer is\b)[ \t*]*\n?", re.IGNORECASE)
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|texttt)\{([^{}]*)\}")
Params = Mapping[str, object]


class Item(TypedDict):
    """An item of a reasoning-gym dataset."""

    question: str
    answer: str | None
    metadata: Mapping[str, object]


class Dataset(Protocol):
    """A dataset of reasoning-gym."""

    def __getitem__(self, index: int, /) -> Item: ...

    def score_answer(self, answer: str | None, entry: Item) -> float:
        """What the answer earns, 1 for a right one."""
        ...


def made_dataset(task: str, params: Params, seed: int) -> Dataset:
    """The task's dataset; raises what the library says of parameters that it doesn't take."""
    import reasoning_gym

    found: Dataset = reasoning_gym.create_dataset(task, seed=seed, size=BLOCK, **params)
    return found


def items_of(task: str, params: Params, derive: Callable[[int], int]) -> Iterator[Item]:
    """The task's items without end, in blocks; `derive` gives the seed of each."""
    for block in itertools.count():
        seed = derive(block)
        if task in HASHED:
            yield from _drawn_apart(task, params, seed)
            continue
        dataset = made_dataset(task, params, seed)
        for index in range(BLOCK):
            with contextlib.redirect_stdout(sys.stderr):  # some generators print while they work
                item = dataset[index]
            yield item


def _drawn_apart(task: str, params: Params, seed: int) -> Generator[Item, None, None]:
    """A block of the task's items, from a process with a hash seed of 0."""
    made_dataset(task, params, seed)  # parameters that it refuses are refused here
    package = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-P", "-m", "selfimprove.problem.drawing", task, json.dumps(dict(params)), str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": package}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            drawn = 0
            for line in process.stdout or ():
                yield unpacked(line.decode())
                drawn += 1
            if drawn < BLOCK:
                told = f"reasoning-gym:{task}: its generator ended after {drawn} of {BLOCK} problems"
                raise UsageError(told, "Choose another, or other parameters.")
        finally:
            process.kill()


def carried_item(task: str, params: Params, item: Item) -> str:
    """The item as a problem carries it; empty for a task of plain numbers."""
    return "" if task in PLAIN else json.dumps([task, dict(params), packed(item)])


def solution_in(item: Item) -> str | None:
    """A right answer that the item holds, or None."""
    if item["answer"] is not None:
        return str(item["answer"])
    found = next((item["metadata"][key] for key in _REFERENCES if item["metadata"].get(key) is not None), None)
    return found if found is None or isinstance(found, str) else json.dumps(found)


def prepare_task(carrying: str) -> None:
    """Load what scoring an answer to this problem needs, so that it needn't be loaded for each answer."""
    task, params, _ = json.loads(carrying)
    _scorer(task, json.dumps(params))


@functools.lru_cache(maxsize=64)
def _scorer(task: str, params: str) -> Dataset:
    return made_dataset(task, json.loads(params), 0)


def judged_by_task(text: str, carrying: str, mode: str, *, cut: bool) -> Verdict:
    """The verdict on a completion of a problem that carries this; the process is confined from then on."""
    stated = stated_answer(text, mode, cut=cut)
    if stated is None:
        return Verdict(Outcome.UNPARSED, None, "extract", "there is no answer")
    task, params, held = json.loads(carrying)
    dataset, item = _scorer(task, json.dumps(params)), unpacked(held)
    confine(reading=True)
    try:
        best = max(score(task, dataset, item, written) for written in dict.fromkeys((stated, stated.rstrip("."))))
    except Exception as cause:  # noqa: BLE001 - the scorer can't read the answer, in whatever way it says so
        return Verdict(Outcome.UNPARSED, stated, "score", f"{type(cause).__name__}: {cause}")
    return Verdict(Outcome.of(best >= 1), stated, "score", f"score {best:.3g} by {task}")


def score(task: str, dataset: Dataset, item: Item, written: str) -> float:
    """What the task gives for an answer; 0 or 1 where its own scorer doesn't look at it."""
    if task in SPELT:
        return float(written.strip() == solution_in(item))
    return float(dataset.score_answer(written, item))


def stated_answer(text: str, mode: str = "last", *, cut: bool = False) -> str | None:
    """The answer that a completion states, which may have several lines; None if there is none.

    The last of `<answer>…</answer>` (not in mode `boxed`) and `\\boxed{…}`; in mode `marked` also what follows
    `Answer:`, `####` or “the answer is”; in mode `last` also the last fenced block, or else the last paragraph. Of a
    text that was cut only what was closed counts.
    """
    said = text.rpartition("</think>")[2]
    if "<think>" in said:
        return None
    closed = [_tagged(said)] if mode != "boxed" else []
    found = max((one for one in (*closed, _boxed(said)) if one), default=None)
    if found is None and mode == "last" and (fenced := [*_FENCED.finditer(said)]):
        found = fenced[-1].start(), fenced[-1][1]
    if found is None and mode != "boxed" and not cut:
        found = _marked(said) or (_last_paragraph(said) if mode == "last" else None)
    if found is None:
        return None
    return found[1].strip("\n").rstrip() or None


def _tagged(text: str) -> tuple[int, str] | None:
    found = [*_TAGGED.finditer(text)]
    return (found[-1].start(), found[-1][1]) if found else None


def _boxed(text: str) -> tuple[int, str] | None:
    box: Statement | None = last_box(text)[0]
    if box is None or box.fault:
        return None
    return box.at, _TEXT.sub(r"\1", box.text).strip()


def _marked(text: str) -> tuple[int, str] | None:
    """What stands behind the last mark, to the end of its paragraph."""
    found = [*_MARKED.finditer(text)]
    if not found:
        return None
    return found[-1].start(), _bare(text[found[-1].end() :].strip("\n").split("\n\n")[0])


def _last_paragraph(text: str) -> tuple[int, str] | None:
    paragraphs = [part for part in re.split(r"\n[ \t]*\n", text) if part.strip()]
    return (0, _bare(paragraphs[-1])) if paragraphs else None


def _bare(text: str) -> str:
    """The text without the marks of emphasis or code around it."""
    return text.strip().strip("*`").strip() if "\n" not in text.strip() else text


def unpacked(text: str) -> Item:
    """The item that was packed."""
    item: Item = pickle.loads(base64.b64decode(text))
    return item


def packed(item: Item) -> str:
    """What `unpacked` reads."""
    return base64.b64encode(pickle.dumps(item)).decode()
