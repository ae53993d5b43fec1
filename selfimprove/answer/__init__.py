"""The answer checker: pure functions from text and reference to a verdict.

A verdict is computed in five steps, each with its own module and each able to end it: `extract` takes one candidate
from the text without looking at the reference; `limits` bounds it; `normal` and `parse` read both sides into trees
with one grammar, without evaluating any text; `shape` settles what kind of answer each is; `compare` and
`equality` prove them equal or different by the cheapest means. What can't be read or decided is `unparsed`,
never `correct`; what is read and contradicts itself (`21 + 19 = 30`) is `wrong`.

A *choice* may be stated by its text: where the reference is a letter, `options` finds the letter of an answer that is
one of the choices that the completion lists, and the letter is judged.

*Units* (`10 m/s`) pass through several of these: `tokens` and `parse` read them, `words` knows which spellings are the
same unit, `shape` separates them from the number, `compare` decides what a missing or another unit means.

Nothing here looks at a clock, starts a process or depends on hash seeds or order; `selfimprove.answer.checking` adds
worker processes with deadlines around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from selfimprove.answer.clock import same_date, same_time
from selfimprove.answer.compare import compare
from selfimprove.answer.extract import TAIL, Mode, after_thinking, extract
from selfimprove.answer.limits import shown
from selfimprove.answer.options import options_of
from selfimprove.answer.prose import value_in_sentence
from selfimprove.answer.reading import Answer, behind_label, near_value, plain_text, read, rounded_value
from selfimprove.answer.shape import CONTRADICTION
from selfimprove.answer.steps import allowance
from selfimprove.answer.tree import Node, Op, free_names, renamed, show
from selfimprove.answer.verdict import Finding, Outcome, Verdict
from selfimprove.answer.words import UNITS

VERSION = "4"
MAX_KEPT = 400  # characters of an answer whose reading is kept

PERTURBED = "the reference accepts the perturbed copy"
"""The first words of the fault of a reference that accepts a different answer."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A verdict with both sides as they were read."""

    verdict: Verdict
    found_by: str
    candidate: str | None
    candidate_normal: str
    candidate_type: str
    candidate_tree: str
    reference_normal: str
    reference_type: str
    reference_tree: str


def check(text: str, reference: str, mode: Mode = "last", *, cut: bool = False) -> Verdict:
    """The verdict on a completion; deterministic, in this process, bounded in steps but not in seconds.

    `cut`: the text was cut off at the token limit, so that only a closed statement counts.
    """
    candidate = extract(text, mode, cut=cut)
    if candidate.text is None:
        stage = "limits" if candidate.how == "limits" else "extract"
        return Verdict(outcome=Outcome.UNPARSED, candidate=None, stage=stage, reason=candidate.reason)
    found = judge(_known(reference), _known(candidate.text))
    if found.outcome is not Outcome.CORRECT and (letter := _by_text(text, candidate.text, reference, mode)):
        return _verdict(judge(_known(reference), read(letter)), candidate.text)
    if found.outcome is Outcome.UNPARSED and candidate.how == "boxed" and (value := value_in_sentence(candidate.text)):
        return _verdict(judge(_known(reference), read(value)), value)
    return _verdict(found, candidate.text)


def _by_text(text: str, stated: str, reference: str, mode: Mode) -> str | None:
    """The letter of the one choice in the text's list whose text is the answer stated behind the list; else None."""
    ours = _known(stated)
    if _known(reference).kind != "choice" or ours.choice is not None:
        return None
    tail = (after_thinking(text) or "")[-TAIL:]
    listed = options_of(tail)
    if listed is None or extract(tail[listed.end :], mode).text != stated:
        return None
    same = [letter for letter, option in listed.texts.items() if judge(read(option), ours).outcome is Outcome.CORRECT]
    return same[0] if len(same) == 1 else None


def _verdict(found: Finding, written: str) -> Verdict:
    return Verdict(outcome=found.outcome, candidate=shown(written.strip()), stage=found.stage, reason=found.reason)


def check_answer(answer: str, reference: str) -> Verdict:
    """The verdict on a bare answer: it is the candidate itself, unless it is prose around one."""
    gold, ours = _known(reference), _known(answer)
    found = judge(gold, ours)
    if found.outcome is Outcome.UNPARSED and gold.node is not None and _is_prose(answer, ours):
        return check(answer, reference, "last")
    return _verdict(found, answer)


def _is_prose(written: str, answer: Answer) -> bool:
    """Whether an unreadable answer is a text to take a candidate from, rather than a broken or hostile answer."""
    if answer.node is not None or not answer.normal:
        return "\\boxed" in written or "</think>" in written
    return extract(written, "last").text not in (None, written.strip())


def _known(written: str) -> Answer:
    """The answer as read; a short one is kept, because models and references write the same ones again and again."""
    return _kept(written) if len(written) <= MAX_KEPT else read(written)


_kept = lru_cache(maxsize=8192)(read)


def judge(reference: Answer, prediction: Answer) -> Finding:
    """Whether the prediction is the reference's answer; the reference decides what is compared."""
    with allowance():
        return _judged(reference, prediction)


def _judged(reference: Answer, prediction: Answer) -> Finding:
    if prediction.fault.startswith("limit: "):
        return Finding(Outcome.UNPARSED, "limits", prediction.fault.removeprefix("limit: "))
    if not prediction.normal:
        return Finding(Outcome.UNPARSED, "extract", "the answer is empty")
    if _unspaced(reference.normal) == _unspaced(prediction.normal):
        return Finding(Outcome.CORRECT, "string", "the same after normalisation")
    if _same_words(reference.normal, prediction.normal):
        return Finding(Outcome.CORRECT, "text", "the same words")
    if (same_hour := same_time(reference.normal, prediction.normal)) is not None:
        return Finding(Outcome.of(same_hour), "text", f"{'the same' if same_hour else 'another'} time of day")
    if (same_day := same_date(reference.normal, prediction.normal)) is not None:
        return Finding(Outcome.of(same_day), "text", f"{'the same' if same_day else 'another'} date")
    if reference.kind == "choice" and (found := _choice(reference, prediction)) is not None:
        return found
    if reference.node is None:
        same = bool(reference.words) and (
            reference.words == prediction.words or _replies(reference, prediction) or _labelled(reference, prediction)
        )
        return Finding(Outcome.of(same), "text", f"{'the same' if same else 'different'} words")
    labelled = behind_label(prediction) if reference.kind != "choice" else None
    if labelled is not None and (behind := read(labelled)).node is not None:
        found = _compared(reference, behind)
        if found.outcome is Outcome.CORRECT:
            return found
    if prediction.node is None:
        outcome = Outcome.WRONG if prediction.fault == CONTRADICTION else Outcome.UNPARSED
        return Finding(outcome, "parse", prediction.fault)
    return _compared(reference, prediction)


def _compared(reference: Answer, prediction: Answer) -> Finding:
    """The verdict on two answers that were read, each of which may also state what it is about."""
    if reference.node is None or prediction.node is None:
        return Finding(Outcome.UNPARSED, "parse", prediction.fault)
    found = _other_comma(reference, prediction) or compare(reference.node, prediction.node)
    if found.outcome is Outcome.CORRECT:
        return found
    if (same := _in_same_parameter(reference, prediction)) is not None:
        return compare(reference.node, same)
    if "\\approx" in prediction.normal and (rounded := rounded_value(prediction)) is not None:
        return compare(reference.node, rounded)
    if "\\approx" not in reference.normal:
        return found
    near = near_value(reference)
    approximate = found if near is None else compare(near, prediction.node)
    return approximate if approximate.outcome is Outcome.CORRECT else found


def _in_same_parameter(reference: Answer, prediction: Answer) -> Node | None:
    """The prediction with its one integer parameter (`n` in Z) called as the reference's; None without both."""
    ours, theirs = (_PARAMETER.findall(side.normal) for side in (prediction, reference))
    if len(ours) != 1 or len(theirs) != 1 or ours == theirs or prediction.node is None:
        return None
    return None if theirs[0] in free_names(prediction.node) else renamed(prediction.node, {ours[0]: theirs[0]})


_PARAMETER = re.compile(r"(?<![A-Za-z\\])([a-z])\s?\\in\s?\\mathbb\s?\{?\s?[ZN]")


def _unspaced(normal: str) -> str:
    """The text without its spaces, save those between two digits."""
    return _SPACES.sub("", normal) if " " in normal else normal


def _labelled(reference: Answer, prediction: Answer) -> bool:
    """Whether a prediction is the reference's words behind the letter of a choice: "B) mitochondria"."""
    behind = behind_label(prediction)
    return behind is not None and read(behind).words == reference.words


def _replies(reference: Answer, prediction: Answer) -> bool:
    """Whether a prediction begins with the reference's yes, no, true or false: "Yes, it converges"."""
    reply = _REPLY.match(plain_text(prediction.normal))
    if reply is None or reference.words != (reply[1].lower(),):
        return False
    return not _OTHER_REPLY.search(plain_text(prediction.normal)[reply.end() :])


_REPLY = re.compile(r"(yes|no|true|false)\s?[,.;:]\s", re.IGNORECASE)
_OTHER_REPLY = re.compile(r"\b(?:yes|no|true|false|but|however|unless|maybe|if|wait)\b", re.IGNORECASE)


def _same_words(reference: str, prediction: str) -> bool:
    """Whether two texts without formulas differ in capital letters and spaces only."""
    return (
        len(reference) > 6
        and _PLAIN_WORDS.fullmatch(reference) is not None
        and _unspaced(reference).lower() == _unspaced(prediction).lower()
    )


_PLAIN_WORDS = re.compile(r"(?:[A-Za-z]{3,}+|[\d ,;:'.-])++")
_SPACES = re.compile(r"(?<!\d) | (?!\d)")


def _choice(reference: Answer, prediction: Answer) -> Finding | None:
    """The verdict on a multiple choice; None if the prediction is no choice."""
    if prediction.choice is None:
        return None
    same = reference.choice == prediction.choice.upper()
    return Finding(Outcome.of(same), "choice", f"{'the same' if same else 'another'} choice")


def _other_comma(reference: Answer, prediction: Answer) -> Finding | None:
    """`2,74` against a single number is 2.74, `12,34,567` is 1234567; None if neither side is written so."""
    numbers = [_comma_number(side) for side in (reference, prediction)]
    if (numbers[0] is None) == (numbers[1] is None):
        return None
    gold, ours = numbers[0] or reference.node, numbers[1] or prediction.node
    if gold is None or ours is None or gold.op in _SEVERAL or ours.op in _SEVERAL:
        return None
    return compare(gold, ours)


_SEVERAL = frozenset((Op.LIST, Op.SEQUENCE, Op.SET))


_GROUPED = re.compile(r"-?\d{1,2}(?:,\d\d)+,\d{3}")  # as in India


_MEASURED = re.compile(r"(-?\d+),(\d{1,2}|\d{4,})(\s?(?:\\[a-z]+|[A-Za-z]+))")  # 2,5 km


def _comma_number(answer: Answer) -> Node | None:
    if (measured := _MEASURED.fullmatch(plain_text(answer.normal))) is not None:
        unit = measured[3].strip()
        written = unit if unit.startswith("\\") else f"\\text{{ {unit}}}"
        known = unit.removeprefix("\\").lower() in UNITS
        return read(f"{measured[1]}.{measured[2]} {written}").node if known else None
    if _GROUPED.fullmatch(answer.normal):
        return read(answer.normal.replace(",", "")).node
    digits = answer.normal.removeprefix("-").split(",")
    if len(digits) != 2 or not all(part.isascii() and part.isdigit() for part in digits):
        return None
    if answer.node is None or answer.node.op is not Op.LIST:
        return None
    return read(answer.normal.replace(",", ".")).node


def explain(text: str, reference: str, mode: Mode = "last") -> Explanation:
    """The verdict on a completion with both sides as they were read."""
    candidate = extract(text, mode)
    gold = _known(reference)
    ours = read(candidate.text or "")
    return Explanation(
        verdict=check(text, reference, mode),
        found_by=candidate.how,
        candidate=None if candidate.text is None else shown(candidate.text.strip()),
        candidate_normal=shown(ours.normal),
        candidate_type=ours.kind,
        candidate_tree=shown(show(ours.node)) if ours.node else "",
        reference_normal=shown(gold.normal),
        reference_type=gold.kind,
        reference_tree=shown(show(gold.node)) if gold.node else "",
    )


def fault_of_reference(reference: str) -> str | None:
    """Why nothing can be judged against this reference: it differs from itself or accepts a perturbed copy; or None."""
    if not reference.strip():
        return "the reference is empty"
    if read(reference).fault == CONTRADICTION:
        return f"the reference is not sound: {CONTRADICTION}"
    itself = check_answer(reference, reference)
    if itself.outcome is not Outcome.CORRECT:
        return f"the reference is not equal to itself: {itself.reason}"
    boxed = check(f"\\boxed{{{reference}}}", reference, "boxed")
    if boxed.outcome is not Outcome.CORRECT:
        return f"the reference in a box is not accepted: {boxed.reason}"
    copy = perturbed(reference)
    if check_answer(copy, reference).outcome is Outcome.CORRECT:
        return f"{PERTURBED} {shown(copy)}"
    return None


def perturbed(reference: str) -> str:
    """A different answer made from the reference: its last digit plus one, or a term or word added."""
    for at in range(len(reference) - 1, -1, -1):
        if reference[at] in "0123456789":
            return reference[:at] + str((int(reference[at]) + 1) % 10) + reference[at + 1 :]
    answer = read(reference)
    if answer.kind == "choice":
        return "A" if answer.choice != "A" else "B"
    return f"{reference}+1" if answer.node is not None else f"not {reference}"


__all__ = [
    "PERTURBED", "VERSION", "Answer", "Explanation", "Mode", "Outcome", "Verdict", "check", "check_answer", "explain",
    "fault_of_reference", "judge", "perturbed", "read",
]  # fmt: skip
