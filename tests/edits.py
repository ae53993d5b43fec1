"""Changes to the records of a run, for tests of what notices them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """What changes the JSON file of this name in a run's folder."""

    def change_file(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return change_file
