"""How a page lists the flips: filters, the words for a verdict, and the parts in which two answers differ."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.escaping import escape_lines
from selfimprove.problem import problems_of
from selfimprove.recipe.reading import parse_recipe
from selfimprove.report.browsing import browsed
from selfimprove.report.contests import Contest, contests
from selfimprove.report.differences import Piece, side_by_side
from selfimprove.report.flips import Flip, RoundFlips, shown_flips
from selfimprove.report.reasons import in_words
from selfimprove.report.records import RunRecords
from selfimprove.store.journal import Journal
from selfimprove.store.records import BoundRecord
from selfimprove.store.rows import Answered
from tests import example
from tests.paths import ROOT

JARGON = ("fraction", "residue", "sympy", "closed form", "normalisation", "rational", "evaluated")


def answer(model: int, key: str, outcome: str, text: str = "25", stop: str = "eos") -> Answered:
    return Answered(
        model=model,
        key=key,
        sample=0,
        outcome=outcome,
        candidate=text,
        stage="rational",
        reason="different as fractions",
        stop=stop,
        token_ids=(1, 2),
        text=text,
    )


def flip(key: str, before: Answered, after: Answered) -> Flip:
    won = after.correct
    return Flip(
        number=1, key=key, won=won, champion=before, challenger=after, champion_right=(0, 1), challenger_right=(1, 1)
    )


def test_a_flip_is_filtered_by_round_change_and_verdict() -> None:
    flips = (
        flip("a" * 16, answer(0, "a", "wrong", "25"), answer(1, "a", "correct", "50")),
        flip("b" * 16, answer(0, "b", "unparsed"), answer(1, "b", "correct")),
        flip("c" * 16, answer(0, "c", "correct"), answer(1, "c", "wrong", stop="length")),
        flip("d" * 16, answer(0, "d", "correct"), answer(1, "d", "error")),
    )
    (found,), filters = browsed([RoundFlips(1, 2, 2, flips)], 100)
    assert {one.title: [(label, count) for _, label, count in one.options] for one in filters} == {
        "Change": [("became readable", 1), ("became right", 1), ("became unreadable", 2)],
        "Verdict on the failing answer": [("checker failed", 1), ("no readable answer", 1), ("wrong", 2)],
    }
    assert [one.change for one in found.shown] == ["right", "readable", "unreadable", "unreadable"]
    tokens = {token: label for one in filters for token, label, _ in one.options}
    assert [[tokens[token] for token in one.tokens.split()] for one in found.shown] == [
        ["became right", "wrong"],
        ["became readable", "no readable answer"],
        ["became unreadable", "wrong"],
        ["became unreadable", "checker failed"],
    ]
    before, after = found.shown[0].sides
    assert (before.verdict, before.reason, before.read) == ("wrong", "different numbers", "25")
    assert (before.pieces, after.pieces) == ((Piece("25", own=False),), (Piece("50", own=False),))


def test_a_file_tells_where_a_problem_comes_from_and_its_level(tmp_path: Path) -> None:
    rows = [
        {"question": f"What is {n} plus {n}?", "answer": str(2 * n), "level": f"Level {1 + n % 2}"} for n in range(40)
    ]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = parse_recipe(
        {"problems": {"train": str(path), "train_size": 10, "heldout_size": 10, "sealed_size": 10}}, "the test"
    )
    sets = problems_of(recipe)
    run = RunRecords(
        name="r",
        journal=Journal(tmp_path / "run"),
        bound=BoundRecord(model="m", problems=sets.fingerprint(), recipe=recipe.model_dump()),
        recipe=recipe,
        rounds=(),
        looks=(),
        rollbacks=(),
        running="",
    )
    sides = [
        {p.key: (answer(model, p.key, said),) for p in sets.heldout} for model, said in ((0, "wrong"), (1, "correct"))
    ]
    (found,), sentence = shown_flips(run, [Contest(1, sides[0], sides[1])], 100)
    assert sentence == ""
    assert {flip.asked.source for flip in found.shown if flip.asked} == {"sums.jsonl"}
    for one in found.shown:
        assert one.asked
        assert one.asked.level == f"Level {1 + int(one.asked.reference) // 2 % 2}"
    _, filters = browsed([found], 100)
    assert [(one.title, [label for _, label, _ in one.options]) for one in filters] == [
        ("Level", ["Level 1", "Level 2"])
    ]


def test_the_example_can_be_filtered_by_source() -> None:
    run = example.records()
    shown, filters = browsed(shown_flips(run, contests(run), 1000)[0], 1000)
    assert [one.title for one in filters] == ["Round", "Change", "Verdict on the failing answer", "Source"]
    flips = sum(example.flip_counts())
    assert [sum(count for _, _, count in one.options) for one in filters] == [flips] * 4
    assert sum(len(found.shown) for found in shown) == flips


def marked(pieces: list[Piece]) -> str:
    return "".join(f"[{piece.text}]" if piece.own else piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("left", "right", "left_told", "right_told"),
    [
        ("84 + 81 equals 102.", "84 + 81 equals 165.", "84 + 81 equals [102].", "84 + 81 equals [165]."),
        ("so it is 5", "so I think it is 5", "so it is 5", "so [I think] it is 5"),
        ("It is the\nsame.", "It is the\nsame.", "It is the\nsame.", "It is the\nsame."),
        ("7", "8", "7", "8"),
        ("", "8", "", "8"),
    ],
)
def test_the_part_that_differs_is_marked(left: str, right: str, left_told: str, right_told: str) -> None:
    one, other = side_by_side(left, right, 1000)
    assert (marked(one), marked(other)) == (left_told, right_told)


def test_answers_that_have_little_in_common_are_marked_between_their_ends() -> None:
    one, other = side_by_side(
        f"We add. {' '.join('abcdefghijklmnopqrstuvwxyz' * 3)} Done.",
        f"We add. {' '.join(map(str, range(90)))} Done.",
        999,
    )
    assert [piece.own for piece in one] == [piece.own for piece in other] == [False, True, False]


def test_what_is_left_out_of_a_long_answer_is_counted() -> None:
    one, other = side_by_side("x " * 200 + "1", "x " * 200 + "2", 100)
    assert sum(piece.left_out for piece in one) == 301
    assert "".join(piece.text for piece in one).endswith("1")
    assert [piece.text for piece in other if piece.own] == ["2"]


WORDS = st.lists(st.sampled_from(["a", "b", "12", "\n", "\x1b", "<b>"]), max_size=30).map(" ".join)


@given(WORDS, WORDS)
def test_marks_change_no_character_and_what_is_unmarked_is_equal(left: str, right: str) -> None:
    one, other = side_by_side(left, right, 1000)
    assert ["".join(piece.text for piece in side) for side in (one, other)] == [
        escape_lines(text, 1000).start for text in (left, right)
    ]
    if any(piece.own for piece in (*one, *other)):
        common = ["".join(piece.text for piece in side if not piece.own).split() for side in (one, other)]
        assert "".join(common[0]) == "".join(common[1])


def reasons_in_source() -> set[str]:
    """Every reason that stands in the checker's source; of `f"{'equal' if same else 'different'} in …"` both."""
    found: set[str] = set()
    for path in sorted((ROOT / "selfimprove/answer").glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("Finding", "Candidate", "Verdict"):
                for value in call.args:
                    match value:
                        case ast.Constant(value=str(text)) if " " in text:
                            found.add(text)
                        case ast.JoinedStr(
                            values=[ast.FormattedValue(value=ast.IfExp() as either), ast.Constant() as end]
                        ):
                            found |= {f"{ast.literal_eval(word)}{end.value}" for word in (either.body, either.orelse)}
    return found


def test_no_reason_of_the_checker_needs_its_source_to_be_read() -> None:
    reasons = reasons_in_source()
    assert {"equal in closed form", "different residues", "it contradicts itself"} - reasons == {
        "it contradicts itself"
    }
    assert in_words("rational", "different as fractions") == "different numbers"
    assert in_words("structure", "a part differs: different as fractions") == "one part differs: different numbers"
    assert in_words("units", "cm against kg") == "different units: cm against kg"
    assert not [told for told in (in_words("", reason) for reason in reasons) if any(word in told for word in JARGON)]
