r"""The final answer that a data set's field holds: a bare answer, or the one that a solution ends on.

It is the other side of `extract`, with the same boxes and the same marks, and stricter: a wrong reference poisons
every verdict that is made against it, so where a completion's last number would do, a reference has none. A field is
read in this order:

1. the last closed box, with those joined to it by commas, and, or;
2. the last `####`, where a short answer stands behind it and nothing but a mark follows. A Markdown heading is none;
3. the whole text without a label in front (“Ans:”, “答案：”), if it is a bare answer: short, and not a sentence;
4. what stands behind the last mark (“the answer is”, `<answer>`), if the text ends with it.

`proof`, `notfound` and their kin say that there is no answer. A sentence is none either. All scans are linear.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from dataclasses import dataclass
from typing import Literal

from selfimprove.answer.boxes import last_box
from selfimprove.answer.extract import after_thinking
from selfimprove.answer.marks import last_mark
from selfimprove.answer.reading import read

How = Literal["boxed", "hashes", "bare", "marked"]
Lack = Literal["empty", "none", "sentence"]
"""Why there is no reference: nothing is written, the field says that there is none, or it holds prose."""

NO_ANSWER = frozenset(
    ("proof", "notfound", "not found", "not_found", "n/a", "nan", "null", "none", "no answer", "unanswerable")
)
"""What data sets write where a problem has no answer to compare with."""
LONGEST = 400
"""Characters of a bare answer in which words stand; one of signs alone may be longer."""
TAIL = 6_000

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_LOOSE_BOX = re.compile(r"\\(?:boxed|fbox)\s+([^\s${}]+)")
_NAMED_BOX = re.compile(r"(?<![A-Za-z\\])([A-Za-z](?:_\{?\w\}?)?)\s*=\s*(?=\\(?:boxed|fbox)\s*\{)")
_PARTS = re.compile(r"^\s*(?:\*\*)?\((?:\d|[ivIV]{1,3}|[a-e])\)", re.MULTILINE)
"""The number of a part at the start of a line: `(1)`, `(II)`, `(b)`."""
_HASHES = re.compile(r"(?:^|(?<=\s))#{4}(?!#)[ \t]*([^\n]*)", re.MULTILINE)
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{[A-Za-z*]+\}|\\[A-Za-z]+")
_WORD = re.compile(r"[^\W\d_]{2,}(?:['’][^\W\d_]+)?")
_VERBS = frozenset(
    (
        "is are was were be been has have had does did gives give gave gets get got equals means shows implies follows "
        "becomes adding we they he she let since because therefore hence thus so then whether"
    ).split()
)
_OPENERS = frozenset("thus so therefore hence we let since because he she they there it this these see note".split())
_LETTERED = re.compile(r"\s*(?:\\[a-z]+\s*\{)?\s*\(?[A-J](?![A-Za-z])\s*[).:}]+\s*\S")
_NO_ANSWERS = frozenset(
    (
        "clear obvious given shown found below above following correct known unique not in as left that indeed trivial "
        "immediate easy simple what how why when where"
    ).split()
)
_LABEL = re.compile(
    r"\A[*_\[【]{0,3}(?:(?:the\s|la\s|die\s)?(?:final\s|correct\s|right\s)?(?:answer|ans|antwort|lösung|réponse|respuesta|risposta|"
    r"resposta|ответ|đáp\sán|cevap|odpowiedź|antwoord|svar|jawaban)|答案|答え|答|解答|정답|답|故?答案[为是]|故?选)"
    r"(?:[\]】][*_]{0,2}\s?[:：]?|[*_]{0,2}\s?[:：][*_]{0,2})\s*(?=\S)",
    re.IGNORECASE,
)
"""What stands before the answer in a field that holds no more than it."""
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_TOLD = re.compile(r"[A-Z][a-z]+ (?:[a-z]+ )?[a-z]+(?:ed|[^s]s) [^$\\]*\d")
"""A name, a verb and a number: `Tom buys 7 apples`."""
_BREAK = re.compile(r"[.?!]\s+[A-Z]")
_OPERATION = r"\d\s*[-+*/×÷·]\s*\d[^=\n]*="
_WORKED = re.compile(
    rf"=[^=\n]*\d\.\s+[A-Z][a-z]+|\d\.\s+\S*{_OPERATION}|"
    rf"{_OPERATION}[^=]*\d\s*(?:,|;|\band\b|\bso\b|\bthen\b)[^=]*{_OPERATION}"
)
"""A calculation of several steps, or one and what it shows: `180 / 3 = 60. Hence 60.`, `3*4 = 12, 12+2 = 14`."""
_PROGRAM = re.compile(r"\b(?:def|class|import|lambda)\s+\w|\breturn\b|\bprint\s*\(|#include|;\s*$|\bfunction\s*\(")
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_COUNTED = re.compile(r"([-+−]?[\d.,/]+) \([A-Za-z][A-Za-z .'-]*\)")


@dataclass(slots=True)  # one for each row of a file: frozen, making it takes three times as long
class Reference:
    """The final answer of a field and how it was found; or None, and why there is none."""

    text: str | None
    how: How | Lack
    reason: str = ""


def reference_of(text: str) -> Reference:
    """The final answer that the text of a field holds; never raises."""
    written = text.strip()
    if not written:
        return Reference(None, "empty", "an empty answer")
    if written.casefold() in NO_ANSWER:
        return Reference(None, "none", f"“{written}”, which stands for: no answer")
    answer = after_thinking(written)
    if answer is None:
        return Reference(None, "sentence", "a thinking block that is not closed")
    return _found(answer.strip())


def _found(text: str) -> Reference:
    hashes = _hashes(text)
    box = _boxed(text)
    if hashes is not None and (box is None or _last_box(text) < text.rfind("####")):
        return hashes
    if box is not None:
        return box
    text = _LABEL.sub("", text)
    if is_bare(text):
        return Reference(_without_unit(_letter_alone(text)), "bare")
    return _marked(text) or Reference(None, "sentence", "a text without a final answer that is marked")


def is_bare(text: str) -> bool:
    """Whether the text is an answer by itself: a formula, a number, a few words; no sentence, program or way to it."""
    if len(text) <= LONGEST and _WORKED.search(text):
        return False
    plain = _COMMAND.sub(" ", text)
    words = _WORD.findall(plain)
    if not words:
        return True
    if "\n" in text.strip() or len(text) > LONGEST or len(words) > 12 or _PROGRAM.search(text):
        return False
    ideographs = len(_IDEOGRAPH.findall(text))
    if ideographs > 12 or (ideographs >= 4 and text.rstrip()[-1] in "。！？"):
        return False
    if len(words) == 1:
        return not (words[0] in _VERBS and len(plain.split()) > 1)
    if words[0].lower() in _OPENERS or any(word in _VERBS for word in words):
        return False
    ends = text.rstrip()[-1] in ".?!।။"
    told = ends and re.match(r"[^\d,]+\s\d", text) is not None
    if told and (len(words) >= 3 or (len(words) == 2 and not text.isascii())):
        return False
    if len(words) >= 3 and _TOLD.match(text):
        return False
    return not ((ends and len(words) >= 4) or (_BREAK.search(text) and len(words) >= 6))


def _last_box(text: str) -> int:
    return max(text.rfind("\\boxed"), text.rfind("\\fbox"))


def _boxed(text: str) -> Reference | None:
    """What the last box holds; none if it is empty or never closed; None without a box."""
    if not _BOX.search(text):
        return None
    if len(names := {match[1] for match in _NAMED_BOX.finditer(text)}) > 1 and _joined_under_names(text):
        return Reference(None, "sentence", f"boxes of several quantities: {', '.join(sorted(names))}")
    if sum(bool(_BOX.search(part)) for part in _PARTS.split(text)[1:]) > 1:
        return Reference(None, "sentence", "boxes of several parts of a question")
    text = _NAMED_BOX.sub("", text)
    found, opened = last_box(text)
    if found is not None and found.fault:
        return Reference(None, "sentence", found.fault)
    if found is None or opened >= 0 or found.end <= _last_box(text):
        loose = _LOOSE_BOX.match(text, _last_box(text))
        if loose is None:
            return Reference(None, "sentence", "a box that is not closed")
        return Reference(loose[1].rstrip(".,;"), "boxed")
    inner = found.text.strip()
    return Reference(_letter_alone(inner), "boxed") if inner else Reference(None, "empty", "an empty answer")


def _joined_under_names(text: str) -> bool:
    """Whether the last box is one of several parts once the names before them are left out."""
    (found, _), (bare, _) = last_box(text), last_box(_NAMED_BOX.sub("", text))
    return found is not None and bare is not None and found.text != bare.text


def _hashes(text: str) -> Reference | None:
    """The short answer behind the last `####`, if nothing follows it but a mark; None for a heading, or without one."""
    last = _last_hashes(text)
    if last is None:
        return None
    answer, rest = last[1].strip(), text[last.end() :].strip()
    if not answer and not rest:
        return Reference(None, "empty", "an empty answer")
    if not answer or not is_bare(answer) or (rest and not _only_a_mark(rest)):
        return None
    return Reference(_without_unit(answer), "hashes")


def _last_hashes(text: str) -> re.Match[str] | None:
    """The first mark of the last line that has one."""
    end = len(text)
    while (at := text.rfind("####", 0, end)) >= 0:
        end = text.rfind("\n", 0, at) + 1
        if found := _HASHES.search(text, end):
            return found
    return None


def _only_a_mark(rest: str) -> bool:
    """Whether what follows an answer only says it again: one line that begins with a mark."""
    return "\n" not in rest and bool(
        re.match(r"(?:so |thus |therefore,? )?(?:the )?(?:final )?answer", rest, re.IGNORECASE)
    )


def _marked(text: str) -> Reference | None:
    """The answer behind the last mark of the text, if the text ends with it."""
    tail = text[-TAIL:]
    found = last_mark(tail, None)
    if found is None or found.fault or not found.text.strip() or not is_bare(found.text):
        return None
    if tail.startswith("####", found.at):  # a heading, or `_hashes` would have taken it
        return None
    if (tagged := _TAGGED.match(tail, found.at)) is not None and not is_bare(tagged[1].strip()):
        return None
    rest = tail[found.end :].strip()
    if "\n" in rest or re.search(r"\d", rest):
        return None
    if found.text.split()[0].lower() in _NO_ANSWERS:
        return None
    return Reference(_letter_alone(found.text.strip()), "marked")


def _letter_alone(text: str) -> str:
    r"""The letter of a choice that is written with its text, `\textbf{(C)}\ 25`; anything else as it is."""
    if not _LETTERED.match(text):
        return text
    answer = read(text)
    return answer.choice if answer.kind == "choice" and answer.choice else text


def _without_unit(text: str) -> str:
    """`3 (apples)` as `3`, and each of several such joined by semicolons; anything else as it is."""
    parts = [_COUNTED.fullmatch(part.strip()) for part in text.split(";")]
    return ", ".join(part[1] for part in parts if part) if all(parts) else text
