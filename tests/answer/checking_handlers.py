"""A worker program for tests: the real protocol and limits around a handler that misbehaves on request."""

from __future__ import annotations

import os
import signal
import sys
import time

from selfimprove.answer.checking.worker import Fields, Request, judge, serve


def misbehave(request: Request) -> Fields:
    text = request["text"]
    if text == "hang":
        time.sleep(3600)
    if text == "long c call":
        return [str(2 ** (1 << 40))]
    if text == "allocate":
        return ["wrong", str(len(bytearray(10 << 30))), "", ""]
    if text == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "die once":
        marker = request["reference"]
        if not os.path.exists(marker):  # noqa: PTH110 - the marker was made by the test
            os._exit(9)
    return judge(request)


if __name__ == "__main__":
    serve(misbehave, sys.argv[1:])
