"""The answer checker: pure functions from text and reference to a verdict.

A verdict is computed in five steps, each with its own module and each able to end it: `extract` takes one candidate
from the text without looking at the reference; `limits` bounds it; `normal` and `parse` read both sides into trees
with one grammar, without evaluating any text; `shape` settles what kind of answer each is; `compare` and
`equality` prove them equal or different by the cheapest means. What can't be read or decided is `unparsed`,
never `correct`; what is read and contradicts itself (`21 + 19 = 30`) is `wrong`.

A *choice* may be stated by its text: where the reference is a letter, `options` finds the letter of an answer that is
one of the choices that the question lists (`asked`, below), or without those the completion; the letter is judged.

*Units* (`10 m/s`) pass through several of these: `tokens` and `parse` read them, `words` knows which spellings are the
same unit, `shape` separates them from the number, `compare` decides what a missing or another unit means.

Nothing here looks at a clock, starts a process or depends on hash seeds or order; `selfimprove.answer.checking` adds
worker processes with deadlines around it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from selfimprove.answer.asked import NOTHING, Asked, asked, in_unit
from selfimprove.answer.clock import same_date, same_time
from selfimprove.answer.commas import in_euros, other_comma
from selfimprove.answer.compare import SAME_ITEMS, compare, in_other_order
from selfimprove.answer.definitions import named_total
from selfimprove.answer.extract import NO_ANSWER, TAIL, Mode, after_thinking, extract, own_text
from selfimprove.answer.finished import left_undone
from selfimprove.answer.formulas import same_formula
from selfimprove.answer.lettered import in_letter_unit
from selfimprove.answer.limits import shown
from selfimprove.answer.options import (
    describes,
    in_capitals,
    letter_beside,
    letters_by_number,
    of_another,
    options_of,
    same_number,
    text_stated,
    with_capital,
)
from selfimprove.answer.properties import opposed, same_property
from selfimprove.answer.prose import PROMISE, value_in_sentence
from selfimprove.answer.reading import Answer, behind_label, is_rounding, near_value, plain_text, read, rounded_value
from selfimprove.answer.replies import REPLIES, is_reply, reply_before_reason
from selfimprove.answer.restated import restated
from selfimprove.answer.shape import CONTRADICTION
from selfimprove.answer.steps import allowance
from selfimprove.answer.ticks import same_letters
from selfimprove.answer.tree import Node, free_names, renamed, show
from selfimprove.answer.unfinished import DENIED
from selfimprove.answer.verdict import Candidate, Finding, Outcome, Verdict
from selfimprove.answer.wordings import known_word, ranks

VERSION = "8"
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


def check(text: str, reference: str, mode: Mode = "last", *, cut: bool = False, asked: Asked = NOTHING) -> Verdict:
    """The verdict on a completion; deterministic, in this process, bounded in steps but not in seconds.

    `cut`: the text was cut off at the token limit, so that only a closed statement counts. `asked`: what the question
    says of its answer (`asked`), if it is known.
    """
    candidate, options = extract(text, mode, cut=cut), asked.options
    reference = in_capitals(reference, options)
    if options and (chosen := _chosen(text, candidate, reference, mode, asked, cut=cut)) is not None:
        return chosen
    if mode == "last" and (reply := _reply(text, candidate, reference)) is not None:
        return _verdict(judge(_known(reference), read(reply)), reply)
    if candidate.text is None:
        stage = "limits" if candidate.how == "limits" else "extract"
        return Verdict(outcome=Outcome.UNPARSED, candidate=None, stage=stage, reason=candidate.reason)
    found = _in_unit(asked, reference, candidate.text) or judge(_known(reference), _known(candidate.text))
    if found.reason == SAME_ITEMS and _out_of_order(text, candidate.text, reference):
        return _verdict(_OTHER_ORDER, candidate.text)
    if found.outcome is not Outcome.CORRECT and not options:
        letter = _by_text(text, candidate.text, reference, mode)
        found = found if letter is None else judge(_known(reference), read(letter))
    if found.outcome is Outcome.UNPARSED and candidate.how == "boxed" and (value := value_in_sentence(candidate.text)):
        return _verdict(judge(_known(reference), read(value)), value)
    return _verdict(found, candidate.text)


def _in_unit(asked: Asked, reference: str, stated: str) -> Finding | None:
    """The verdict on an answer in another unit than the one that the question asks for; None for any other answer."""
    ours, gold = _known(stated).node, _known(reference).node
    return None if asked.unit is None or ours is None or gold is None else in_unit(asked.unit, gold, ours)


def _out_of_order(text: str, stated: str, reference: str) -> bool:
    """Whether a text that ranks words, "from left to right", has those of the reference in another order."""
    ours, gold = _known(stated).node, _known(reference).node
    if ours is None or gold is None or not in_other_order(ours, gold):
        return False
    return ranks(own_text(text)[-TAIL:])


_OTHER_ORDER = Finding(Outcome.WRONG, "structure", "the same items in another order")


def _reply(text: str, candidate: Candidate, reference: str) -> str | None:
    """The yes or no with which a text begins, or the word that it says of a number, for a reference that is one."""
    wanted = reference.strip().lower()
    if candidate.how not in ("last", "extract") or not wanted.isalpha():
        return None
    if wanted not in REPLIES:
        numbered = candidate.how == "last" and candidate.text is not None and candidate.text[:1].isdigit()
        return known_word(own_text(text), wanted) if numbered else None
    if candidate.text is None and candidate.reason not in (NO_ANSWER, PROMISE, DENIED):
        return None
    if candidate.text is not None and candidate.text.lower() in REPLIES:
        return None
    return reply_before_reason(own_text(text))


def _chosen(text: str, candidate: Candidate, reference: str, mode: Mode, asked: Asked, *, cut: bool) -> Verdict | None:
    """The verdict by the choices of the question; None if the answer is none of them and is judged as any other."""
    gold, options = _known(reference), asked.options
    if gold.kind == "choice" and mode == "last" and not cut and (meant := _sentence_letter(candidate, text, asked)):
        return _verdict(_one_of(gold, meant), options[meant])
    if candidate.text is None:
        return None
    tail = own_text(text)[-TAIL:]
    listed = options_of(tail)
    if listed is not None and extract(tail[listed.end :], mode).text != candidate.text:
        return None
    if candidate.how == "last" and describes(tail):
        return None
    found = _by_option(gold, _known(with_capital(candidate.text, options)), tail, options)
    return None if found is None else _verdict(found, candidate.text)


def _sentence_letter(candidate: Candidate, text: str, asked: Asked) -> str | None:
    """The letter of the choice whose text the last sentence states, if nothing else was found to be the answer."""
    options = asked.options
    if candidate.text is None:
        open_ = candidate.reason in (NO_ANSWER, PROMISE)
        stated = text_stated(own_text(text), options, whole_only=not open_)
        return stated or (restated(own_text(text), options, asked.stems) if candidate.reason == NO_ANSWER else None)
    ours = _known(candidate.text)
    if candidate.how not in ("last", "marked") or ours.kind == "choice" or _letters_of(ours, options):
        return None
    return text_stated(own_text(text), options)


def _by_option(reference: Answer, ours: Answer, text: str, options: Mapping[str, str]) -> Finding | None:
    """The verdict on an answer as one of the question's choices; None if it, or the reference, is none of them."""
    if reference.kind != "choice":
        if ours.kind != "choice" or _LETTER.fullmatch(ours.normal) is None:
            return None
        letters = _letters_of(reference, options)
        return Finding(Outcome.of(ours.choice == letters[0]), "choice", _CHOSEN) if len(letters) == 1 else None
    if ours.choice is not None:
        stated = of_another(ours.normal, ours.choice.upper(), options) or of_another(text, ours.choice.upper(), options)
        return _TWO_CHOICES if stated else None
    if (lettered := _LETTER_BEHIND.fullmatch(ours.normal)) is not None:
        letters = _letters_of(read(lettered[1]), options)
        return None if not letters else _one_of(reference, lettered[2]) if lettered[2] in letters else _TWO_CHOICES
    letters = _letters_of(ours, options)
    if len(letters) != 1 or same_number(ours.normal, options):
        return None
    return (
        _TWO_CHOICES if letter_beside(text, ours.written) not in (None, letters[0]) else _one_of(reference, letters[0])
    )


def _one_of(reference: Answer, letter: str) -> Finding:
    same = reference.choice == letter
    return Finding(Outcome.of(same), "choice", f"the text of {'the same' if same else 'another'} choice")


def _letters_of(answer: Answer, options: Mapping[str, str]) -> list[str]:
    """The letters of the choices whose text or value the answer is; `15 + 20` is not the choice 35."""
    same = [
        letter
        for letter, text in options.items()
        if _same_choice(_known(text), answer) and not left_undone(answer.written, text)
    ]
    return same or letters_by_number(answer.normal, options)


def _same_choice(option: Answer, answer: Answer) -> bool:
    """Whether an answer is the text of a choice, which may have a unit of one letter that the answer leaves out."""
    if judge(option, answer).outcome is Outcome.CORRECT:
        return True
    beside = in_letter_unit(answer, option)
    return beside is not None and beside.outcome is Outcome.CORRECT


_LETTER = re.compile(r"\(?[A-J]\)?")
_LETTER_BEHIND = re.compile(r"(.+?)\s*\((?:[Oo]ption |[Cc]hoice )?([A-J])\)")
_TWO_CHOICES = Finding(Outcome.WRONG, "choice", "the letter of one choice with the text of another")
_CHOSEN = "by the text of the choice"


def _by_text(text: str, stated: str, reference: str, mode: Mode) -> str | None:
    """The letter of the one choice in the text's list whose text is the answer stated behind the list; else None."""
    ours = _known(stated)
    if _known(reference).kind != "choice" or ours.choice is not None:
        return None
    tail = (after_thinking(text) or "")[-TAIL:]
    listed = options_of(tail)
    if listed is None or extract(tail[listed.end :], mode).text != stated:
        return None
    same = _letters_of(ours, listed.texts)
    return same[0] if len(same) == 1 else None


def _verdict(found: Finding, written: str) -> Verdict:
    return Verdict(outcome=found.outcome, candidate=shown(written.strip()), stage=found.stage, reason=found.reason)


def check_answer(answer: str, reference: str, *, asked: Asked = NOTHING) -> Verdict:
    """The verdict on a bare answer: the candidate itself, unless it is prose around one; `asked` as in `check`."""
    options = asked.options
    gold, ours = _known(in_capitals(reference, options)), _known(answer)
    if options and (by_option := _by_option(gold, ours, answer, options)) is not None:
        return _verdict(by_option, answer)
    found = _in_unit(asked, reference, answer) or judge(gold, ours)
    unread = found.outcome is Outcome.UNPARSED and gold.node is not None
    if (unread or (options and ours.choice is None)) and _is_prose(answer, ours):
        return check(answer, reference, "last", asked=asked)
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
    if opposed(reference.normal, prediction.normal):
        return Finding(Outcome.WRONG, "text", "the opposite direction")
    if _LETTERS.fullmatch(reference.normal) and plain_text(prediction.normal) == reference.normal:
        return Finding(Outcome.CORRECT, "text", "the same letters")
    if _same_words(reference.normal, prediction.normal):
        return Finding(Outcome.CORRECT, "text", "the same words")
    if (same_compound := same_formula(reference.written, prediction.written)) is not None:
        return Finding(Outcome.of(same_compound), "text", f"{'the same' if same_compound else 'another'} formula")
    if (same_hour := same_time(reference.normal, prediction.normal)) is not None:
        return Finding(Outcome.of(same_hour), "text", f"{'the same' if same_hour else 'another'} time of day")
    if (same_day := same_date(reference.normal, prediction.normal)) is not None:
        return Finding(Outcome.of(same_day), "text", f"{'the same' if same_day else 'another'} date")
    if (same_ones := same_letters(reference.normal, plain_text(prediction.normal))) is not None:
        return Finding(Outcome.of(same_ones), "choice", f"{'the same' if same_ones else 'other'} letters")
    if reference.kind == "choice" and (found := _choice(reference, prediction)) is not None:
        return found
    if reference.node is None:
        same = bool(reference.words) and (
            reference.words == prediction.words
            or is_reply(plain_text(prediction.normal), reference.words)
            or _labelled(reference, prediction)
            or same_property(plain_text(reference.normal), plain_text(prediction.normal))
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
    found = (
        other_comma(reference, prediction)
        or in_euros(reference, prediction)
        or in_letter_unit(reference, prediction)
        or named_total(reference.node, prediction.node)
        or compare(reference.node, prediction.node)
    )
    if found.outcome is Outcome.CORRECT:
        return found
    if is_rounding(reference, prediction):
        return Finding(Outcome.CORRECT, "evaluation", "the reference is this value to all of its digits")
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


def _same_words(reference: str, prediction: str) -> bool:
    """Whether two texts without formulas differ in capital letters and spaces only."""
    return (
        len(reference) > 6
        and _PLAIN_WORDS.fullmatch(reference) is not None
        and _unspaced(reference).lower() == _unspaced(prediction).lower()
    )


_LETTERS = re.compile(r"[A-Za-z]{2,12}")
_PLAIN_WORDS = re.compile(r"(?:[A-Za-z]{3,}+|[\d ,;:'.-])++")
_SPACES = re.compile(r"(?<!\d) | (?!\d)")


def _choice(reference: Answer, prediction: Answer) -> Finding | None:
    """The verdict on a multiple choice; None if the prediction is no choice."""
    if prediction.choice is None:
        return None
    same = reference.choice == prediction.choice.upper()
    return Finding(Outcome.of(same), "choice", f"{'the same' if same else 'another'} choice")


def explain(text: str, reference: str, mode: Mode = "last", *, asked: Asked = NOTHING) -> Explanation:
    """The verdict on a completion with both sides as they were read."""
    candidate = extract(text, mode)
    gold = _known(reference)
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
