"""The answer checker: pure functions from text and reference to a verdict.

A verdict is computed in five steps, each with its own module and each able to end it: `extract` takes one candidate
from the text without looking at the reference; `limits` bounds it; `normal` and `parse` read both sides into trees
with one grammar, without evaluating any text; `shape` settles what kind of answer each is; `judging`, `compare` and
`equality` prove them equal or different by the cheapest means. What can't be read or decided is `unparsed`,
never `correct`; what is read and contradicts itself (`21 + 19 = 30`) is `wrong`.

A *choice* may be stated by its text: where the reference is a letter, `chosen` finds the letter of an answer that is
one of the choices that the question lists (`asked`), or without those the completion; the letter is judged. A reference
without a unit is in the unit that the question asks for.

*Units* (`10 m/s`) pass through several of these: `tokens` and `parse` read them, `words` knows which spellings are the
same unit, `shape` separates them from the number, `compare` decides what a missing or another unit means.

Nothing here looks at a clock, starts a process or depends on hash seeds or order; `selfimprove.answer.checking` adds
worker processes with deadlines around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from selfimprove.answer.asked import NOTHING, Asked, asked, in_unit
from selfimprove.answer.chosen import by_option, chosen, letter_by_text
from selfimprove.answer.compare import SAME_ITEMS, in_other_order
from selfimprove.answer.counted import count_before
from selfimprove.answer.extract import NO_ANSWER, TAIL, Mode, extract, own_text
from selfimprove.answer.judging import judge, known
from selfimprove.answer.limits import shown
from selfimprove.answer.options import in_capitals, with_capital
from selfimprove.answer.prose import PROMISE
from selfimprove.answer.reading import Answer, plain_text, read
from selfimprove.answer.replies import (
    REPLIES,
    called_correct,
    concluding_reply,
    evaluated,
    reply_before_reason,
    reply_behind_mark,
)
from selfimprove.answer.shape import CONTRADICTION
from selfimprove.answer.tree import show
from selfimprove.answer.unfinished import DENIED
from selfimprove.answer.verdict import Candidate, Finding, Outcome, Verdict
from selfimprove.answer.whole import value_in_sentence
from selfimprove.answer.wordings import known_word, ranks

VERSION = "12"

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


def check(text: str, reference: str, mode: Mode = "last", *, cut: bool = False, asked: Asked = NOTHING) -> Verdict:
    """The verdict on a completion; deterministic, in this process, bounded in steps but not in seconds.

    `cut`: the text was cut off at the token limit, so that only a closed statement counts. `asked`: what the question
    says of its answer (`asked`), if it is known.
    """
    candidate, options = extract(text, mode, cut=cut), asked.options
    reference = in_capitals(reference, options)
    if options and candidate.text is not None:
        candidate = replace(candidate, text=with_capital(candidate.text, options))
    if options and (by_choice := chosen(text, candidate, reference, mode, options, cut=cut)) is not None:
        return by_choice
    if mode == "last" and (reply := _reply(text, candidate, reference)) is not None:
        return Verdict.of(judge(known(reference), read(reply)), reply)
    if candidate.text is None:
        stage = "limits" if candidate.how == "limits" else "extract"
        return Verdict(outcome=Outcome.UNPARSED, candidate=None, stage=stage, reason=candidate.reason)
    found = _in_unit(asked, reference, candidate.text) or judge(known(reference), known(candidate.text))
    if found.reason == SAME_ITEMS and _out_of_order(text, candidate.text, reference):
        return Verdict.of(_OTHER_ORDER, candidate.text)
    if found.outcome is Outcome.WRONG and candidate.how == "last" and reference.strip().isdigit():
        count = count_before(own_text(text)[-TAIL:], candidate.text)
        if count is not None:
            return Verdict.of(judge(known(reference), known(count)), count)
    if found.outcome is not Outcome.CORRECT and not options:
        letter = letter_by_text(text, candidate.text, reference, mode)
        found = found if letter is None else judge(known(reference), read(letter))
    if found.outcome is Outcome.UNPARSED and candidate.how == "boxed" and (value := value_in_sentence(candidate.text)):
        return Verdict.of(judge(known(reference), read(value)), value)
    return Verdict.of(found, candidate.text)


def _in_unit(asked: Asked, reference: str, stated: str) -> Finding | None:
    """The verdict on an answer in another unit than the one that the question asks for; None for any other answer."""
    if asked.dozens and _DOZEN.search(stated):
        return judge(known(reference), known(_DOZEN.sub("", stated)))
    ours, gold = known(stated).node, known(reference).node
    return None if asked.unit is None or ours is None or gold is None else in_unit(asked.unit, gold, ours)


_DOZEN = re.compile(r"\bdozens?\b(?: of)?", re.IGNORECASE)


def _out_of_order(text: str, stated: str, reference: str) -> bool:
    """Whether a text that ranks words, "from left to right", or has parts (a) and (b), has another order."""
    ours, gold = known(stated).node, known(reference).node
    own = own_text(text)[-TAIL:]
    parts = _IN_PARTS.search(own) is not None
    if ours is None or gold is None or not in_other_order(ours, gold, parts=parts):
        return False
    return parts or ranks(own)


_IN_PARTS = re.compile(r"(?:\A|\n)[ \t]*\(a\)\s[^\n]*\n\s*\(b\)\s")
_OTHER_ORDER = Finding(Outcome.WRONG, "structure", "the same items in another order")


def _reply(text: str, candidate: Candidate, reference: str) -> str | None:
    """The yes or no with which a text begins, or the word that it says of a number, for a reference that is one."""
    wanted = plain_text(known(reference).normal).lower()
    if candidate.how == "marked" and wanted in REPLIES:
        return None if (candidate.text or "").lower() in REPLIES else reply_behind_mark(own_text(text)[-TAIL:])
    if candidate.how not in ("last", "extract") or not wanted.isalpha():
        return None
    if wanted not in REPLIES:
        numbered = candidate.how == "last" and candidate.text is not None and candidate.text[:1].isdigit()
        return known_word(own_text(text), wanted) if numbered else None
    if candidate.text is None and candidate.reason not in (NO_ANSWER, PROMISE, DENIED):
        return None
    if candidate.text is not None and candidate.text.lower() in REPLIES:
        return None
    own = own_text(text)
    said = (called_correct(own) or evaluated(own)) if wanted in ("true", "false") else None
    return reply_before_reason(own) or said or concluding_reply(own)


def check_answer(answer: str, reference: str, *, asked: Asked = NOTHING) -> Verdict:
    """The verdict on a bare answer: the candidate itself, unless it is prose around one; `asked` as in `check`."""
    options = asked.options
    gold, ours = known(in_capitals(reference, options)), known(answer)
    if options and (by_choice := by_option(gold, ours, answer, options)) is not None:
        return Verdict.of(by_choice, answer)
    found = _in_unit(asked, reference, answer) or judge(gold, ours)
    unread = found.outcome is Outcome.UNPARSED and gold.node is not None
    if (unread or (options and ours.choice is None)) and _is_prose(answer, ours):
        return check(answer, reference, "last", asked=asked)
    return Verdict.of(found, answer)


def _is_prose(written: str, answer: Answer) -> bool:
    """Whether an unreadable answer is a text to take a candidate from, rather than a broken or hostile answer."""
    if answer.node is not None or not answer.normal:
        return "\\boxed" in written or "</think>" in written
    return extract(written, "last").text not in (None, written.strip())


def explain(text: str, reference: str, mode: Mode = "last", *, asked: Asked = NOTHING) -> Explanation:
    """The verdict on a completion with both sides as they were read."""
    candidate = extract(text, mode)
    gold = known(reference)
    ours = read(candidate.text or "")
    return Explanation(
        verdict=check(text, reference, mode, asked=asked),
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
    "NOTHING", "PERTURBED", "VERSION", "Answer", "Asked", "Explanation", "Mode", "Outcome", "Verdict", "asked", "check",
    "check_answer", "explain", "fault_of_reference", "judge", "perturbed", "read",
]  # fmt: skip
