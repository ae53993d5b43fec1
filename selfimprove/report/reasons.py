"""The checker's verdict in words that a reader of a report would use.

A verdict row keeps the checker's own terms, which say by which step it was decided: `different as fractions`. A report
says what that means for the answer: different numbers. A reason that isn't in the table is shown as it is, such as one
that a checker of the user's own gave.
"""

from __future__ import annotations

from collections.abc import Mapping

from selfimprove.answer.verdict import Outcome

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.CORRECT: "right",
    Outcome.WRONG: "wrong",
    Outcome.UNPARSED: "no readable answer",
    Outcome.TIMED_OUT: "checker timed out",
    Outcome.ERROR: "checker failed",
}
"""What each verdict is called."""

REASONS: Mapping[str, str] = {
    "equal as fractions": "the same number",
    "different as fractions": "different numbers",
    "equal as infinities": "the same infinity",
    "different as infinities": "infinities of different sign",
    "equal in closed form": "the same value",
    "different in closed form": "different values",
    "equal when evaluated": "the same value",
    "different when evaluated": "different values",
    "the same after normalisation": "the same answer",
    "the same function of the same pieces": "the same expression",
    "different rational functions": "different expressions",
    "answers of different kinds": "a different kind of answer from the reference",
    "not both are expressions": "a different kind of answer from the reference",
    "it contradicts itself": "the answer contradicts itself",
    "an item has no equal": "an item that the reference doesn't have",
    "equal as a share of one hundred": "the same percentage",
    "different residues": "different remainders",
    "the same residues": "the same remainders",
    "no closed form": "too complicated to compare",
    "sympy's budget of calls is spent": "too complicated to compare",
    "an equation that may be empty": "an equation that may have no solution",
    "pieces that can't be compared on a stretch": "pieces that can't be compared",
    "the text breaks off": "the text ends before it states an answer",
    "the text gives up": "the text says that there is no answer",
    "the text promises to go on": "the text ends before it states an answer",
    "program text is no answer": "a program instead of an answer",
    "there is no closed box": "no \\boxed{} answer",
    "the last box is not closed": "the last \\boxed{} is not closed",
    "the box is empty": "an empty \\boxed{}",
    "the thinking block is not closed": "the thinking never ended",
    "no one choice is stated": "no single choice is stated",
    "the answer is taken back": "the answer is later withdrawn",
    "the answer is only supposed": "the answer is only assumed",
    "no answer by its look": "nothing there looks like an answer",
    "the answer was not judged in time": "judging took too long",
    "the process that judged it died twice": "judging crashed twice",
    "judging it needs more memory than is allowed": "judging needs too much memory",
}
_PART, _DECLINED, _UNITS = "a part differs: ", "sympy declined: ", " against "


def in_words(stage: str, reason: str) -> str:
    """The checker's reason in words; one that isn't known here as it is."""
    if reason.startswith(_PART):
        return f"one part differs: {in_words(stage, reason.removeprefix(_PART))}"
    if reason.startswith(_DECLINED):
        return "too complicated to compare"
    if stage == "units" and _UNITS in reason:
        return f"different units: {reason}"
    return REASONS.get(reason, reason)
