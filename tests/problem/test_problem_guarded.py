"""The sets of guards: apart from all others, never trained on, and without a say in what is held out or sealed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem import ProblemSets, fresh_heldout, load_problems
from selfimprove.recipe import Guard, Problems


@pytest.fixture
def sums(tmp_path: Path) -> str:
    rows = [{"question": f"What is {a} + {b}?", "answer": f"{a + b}"} for a in range(20) for b in range(20)]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


SIZES = {"train_size": 0, "heldout_size": 50, "sealed_size": 30}


def keys(sets: ProblemSets, name: str) -> set[str]:
    return {problem.key for problem in sets.guards[name]}


def test_a_guard_of_the_train_source_takes_problems_from_training_alone(sums: str) -> None:
    wanted = Problems(train=sums, **SIZES)
    guards = [Guard(name="a", problems=sums, size=60), Guard(name="b", problems=sums, size=40)]
    plain, sets = load_problems(wanted), load_problems(wanted, guards=guards)
    assert (sets.heldout, sets.sealed) == (plain.heldout, plain.sealed)
    assert [len(sets.guards[name]) for name in "ab"] == [60, 40]
    others = {problem.key for problem in sets.all_problems()}
    assert others.isdisjoint(keys(sets, "a") | keys(sets, "b"))
    assert keys(sets, "b") < keys(sets, "a"), "two guards may ask the same problems"
    assert len(sets.train) == len(plain.train) - 60
    assert sets.dropped["train in guards"] == 60
    assert sets.dropped["guard a in heldout or sealed"] == 80
    assert sets.fingerprint() != plain.fingerprint()


def test_a_question_in_other_files_and_other_spelling_is_the_same_problem(sums: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    rows = [f"what is {a}  + {b}?,{a + b}" for a in range(20) for b in range(19, 22)]
    other.write_text("\n".join(["frage,antwort", *rows]) + "\n")
    guard = Guard(problems=str(other), size=20, question="frage", answer="antwort")
    sets = load_problems(Problems(train=sums, **SIZES), guards=[guard])
    plain = load_problems(Problems(train=sums, **SIZES))
    forms = [problem.form for problem in sets.guards["other"]]
    assert len(set(forms)) == 20
    assert set(forms).isdisjoint(problem.form for problem in sets.all_problems())
    assert 0 < len(plain.train) - len(sets.train) == sets.dropped["train in guards"]


def test_what_is_too_like_a_guards_problem_is_not_trained_on(tmp_path: Path) -> None:
    story = "On Monday the farmer counts {} sheep behind the old grey barn, and on Tuesday {} more. How many are there?"
    rows = [{"question": story.format(a, a + 1), "answer": f"{2 * a + 1}"} for a in range(10)]
    plain = [{"question": f"What is {a} + {b}?", "answer": f"{a + b}"} for a in range(10) for b in range(10)]
    train, other = tmp_path / "train.jsonl", tmp_path / "guard.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in [*plain, *rows[:5]]))
    other.write_text("".join(json.dumps(row) + "\n" for row in rows[5:]))
    held = tmp_path / "held.jsonl"
    held.write_text("".join(json.dumps({"question": f"Double {n}?", "answer": f"{2 * n}"}) + "\n" for n in range(20)))
    wanted = Problems(train=str(train), heldout=str(held), train_size=0, heldout_size=10, sealed_size=10)
    guard = Guard(problems=str(other), size=5)
    assert len(load_problems(wanted, guards=[guard]).train) == 105
    ngram = load_problems(wanted.model_copy(update={"decontaminate": "ngram", "ngram": 4}), guards=[guard])
    assert len(ngram.train) == 100


def test_guards_of_a_generator_are_drawn_beside_the_three_sets_and_fresh_problems_avoid_them() -> None:
    wanted = Problems(train="reasoning-gym:chain_sum", train_size=40, heldout_size=20, sealed_size=10)
    plain = load_problems(wanted)
    sets = load_problems(wanted, guards=[Guard(problems="reasoning-gym:chain_sum", size=30)])
    assert (sets.heldout, sets.sealed, len(sets.train)) == (plain.heldout, plain.sealed, 40)
    assert keys(sets, "chain_sum").isdisjoint(problem.key for problem in sets.all_problems())
    assert keys(sets, "chain_sum").isdisjoint(problem.key for problem in fresh_heldout(wanted, sets, 1))


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        ({"size": 380}, r"guards\.sums\.size is 380, but .*sums\.jsonl has 320 distinct problems with answers left"),
        ({"problems": "absent.jsonl"}, r"guards\.absent\.problems: absent\.jsonl: no such file"),
        ({"answer": "finall"}, r"guards\.sums\.answer: no row of .* has a field `finall`"),
    ],
)
def test_a_guard_that_a_source_cannot_give_is_refused_by_its_key(
    guard: dict[str, object], told: str, sums: str
) -> None:
    with pytest.raises(UsageError, match=told):
        load_problems(Problems(train=sums, **SIZES), guards=[Guard.model_validate({"problems": sums, **guard})])
