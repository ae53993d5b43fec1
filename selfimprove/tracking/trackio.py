"""Trackio: project `selfimprove` in its local store (`$TRACKIO_DIR`), shown by `trackio show --project selfimprove`.

With `$TRACKIO_SPACE_ID` it sends to a Space of Hugging Face instead. The run's name there ends with a part of its key,
so a later start goes on in it. Trackio's own monitoring of processor and GPU is switched off. Its only axis is the
step, so points by round are logged at the step that the round ended with, together with `round`.
"""

from __future__ import annotations

from selfimprove.tracking.metrics import Point
from selfimprove.tracking.tracker import TrackedRun

_PROJECT = "selfimprove"


class Trackio:
    """A run of Trackio."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        name = f"{run.name}-{run.key[:6]}"
        try:
            self.known = any(earlier.name == name for earlier in trackio.Api().runs(_PROJECT))
        except ValueError:  # the project doesn't exist yet
            self.known = False
        switched_off = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
        self._run = trackio.init(_PROJECT, name, config=dict(run.config), resume="allow", **switched_off)

    def write(self, point: Point) -> None:
        """One row at the point's step."""
        self._run.log(point.with_round, step=point.step)

    def close(self, finished: bool) -> None:
        """Wait until all is written."""
        import trackio

        trackio.finish()  # not self._run.finish(), after which trackio would finish it again when the process ends
