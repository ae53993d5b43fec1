"""A process that reads parts of a source: pickled pieces come in on standard input, what was read goes out.

A fresh interpreter and not a fork of one that may have threads, and not `multiprocessing`, which would run a user's
script again. It ends when its input does.
"""

from __future__ import annotations

import gc
import pickle
import sys
from typing import IO

from selfimprove.errors import UsageError
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.parts import Piece, PieceRead, read_piece
from selfimprove.recipe import Problems

HEADER = 8
"""Bytes of length before each message, big-endian."""

Request = tuple[Piece, Problems, bool, Learnt | None]
Reply = PieceRead | UsageError


def send(stream: IO[bytes], message: object) -> None:
    """Write a message."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(HEADER, "big"))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> object:
    """The next message; raises `EOFError` where the stream ends."""
    header = stream.read(HEADER)
    size = int.from_bytes(header, "big")
    data = stream.read(size) if len(header) == HEADER else b""
    if len(header) < HEADER or len(data) < size:
        raise EOFError
    return pickle.loads(data)  # between this program and itself, over a pipe


def main() -> None:
    """Serve until the input ends."""
    gc.set_threshold(100_000)  # rows hold no cycles, and looking for some costs a tenth of the time
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no message
    while True:
        try:
            request: Request = receive(source)  # type: ignore[assignment]
        except EOFError:
            return
        try:
            reply: Reply = read_piece(*request)
        except UsageError as error:
            reply = error
        send(target, reply)


if __name__ == "__main__":
    main()
