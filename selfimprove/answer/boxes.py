r"""The boxes of a text: the last closed one is a statement of the answer.

A box that never closes holds no answer, and an earlier one does not count in its place: the text went on to another
answer. Boxes joined by commas, and, or are parts of one answer, as are values of one variable ("x = \boxed{-2} and
x = \boxed{1}"). A denied box ("not \boxed{12}", "\boxed{5} is wrong") is none, and the one before it counts.
"""

from __future__ import annotations

import itertools
import re

from selfimprove.answer.hedges import UNDECIDED
from selfimprove.answer.retracted import reconsidered
from selfimprove.answer.unfinished import DENIED, TAKEN_BACK, straight, taken_back
from selfimprove.answer.values import measured
from selfimprove.answer.verdict import Statement

MAX_BOXES = 40
_BOX = re.compile(
    r"(?:\\framebox\s{0,4}(?:\[[^\[\]]{0,20}\]\s{0,4}){0,2}|(?:\\f|\\begin|\\|\x08)?(?:b?oxed|(?<=\\f)box)\s{0,20})\{"
)
_BEGUN = re.compile(r"\\(?:b|bo|box|boxe|boxed|f|fb|fbo|fbox|framebox)\s{0,20}\Z")
_BRACE = re.compile(r"\\\\|\\[{}]|[{}]")
_BETWEEN = re.compile(
    r"(?:[\s,;$.()\[\]&]|\\[()\[\],;:!]|\\q?quad|\\text\s*\{[^{}]{0,60}\}|\\(?:and|or)\b|\b[A-Za-z]+\b)*"
)
_OR_MAYBE = re.compile(r"\bor (?:it |this |that )?(?:could|might|may)(?: also)? be\s?[$\\(\[]*\Z", re.IGNORECASE)
_NEXT_PART = re.compile(r"[$.)\]\\]{0,4}[^\S\n]*\n\s*\([b-e]\)\s[^\n]{0,80}")
"""What stands between the boxes of two parts, "(a) …" and "(b) …"."""
_UNIT_BEHIND = re.compile(r"(?:\$|\\\)|\\\])?(?=\s[a-z]{3})")
_NAMED = re.compile(r"(?<![A-Za-z\\])([A-Za-z]\w{0,3})\s?=\s?\$?\s?\Z")
_JOINING = frozenset(("and", "or", "as", "well", "also"))
_ASIDE = frozenset(("quad", "qquad", "text", "for", "part", "case", "respectively", "both"))
_NOT = re.compile(
    r"(?:\be\.g\.,?|\bfor (?:example|instance),?|\bsuch as)\s*[$(]*$|"
    r"(?:\bnot|n't|\bnever|\brather than|\binstead of|\bunlike)(?:\s+(?:be|equal to|the|simply|just|of|answer))*"
    r"[\s$*({\[\\]*$",
    re.IGNORECASE,
)


def last_box(text: str) -> tuple[Statement | None, int]:
    """The last closed box that is not denied, with those joined to it, and where an open one begins after it, or -1."""
    boxes, opened = _boxes(text)
    begun = _BEGUN.search(text[-40:])
    last_open = len(text) if begun else max(opened, default=-1)
    around = max((at for at in opened if boxes and at < boxes[-1][0]), default=None)
    if around is not None and not text[text.index("{", around) + 1 : boxes[-1][0]].strip():
        last_open = len(text)  # an open box directly around the closed one
    cut = last_open if last_open > (boxes[-1][2] if boxes else -1) else -1
    denied: int | None = None
    while boxes and (_NOT.search(straight(text[max(0, boxes[-1][0] - 60) : boxes[-1][0]]))):
        denied = boxes.pop()[0]
    if not boxes:
        return None if denied is None else Statement(at=denied, end=denied, text="", how="boxed", fault=DENIED), cut
    if _OR_MAYBE.search(text, max(0, boxes[-1][0] - 40), boxes[-1][0]):
        return Statement(at=boxes[-1][0], end=boxes[-1][2] + 1, text="", how="boxed", fault=UNDECIDED), cut
    parts = _parts(text, boxes)
    start, end = parts[0][0], parts[-1][2] + 1
    alternatives = any(re.search(r"\bor\b", text[a[2] + 1 : b[0]]) for a, b in itertools.pairwise(parts))
    names = _names(text, parts)
    values = [text[first:last] for _, first, last in parts]
    named = values if names is None else [f"{name} = {value}" for name, value in zip(names, values, strict=True)]
    inner = (" or " if alternatives else ", ").join(named)
    return Statement(at=start, end=end, text=inner, how="boxed", fault=_fault(text[end:], inner)), cut


def _fault(after: str, answer: str) -> str:
    """Why the text behind a box leaves no answer in it; empty if it does."""
    if _ONLY_A_GUESS.match(straight(after[:_REACH])):
        return UNDECIDED
    return TAKEN_BACK if taken_back(after) or reconsidered(after, answer) else ""


_REACH = 160  # characters behind a box in which it may be called a guess
_ONLY_A_GUESS = re.compile(
    r"[\s$.)\]*\\]{0,6}[,;(—–-]?\s*(?:but |although |though |and )?(?:"
    r"(?:this|that|it)(?:'s| is)(?: only| just| merely| really)? an? (?:\w+ )?guess\b|"
    r"i(?:'m| am) (?:only |just )?guessing\b|it (?:could|might|may) (?:just )?as well be\b)",
    re.IGNORECASE,
)


def with_unit(text: str, box: Statement) -> str:
    """What the box holds, with the unit in words that stands behind it: `$\\boxed{10}$ hours`."""
    unit = _UNIT_BEHIND.match(text, box.end)
    return box.text if unit is None else measured(box.text, text, unit.end())


def point_behind(text: str, box: Statement) -> str | None:
    """The point of a statement "(x, y) = (3, 4)" behind the last box, if each of its numbers has a box; else None."""
    point = _POINT.search(text, box.end)
    if point is None:
        return None
    boxed = {text[first:last].strip() for _, first, last in _boxes(text)[0]}
    return point[1] if {part.strip() for part in point[1][1:-1].split(",")} <= boxed else None


_POINT = re.compile(r"\([a-z](?:,\s?[a-z]){1,3}\)\s?=\s?(\([^()=]{3,60}\))")


def _boxes(text: str) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Start, inner start and inner end of every closed box in the order of their starts, and the starts of open ones.

    One pass.
    """
    if "box" not in text and "oxed" not in text:
        return [], []
    starts = {match.end() - 1: match.start() for match in _BOX.finditer(text)}
    if not starts:
        return [], []
    found: list[tuple[int, int, int]] = []
    stack: list[int] = []
    for match in _BRACE.finditer(text, min(starts)):
        if match[0] == "{":
            stack.append(match.start())
        elif match[0] == "}" and stack:
            opened = stack.pop()
            if opened in starts:
                found.append((starts[opened], opened + 1, match.start()))
    return sorted(found), [starts[place] for place in stack if place in starts]


def _parts(text: str, boxes: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The last box and those before it that are joined to it."""
    parts = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if len(parts) > MAX_BOXES or box[2] > parts[0][0] or not _joined(_between(text, box, parts[0])):
            break
        parts.insert(0, box)
    return parts


def _between(text: str, box: tuple[int, int, int], other: tuple[int, int, int]) -> str:
    """What stands between two boxes, without the variable before the second if the first is a value of it too."""
    between = text[box[2] + 1 : other[0]]
    name, again = _NAMED.search(text[max(0, box[0] - 16) : box[0]]), _NAMED.search(between)
    same_kind = name and again and (len(name[1]) == len(again[1]) == 1 or name[1][0] == again[1][0])
    return between[: again.start()] if again and same_kind else between


def _names(text: str, parts: list[tuple[int, int, int]]) -> list[str] | None:
    """The variables before the boxes, "x = " and "y = ", if each has one of its own; else None."""
    found = [_NAMED.search(text[max(0, part[0] - 16) : part[0]]) for part in parts]
    names = [name[1] for name in found if name]
    return names if 1 < len(names) == len(parts) == len(set(names)) else None


def _joined(between: str) -> bool:
    """Whether two boxes with this between them are parts of one answer."""
    if _NEXT_PART.fullmatch(between):
        return True
    if not between.strip(" $\n") and "\n\n" not in between:
        return True
    if len(between) > 100 or "\n\n" in between or not _BETWEEN.fullmatch(between):
        return False
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", between)]
    if any(len(word) > 1 and word not in _JOINING and word not in _ASIDE for word in words):
        return False
    return "," in between or ";" in between or any(word in _JOINING for word in words)
