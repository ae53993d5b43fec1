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

import heapq
import itertools
import re
from typing import Literal

from selfimprove.answer.alternatives import beside_another
from selfimprove.answer.boxes import last_box, point_behind, with_unit
from selfimprove.answer.choices import led_letter, lone_letter
from selfimprove.answer.hedges import UNDECIDED, depends
from selfimprove.answer.limits import MAX_TEXT
from selfimprove.answer.marks import NOTHING_FOLLOWS, last_mark
from selfimprove.answer.markup import without_marks
from selfimprove.answer.objects import called_answer, value_of_object
from selfimprove.answer.prose import last_statement
from selfimprove.answer.retracted import correction, denied_later
from selfimprove.answer.sentences import SENTENCE
from selfimprove.answer.turns import (
    ASKED,
    FIRST,
    QUESTION,
    SAYS,
    SPEAKER,
    STORY,
    TURN,
    WHY_NOT,
    is_short_reply,
    without_torn_repeat,
)
from selfimprove.answer.unfinished import DENIED, TAKEN_BACK
from selfimprove.answer.verdict import Candidate, Statement
from selfimprove.answer.wordings import sorted_words

Mode = Literal["boxed", "marked", "last"]
MAX_QUESTIONS = 20  # headings of questions that are looked at
MAX_WORDS = 3  # of a value in a JSON object that is an answer and not a sentence around one
NO_ANSWER = "there is no answer"
TAIL = 6_000  # characters at the end of a completion that markers and free text are looked for in

_MAY_THINK = ("<t", "<T", "<r", "<R", "</", "<|", "◁")
"""What the tags of thinking blocks begin with: most texts have none, and are not searched for the tags."""
_THINK_END = re.compile(r"</(?:think|thinking|reasoning|thought)>|<\|end_of_thought\|>|◁/think▷", re.IGNORECASE)
_THINK_START = re.compile(r"<(?:think|thinking|reasoning|thought)>|<\|begin_of_thought\|>|◁think▷", re.IGNORECASE)
_QUOTED = re.compile(r"^[ \t]{0,3}>[ \t]+(?=[*_#]|[A-Za-z]{2})", re.MULTILINE)
_PICTURES = re.compile(
    r"[\U0001f000-\U0001faff\u27a1\u2b50\ufe0f\u200d]+|^[ \t]*[\u2705\u2714\u2611]+[ \t]*", re.MULTILINE
)
"""Pictures in the text, and the ticks that a line begins with."""
_LOOP = re.compile(r"((?:\A|(?<=\s))[^.!?\n]{8,200}[.!?])(?:\s+\1)+\s*[^.!?\n]{0,200}\Z")
"""A sentence that is said again at the end of a text, behind which the text was cut off."""
_LINES = re.compile(r"(?:\A|\n)([^\n]{1,200})(?:\n+\1){2,}(?:\n[^\n]*)?\Z")
"""A line that is said three times and more at the end of a text that was cut off."""
_REPLY_LINE = re.compile(r"\s*A:\s?\(?([A-J])\)?\.?\s*")  # of a few-shot prompt: "Q: … A: B"
_SPEAKER_A = re.compile(
    r"\A\s*A:\s+(?=[A-Z][^\n]{12,600}?[.!?:]\s[^\n]{0,200}[A-Z\d])(?=.{0,600}?\d\s?[-+*/×=]\s?\$?\d)", re.DOTALL
)
"""Of a few-shot prompt too, before a calculation."""
_CALLED_FINAL = re.compile(
    r"(\$[^$\n]{1,80}\$|(?<![\w.,/$\\^{])[-−]?\d[\d.,/]*\d|(?<![\w.,/$\\^{])\d)(?:\s[a-z]+)?(?:,|\s—|"
    r"\s–)\s(?:(?:which|and that|and this) is\s)?"
    r"(?:our|my|the) final (?:answer|result)[\s.!*]*\Z"
)
"""A value that a text calls its final answer behind it: "which gives $126$, our final answer."."""
_RULES = ("---", "***", "___")  # that a line is drawn with
_END_OF_PART = re.compile(r"<eo[a-z]>")
_PROMPT = re.compile(r"\A\s*\[INST\].{0,8000}?\[/INST\]", re.DOTALL)  # that the completion begins with
_BOX_TAGS = re.compile(r"<\|begin_of_box\|>([^{}]{1,400}?)<\|end_of_box\|>")
_BOLD_LETTER = re.compile(r"\\textbf\{\(?([A-J])\)?\}(?=[\s.,;$]|\Z)")
_LISTS_CHOICES = re.compile(r"\A[^\n]{12,400}\n\s{0,8}\(?A[.):][^\n]{1,200}\n\s{0,8}\(?B[.):]")
"""A question with its choices, which stands behind the answer to another one."""
_ENDS_ON_ITEM = re.compile(r"\n\s*(?:[-*•]|\d{1,2}[.)])\s+[A-Za-z'-]+\s*\Z")
_TAGS = re.compile(r"</?(?:b|i|u|p|strong|em|span|div|center|h[1-6])(?:\s[^<>]{0,60})?>", re.IGNORECASE)


def extract(text: str, mode: Mode, *, cut: bool = False) -> Candidate:
    """The one candidate of the completion, which `cut` says was cut off at the token limit; never raises."""
    if len(text) > MAX_TEXT:
        return Candidate(None, "limits", f"the completion is longer than {MAX_TEXT} characters")
    answer = _cleaned(text)
    if answer is None:
        return Candidate(None, "extract", "the thinking block is not closed")
    answer = without_torn_repeat(answer)
    own = _own_turn(answer)
    cut = cut and len(own) == len(answer)
    if (start := correction(own)) is not None:
        found = _extracted(own[start:], mode, cut=cut)
        return found if found.text is not None else Candidate(None, "extract", TAKEN_BACK)
    return _extracted(own, mode, cut=cut)


def own_text(text: str) -> str:
    """What of a completion may state its answer: behind the thinking, without markup, before another question."""
    return _own_turn(_cleaned(text) or "")


def _cleaned(text: str) -> str | None:
    """What follows the last thinking block, without markup; None if that block is open."""
    if "<|channel|>" in text:
        _, final, text = text.rpartition("<|channel|>final<|message|>")
        if not final:
            return None
    answer = after_thinking(_first_turns(text))
    if answer is None:
        return None
    answer = _SPEAKER_A.sub("", answer)
    if "[/INST]" in answer:
        answer = _PROMPT.sub("", answer)
    if "[asy]" in answer:
        answer = re.sub(r"\[asy\].{0,4000}?\[/asy\]", "", answer, flags=re.DOTALL)
    if "<<" in answer:
        answer = re.sub(r"<<(?:[^<>]*=[^<>]*)?>>", "", answer)  # a calculator's notes, as GSM8K has them
    if "<|begin_of_box|>" in answer:
        answer = _BOX_TAGS.sub(r"\\boxed{\1}", answer)
    if "<eo" in answer:
        answer = _END_OF_PART.sub("\n", answer)
    if "</" in answer:
        answer = _TAGS.sub("", answer)
    if "\\textbf{" in answer:
        answer = _BOLD_LETTER.sub(r"(\1)", answer)
    if "> " in answer:
        answer = _QUOTED.sub("", answer)
    if not answer.isascii():
        answer = _PICTURES.sub("", answer)
    if answer.rstrip()[-3:] in _RULES:
        before, _, last = answer.rstrip().rpartition("\n")
        answer = before if set(last.strip()) <= set("-*_") and len(set(last.strip())) == 1 else answer
    if "~~" in answer:
        answer = re.sub(r"~~[^~\n]{1,80}~~", "", answer)
    return without_marks(answer)


def _extracted(answer: str, mode: Mode, *, cut: bool) -> Candidate:
    if mode != "boxed" and len(answer) < TAIL and (replied := _REPLY_LINE.fullmatch(answer)) is not None:
        return Candidate(replied[1], "marked")
    if mode != "boxed" and "{" in answer and (value := value_of_object(answer)) is not None:
        return _of_object(value, mode)
    if mode != "boxed" and "final_answer(" in answer and (value := called_answer(answer)) is not None:
        return _of_object(value, mode)
    if mode == "last" and _ENDS_ON_ITEM.search(answer[-80:]) is not None:
        words = sorted_words([line for line in answer[-TAIL:].split("\n") if line.strip()])
        if words is not None:
            return Candidate(words, "marked")
    box, opened = last_box(answer)
    if mode == "boxed":
        return _of_box(answer, box, opened)
    start = max(0, len(answer) - TAIL)
    tail = answer[start:]
    after = max(opened, box.end if box is not None and not box.fault else -1)
    mark = last_mark(tail, after - start if after >= 0 else None)
    if mark is not None and mark.fault in ("", TAKEN_BACK, UNDECIDED):
        return _of_mark(mark, cut=cut and not _said_before(tail, mark))
    if (behind := _CALLED_FINAL.search(tail)) is not None and start + behind.start() > after:
        return Candidate(behind[1].strip("$"), "marked")
    if box is not None or opened >= 0:
        if box is not None and denied_later(answer[box.end :], box.text):
            return Candidate(None, "extract", DENIED)
        if box is not None and not box.fault and opened < 0 and (point := point_behind(answer, box)) is not None:
            return Candidate(point, "marked")
        denied = mark is not None and box is not None and mark.fault == DENIED and mark.text == box.text.strip()
        return Candidate(None, "extract", DENIED) if denied else _of_box(answer, box, opened)
    if mode == "marked" or (mark is not None and mark.fault == NOTHING_FOLLOWS):
        return Candidate(None, "extract", mark.fault if mark is not None else "there is no marked answer")
    if cut and (looped := _LOOP.search(tail) or _LINES.search(tail)) is not None:
        return last_statement(looped[1]) or Candidate(None, "extract", NO_ANSWER)
    if cut:
        return Candidate(None, "extract", "the text was cut off before it stated an answer")
    if depends(tail, SENTENCE.split(tail.rstrip())[-1]):
        return Candidate(None, "extract", UNDECIDED)
    found = last_statement(tail if mark is None else tail[mark.end :])
    return found or Candidate(None, "extract", mark.fault if mark is not None else NO_ANSWER)


def _first_turns(text: str) -> str:
    """The text up to where it goes on with a turn of the user and thinking of its own, if it thought before that."""
    if text.count("</") < 2:
        return text
    for turn in itertools.islice(SPEAKER.finditer(text), MAX_QUESTIONS):
        head = text[: turn.start()]
        if _THINK_END.search(head) and _THINK_END.search(text, turn.end()) and SAYS.search(after_thinking(head) or ""):
            return head
    return text


def after_thinking(text: str) -> str | None:
    """The text behind the last closed thinking block, or None if one is open."""
    for opening in _MAY_THINK:
        if opening in text:
            break
    else:
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
    turn = TURN.search(text, len(text) - len(text.lstrip()) + 1)
    text = text if turn is None else text[: turn.start()]
    for question in itertools.islice(QUESTION.finditer(text), MAX_QUESTIONS):
        if SAYS.search(text, 0, question.start()) or is_short_reply(text, question):
            text = text[: question.start()]
            break
    first, _, rest = text.strip().partition("\n\n")
    if rest and "\n" not in first and (lone_letter(first) or led_letter(first)) and _LISTS_CHOICES.search(rest):
        return first
    if "?" in text:
        if (why := WHY_NOT.search(text)) is not None and led_letter(text[: why.start()].strip(" *_\n")):
            return text[: why.start()]
        for question in itertools.islice(
            heapq.merge(ASKED.finditer(text), STORY.finditer(text), key=re.Match.start), MAX_QUESTIONS
        ):
            head = text[: question.start()]
            if question.lastindex and FIRST.search(head):
                continue
            if lone_letter(head) or _extracted(head, "marked", cut=False).text is not None:
                return head
    return text


def _of_object(value: str, mode: Mode) -> Candidate:
    """The answer that a JSON object holds: an empty one is none, a sentence states one."""
    if not value.strip():
        return Candidate(None, "extract", "the object holds no answer")
    if "\\boxed" in value or len(value.split()) > MAX_WORDS:
        return _extracted(value, "last" if mode == "marked" else mode, cut=False)
    return Candidate(value, "marked")


def _said_before(text: str, mark: Statement) -> bool:
    """Whether the text had stated the same answer right before: a loop that was cut off."""
    earlier = None if mark.firm else last_mark(text[: mark.at], None)
    return earlier is not None and not earlier.fault and earlier.firm and earlier.text == mark.text


def _of_mark(mark: Statement, *, cut: bool) -> Candidate:
    if mark.fault:
        return Candidate(None, "extract", mark.fault)
    if cut and not mark.firm:
        return Candidate(None, "extract", "the text was cut off in its answer")
    return Candidate(mark.text, mark.how) if mark.text else Candidate(None, "extract", NOTHING_FOLLOWS)


def _of_box(text: str, box: Statement | None, opened: int) -> Candidate:
    if opened >= 0:
        return Candidate(None, "extract", "the last box is not closed")
    if box is None:
        return Candidate(None, "extract", "there is no closed box")
    if box.fault:
        return Candidate(None, "extract", box.fault)
    if beside_another(text[box.end :].lstrip("$"), box.text):
        return Candidate(None, "extract", UNDECIDED)
    return (
        Candidate(with_unit(text, box), "boxed") if box.text.strip() else Candidate(None, "extract", "the box is empty")
    )
