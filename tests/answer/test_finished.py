from __future__ import annotations

import pytest

from selfimprove.answer.finished import left_undone


@pytest.mark.parametrize(
    ("candidate", "reference", "undone"),
    [
        ("8 - 3", "5", True),
        ("3 + -4 = 3 - 4", "-1", True),
        ("(9+1)", "10", True),
        (r"2 \times 3", "6", True),
        ("12/4", "3", True),
        (r"\frac{12}{4}", "3", True),
        ("8 - 3 = 5", "5", False),
        ("-5", "-5", False),
        ("1,234", "1234", False),
        ("1/2", "0.5", False),
        (r"1.5 \times 10^3", "1500", False),
        ("1.5 * 10^3", "1500", False),
        ("2 + 3", "x + 1", False),
        (r"1 + \sqrt{2}", r"1+\sqrt{2}", False),
        ("2x - 3", "5", False),
        ("$5", "5", False),
        (r"\frac{12}{18}", r"$\frac{2}{3}$", True),
        ("The simplified fraction is 12/18", "2/3", True),
        ("12/18 = 2/3", r"\frac{2}{3}", False),
        ("2/3 = 12/18", r"\frac{2}{3}", True),
        (r"-\dfrac{2}{3}", "-2/3", False),
        (r"\frac{1}{2} + \frac{1}{3}", "5/6", True),
        ("12/18", "12/18", False),
        ("12/18", "0.6667", False),
        ("6", "6/1", False),
    ],
)
def test_arithmetic_left_undone_is_told_from_a_number(candidate: str, reference: str, undone: bool) -> None:
    assert left_undone(candidate, reference) is undone
