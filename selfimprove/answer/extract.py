"""The candidate answer of a completion, by rules that never look at the reference.

Only what follows the last closed thinking block counts; an open one means that there is no answer yet. Then, in
order: the last closed box (boxes joined by commas, and, or are parts of one answer); in the modes `marked` and
`last` the last marker (`####`, `<answer>`, "the answer is", "Answer:"); in the mode `last` the last formula or
number of the last sentence that has one. There is one candidate or none. All scans are linear.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from selfimprove.answer.limits import MAX_TEXT
from selfimprove.answer.prose import last_statement, marked
from selfimprove.answer.verdict import Candidate

Mode = Literal["boxed", "marked", "last"]
TAIL = 6_000  # characters at the end of a completion that markers and free text are looked for in
MAX_BOXES = 40


_THINK_END = re.compile(r"</(?:think|thinking|reasoning|thought)>|<\|end_of_thought\|>|◁/think▷", re.IGNORECASE)
_THINK_START = re.compile(r"<(?:think|thinking|reasoning|thought)>|<\|begin_of_thought\|>|◁think▷", re.IGNORECASE)
_BOX = re.compile(r"(?:\\f|\\begin|\\|\x08)?(?:b?oxed|(?<=\\f)box)\s*\{")
_BRACE = re.compile(r"\\\\|\\[{}]|[{}]")
_BETWEEN = re.compile(
    r"(?:[\s,;$.()\[\]&]|\\[()\[\],;:!]|\\q?quad|\\text\s*\{[^{}]{0,60}\}|\\(?:and|or)\b|\b[A-Za-z]+\b)*"
)
_JOINING = frozenset(("and", "or", "as", "well", "also"))
_ASIDE = frozenset(("quad", "qquad", "text", "for", "part", "case", "respectively", "both"))


def extract(text: str, mode: Mode) -> Candidate:
    """The one candidate of the completion; never raises."""
    if len(text) > MAX_TEXT:
        return Candidate(None, "limits", f"the completion is longer than {MAX_TEXT} characters")
    answer = after_thinking(text)
    if answer is None:
        return Candidate(None, "extract", "the thinking block is not closed")
    boxed = joined_boxes(answer)
    if boxed is not None:
        empty = Candidate(None, "extract", "the box is empty")
        return Candidate(boxed.text, "boxed") if boxed.text.strip() else empty
    if mode == "boxed":
        return Candidate(None, "extract", "there is no closed box")

    tail = re.sub(r"<<[^<>]*>>", "", answer[-TAIL:])  # a calculator's notes, as GSM8K has them
    found = marked(tail)
    if found is None and mode == "last":
        found = last_statement(tail)
    if found is None:
        return Candidate(None, "extract", "there is no marked answer" if mode == "marked" else "there is no answer")
    return found


def after_thinking(text: str) -> str | None:
    """The text behind the last closed thinking block, or None if one is open."""
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


def _boxes(text: str) -> list[tuple[int, int, int]]:
    """Start, inner start and inner end of every closed box, in the order of their starts; one pass."""
    starts = {match.end() - 1: match.start() for match in _BOX.finditer(text)}
    if not starts:
        return []
    found: list[tuple[int, int, int]] = []
    stack: list[int] = []
    for match in _BRACE.finditer(text, min(starts)):
        if match[0] == "{":
            stack.append(match.start())
        elif match[0] == "}" and stack:
            opened = stack.pop()
            if opened in starts:
                found.append((starts[opened], opened + 1, match.start()))
    return sorted(found)


@dataclass(frozen=True)
class Boxed:
    """The content of the last closed box, with those joined to it, and where the last of them starts."""

    text: str
    start: int


def joined_boxes(text: str) -> Boxed | None:
    """The last box, with those joined to it by commas, and, or; None if there is no closed box."""
    boxes = _boxes(text)
    if not boxes:
        return None
    parts = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if len(parts) > MAX_BOXES or box[2] > parts[0][0] or not _joined(text[box[2] + 1 : parts[0][0]]):
            break
        parts.insert(0, box)
    if len(parts) == 1:
        return Boxed(text[parts[0][1] : parts[0][2]], parts[0][0])
    alternatives = any(re.search(r"\bor\b", text[a[2] + 1 : b[0]]) for a, b in itertools.pairwise(parts))
    together = (" or " if alternatives else ", ").join(text[start:end] for _, start, end in parts)
    return Boxed(together, parts[-1][0])


def _joined(between: str) -> bool:
    """Whether two boxes with this between them are parts of one answer."""
    if len(between) > 100 or "\n\n" in between or not _BETWEEN.fullmatch(between):
        return False
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", between)]
    if any(len(word) > 1 and word not in _JOINING and word not in _ASIDE for word in words):
        return False
    return "," in between or ";" in between or any(word in _JOINING for word in words)
