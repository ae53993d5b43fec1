"""A checker of one's own: where it is, what it is bound to, and what its result means.

`answers.checker` names a function: `package.module:function`, looked for in the current folder and then where Python
looks, or `path/to/file.py:function`. It is called as `function(completion, problem)` and returns `True` or `False`, a
score from 0 to 1, or a `Verdict`. Only a full score is *right*; the gate counts a score between as that share.

`located` finds the file without running anything of it: only the checker's own processes import it
(`checking.contained`). The SHA-256 of the file is part of a run's identity. What the file imports is not.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from selfimprove.answer.limits import shown
from selfimprove.answer.verdict import Outcome, Verdict
from selfimprove.errors import UsageError
from selfimprove.escaping import escape_text

STAGE = "checker"
"""The stage of the verdicts of a checker of one's own."""
MAX_REASON = 300
_KEY = "answers.checker"
_HINT = "Name a function as package.module:function or path/to/file.py:function; paths start at the current folder."


@dataclass(frozen=True, kw_only=True)
class Located:
    """A function in a file: the name that its module is imported by, and the folder that name is looked for in."""

    name: str
    file: str
    module: str
    root: str
    function: str

    def sha256(self) -> str:
        """The SHA-256 of the file, in hexadecimal digits."""
        try:
            return hashlib.sha256(Path(self.file).read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(f"{_KEY}: {self.file}: can't be read: {error.strerror}", _HINT) from None

    def packed(self) -> str:
        """What `unpacked` reads."""
        return json.dumps(asdict(self))

    @staticmethod
    def unpacked(text: str) -> Located:
        """What `packed` wrote."""
        return Located(**json.loads(text))


def located(name: str) -> Located:
    """The function that `answers.checker` names, its file found and nothing imported; `UsageError` if there is none."""
    where, _, function = name.rpartition(":")
    if where.endswith(".py"):
        path = Path(where).resolve()
        if not path.is_file():
            raise UsageError(f"{_KEY}: {where}: no such file", _HINT)
        return Located(name=name, file=str(path), module=path.stem, root=str(path.parent), function=function)
    search: list[str] | None = [str(Path.cwd()), *sys.path]
    root, found = "", None
    parts = where.split(".")
    for depth in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:depth]), search)
        if found is None or (search := found.submodule_search_locations) is None:
            break
        root = root or str(Path(next(iter(search))).parent)
    if found is None or found.name != where or not (found.origin and found.origin.endswith(".py")):
        raise UsageError(f"{_KEY}: no module `{where}` in the current folder or on Python's path", _HINT)
    file = Path(found.origin).resolve()
    return Located(name=name, file=str(file), module=where, root=root or str(file.parent), function=function)


def loaded(where: Located) -> Callable[..., object]:
    """The function itself, its module imported; raises whatever that raises, and `TypeError` if it is no function."""
    if where.name.rpartition(":")[0].endswith(".py"):
        spec = importlib.util.spec_from_file_location(where.module, where.file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{where.file} isn't a module")
        sys.path.append(where.root)  # behind all others: a file beside it hides no library
        module = importlib.util.module_from_spec(spec)
        sys.modules[where.module] = module
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, where.root)
        module = importlib.import_module(where.module)
    function = getattr(module, where.function, None)
    if not callable(function):
        raise TypeError(f"{where.file} has no function `{where.function}`")
    return function  # type: ignore[no-any-return]  # what a user's file holds has no type here


def verdict_of(value: object) -> Verdict:
    """The verdict that a checker's result stands for; `error` for what is none of a truth value, a score, a verdict."""
    if isinstance(value, bool):
        word = "accepted" if value else "rejected"
        return Verdict(outcome=Outcome.of(value), candidate=None, stage=STAGE, reason=f"{word} by the checker")
    if isinstance(value, int | float):
        return _scored(float(value), None, f"score {value:g}")
    if not isinstance(value, Verdict):
        kind = type(value).__name__
        return failure(f"it returned {kind}, not a bool, a number or a Verdict")
    if not isinstance(value.outcome, Outcome) or not isinstance(value.candidate, str | None):
        return failure(
            f"it returned a Verdict with the outcome {value.outcome!r} and the candidate {value.candidate!r}"
        )
    candidate = None if value.candidate is None else shown(value.candidate)
    reason = escape_text(str(value.reason), MAX_REASON)
    if value.score is None:
        return Verdict(outcome=value.outcome, candidate=candidate, stage=STAGE, reason=reason)
    if not isinstance(value.score, int | float):
        return failure(f"it returned a Verdict with a score of type {type(value.score).__name__}")
    return _scored(float(value.score), candidate, reason)


def failure(why: str) -> Verdict:
    """The verdict on an answer that the checker failed over, `why` escaped to one line."""
    return Verdict(outcome=Outcome.ERROR, candidate=None, stage=STAGE, reason=escape_text(why, MAX_REASON))


def _scored(score: float, candidate: str | None, reason: str) -> Verdict:
    if not math.isfinite(score) or not 0 <= score <= 1:
        return failure(f"it returned the score {score:g}, which is not from 0 to 1")
    between = score if 0 < score < 1 else None
    return Verdict(outcome=Outcome.of(score == 1), candidate=candidate, stage=STAGE, reason=reason, score=between)
