"""TensorBoard: event files in `rounds/<run>/tensorboard/`, read by `tensorboard --logdir rounds`.

TensorBoard's own writer needs neither TensorFlow nor torch. A later start adds a file beside the others, and
TensorBoard shows them as one run. The recipe is shown under Text.
"""

from __future__ import annotations

import time

from selfimprove.tracking.metrics import Point
from selfimprove.tracking.tracker import TrackedRun


class TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, run: TrackedRun) -> None:
        from tensorboard.plugins.text.summary_v2 import text_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.known = any(run.folder.glob("events.out.*"))
        self._writer = EventFileWriter(str(run.folder))
        if not self.known:
            # Four spaces make it a code block in TensorBoard's Markdown, whatever its text is.
            lines = [f"    {key} = {value!r}" for key, value in run.config.items()]
            self._add(text_pb("recipe", "\n".join(lines)), 0, time.time())

    def write(self, point: Point) -> None:
        """A scalar for each value, at its step or its round."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for name, value in point.values.items():
            self._add(scalar_pb(name, value), point.place, point.time)
        self._writer.flush()

    def close(self, finished: bool) -> None:
        """Close the file."""
        self._writer.close()

    def _add(self, summary: object, step: int, wall_time: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(wall_time=wall_time, step=step, summary=summary))
