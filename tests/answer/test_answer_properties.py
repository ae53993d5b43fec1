"""Invariants of the comparison: reflexive, symmetric, untouched by formatting."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from selfimprove.answer import Outcome, asked, check, check_answer, judge, read
from selfimprove.answer.normal import normalise

numbers = st.integers(-10_000, 10_000)
atoms = st.one_of(
    numbers.map(str),
    st.sampled_from(["x", "y", r"\pi", r"\sqrt{2}", r"\sqrt[3]{5}", r"\sin x", "e", r"\alpha", "0.5", "n"]),
    st.tuples(numbers, st.integers(1, 99)).map(lambda pair: rf"\frac{{{pair[0]}}}{{{pair[1]}}}"),
)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"{p[0]}+({p[1]})"),
        st.tuples(inner, inner).map(lambda p: rf"({p[0]})\cdot ({p[1]})"),
        st.tuples(inner, inner).map(lambda p: rf"({p[0]})-({p[1]})"),
        inner.map(lambda one: f"({one})^2"),
        inner.map(lambda one: rf"\sqrt{{{one}}}"),
    ),
    max_leaves=6,
)
answers = st.one_of(
    expressions,
    st.lists(expressions, min_size=2, max_size=4).map(", ".join),
    st.tuples(expressions, expressions).map(lambda p: f"({p[0]}, {p[1]})"),
    expressions.map(lambda one: f"x = {one}"),
    numbers.map(lambda n: f"x > {n}"),
    numbers.map(lambda n: rf"({n}, \infty)"),
)
FEW = settings(max_examples=60, deadline=None, derandomize=True)


def accepts(prediction: str, reference: str) -> bool:
    return check_answer(prediction, reference).outcome is Outcome.CORRECT


@FEW
@given(answers)
def test_reflexive(answer: str) -> None:
    assume(read(answer).node is not None)
    assert accepts(answer, answer)


@FEW
@given(answers, answers)
def test_symmetric_core(left: str, right: str) -> None:
    one, two = read(left), read(right)
    assert judge(one, two).outcome == judge(two, one).outcome


@FEW
@given(answers)
def test_normalising_twice_changes_nothing(answer: str) -> None:
    assert normalise(normalise(answer)) == normalise(answer)


@FEW
@given(expressions)
def test_formatting_changes_no_verdict(expression: str) -> None:
    assume(read(expression).node is not None)
    for written in (
        expression.replace("+", " + "),
        expression.replace(r"\frac", r"\dfrac").replace("(", r"\left(").replace(")", r"\right)"),
        f"({expression})",
        f"${expression}$",
        rf"\displaystyle {expression}",
    ):
        assert accepts(written, expression)


@FEW
@given(expressions, st.integers(1, 50))
def test_something_more_is_something_else(expression: str, more: int) -> None:
    assume(accepts(expression, expression))
    assert not accepts(f"{expression}+{more}", expression)


@FEW
@given(st.integers(-(10**15), 10**15))
def test_thousands_separators_change_no_value(number: int) -> None:
    assert accepts(f"{number:,}", str(number))
    assert accepts(f"{number:,}".replace(",", r"\,"), str(number))


@FEW
@given(st.fractions(max_denominator=10_000), st.fractions(max_denominator=10_000))
def test_fractions_are_equal_exactly_when_they_are(left: Fraction, right: Fraction) -> None:
    written = rf"\frac{{{left.numerator * 3}}}{{{left.denominator * 3}}}"
    assert accepts(written, f"{right.numerator}/{right.denominator}") == (left == right)


@FEW
@given(st.text(max_size=200), st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str, reference: str) -> None:
    assert check(text, reference).outcome in (Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED)


QUESTIONS = [
    "Which organ filters waste?\n(A) the kidneys\n(B) the heart\n(C) the 3rd lung\n(D) none",
    "How many hours is that?\n(a) 3 hours\n(b) 4 hours\n(c) 12 hours",
    "Statement 1 | x. Statement 2 | y.\nA. True, True\nB. False, False\nC. True, False\nD. False, True",
    "How many dozens of hours?",
]
PIECES = [
    "",
    " ",
    "\n\n",
    "A",
    "(b)",
    "3",
    "hours",
    "dozen",
    "the kidneys",
    "Statement 1 is true",
    "?",
    ".",
    ":",
    "1. a",
    "not",
]


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)))
def test_any_text_gets_a_verdict_by_what_the_question_asks(text: str) -> None:
    for question in QUESTIONS:
        for reference in ("A", "b", "3"):
            assert check(text, reference, asked=asked(question)).outcome in Outcome
            assert check_answer(text, reference, asked=asked(question)).outcome in Outcome
