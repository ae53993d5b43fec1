"""The answer of a completion that is a JSON object, or an agent's call of `final_answer`.

Other keys hold reasons, steps and checks, whose numbers are not the answer. An object that is cut off counts if the
value of that key is closed.
"""

from __future__ import annotations

import json
import re

from selfimprove.answer.unfinished import taken_back

_FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\n\s*(\{[^`]*\})\s*\n?```")
_INLINE = re.compile(r"(?<=[\s.!:])(\{\s*\"[^{}]*\})[.\s]*\Z")
_NO_ANSWER = re.compile(
    r"partial|wrong|previous|so.?far|intermediate|expected|question|problem|input|step|given", re.IGNORECASE
)
_MOST_AROUND = 600  # characters of text around an object in a fence
_KEYS = (
    "finalanswer", "answer", "correctanswer", "finalresult", "result", "solution", "correctoption", "correctchoice",
    "choice", "option", "label", "prediction", "conclusion", "verdict", "output", "value",
)  # fmt: skip
_CLOSED = re.compile(
    r"[\"'](?:final_?\s?)?(?:answer|result)[\"']\s*:\s*(?:\"((?:[^\"\\]|\\.)*)\"|'([^'\n]*)'(?=\s*[,}])|(-?\d[\d.]*)(?=\s*[,}\s]))",
    re.IGNORECASE,
)


def value_of_object(text: str) -> str | None:
    """What a text that is a JSON object gives as its answer, empty if it gives none; None if the text is none."""
    found = _FENCED.search(text) if "```" in text else _INLINE.search(text)
    body = text.strip() if found is None else found[1]
    if found is not None and (len(text) - len(found[0]) > _MOST_AROUND or taken_back(text[found.end() :])):
        return None
    if not re.match(r"\[?\s?\{\s*[\"']", body):
        return None
    try:
        held = json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        closed = list(_CLOSED.finditer(body))
        return next((group for group in closed[-1].groups() if group is not None), "") if closed else ""
    held = held[0] if isinstance(held, list) and len(held) == 1 else held
    return _answer(held) if isinstance(held, dict) else None


def called_answer(text: str) -> str | None:
    """The literal with which a text that ends on code calls `final_answer`; None without one."""
    found = None
    for found in _CALL.finditer(text):  # noqa: B007 - the last call is what is wanted
        pass
    if found is None or not _ENDS.fullmatch(text, found.end()):
        return None
    return (found[2] if found[1] is None else found[1]).strip()


_CALL = re.compile(r"(?<![\w.])final_answer\(\s*(?:[\"']([^\"'\n]{1,120})[\"']|(-?\d[\d_.]*(?:\s?/\s?\d+)?))\s*\)")
_ENDS = re.compile(r"(?:\s|`{3}|</?end_code>|</?code>)*")


def _answer(held: dict[str, object]) -> str:
    named = {re.sub(r"[^a-z]", "", key.lower()): value for key, value in held.items() if not re.search(r"\d", key)}
    for key in _KEYS:
        if key in named:
            return _written(named[key])
    return _written(next(iter(held.values()))) if len(held) == 1 and not _NO_ANSWER.search(next(iter(held))) else ""


def _written(value: object) -> str:
    """A value as text: the items of a list with commas, the answer of an object with its unit; empty for nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(_written(item) for item in value)
    if isinstance(value, dict):
        unit = value.get("unit") or value.get("units") or ""
        return f"{_answer({k: v for k, v in value.items() if k not in ('unit', 'units')})} {unit}".strip()
    return "" if value is None else str(value)
