"""The picture in README.md: a run's history drawn by the live view's own functions, as an SVG.

`python -m selfimprove.view.picture rounds/example docs/view.svg` (`make view-svg`) replays the events of a finished
run up to the last look of the gate, and exports what the live view shows at that moment.
Nothing depends on the terminal, the clock or the environment: the same history gives the same file.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from selfimprove.events import Looked, Timed
from selfimprove.store.journal import Journal
from selfimprove.view.live import frame
from selfimprove.view.scene import Scene, advance

WIDTH, HEIGHT = 100, 30


def picture(history: Sequence[Timed], title: str) -> str:
    """The SVG of the live view at the last look of the gate, or at the end of a history without one."""
    looks = [place for place, timed in enumerate(history) if isinstance(timed.event, Looked)]
    scene, shown = Scene(), history[: looks[-1] if looks else None]
    for timed in shown:
        scene = advance(scene, timed.event, timed.time)
    console = Console(
        file=io.StringIO(),
        record=True,
        width=WIDTH,
        height=HEIGHT,
        force_terminal=True,
        force_jupyter=False,
        color_system="truecolor",
        legacy_windows=False,
        no_color=False,
    )
    for line in frame(scene, WIDTH, HEIGHT, shown[-1].time):
        console.print(line)
    return console.export_svg(title=title, theme=MONOKAI, unique_id="view")


def main(folder: str, target: str) -> None:
    """Write the picture of the run in `folder` to the file `target`."""
    history, _ = Journal(Path(folder)).events_since(0)
    Path(target).write_text(picture(history, "selfimprove run"), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
