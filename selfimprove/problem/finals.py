"""The final answer that a field of any type holds, or why it holds none.

A number is itself, a text gives its final answer (`answer.reference`), a truth value answers a question of yes or no.
A list of one, a list of equal values and the objects in which data sets wrap an answer are opened; several different
values are several answers, which no single reference can stand for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from selfimprove.answer.reference import NO_ANSWER, reference_of
from selfimprove.problem.aliases import one_answer
from selfimprove.problem.names import ALIASED, PRINTED, WORDED, bare_name, opened
from selfimprove.problem.plain import kind_of
from selfimprove.problem.programs import formal_kind, is_call
from selfimprove.problem.turns import is_chat, last_text

Kind = Literal["no answer", "sentence", "several answers", "type", "program", "options", "chat", "picture", "blank"]
"""Why a row is set aside, in a word."""

_SPREADSHEET = "#VALUE! #DIV/0! #N/A #REF! #NAME? #NUM! #NULL! #SPILL! #CALC! #WERT! #NV #BEZUG! #ZAHL! #VALEUR!"
NOTHING = frozenset(("-", "--", "\u2013", "\u2014", "?", "n.a.", "N.A.", *_SPREADSHEET.split()))
"""What stands where there is no answer: signs, and the errors of a spreadsheet's formulas."""
_NONE_GIVEN = frozenset(("no answer present", "no answer given", "no answer found", "cannotanswer", "not answerable"))
_NAMED = ("mention", "entityname", "label", "string", "answertext", "name", "value")
"""Names of the text of an object that is an answer, beside its id or its kind."""
_ID = re.compile(r"[QPL]\d+|[mg]\.\w+|https?://\S+")

_LANGUAGE = re.compile(r"[a-z]{2}(?:[-_][A-Za-z]{2,4})?")
_TAGGED = re.compile(r"\s*<answer>((?:(?!</?answer>).)*)</answer>\s*", re.DOTALL)
_THOUGHT = re.compile(r"\A\s*<(think|thinking|reasoning|thought)>.*?</\1>\s*", re.DOTALL)
_WRAPPED = re.compile(r"\s*<(?:p|div|span|b|strong|i|em)>([^<>]*)</(?:p|div|span|b|strong|i|em)>\s*")
"""An answer in the one tag of a web page's editor."""
_FORMULA = re.compile(r"[\\$^={}]")
_WORDING = 12
"""Words of a wording of an answer, at most."""
_ASKS_SEVERAL = re.compile(
    r"\b(?:list|name (?:all|any|both|the|some|two|three|four|five)|(?:what|which|who)(?: all)? (?:are|were)|"
    r"(?:what|which) (?:two|three|four|(?:\w+ ){0,2}\w{2,}[^\Ws]s (?:are|were|have|do)))\b",
    re.IGNORECASE,
)
_ONLY_YES_NO = re.compile(
    r"(?:is|are|was|were|does|did|has|have|had|will|would|should|can|could)\b(?! you\b).*\?\s*$", re.IGNORECASE
)
_ASKS_MORE = re.compile(
    r"\b(?:how|what|which|who|when|where|many|much|number|value|calculate|compute|find|or)\b", re.IGNORECASE
)
_NUMBER = re.compile(r"[-+.,/\d\s%$]*")
_YES_NO = re.compile(
    r"\W*(?:\w+ly,? )?(?:is|are|was|were|am|do|does|did|can|could|has|have|had|will|would|should|may|might|must|"
    r"isn't|aren't|doesn't|don't|true or false)\b",
    re.IGNORECASE,
)

_ACCEPTED = re.compile(
    r"[(\[](?:[^()\[\]]*\b(?:accept(?:able|ed|s)?|(?:allowed|valid|tolerated) (?:range|values?|answers?))\b[^()\[\]]*|"
    r"(?:any(?:thing|where)|range)\b[^()\[\]]*\d[^()\[\]]*|(?:or|prompt on)\b[^()\[\]]*)[)\]]\W*$",
    re.IGNORECASE,
)
"""A remark behind an answer on what else is right, in the last `_REMARK` characters."""
_REMARK = 300


@dataclass(kw_only=True, slots=True)  # one a row: frozen, making it takes three times as long
class Final:
    """A final answer (`weak`: only a mark in prose says that it is one), or None, what kind of lack, and why."""

    text: str | None
    weak: bool = False
    kind: Kind = "no answer"
    why: str = ""


def final_of(value: object, name: str, question: str, *, read: bool = False, aliased: bool = False) -> Final:
    """The final answer that the field `name` of a problem with this question holds.

    `read`: the question is about a text that stands beside it; `aliased`: lists in this field hold one answer's names.
    """
    value = value if isinstance(value, str) else _each_answer(value)
    plain = _unwrapped(value)
    if isinstance(plain, Final) and plain.kind == "several answers":
        several, bare = opened(value), bare_name(name.rpartition(".")[2])
        worded = aliased or bare in WORDED or (read and bare == "answers")
        if isinstance(several, (list, tuple)) and (
            bare in ALIASED
            or (_are_wordings(several, question) and (worded or one_answer([str(one) for one in several])))
        ):
            plain = _unwrapped(several[0])
        elif isinstance(several, (list, tuple)) and (same := _same_end(several)):
            plain = same
    if isinstance(plain, Final):
        return Final(text=None, kind=plain.kind, why=f"`{name}` {plain.why}")
    if isinstance(plain, str) and PRINTED.match(plain) and plain.rstrip()[-1:] in ("]", "}"):
        return Final(text=None, kind="type", why=f"`{name}` holds a list or an object as a program prints it")
    if isinstance(plain, str) and bare_name(name) == "reftext":  # wordings of one answer, as simple-evals has them
        plain = plain.split("|", maxsplit=1)[0]
    if isinstance(plain, str) and ";" in plain and bare_name(name).endswith("answers"):
        return Final(text=None, kind="several answers", why=f"`{name}` holds several answers in one text")
    if isinstance(plain, str) and plain[-3:].rstrip(" .\n").endswith((")", "]")) and _ACCEPTED.search(plain[-_REMARK:]):
        return Final(text=None, kind="several answers", why=f"`{name}` says what else than its answer is accepted")
    if isinstance(plain, str) and plain[:4] == "http" and _PAGE.fullmatch(plain) and not _ASKS_PAGE.search(question):
        return Final(text=None, why=f"`{name}` holds the address of a page, and no answer")
    if plain is None or (isinstance(plain, str) and not plain.strip()):
        return Final(text=None, why=f"`{name}` holds an empty answer")
    if isinstance(plain, str) and "</" in plain:
        tagged = _TAGGED.fullmatch(_THOUGHT.sub("", plain, count=1)) or _WRAPPED.fullmatch(plain)
        plain = plain if tagged is None else tagged[1].strip()
    if isinstance(plain, str) and (plain.strip() in NOTHING or plain.strip(" .").casefold() in _NONE_GIVEN):
        return Final(text=None, why=f"`{name}` holds “{plain.strip()}”, which stands for: no answer")
    if isinstance(plain, bool):
        last_sentence = re.split(r"[.!,]\s+", question.strip())[-1]
        if any(_YES_NO.match(part) for part in (question, question.rsplit("\n", 1)[-1], last_sentence)):
            return Final(text="yes" if plain else "no")
        return _wrong_type(name, plain)
    if plain in (0, 1, "0", "1") and _asks_yes_or_no(question):
        return Final(text=None, kind="type", why=f"`{name}` holds {plain} for a question of yes or no")
    if isinstance(plain, (int, float)):
        return Final(text=str(plain)) if isinstance(plain, int) or math.isfinite(plain) else _wrong_type(name, plain)
    return _of_text(plain, name)


def _of_text(text: str, name: str) -> Final:
    """The final answer of a text; none of one that is a program, or anything like one."""
    if text[-20:].rstrip().endswith(("|>", "</s>", "_turn>")):
        text = _END_OF_TURN.sub("", text)
    if "\n" not in text and _LITERAL_LINES.search(text):
        text = text.replace("\\n", "\n")
    found = reference_of(text)
    if formal := formal_kind(text if found.text is None else found.text):
        return Final(text=None, kind="program", why=f"`{name}` holds {formal}, and no final answer")
    if found.text is None:
        kind: Kind = "sentence" if found.how == "sentence" else "no answer"
        holds = ": " if found.reason.startswith(("the answer is ", "the text ")) else " holds "
        return Final(text=None, kind=kind, why=f"`{name}`{holds}{found.reason}")
    return Final(text=found.text, weak=found.how == "marked")


_END_OF_TURN = re.compile(r"\s*(?:<\|(?:im_end|eot_id|endoftext|end_of_text|end)\|>|</s>|<end_of_turn>)\s*\Z")
"""What a chat template writes behind an answer."""
_PAGE = re.compile(r"https?://\S+\s*")
_ASKS_PAGE = re.compile(r"\b(?:urls?|links?|web ?sites?|web ?pages?|address)\b", re.IGNORECASE)
_LITERAL_LINES = re.compile(r"\\n(?:\\n|\s*####)")
"""Line breaks that were written as a backslash and an n."""


def several_texts(value: object) -> list[str]:
    """The different texts and numbers of a list; none where it holds anything else."""
    inner = opened(value)
    if not isinstance(inner, (list, tuple)) or not all(isinstance(one, (str, int, float)) for one in inner):
        return []
    return list(dict.fromkeys(text for one in inner if (text := str(one).strip())))


def _are_wordings(values: Sequence[object], question: str) -> bool:
    """Whether the values may be wordings of one answer: short texts, no formulas, at most one number, no yes and no."""
    texts = [str(value).strip() for value in values if isinstance(value, (str, int, float))]
    folded = {text.casefold() for text in texts}
    return (
        len(texts) == len(values)
        and all(text and len(text.split()) <= _WORDING and not _FORMULA.search(text) for text in texts)
        and sum(bool(_NUMBER.fullmatch(text)) for text in texts) < 2
        and not folded >= {"yes", "no"}
        and folded.isdisjoint(NO_ANSWER)
        and not _ASKS_SEVERAL.search(question.rstrip().rsplit("\n", 1)[-1])
    )


def _same_end(values: Sequence[object]) -> str:
    """The answer that each of several solutions ends on; empty if these differ or one of the values is none."""
    if not all(isinstance(value, str) and ("\\boxed" in value or "####" in value) for value in values):
        return ""
    finals = [reference_of(str(value)) for value in values]
    ends = {found.text for found in finals}
    return next(iter(ends)) or "" if len(ends) == 1 else ""


def _asks_yes_or_no(question: str) -> bool:
    """Whether the question's last sentence can only be answered by yes or no."""
    last = re.split(r"[.!\n]\s+|\n", question.strip())[-1]
    return bool(_ONLY_YES_NO.match(last)) and not _ASKS_MORE.search(last)


def _wrong_type(name: str, value: object) -> Final:
    return Final(text=None, kind="type", why=f"`{name}` must be a text or a number, not {kind_of(value)}")


def _unwrapped(value: object) -> str | int | float | bool | Final | None:
    """The one value inside lists and objects; a `Final` without text says why there is not one."""
    outer, value = value, opened(_usual(value))
    if isinstance(value, str) and not isinstance(outer, str):  # out of a list of one
        value = opened(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    if is_chat(value) and isinstance(value, (list, tuple)):
        return last_text(value)
    if isinstance(value, (list, tuple)):
        return _unwrapped(value[0]) if value and all(map(_is_span, value)) else _one_of(list(value))
    if isinstance(value, dict):
        inner = {bare_name(key): inside for key, inside in value.items()}
        if is_call(inner):
            return Final(text=None, kind="program", why="holds a call of a function, and no final answer")
        if "en" in inner and len(inner) > 1 and all(_LANGUAGE.fullmatch(str(key)) for key in value):
            return _unwrapped(inner["en"])
        if "answerstart" in inner and isinstance(texts := inner.get("text"), (list, tuple)):
            return _unwrapped(texts[0]) if texts else None  # annotators' spans: each of them is right
        if "value" in inner and inner.keys() & {"aliases", "normalizedvalue", "normalizedaliases"}:
            return _unwrapped(inner["value"])
        if inner.keys() >= {"number", "spans"}:  # a number, a date or spans, of which one is filled
            return _unwrapped(inner["number"] or inner["spans"])
        if isinstance(inner.get("answer"), (list, tuple)) and isinstance(inner.get("mention"), str):
            return _unwrapped(inner["mention"]) if len(inner["answer"]) == 1 else _one_of(list(inner["answer"]))
        if "target" in inner and not inner.keys().isdisjoint(("numbers", "nums")):
            return Final(text=None, kind="type", why="holds the target of a puzzle, which is no answer to it")
        for name in ("groundtruth", "spans", "answer", "finalanswer", "text", "target"):
            if name in inner:
                return _unwrapped(inner[name])
        record = isinstance(outer, str) and len(inner) > 1  # written as JSON: `name` and `value` are parts of it
        named = [] if record else [_in_english(inner[name]) for name in _NAMED if name in inner]
        if (text := next((one for one in named if _is_text(one)), None)) is not None:
            return text
        kind = str(inner.get("answertype", inner.get("type", "")))
        if "answerargument" in inner and kind.casefold() in ("value", "literal", "number", "date"):
            return _unwrapped(inner["answerargument"])
    return Final(text=None, kind="type", why=f"must be a text or a number, not {kind_of(value)}")


def _in_english(value: object) -> object:
    """The English one of texts by their languages, or the only one; else the value."""
    if not isinstance(value, dict) or not value:
        return value
    return value.get("en", next(iter(value.values())) if len(value) == 1 else None)


def _is_text(value: object) -> TypeGuard[str | int | float]:
    """Whether this is an answer in words or a number, and no id."""
    if isinstance(value, str):
        return bool(value.strip()) and not _ID.fullmatch(value.strip())
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _usual(value: object) -> object:
    """The first of one answer's names, which stand in a list of their own inside a list of answers; else the value."""
    names = value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else None
    if not isinstance(names, (list, tuple)) or len(names) < 2:
        return value
    return names[0] if all(isinstance(name, str) and not _NUMBER.fullmatch(name) for name in names) else value


def _each_answer(value: object) -> object:
    """The answers of a list of objects, some of which hold one each (beside where it was found); else the value."""
    if not isinstance(value, (list, tuple)) or len(value) < 2 or not all(isinstance(one, dict) for one in value):
        return value
    if any(map(_is_span, value)) or is_chat(value):
        return value
    rows = [{bare_name(key): inner for key, inner in one.items()} for one in value]
    given = [one["answer"] if "answer" in one else one.get("text") for one in rows]
    texts = [one for one in given if isinstance(one, (str, int, float)) and not isinstance(one, bool) and one != ""]
    whole = texts and len(texts) == sum(one is not None for one in given)
    return list({str(text): text for text in texts}.values()) if whole else value


def _is_span(value: object) -> bool:
    """Whether this is one annotator's span of a passage: each of several is right."""
    return isinstance(value, dict) and any(bare_name(name) == "answerstart" for name in value)


def _one_of(values: list[object]) -> str | int | float | bool | Final | None:
    found = [_unwrapped(value) for value in values]
    fault = next((one for one in found if isinstance(one, Final)), None)
    if fault is not None:
        return Final(text=None, kind="type", why=f"must be a text or a number, not {kind_of(values)}")
    different = {str(one).strip().casefold() for one in found}
    if len(different) > 1:
        return Final(text=None, kind="several answers", why=f"must be a text or a number, not {kind_of(values)}")
    return found[0] if found else None
