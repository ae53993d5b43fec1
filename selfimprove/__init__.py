"""Make a language model better at reasoning with its own samples, in rounds accepted or rejected by evidence.

    import selfimprove as si

    outcome = si.run({"problems": {"train": "mine.jsonl"}}, rounds=2, name="mine")
    si.check("so x = \\\\boxed{1/2}", "0.5").outcome  # 'correct'

| name | what it is |
| --- | --- |
| `run(recipe, rounds)` | a run to its end, as an `Outcome` |
| `run_events(recipe, rounds)` | the same run as an iterator of its events |
| `events` | the module of the events: `events.RoundFinished` and others |
| `check(answer, gold)` | one `Verdict` of the answer checker, or of a checker of your own |
| `read_recipe(source, overrides)` | a validated `Recipe` from a file, a dict or another recipe |
| `Recipe`, `Runtime` | what a run is; how it is executed |
| `Outcome`, `Verdict` | what comes of a run, of a check |
| `SelfImproveError` | every failure with a cause the user can act on |

A name is imported when it is first used, so `import selfimprove` stays fast. `docs/library.md` is a worked example.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from selfimprove import events as events
    from selfimprove.answer import Verdict as Verdict
    from selfimprove.errors import SelfImproveError as SelfImproveError
    from selfimprove.library import Outcome as Outcome
    from selfimprove.library import check as check
    from selfimprove.library import read_recipe as read_recipe
    from selfimprove.library import run as run
    from selfimprove.library import run_events as run_events
    from selfimprove.recipe import Recipe as Recipe
    from selfimprove.recipe import Runtime as Runtime

__all__ = [
    "Outcome", "Recipe", "Runtime", "SelfImproveError", "Verdict", "__version__", "check", "events", "read_recipe",
    "run", "run_events",
]  # fmt: skip

_MODULES = {
    "Outcome": "library", "Recipe": "recipe", "Runtime": "recipe", "SelfImproveError": "errors", "Verdict": "answer",
    "check": "library", "read_recipe": "library", "run": "library", "run_events": "library",
}  # fmt: skip
"""Where each name is defined; `events` is a module itself."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is the attribute's own, stated above for type checkers
    """A public name, imported now."""
    if name == "events":
        return import_module("selfimprove.events")
    if name == "__version__":
        return version("selfimprove")
    if name not in _MODULES:
        raise AttributeError(f"module 'selfimprove' has no attribute {name!r}")
    return getattr(import_module(f"selfimprove.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
