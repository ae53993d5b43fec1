"""A label "Answer:" before a whole solution, as few-shot prompts teach: what the solution states at last is the answer.

Behind a label that a text begins with stands an answer, or a sentence around one and what explains it, or a worked
solution. It is a solution if it has several sentences, of which the first states no answer by itself and a later one
draws a conclusion, or if its steps stand on lines of their own. Under a heading "Answer" anywhere, paragraphs that
begin with a reason are one.
"""

from __future__ import annotations

import re

from selfimprove.answer.choices import LEAD, sentence_letter
from selfimprove.answer.prose import last_statement
from selfimprove.answer.sentences import SENTENCE, tidy
from selfimprove.answer.verdict import Candidate
from selfimprove.answer.whole import is_list, is_short

_FEW = 2  # sentences, a line each, below a heading: an answer and a remark, rather than steps
_GIVES_REASON = re.compile(r"[*_ ]*(?:since|because|as)\b", re.IGNORECASE)
_LABEL = re.compile(r"[:：][\s*_]*\Z|\n[\s*_]*\Z")
_NUMBERED = re.compile(r"[\s*_]*(?:\(?\d{1,2}[.)]|[-*•]|(?:step|part) \d{1,2}\s?[:.)-])[\s*_]+(?=\S)", re.IGNORECASE)
_OPENS = re.compile(
    r"[\s*_]*(?:let|suppose|assume|first|sure|okay|ok|certainly|we|to (?:find|solve|get))\b", re.IGNORECASE
)
_EQUATION = re.compile(r"[\s$\\(\[]*[^\n=]{0,60}=[^\n=]{1,60}")
_SOLVED = re.compile(r"[\s$\\(\[]*[A-Za-z]\s?=\s?[-−]?[\d./]+[\s$.\\)\]]*")
_CONCLUDES = re.compile(
    r"(?:\A|[.!?\n])[\W_]*(?:so|thus|therefore|hence|then|finally|in total|altogether|total|after|step \d)\b|=|"
    r"\b(?:gives|leaves|makes|left)\b",
    re.IGNORECASE,
)
_EXPLAINS = re.compile(
    r"[\W_]*(?:note|explanation|reason(?:ing)?|rationale|justification|why|because|since|check|verification|proof|"
    r"details|here (?:is|are)|here['’]s|(?:this|that|it) (?:is because|follows|comes from|can be)|you can|"
    r"we (?:know|can (?:check|verify|see))|to (?:see|check|verify))\b",
    re.IGNORECASE,
)
"""How a sentence begins that explains an answer which stands before it."""
_SUMS_UP = re.compile(r"[\W_]*(?:so|thus|therefore|hence|in total|altogether|total|finally)\b", re.IGNORECASE)
_WRONG = re.compile(r"\b(?:is|are) (?:wrong|incorrect|false|not)\b|\bisn['’]t\b", re.IGNORECASE)


def worked_out(text: str, start: int, label: str) -> Candidate | None:
    """What the solution behind a label states, which ends at `start`; None where the label has an answer behind it."""
    rest = text[start:]
    if "\n" in label.strip(" *_") and _GIVES_REASON.match(rest.lstrip()):
        reasoned = last_statement(rest)
        return None if reasoned is None or reasoned.text is None else reasoned
    before = text[: start - len(label)].strip(" *_#\n>")
    if _LABEL.search(label) is None or before.lower() not in ("", "the", "a", "my"):
        return None
    sentences = [part for part in SENTENCE.split("\n" + rest) if part and part.strip(" *_")]
    by_line = "\n" in label and len(sentences) > _FEW and rest.strip().count("\n") >= len(sentences) - 1
    if len(sentences) < 2 or not _is_step(sentences, by_line=by_line):
        return None
    return last_statement(rest)


def _is_step(sentences: list[str], *, by_line: bool) -> bool:
    """Whether the first sentence is a step of a solution rather than its answer; `by_line`: each stands on a line."""
    first, behind = sentences[0], sentences[1:]
    if _OPENS.match(first):
        return True
    if _SOLVED.fullmatch(first):
        return False
    if _SOLVED.fullmatch(sentences[-1]) and all(_EQUATION.fullmatch(one) for one in sentences):
        return True
    numbered = _NUMBERED.match(first)
    if numbered and any(not _NUMBERED.match(one) and _SUMS_UP.match(one) for one in behind):
        return True
    plain = tidy(first[numbered.end() :] if numbered else first)
    if _WRONG.search(first):
        return True
    if LEAD.match(plain) or sentence_letter(plain) is not None or is_short(plain) or is_list(plain):
        return False
    if _EXPLAINS.match(behind[0]):
        return False
    return by_line or any(_CONCLUDES.search(one) for one in behind)
