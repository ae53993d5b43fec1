r"""From a row of any file to a question and its final answer.

Recognised question fields are `question` (GSM8K and most others), `problem` (MATH, MATH-500) and `prompt`; answer
fields `expected_answer`, `answer` and `solution`, the first that a row has. A final answer is what follows the last
`####` (GSM8K), else what the last `\boxed{}` holds (MATH), else the whole field; a `solution` without either mark is
a text, not an answer. Pairs such as `input` and `output` are not recognised, since `input` may be a context to an
`instruction`: they are named in the recipe. A named field comes before the recognised ones, in every file that has it.

A row is hostile until it has passed: anything but an object with a text as its question and a text or number as its
answer is named with its file and line. A missing or null answer is no fault here; an empty one is.
"""

from __future__ import annotations

import math

from selfimprove.errors import UsageError
from selfimprove.problem.values import Problem, make_problem
from selfimprove.recipe import Problems

LONGEST = 1_000_000
"""Characters of a question or an answer: far above any problem, far below what fills a machine's memory."""
QUESTION_FIELDS = ("question", "problem", "prompt")
ANSWER_FIELDS = ("expected_answer", "answer", "solution")


def problem_from_row(row: object, named: Problems, where: str, source: str) -> Problem:
    """The problem of one row of a file or dataset, its fields recognised or `named` in the recipe.

    Raises `UsageError` for a bad row, naming `where`.
    """
    if not isinstance(row, dict):
        raise UsageError(f"{where}: not an object with fields, but {_kind(row)}", "Each row needs named fields.")
    return make_problem(_question(row, named, where), _answer(row, named, where), source)


def last_boxed(text: str) -> str | None:
    r"""What the last `\boxed{…}` (or `\fbox{…}`, or `\boxed 7`) holds, braces balanced; None if there is none."""
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    rest = text[start:].removeprefix("\\boxed").removeprefix("\\fbox").lstrip()
    if not rest.startswith("{"):
        return rest.split("$")[0].split(None, 1)[0] if rest.split("$")[0].split() else None
    depth = 0
    for position, sign in enumerate(rest):
        escaped = position > 0 and rest[position - 1] == "\\"
        depth += 0 if escaped else {"{": 1, "}": -1}.get(sign, 0)
        if depth == 0:
            return rest[1:position].strip()
    return None


def _question(row: dict[object, object], named: Problems, where: str) -> str:
    fields = [field for field in (named.question, *QUESTION_FIELDS) if field and field in row]
    if not fields:
        listed = ", ".join(f"`{field}`" for field in row) or "none"
        raise UsageError(
            f"{where}: no question; the fields are: {listed}",
            'Name them in the recipe: [problems] question = "…" and answer = "…".',
        )
    value = row[fields[0]]
    if not isinstance(value, str):
        raise UsageError(f"{where}: `{fields[0]}` must be a text, not {_kind(value)}", "Correct or remove the row.")
    if not value.strip():
        raise UsageError(f"{where}: `{fields[0]}` is empty", "Correct or remove the row.")
    return _text(value, fields[0], where)


def _answer(row: dict[object, object], named: Problems, where: str) -> str | None:
    fields = [field for field in (named.answer, *ANSWER_FIELDS) if field and row.get(field) is not None]
    if not fields:
        return None
    value = row[fields[0]]
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if isinstance(value, bool) or not (is_number or isinstance(value, str)):
        raise UsageError(
            f"{where}: `{fields[0]}` must be a text or a number, not {_kind(value)}", "Correct or remove the row."
        )
    answer = _final(_text(str(value), fields[0], where), fields[0])
    if answer == "":
        raise UsageError(f"{where}: `{fields[0]}` holds an empty answer", "Correct or remove the row.")
    return answer


def _final(text: str, field: str) -> str | None:
    if "####" in text:
        return text.rsplit("####", 1)[1].strip()
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed
    return None if field == "solution" and text.strip() else text.strip()


def _text(value: str, field: str, where: str) -> str:
    if len(value) > LONGEST:
        raise UsageError(
            f"{where}: `{field}` has {len(value):,} characters, more than {LONGEST:,}", "Shorten or remove the row."
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{where}: `{field}` holds half of a surrogate pair, which is no text", "Correct or remove the row."
        ) from None
    return value


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return f"the number {value}"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__
