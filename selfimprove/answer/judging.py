"""Whether one answer is another: the cheapest means that decide it, words and spelling before the grammar.

The reference decides what is compared. What can't be read or decided is `unparsed`, never `correct`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from selfimprove.answer.clock import same_date, same_time
from selfimprove.answer.commas import in_euros, other_comma
from selfimprove.answer.compare import compare
from selfimprove.answer.counted import either_measure, total_of_named
from selfimprove.answer.definitions import named_total
from selfimprove.answer.formulas import same_formula
from selfimprove.answer.lettered import in_letter_unit
from selfimprove.answer.parameters import same_but_for_constants
from selfimprove.answer.properties import opposed, same_property
from selfimprove.answer.reading import Answer, behind_label, is_rounding, near_value, plain_text, read, rounded_value
from selfimprove.answer.replies import is_reply
from selfimprove.answer.shape import CONTRADICTION
from selfimprove.answer.steps import allowance
from selfimprove.answer.ticks import same_letters
from selfimprove.answer.verdict import Finding, Outcome

_MAX_KEPT = 400  # characters of an answer whose reading is kept


def known(written: str) -> Answer:
    """The answer as read; a short one is kept, because models and references write the same ones again and again."""
    return _kept(written) if len(written) <= _MAX_KEPT else read(written)


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
    same = _unspaced(reference.normal) == _unspaced(prediction.normal)
    if same and not (_THOUSANDS.fullmatch(reference.normal) and ", " in prediction.written):
        return Finding(Outcome.CORRECT, "string", "the same after normalisation")
    if _BRACKETS.fullmatch(reference.written):
        same_brackets = _unspaced(reference.written) == _unspaced(prediction.written.strip("`$ "))
        return Finding(Outcome.of(same_brackets), "text", f"{'the same' if same_brackets else 'other'} brackets")
    based = _BASED.fullmatch(reference.normal)
    if based is not None and plain_text(prediction.normal).upper() == based[1]:
        return Finding(Outcome.CORRECT, "text", "the same digits, without their base")
    if opposed(reference.normal, prediction.normal):
        return Finding(Outcome.WRONG, "text", "the opposite direction")
    if _LETTERS.fullmatch(reference.normal) and plain_text(prediction.normal) == reference.normal:
        return Finding(Outcome.CORRECT, "text", "the same letters")
    if _same_words(reference.normal, prediction.normal) or _same_company(reference, prediction):
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
        same = bool(reference.words) and _said(reference, prediction)
        return Finding(Outcome.of(same), "text", f"{'the same' if same else 'different'} words")
    if prediction.choice is None and (text := behind_label(reference)) is not None:
        return _judged(read(text), prediction)
    labelled = behind_label(prediction) if reference.kind != "choice" else None
    if labelled is not None and (behind := read(labelled)).node is not None:
        found = _compared(reference, behind)
        if found.outcome is Outcome.CORRECT:
            return found
    if prediction.node is None:
        outcome = Outcome.WRONG if prediction.fault == CONTRADICTION else Outcome.UNPARSED
        return Finding(outcome, "parse", prediction.fault)
    return _compared(reference, prediction)


def _said(reference: Answer, prediction: Answer) -> bool:
    """Whether a prediction says the words of a reference that is no mathematics."""
    return (
        reference.words == prediction.words
        or is_reply(plain_text(prediction.normal), reference.words)
        or _labelled(reference, prediction)
        or (prediction.words[:1] in _HOW and prediction.words[1:] == reference.words)
        or _predicated(reference.words, prediction.words)
        or same_property(plain_text(reference.normal), plain_text(prediction.normal))
    )


def _compared(reference: Answer, prediction: Answer) -> Finding:
    """The verdict on two answers that were read, each of which may also state what it is about."""
    if reference.node is None or prediction.node is None:
        return Finding(Outcome.UNPARSED, "parse", prediction.fault)
    found = (
        other_comma(reference, prediction)
        or in_euros(reference, prediction)
        or in_letter_unit(reference, prediction)
        or named_total(reference.node, prediction.node)
        or total_of_named(reference.node, prediction.node)
        or either_measure(reference.node, prediction.node)
        or compare(reference.node, prediction.node)
    )
    if found.outcome is Outcome.CORRECT:
        return found
    if is_rounding(reference, prediction):
        return Finding(Outcome.CORRECT, "evaluation", "the reference is this value to all of its digits")
    if same_but_for_constants(reference.node, prediction.node, (reference.normal, prediction.normal)):
        return Finding(Outcome.CORRECT, "identity", "the same up to the name of a constant")
    if "\\approx" in prediction.normal and (rounded := rounded_value(prediction)) is not None:
        return compare(reference.node, rounded)
    if "\\approx" not in reference.normal:
        return found
    near = near_value(reference)
    approximate = found if near is None else compare(near, prediction.node)
    return approximate if approximate.outcome is Outcome.CORRECT else found


def _unspaced(normal: str) -> str:
    """The text without its spaces, save those between two digits."""
    return _SPACES.sub("", normal) if " " in normal else normal


def _predicated(word: tuple[str, ...], said: tuple[str, ...]) -> bool:
    """Whether a short sentence says the one word of something: "The function is odd"."""
    return len(word) == 1 and len(said) in (3, 4) and said[-2:] == ("is", *word) and not _DENYING & set(said)


def _same_company(reference: Answer, prediction: Answer) -> bool:
    """Whether two texts join the same words by `and` in another order: "Alice and Bob"."""
    if "and" not in reference.normal or "and" not in prediction.normal:
        return False
    sides = reference.words, prediction.words
    parts, others = ([part.split() for part in " ".join(words).split(" and ")] for words in sides)
    same = len(parts) == len(others) > 1 and sorted(parts) == sorted(others)
    return same and all(word.isalpha() and len(word) > 1 for word in reference.words)


_DENYING = {"not", "no", "none", "neither", "never", "nothing", "nor", "or", "if"}


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


_BASED = re.compile(r"([\dA-F]*[A-F][\dA-F]*)_\{?1[0-6]\}?")
_HOW = (("deductively",), ("logically",))  # valid or invalid, an argument is so
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")  # one number, where `58, 500` are two
_BRACKETS = re.compile(r"(?=.*[\])}>])[\[\](){}<> ]{1,80}")
_LETTERS = re.compile(r"[A-Za-z]{2,12}")
_PLAIN_WORDS = re.compile(r"(?:[A-Za-z]{3,}+|[\d ,;:'.-])++")
_SPACES = re.compile(r"(?<!\d) | (?!\d)")


def _choice(reference: Answer, prediction: Answer) -> Finding | None:
    """The verdict on a multiple choice; None if the prediction is no choice."""
    if prediction.choice is None:
        return None
    same = reference.choice == prediction.choice.upper()
    return Finding(Outcome.of(same), "choice", f"{'the same' if same else 'another'} choice")
