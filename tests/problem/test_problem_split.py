"""The split: disjoint, deterministic, independent of the order of rows, of the sizes asked for."""

from __future__ import annotations

import json
import random
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from selfimprove.errors import UsageError
from selfimprove.problem import ProblemSets, load_problems
from selfimprove.problem.preview import preview
from selfimprove.problem.shown import shown_lines
from selfimprove.problem.values import make_problem
from selfimprove.recipe import Problems
from tests import paths

CASES = paths.CASES / "problems"
GOOD = str(CASES / "good" / "gsm8k.jsonl")
SIZES = ["train_size", "heldout_size", "sealed_size"]

ROWS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["What is {}?", "what is {}.0", "WHAT  IS {},"])), min_size=8
)


def written(folder: Path, name: str, rows: list[tuple[int, str]]) -> str:
    path = folder / name
    lines = [json.dumps({"question": form.format(number), "answer": str(number)}) for number, form in rows]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def identities(problems: ProblemSets) -> list[set[str]]:
    parts = (problems.train, problems.heldout, problems.sealed)
    return [{problem.identity for problem in part} for part in parts]


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, ROWS, st.integers(0, 3))
def test_sets_are_disjoint_and_what_is_dropped_adds_up(
    train: list[tuple[int, str]], heldout: list[tuple[int, str]], sealed: list[tuple[int, str]], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = Problems(
            train=written(folder, "train.jsonl", train),
            heldout=written(folder, "heldout.jsonl", heldout),
            sealed=written(folder, "sealed.jsonl", sealed),
            train_size=0,
            heldout_size=1,
            sealed_size=2,
            seed=seed,
        )
        try:
            problems = load_problems(wanted)
        except UsageError:
            assume(False)  # too few distinct problems for these sizes
    sets = identities(problems)
    assert [len(part) for part in sets] == [len(problems.train), 1, 2]
    assert sum(map(len, sets)) == len(set.union(*sets))
    gone = sum(problems.dropped[key] for key in ("train duplicates", "train in heldout", "train in sealed"))
    assert len(problems.train) + gone == len(train)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, str]], shuffler: random.Random) -> None:
    distinct = len({number for number, _ in rows})
    assume(distinct >= 4)
    mixed = list(rows)
    shuffler.shuffle(mixed)
    with tempfile.TemporaryDirectory() as name:
        sizes = {"train_size": 0, "heldout_size": 1, "sealed_size": 1}
        one = load_problems(Problems(train=written(Path(name), "one.jsonl", rows), **sizes))
        two = load_problems(Problems(train=written(Path(name), "two.jsonl", mixed), **sizes))
    assert one.fingerprint() == two.fingerprint()
    assert len(one.train) == distinct - 2


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 10), st.integers(1, 10), st.integers(0, 5))
def test_a_change_of_train_size_changes_nothing_else(train: int, heldout: int, seed: int) -> None:
    wanted = Problems(train=GOOD, train_size=train, heldout_size=heldout, sealed_size=5, seed=seed)
    problems, everything = load_problems(wanted), load_problems(wanted.model_copy(update={"train_size": 0}))
    assert problems.sealed == everything.sealed
    assert problems.heldout == everything.heldout
    assert problems.train == everything.train[:train]
    assert len(everything.train) == 30 - heldout - 5


def test_seeds_give_different_splits() -> None:
    sizes = {"train_size": 10, "heldout_size": 10, "sealed_size": 10}
    fingerprints = {load_problems(Problems(train=GOOD, seed=seed, **sizes)).fingerprint() for seed in range(5)}
    assert len(fingerprints) == 5


def test_the_same_file_twice_is_carved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    wanted = Problems(train=GOOD, heldout="good/gsm8k.jsonl", train_size=10, heldout_size=10, sealed_size=10)
    problems = load_problems(wanted)
    assert problems == load_problems(wanted.model_copy(update={"heldout": ""}))
    assert not any(problems.dropped.values())
    assert len(set.union(*identities(problems))) == 30


def test_training_loses_what_is_judged_and_is_filled_up() -> None:
    csv_file = str(CASES / "good" / "gsm8k.csv")
    problems = load_problems(Problems(train=GOOD, heldout=csv_file, train_size=12, heldout_size=10, sealed_size=8))
    assert [len(part) for part in identities(problems)] == [12, 10, 8]
    assert problems.dropped["train in heldout"] == 10
    assert problems.dropped["train in sealed"] == 8
    assert len(set.union(*identities(problems))) == 30


def test_heldout_loses_what_is_sealed() -> None:
    csv_file, json_file = str(CASES / "good" / "gsm8k.csv"), str(CASES / "good" / "gsm8k.json")
    wanted = Problems(train=json_file, heldout=GOOD, sealed=csv_file, train_size=5, heldout_size=15, sealed_size=10)
    problems = load_problems(wanted)
    assert problems.dropped["heldout in sealed"] == 10
    assert len(set.union(*identities(problems))) == 30


def test_what_a_rotated_source_has_left_is_held_out_for_later_rounds_and_not_trained_on(tmp_path: Path) -> None:
    csv_file = str(CASES / "good" / "gsm8k.csv")
    wanted = Problems(train=GOOD, heldout=csv_file, train_size=0, heldout_size=4, sealed_size=8)
    with pytest.raises(UsageError, match="0 distinct problems besides those of other sets"):  # both files are equal
        load_problems(wanted, rotate=True)
    rows = [(number, "What is {0} and 0?") for number in range(9)]
    other = wanted.model_copy(update={"train": written(tmp_path, "sums.jsonl", rows)})
    problems, plain = load_problems(other, rotate=True), load_problems(other)
    assert (problems.heldout, problems.sealed, problems.train) == (plain.heldout, plain.sealed, plain.train)
    assert problems.fingerprint() != plain.fingerprint()
    assert (len(problems.later), problems.parts) == (18, 5)
    parts = [problems.heldout_part(number) for number in range(1, problems.parts + 1)]
    assert [len(part) for part in parts] == [4] * 5
    assert len({problem.key for part in parts for problem in part}) == 20


@pytest.mark.parametrize(
    ("sizes", "asked", "fit"),
    [
        ((10, 10, 31), "10 training, 10 held-out and 31 sealed ones", (5, 5, 18)),
        ((10, 21, 10), "10 training, 21 held-out and 10 sealed ones", (7, 15, 7)),
        ((11, 10, 10), "11 training, 10 held-out and 10 sealed ones", (10, 9, 9)),
        ((0, 20, 10), "all training, 20 held-out and 10 sealed ones", (0, 10, 5)),
        ((256, 256, 256), "256 training, 256 held-out and 256 sealed ones", (10, 10, 10)),
    ],
)
def test_asking_for_too_many_is_one_message_with_sizes_that_fit(
    sizes: tuple[int, int, int], asked: str, fit: tuple[int, int, int]
) -> None:
    wanted = Problems(train=GOOD, **dict(zip(SIZES, sizes, strict=True)))
    with pytest.raises(UsageError) as caught:
        load_problems(wanted)
    named = Path(GOOD).relative_to(Path.cwd()) if Path(GOOD).is_relative_to(Path.cwd()) else GOOD
    assert caught.value.message == f"{named} has 30 distinct problems, but the recipe asks for {asked}"
    typed = " ".join(f"--set problems.{name}={size}" for name, size in zip(SIZES, fit, strict=True))
    assert caught.value.hint == f"Sizes that fit: {typed}"
    assert load_problems(typed_over(wanted, caught.value.hint)).train


def typed_over(wanted: Problems, hint: str) -> Problems:
    """The recipe with the sizes of a hint."""
    sizes = {name: int(size) for name, size in re.findall(r"--set problems\.(\w+)=(\d+)", hint)}
    assert list(sizes) == SIZES
    return wanted.model_copy(update=sizes)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1), min_size=1, max_size=3),
    st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(1, 40)),
)
def test_sizes_that_are_said_to_fit_do(files: list[list[tuple[int, bool]]], sizes: tuple[int, int, int]) -> None:
    """Whichever sets share a source, whichever problems stand in several and lack an answer in some."""
    with tempfile.TemporaryDirectory() as folder:
        names = ["train", "heldout", "sealed"][: len(files)]
        for name, rows in zip(names, files, strict=True):
            made = [{"question": f"What is {n} + 1?", **({"answer": str(n + 1)} if told else {})} for n, told in rows]
            (Path(folder) / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
        sources = {name: str(Path(folder) / f"{name}.jsonl") for name in names}
        wanted = Problems(**sources, **dict(zip(SIZES, sizes, strict=True)))
        try:
            problems = load_problems(wanted)
        except UsageError as error:
            assume(error.hint.startswith("Sizes that fit"))
            fit = typed_over(wanted, error.hint)
            problems = load_problems(fit)
            assert all(getattr(fit, name) <= max(1, size) for name, size in zip(SIZES, sizes, strict=True))
        assert min(map(len, (problems.train, problems.heldout, problems.sealed))) > 0


def test_files_with_the_same_problems_are_shared_out_as_one() -> None:
    csv_file = str(CASES / "good" / "gsm8k.csv")
    wanted = Problems(train=GOOD, heldout=csv_file, train_size=20, heldout_size=20, sealed_size=20)
    with pytest.raises(UsageError, match=r"gsm8k\.csv has 30 distinct problems, .*20 held-out and 20 sealed") as caught:
        load_problems(wanted)
    sets = load_problems(typed_over(wanted, caught.value.hint))
    assert [len(part) for part in identities(sets)] == [10, 10, 10]


def test_no_sizes_are_named_where_none_would_do(tmp_path: Path) -> None:
    two = written(tmp_path, "two.jsonl", [(1, "What is {}?"), (2, "What is {}?")])
    with pytest.raises(UsageError, match="2 distinct problems, but the recipe asks for 256 training") as caught:
        load_problems(Problems(train=two))
    assert caught.value.hint == "Add rows, or name a larger source in problems.train."


def test_rows_without_answers_are_left_to_training(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    rows = [{"question": f"What is {n}?", **({"answer": str(n)} if n % 2 else {})} for n in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = load_problems(Problems(train=str(path), train_size=0, heldout_size=5, sealed_size=5))
    assert all(problem.answer for problem in (*problems.heldout, *problems.sealed))
    assert {problem.answer for problem in problems.train} == {None}
    with pytest.raises(UsageError, match=r"20 distinct problems, 10 of them with an answer, but .* 6 held-out") as told:
        load_problems(Problems(train=str(path), train_size=1, heldout_size=6, sealed_size=5))
    assert "some.jsonl:1: no answer" in told.value.message
    assert told.value.hint.endswith("train_size=1 --set problems.heldout_size=5 --set problems.sealed_size=4")


def test_the_twin_with_an_answer_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "twins.jsonl"
    path.write_text('{"question": "What is 1?"}\n{"question": "what is 1", "answer": "1"}\n')
    problems = load_problems(Problems(train=str(path), heldout=GOOD, train_size=0, heldout_size=1, sealed_size=1))
    assert [problem.answer for problem in problems.train] == ["1"]
    assert problems.dropped["train duplicates"] == 1


def test_keys_are_pinned_and_hold_identity_and_answer() -> None:
    pinned = json.loads((CASES / "pinned.json").read_text())
    assert make_problem("What is 1,000 + 1?", "1001", "a.jsonl:1").key == pinned["key"]
    assert make_problem("what is 1000+1", "1001", "b.jsonl:7").key == pinned["key"]
    assert make_problem("What is 1,000 + 1?", "1002", "a.jsonl:1").key != pinned["key"]
    assert make_problem("What is 1,000 + 1?", None, "a.jsonl:1").key != pinned["key"]


@given(st.text(min_size=1).filter(str.strip), st.none() | st.text())
def test_keys_are_sixteen_hex_digits(question: str, answer: str | None) -> None:
    key = make_problem(question, answer, "s").key
    assert len(key) == 16
    assert set(key) <= set("0123456789abcdef")


def test_training_problems_too_like_judged_ones_are_taken_out_where_that_is_asked_for(tmp_path: Path) -> None:
    story = "Anna walks from the old mill to the church and then back to the shop, {} miles in all. How far is {}?"
    rows = [{"question": story.format(n, "it"), "answer": str(n)} for n in range(4)]
    rows += [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(4)]
    train, heldout = tmp_path / "train.jsonl", tmp_path / "heldout.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = [{"question": story.format(99, "that"), "answer": "99"}, {"question": "What is 7 + 9?", "answer": "16"}]
    heldout.write_text("".join(json.dumps(row) + "\n" for row in judged))
    wanted = Problems(train=str(train), heldout=str(heldout), train_size=0, heldout_size=1, sealed_size=1)
    assert len(load_problems(wanted).train) == 8
    found = load_problems(wanted.model_copy(update={"decontaminate": "ngram"}))
    assert sorted(problem.answer or "" for problem in found.train) == ["1", "2", "3", "4"]
    assert found.dropped["train like heldout or sealed"] == 4
    shown = preview(str(train), wanted.model_copy(update={"decontaminate": "ngram"}))
    assert [one.kind for one in shown.stock.aside] == ["leak"] * 4


def test_generated_problems_say_why_they_are_not_compared_by_ngrams() -> None:
    wanted = Problems(train="reasoning-gym:sums", train_size=4, heldout_size=2, sealed_size=2)
    asked = wanted.model_copy(update={"decontaminate": "ngram"})
    found = preview("reasoning-gym:sums", asked)
    why = "decontamination by n-grams is off: generated questions are all worded alike"
    assert str(found.plain(1)["decontamination"]).startswith(why)
    assert any(why in line.plain for line in shown_lines(found, 1))
    assert "decontamination" not in preview("reasoning-gym:sums", wanted).plain(1)
