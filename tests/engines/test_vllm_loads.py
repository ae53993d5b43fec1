"""The loads of vLLM's worker on a scripted engine: rows that end are followed by others, and each load is answered."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from selfimprove.engines.vllm_loads import Loads, serve
from selfimprove.engines.vllm_messages import Answer, Load, Row, Sampled

ROW = Row(prompt_ids=(5,), max_tokens=0, seed=0, repetition_penalty=1, temperature=1, min_p=0, top_k=0, top_p=1)


@dataclass
class Output:
    """What vLLM says of a row after a step."""

    request_id: str
    finished: bool
    outputs: Sequence[Sampled]


@dataclass
class Engine:
    """Runs `most` rows at once, first come first served; a row ends after `max_tokens` steps with its seed as token."""

    most: int
    rows: dict[str, Row] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    running: list[int] = field(default_factory=list)
    added: int = 0

    @property
    def llm_engine(self) -> Engine:
        """Itself."""
        return self

    def enqueue(self, rows: Sequence[Row]) -> list[str]:
        """Add rows under names as vLLM's."""
        names = [f"{self.added + place}-abc-{place}" for place in range(len(rows))]
        self.rows |= dict(zip(names, rows, strict=True))
        self.added += len(rows)
        return names

    def abort_request(self, names: Sequence[str], *, internal: bool) -> None:
        """Forget rows."""
        assert internal
        for name in names:
            del self.rows[name]

    def step(self) -> list[Output]:
        """One token of each running row."""
        run = list(self.rows)[: self.most]
        self.running.append(len(run))
        outputs = []
        for name in run:
            self.taken[name] = self.taken.get(name, 0) + 1
            row = self.rows[name]
            ended = self.taken[name] == row.max_tokens
            if ended:
                del self.rows[name]
            outputs.append(Output(name.split("-")[0], ended, [Sampled(token_ids=(row.seed,), stop="eos")]))
        return outputs


def _load(number: int, *lengths: int) -> Load:
    return Load(number=number, rows=[replace(ROW, max_tokens=n, seed=10 * number + n) for n in lengths])


def _served(engine: Engine, *given: Load) -> list[Answer]:
    """The answers to loads that are all in hand from the start."""
    inbox: queue.SimpleQueue[Load | None] = queue.SimpleQueue()
    loads, answers = Loads(engine, engine.enqueue, lambda output: output), list[Answer]()
    for load in given:
        inbox.put(load)

    def reply(answer: Answer) -> None:
        answers.append(answer)
        if not engine.rows:
            inbox.put(None)

    serve(inbox, loads, reply)
    assert not loads.busy
    return answers


def _seeds(answers: Sequence[Answer]) -> dict[int, list[int]]:
    return {answer.number: [row.token_ids[0] for row in answer.rows] for answer in answers}


def test_rows_that_end_are_followed_by_those_of_the_next_load() -> None:
    engine = Engine(most=2)
    answers = _served(engine, _load(1, 1, 5), _load(2, 2, 1, 1))
    assert _seeds(answers) == {1: [11, 15], 2: [22, 21, 21]}
    assert engine.running == [2, 2, 2, 2, 2]  # as full as can be; one load after the other takes 5 + 2 steps
    engine = Engine(most=2)
    assert _seeds([*_served(engine, _load(1, 1, 5)), *_served(engine, _load(2, 2, 1, 1))]) == _seeds(answers)
    assert engine.running == [2, 1, 1, 1, 1, 2, 2]


def test_a_load_is_answered_when_its_last_row_has_ended_whichever_came_first() -> None:
    assert [answer.number for answer in _served(Engine(most=9), _load(7, 1, 5), _load(8, 2, 2))] == [8, 7]


def test_a_load_without_rows_drops_those_in_hand() -> None:
    engine = Engine(most=2)
    answers = _served(engine, _load(1, 5, 5, 5), _load(2, 1), Load(number=0, rows=()), _load(3, 2))
    assert _seeds(answers) == {3: [32]}
    assert engine.running == [1, 1]
