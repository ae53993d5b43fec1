"""Trackio: project `selfimprove` in its local store (`$TRACKIO_DIR`), shown by `trackio show --project selfimprove`.

With `$TRACKIO_SPACE_ID` it sends to a Space of Hugging Face instead. The run's name there is its own and a part of its
key, so a later start goes on in it. The watching of processor and GPU, which trackio does by itself, is switched off.
Trackio has one axis, so points by round stand at the step that the round ended with and carry `round`.
"""

from __future__ import annotations

from selfimprove.tracking.points import Point
from selfimprove.tracking.tracker import TrackedRun

_PROJECT = "selfimprove"


class Trackio:
    """A run of Trackio."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        name = f"{run.name}-{run.key[:6]}"
        self.known = _knows(name)
        self._run = trackio.init(
            _PROJECT,
            name,
            config=run.config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def write(self, point: Point) -> None:
        """One row at the point's step."""
        self._run.log({**point.values, "round": point.round}, step=point.step)

    def close(self, finished: bool) -> None:
        """Wait until all is written."""
        import trackio

        trackio.finish()  # forgets it as well, or trackio would finish it again when the process ends


def _knows(name: str) -> bool:
    import trackio

    try:
        return any(run.name == name for run in trackio.Api().runs(_PROJECT))
    except ValueError:  # there is no such project yet
        return False
