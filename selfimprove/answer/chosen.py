"""Answers that are judged by the choices of their question: by letter, text or number, or by mentioning one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from selfimprove.answer.clock import same_date
from selfimprove.answer.extract import NO_ANSWER, TAIL, Mode, after_thinking, extract, own_text
from selfimprove.answer.finished import left_undone
from selfimprove.answer.judging import judge, known
from selfimprove.answer.lettered import in_letter_unit
from selfimprove.answer.mentioned import mentioned
from selfimprove.answer.options import (
    describes,
    letter_beside,
    letters_by_number,
    of_another,
    options_of,
    same_number,
    text_stated,
)
from selfimprove.answer.prose import PROMISE
from selfimprove.answer.reading import Answer, plain_text, read
from selfimprove.answer.verdict import Candidate, Finding, Outcome, Verdict


def chosen(
    text: str, candidate: Candidate, reference: str, mode: Mode, options: Mapping[str, str], *, cut: bool
) -> Verdict | None:
    """The verdict by the choices of the question; None if the answer is none of them and is judged as any other."""
    gold = known(reference)
    if gold.kind == "choice" and mode == "last" and not cut and (meant := _sentence_letter(candidate, text, options)):
        return Verdict.of(_one_of(gold, meant), options[meant])
    if candidate.text is None:
        return None
    tail = own_text(text)[-TAIL:]
    listed = options_of(tail)
    if listed is not None and extract(tail[listed.end :], mode).text != candidate.text:
        return None
    if candidate.how == "last" and describes(tail):
        return None
    found = by_option(gold, known(candidate.text), tail, options)
    return None if found is None else Verdict.of(found, candidate.text)


def _sentence_letter(candidate: Candidate, text: str, options: Mapping[str, str]) -> str | None:
    """The letter of the choice whose text the last sentence states, if nothing else was found to be the answer."""
    own = own_text(text)
    if candidate.text is None:
        open_ = candidate.reason in (NO_ANSWER, PROMISE)
        stated = text_stated(own, options, whole_only=not open_)
        return stated or (mentioned(own, options) if candidate.reason == NO_ANSWER else None)
    ours = known(candidate.text)
    if candidate.how not in ("last", "marked") or ours.kind == "choice" or _letters_of(ours, options):
        return None
    return text_stated(own, options) or (mentioned(own, options) if candidate.how == "last" else None)


def by_option(reference: Answer, ours: Answer, text: str, options: Mapping[str, str]) -> Finding | None:
    """The verdict on an answer as one of the question's choices; None if it, or the reference, is none of them."""
    if reference.kind != "choice":
        if ours.kind != "choice" or _LETTER.fullmatch(plain_text(ours.normal)) is None:
            return None
        letters = _letters_of(reference, options)
        return Finding(Outcome.of(ours.choice == letters[0]), "choice", _CHOSEN) if len(letters) == 1 else None
    if ours.choice is not None:
        stated = of_another(ours.normal, ours.choice.upper(), options) or of_another(text, ours.choice.upper(), options)
        return _TWO_CHOICES if stated else None
    if (lettered := _LETTER_BEHIND.fullmatch(ours.normal)) is not None:
        letters = _letters_of(read(lettered[1]), options)
        return None if not letters else _one_of(reference, lettered[2]) if lettered[2] in letters else _TWO_CHOICES
    if (led := _LETTER_BEFORE.fullmatch(ours.normal)) is not None and (letters := _letters_of(read(led[2]), options)):
        return _one_of(reference, led[1]) if led[1] in letters else _TWO_CHOICES
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
    written = plain_text(answer.normal).lower()
    exact = [letter for letter, text in options.items() if plain_text(known(text).normal).lower() == written]
    if len(exact) == 1:
        return exact
    same = [
        letter
        for letter, text in options.items()
        if _same_choice(known(text), answer) and not left_undone(answer.written, text)
    ]
    return same or letters_by_number(answer.normal, options)


def _same_choice(option: Answer, answer: Answer) -> bool:
    """Whether an answer is the text of a choice, which may have a unit of one letter that the answer leaves out."""
    if judge(option, answer).outcome is Outcome.CORRECT:
        return True
    if same_date(option.normal, answer.normal, month_first=True):
        return True
    beside = in_letter_unit(answer, option)
    return beside is not None and beside.outcome is Outcome.CORRECT


_LETTER = re.compile(r"\(?[A-J]\)?")
_LETTER_BEHIND = re.compile(r"(.+?)\s*\((?:[Oo]ption |[Cc]hoice )?([A-J])\)")
_LETTER_BEFORE = re.compile(r"\(?([A-J])\)?,\s?(?![A-J]\b)(.+)")
_TWO_CHOICES = Finding(Outcome.WRONG, "choice", "the letter of one choice with the text of another")
_CHOSEN = "by the text of the choice"


def letter_by_text(text: str, stated: str, reference: str, mode: Mode) -> str | None:
    """The letter of the one choice in the text's list whose text is the answer stated behind the list; else None."""
    ours = known(stated)
    if known(reference).kind != "choice" or ours.choice is not None:
        return None
    tail = (after_thinking(text) or "")[-TAIL:]
    listed = options_of(tail)
    if listed is None or extract(tail[listed.end :], mode).text != stated:
        return None
    same = _letters_of(ours, listed.texts)
    return same[0] if len(same) == 1 else None
