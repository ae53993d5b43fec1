"""Worker processes that read parts of a source side by side; what they give comes back in the order of the parts.

One thread a worker writes a part and waits for what was read of it. At most two parts a worker are under way, so that a
source of any size is held in memory in columns only. A worker that is lost costs time alone: its part is read here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from selfimprove.errors import UsageError
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.parts import Piece, PieceRead, read_piece
from selfimprove.problem.worker import receive, send
from selfimprove.recipe import Problems


class Crew:
    """So many worker processes, open inside `with`; none with one or fewer, and then all is read in this process."""

    def __init__(self, workers: int, named: Problems, as_written: bool) -> None:
        self._workers, self._named, self._as_written = workers if workers > 1 else 0, named, as_written
        self._threads = ThreadPoolExecutor(max(self._workers, 1), thread_name_prefix="reading")
        self._own = threading.local()
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._started:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    assert pipe is not None
                    pipe.close()

    def read(self, pieces: Iterable[Piece], learnt: Learnt | None) -> Iterator[tuple[Piece, PieceRead]]:
        """What was read of each piece, in their order; raises `UsageError` for the first that can't be read."""
        if not self._workers:
            for piece in pieces:
                yield piece, read_piece(piece, self._named, self._as_written, learnt)
            return
        under_way: deque[tuple[Piece, Future[PieceRead]]] = deque()
        for piece in pieces:
            under_way.append((piece, self._threads.submit(self._asked, piece, learnt)))
            if len(under_way) >= 2 * self._workers:
                first, future = under_way.popleft()
                yield first, future.result()
        while under_way:
            first, future = under_way.popleft()
            yield first, future.result()

    def _asked(self, piece: Piece, learnt: Learnt | None) -> PieceRead:
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, (piece, self._named, self._as_written, learnt))
            reply = receive(process.stdout)
        except (OSError, EOFError, ValueError):
            process.kill()
            self._own.process = None
            return read_piece(piece, self._named, self._as_written, learnt)
        if isinstance(reply, UsageError):
            raise reply
        assert isinstance(reply, PieceRead)
        return reply

    def _process(self) -> subprocess.Popen[bytes]:
        """The worker of the thread that asks."""
        found: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if found is None:
            found = self._own.process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "selfimprove.problem.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
            self._started.append(found)
        return found
