"""The candidate answer of a completion, by rules that never look at the reference.

Only what follows the last closed thinking block counts; an open one means that there is no answer yet. Where the text
runs on into another question (labelled as one, or with choices of its own), only what stands before it counts. Then the
last statement of the answer counts: the last closed box, or in the modes `marked` and `last` a later marker (`####`,
`<answer>`, "the answer is", "Answer:"); a statement that is denied or taken back is none, nor is a box before one that
is left open. In the mode `last`, a text without such a statement is searched for the last formula, number, point, word
or choice of the last sentence that states one. Of a text that was cut off at the token limit only a closed statement
counts. There is one candidate or none. All scans are linear.
"""

from __future__ import annotations

import itertools
import re
from typing import Literal

from selfimprove.answer.boxes import last_box
from selfimprove.answer.limits import MAX_TEXT
from selfimprove.answer.marks import NOTHING_FOLLOWS, last_mark
from selfimprove.answer.prose import last_statement
from selfimprove.answer.unfinished import DENIED, TAKEN_BACK
from selfimprove.answer.verdict import Candidate, Statement

Mode = Literal["boxed", "marked", "last"]
MAX_QUESTIONS = 20  # headings of questions that are looked at
NO_ANSWER = "there is no answer"
TAIL = 6_000  # characters at the end of a completion that markers and free text are looked for in

_MAY_THINK = ("<t", "<T", "<r", "<R", "</", "<|", "◁")
"""What the tags of thinking blocks begin with: most texts have none, and are not searched for the tags."""
_THINK_END = re.compile(r"</(?:think|thinking|reasoning|thought)>|<\|end_of_thought\|>|◁/think▷", re.IGNORECASE)
_THINK_START = re.compile(r"<(?:think|thinking|reasoning|thought)>|<\|begin_of_thought\|>|◁think▷", re.IGNORECASE)
_TURN = re.compile(r"<\|(?:im_end|im_start|eot_id|end|user|endoftext|start_header_id)\|>|</s>|<end_of_turn>")
_QUESTION = re.compile(
    r"\n[ \t#*>]{0,8}(?:(?:new |next )?(?:question|problem|exercise|example|instruction|task)(?: \d{1,3})?"
    r"[*_]{0,2}\s?:|#{1,4} {0,4}(?:question|problem|exercise|example) {0,4}\d{0,3} {0,4}\n|q\s?:|(?:human|user)\s?:|"
    r"(?:now,? |next,? )?(?:let's|let us) (?:try|do|solve|look at|take) (?:another|the next|a new|a different) "
    r"(?:problem|question|example|exercise)|(?:here is|here's) (?:another|a new|the next) (?:problem|question))",
    re.IGNORECASE,
)

_ASKED = re.compile(
    r"\n[^\n?]{0,400}\?[ \t*_]{0,8}\n\s{0,8}[*_]{0,2}\(?A[.):][^\n]{1,200}\n\s{0,8}[*_]{0,2}\(?B[.):][^\n]{1,200}\n"
)
"""A question with its own list of choices."""

_QUOTED = re.compile(r"^[ \t]{0,3}>[ \t]+(?=[*_#]|[A-Za-z]{2})", re.MULTILINE)
_TAGS = re.compile(r"</?(?:b|i|u|p|strong|em|span|div|center|h[1-6])(?:\s[^<>]{0,60})?>", re.IGNORECASE)
_SAYS = re.compile(r"\d|\\boxed|\banswer\b|^\W*\(?[A-J]\b|[a-z]{3,} is [a-z]", re.IGNORECASE)


def extract(text: str, mode: Mode, *, cut: bool = False) -> Candidate:
    """The one candidate of the completion, which `cut` says was cut off at the token limit; never raises."""
    if len(text) > MAX_TEXT:
        return Candidate(None, "limits", f"the completion is longer than {MAX_TEXT} characters")
    answer = _cleaned(text)
    if answer is None:
        return Candidate(None, "extract", "the thinking block is not closed")
    own = _own_turn(answer)
    return _extracted(own, mode, cut=cut and len(own) == len(answer))


def own_text(text: str) -> str:
    """What of a completion may state its answer: behind the thinking, without markup, before another question."""
    return _own_turn(_cleaned(text) or "")


def _cleaned(text: str) -> str | None:
    """What follows the last thinking block, without markup; None if that block is open."""
    answer = after_thinking(text)
    if answer is None:
        return None
    if "<<" in answer:
        answer = re.sub(r"<<[^<>]*>>", "", answer)  # a calculator's notes, as GSM8K has them
    if "</" in answer:
        answer = _TAGS.sub("", answer)
    if "> " in answer:
        answer = _QUOTED.sub("", answer)
    if "~~" in answer:
        answer = re.sub(r"~~[^~\n]{1,80}~~", "", answer)
    return answer


def _extracted(answer: str, mode: Mode, *, cut: bool) -> Candidate:
    box, opened = last_box(answer)
    if mode == "boxed":
        return _of_box(box, opened)
    start = max(0, len(answer) - TAIL)
    tail = answer[start:]
    after = max(opened, box.end if box is not None and not box.fault else -1)
    mark = last_mark(tail, after - start if after >= 0 else None)
    if mark is not None and mark.fault in ("", TAKEN_BACK):
        return _of_mark(mark, cut=cut)
    if box is not None or opened >= 0:
        denied = mark is not None and box is not None and mark.fault == DENIED and mark.text == box.text.strip()
        return Candidate(None, "extract", DENIED) if denied else _of_box(box, opened)
    if mode == "marked" or (mark is not None and mark.fault == NOTHING_FOLLOWS):
        return Candidate(None, "extract", mark.fault if mark is not None else "there is no marked answer")
    if cut:
        return Candidate(None, "extract", "the text was cut off before it stated an answer")
    found = last_statement(tail if mark is None else tail[mark.end :])
    return found or Candidate(None, "extract", mark.fault if mark is not None else NO_ANSWER)


def after_thinking(text: str) -> str | None:
    """The text behind the last closed thinking block, or None if one is open."""
    if not any(opening in text for opening in _MAY_THINK):
        return text
    last = None
    for last in _THINK_END.finditer(text):  # noqa: B007 - the last match is what is wanted
        pass
    rest = text if last is None else text[last.end() :]
    return None if _THINK_START.search(rest) else rest


def opened_thinking(prompt: str) -> str:
    """The tag of a thinking block that the prompt leaves open, on which a completion goes on; empty without one."""
    last = None
    for last in _THINK_START.finditer(prompt):  # noqa: B007 - the last match is what is wanted
        pass
    return "" if last is None or after_thinking(prompt[last.start() :]) is not None else last[0]


def _own_turn(text: str) -> str:
    """The text up to where it runs on into another turn or question, once it has said something to this one."""
    turn = _TURN.search(text, len(text) - len(text.lstrip()) + 1)
    text = text if turn is None else text[: turn.start()]
    for question in itertools.islice(_QUESTION.finditer(text), MAX_QUESTIONS):
        if _SAYS.search(text, 0, question.start()):
            text = text[: question.start()]
            break
    if "?" in text:
        for question in itertools.islice(_ASKED.finditer(text), MAX_QUESTIONS):
            if _extracted(text[: question.start()], "marked", cut=False).text is not None:
                return text[: question.start()]
    return text


def _of_mark(mark: Statement, *, cut: bool) -> Candidate:
    if mark.fault:
        return Candidate(None, "extract", mark.fault)
    if cut and not mark.firm:
        return Candidate(None, "extract", "the text was cut off in its answer")
    return Candidate(mark.text, mark.how) if mark.text else Candidate(None, "extract", NOTHING_FOLLOWS)


def _of_box(box: Statement | None, opened: int) -> Candidate:
    if opened >= 0:
        return Candidate(None, "extract", "the last box is not closed")
    if box is None:
        return Candidate(None, "extract", "there is no closed box")
    if box.fault:
        return Candidate(None, "extract", box.fault)
    return Candidate(box.text, "boxed") if box.text.strip() else Candidate(None, "extract", "the box is empty")
