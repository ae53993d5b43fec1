"""Make a language model better at reasoning with its own samples, in rounds accepted or rejected by evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfimprove.checking import check as check

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is the attribute's own, stated above for type checkers
    """`check`, imported when it is first asked for, so that `import selfimprove` stays fast."""
    if name != "check":
        raise AttributeError(f"module 'selfimprove' has no attribute {name!r}")
    from selfimprove.checking import check

    return check
