"""Rows, intervals and the file of answers, on values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfimprove.answer.verdict import Outcome
from selfimprove.errors import UsageError
from selfimprove.evaluate.answering import MODEL, Book
from selfimprove.evaluate.figures import figures_of
from selfimprove.evaluate.groups import MOST_VALUES, OTHERS, Group, groups_of
from selfimprove.gate.intervals import clopper_pearson, tango
from selfimprove.problem import Problem
from selfimprove.problem.benchmarks import Benchmark, load_benchmark
from selfimprove.problem.grams import leaked, resembled
from selfimprove.problem.values import make_problem
from selfimprove.recipe import Problems
from selfimprove.round.answers import batched
from selfimprove.sampling import StopReason
from selfimprove.store.durable import append_rows
from selfimprove.store.rows import Answered


def _problems(count: int, answer: str = "7") -> tuple[Problem, ...]:
    return tuple(make_problem(f"question {number}", answer, f"file.jsonl:{number}") for number in range(count))


def _row(key: str, right: bool, sample: int = 0) -> Answered:
    return Answered(
        model=MODEL,
        key=key,
        sample=sample,
        outcome=Outcome.CORRECT if right else Outcome.WRONG,
        candidate=None,
        stage="",
        reason="",
        stop=StopReason.EOS,
        token_ids=(1, 2),
        text="",
    )


def test_values_stand_in_their_natural_order_and_the_rarest_share_a_row() -> None:
    problems = _problems(60)
    fields = {one.key: {"Level": f"Level {number % 11}"} for number, one in enumerate(problems)}
    rows = groups_of([Benchmark(name="b", problems=problems, fields=fields)], [])
    assert [row.value for row in rows] == [f"Level {number}" for number in range(11)]
    many = {one.key: {"topic": f"t{min(number, 40)}"} for number, one in enumerate(problems)}
    rows = groups_of([Benchmark(name="b", problems=problems, fields=many)], [])
    assert len(rows) == MOST_VALUES
    assert rows[-1].value == OTHERS
    assert sum(len(row.keys) for row in rows) == 60


def test_what_all_problems_share_makes_no_row_and_texts_are_no_labels() -> None:
    problems = _problems(4)
    fields = {one.key: {"level": "3", "id": one.key} for one in problems}
    benchmark = Benchmark(name="b", problems=problems, fields=fields)
    assert groups_of([benchmark], []) == []
    assert len(groups_of([benchmark], ["id"])) == 4
    with pytest.raises(UsageError, match="--by colour: no problem has such a field"):
        groups_of([benchmark], ["colour"])


def test_sources_are_told_by_name() -> None:
    first, second = _problems(3), tuple(make_problem(f"other {n}", "12", f"two.jsonl:{n}") for n in range(2))
    rows = groups_of(
        [Benchmark(name="a", problems=first, fields={}), Benchmark(name="b", problems=second, fields={})], []
    )
    assert [(row.field, row.value, len(row.keys)) for row in rows] == [
        ("source", "a", 3),
        ("source", "b", 2),
        ("length of the answer", "1 character", 3),
        ("length of the answer", "2 characters", 2),
    ]


def test_a_rows_intervals_widen_with_their_number() -> None:
    keys = [str(number) for number in range(40)]
    base = {key: [_row(key, int(key) % 4 == 0)] for key in keys}
    better = {key: [_row(key, int(key) % 2 == 0)] for key in keys}
    halves = [Group("half", "first", tuple(keys[:20])), Group("half", "second", tuple(keys[20:]))]
    found = figures_of(keys, halves, {"base": base, "new": better})
    assert (found["intervals"], found["level"]) == (2, pytest.approx(0.975))
    assert found["gains"][0].gain == pytest.approx(0.25)
    assert (found["gains"][0].wins, found["gains"][0].losses) == (10, 0)
    assert found["groups"][0].gains[0].interval == tango(5, 0, 20, 0.975)
    alone = figures_of(keys, halves, {"base": base})
    assert alone["groups"][0].interval == clopper_pearson(5, 20, 0.975)
    assert figures_of([], halves[:1], {"base": base})["sides"] == ()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
def test_a_higher_level_is_a_wider_interval(case: tuple[int, int]) -> None:
    wins, size = case
    low, high = clopper_pearson(wins, size, 0.95)
    wide = clopper_pearson(wins, size, 0.999)
    assert wide[0] <= low <= wins / size <= high <= wide[1]
    narrow, wider = tango(wins, 0, size), tango(wins, 0, size, 0.999)
    assert wider[0] <= narrow[0] <= narrow[1] <= wider[1]


def test_the_rest_of_a_torn_batch_goes_and_the_plan_stays(tmp_path: Path) -> None:
    problems = _problems(10)
    book = Book(tmp_path / "answers.jsonl", samples=2, batches=lambda missing: list(batched(missing, 4)))
    plan = book.owed(problems)
    assert [len(batch) for batch in plan] == [4, 4, 2]
    whole = [_row(one.key, True, sample) for one in plan[0] for sample in (0, 1)]
    torn = [_row(plan[1][0].key, True, sample) for sample in (0, 1)] + [_row(plan[1][1].key, True)]
    append_rows(book.path, [row.model_dump() for row in (*whole, *torn)])
    assert book.owed(problems) == plan
    assert book.held().keys() == {one.key for one in plan[0]}
    assert [len(batch) for batch in book.owed(problems[:5])] == [1]
    for batch in book.owed(problems):
        rows = [_row(one.key, True, sample) for one in batch for sample in (0, 1) if one.key not in book.held()]
        append_rows(book.path, [row.model_dump() for row in rows])
    book.finish()
    assert book.owed(problems) == []


def test_a_benchmark_has_the_labels_of_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"question": f"What is {n} + 1?", "answer": str(n + 1), "level": n, "meta": {"topic": "sums"}, "note": "x" * 99}
        for n in range(8)
    ]
    Path("some.jsonl").write_text("".join(json.dumps({"row_idx": 0, "row": row}) + "\n" for row in rows))
    found = load_benchmark("some.jsonl", Problems(), limit=5)
    assert len(found.problems) == 5
    for problem in found.problems:
        assert found.fields[problem.key]["level"] == str(int(problem.answer or "") - 1)
        assert found.fields[problem.key]["meta.topic"] == "sums"
        assert "note" not in found.fields[problem.key]


def test_a_generator_is_drawn_apart_from_the_runs_own_draw() -> None:
    found = load_benchmark("reasoning-gym:arithmetic", Problems(train="reasoning-gym:arithmetic"), limit=12)
    assert len(found.problems) == 12
    assert found.fields == {}


def test_a_judged_question_that_a_training_one_repeats_is_found_from_its_side() -> None:
    training = ["one two three four five six", "something else that is long enough here"]
    judged = ["nothing of it at all in this one", "well one two three four five six then"]
    assert leaked(training, judged, 3, 0.5) == [0]
    assert resembled(training, judged, 3, 0.5) == {1}
