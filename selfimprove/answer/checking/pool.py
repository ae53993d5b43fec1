"""The pool of workers: verdicts from processes that can be killed.

`answer` bounds its own work in steps; this module adds what steps can't promise. A few long-lived worker processes
judge one answer at a time. The parent holds the deadline: a worker that misses it is killed with its process group
and replaced, and the answer is `timed_out`, which is never cached. A worker that dies is replaced and its answer
tried once more. Verdicts live in the parent, so a worker can lose nothing but the answer in its hands.

Callers in any number of threads share the workers; a caller waits until one is free, so nothing queues without bound
and never more processes work than were asked for. Equal (text, reference, mode) are judged once: the cache is kept
under the checker's version for the life of the `Checker` and bounded in entries. Processes are started by one thread
that lives as long as the `Checker`, because Linux ties a child's death signal to the thread that started it.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import Self, TypeVar

from selfimprove.answer import VERSION, Mode, Outcome, Verdict
from selfimprove.answer.checking.process import TIMEOUT, Worker, WorkerLost
from selfimprove.answer.checking.worker import Failure, Form, Reply, Request
from selfimprove.errors import UsageError

T = TypeVar("T")
JUDGE = ("-m", "selfimprove.answer.checking.worker")
MEMORY_MB = 1024
RECYCLE = 20_000  # replies after which a process is replaced, so that its memory starts over
CACHED = 50_000  # verdicts kept
CHUNK = 64  # answers a thread takes at a time


def _silent(done: int, total: int) -> None:
    """No progress is shown."""


class Checker:
    """Verdicts from `workers` processes; a context manager, usable from several threads.

    `timeout` is in seconds for one answer, `memory_mb` in megabytes for one process. A process starts when it is first
    needed; `command` is what it runs, after the interpreter. `contained`: it is one for a checker of one's own, whose
    processes keep each verdict apart. `own` is that checker beside this one; it is closed with it.
    """

    def __init__(
        self,
        workers: int = 1,
        timeout: float = TIMEOUT,
        memory_mb: int = MEMORY_MB,
        command: Sequence[str] = JUDGE,
        *,
        contained: bool = False,
        own: Checker | None = None,
    ) -> None:
        if workers < 1 or timeout <= 0 or memory_mb < 128:
            raise UsageError(
                f"a checker with {workers} workers, {timeout} seconds and {memory_mb} megabytes can't work",
                "at least 1 worker, more than 0 seconds, 128 megabytes or more",
            )
        self.workers = workers
        self.own = own
        self._timeout, self._memory_mb, self._command = timeout, memory_mb, tuple(command)
        self._contained = contained
        self._slots: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._slots.put(None)
        self._starter = ThreadPoolExecutor(1, "checker-starter")
        self._cache: OrderedDict[bytes, Verdict] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, after what they have in hand; the checker can't be used again."""
        if self._closed:
            return
        self._closed = True
        if self.own is not None:
            self.own.close()
        for worker in [self._slots.get() for _ in range(self.workers)]:
            if worker is not None:
                worker.kill()
        self._starter.shutdown()
        for _ in range(self.workers):
            self._slots.put(None)  # who still waits for a worker is let in to be told

    def start(self) -> None:
        """Start a process, if none is there; raises `UsageError` if a checker of one's own can't be loaded."""
        with self._worker():
            pass

    def check(
        self, text: str, reference: str, mode: Mode = "last", *, cut: bool = False, question: str = ""
    ) -> Verdict:
        """The verdict on one completion; `cut`: it was cut off at the token limit; `question`: what it answers."""
        return self._verdicts([_request(text, reference, mode, cut=cut, question=question)])[0]

    def check_answer(self, answer: str, reference: str, *, question: str = "") -> Verdict:
        """The verdict on one bare answer; `question`: what it answers."""
        return self._verdicts([_request(answer, reference, "bare", question=question)])[0]

    def check_all(
        self,
        items: Sequence[tuple[str, str]],
        mode: Form = "last",
        progress: Callable[[int, int], None] = _silent,
        cut: Sequence[bool] | None = None,
        questions: Sequence[str] | None = None,
    ) -> list[Verdict]:
        """The verdicts on (text, reference) pairs, in their order; `progress(done, total)` is called in this thread.

        `cut` says of each text whether it was cut off at the token limit; by default none was. `questions` are what the
        texts answer, if that is known.
        """
        cuts = [False] * len(items) if cut is None else cut
        asked = [""] * len(items) if questions is None else questions
        requests = [
            _request(*item, mode, cut=was_cut, question=question)
            for item, was_cut, question in zip(items, cuts, asked, strict=True)
        ]
        return [verdict for chunk in self._chunked(requests, self._verdicts, progress) for verdict in chunk]

    def faults_of_references(self, references: Sequence[str]) -> list[str | None]:
        """For each reference why it can't be judged against, or None."""
        requests = [
            Request(op="fault", text="", reference=reference, mode="bare", cut=False, question="")
            for reference in references
        ]
        chunks = self._chunked(requests, self._replies, _silent)
        return [
            reply.fields[0] if reply.failed is None else _UNJUDGED[reply.failed].reason
            for chunk in chunks
            for reply in chunk
        ]

    def timed(self, rows: Sequence[tuple[str, str, Form, bool, str]]) -> list[tuple[Verdict, float]]:
        """Verdicts on (text, reference, mode, cut, question), past the cache, with their milliseconds in the worker."""
        requests = [
            _request(text, reference, mode, cut=cut, question=question) for text, reference, mode, cut, question in rows
        ]
        replies = [reply for chunk in self._chunked(requests, self._replies, _silent) for reply in chunk]
        return [(self._verdict(reply), 1000 * self._timeout if reply.ms is None else reply.ms) for reply in replies]

    def _chunked(
        self,
        requests: list[Request],
        work: Callable[[list[Request]], list[T]],
        progress: Callable[[int, int], None],
    ) -> list[list[T]]:
        """The work done on all requests in chunks, as many at a time as there are workers, in order."""
        size = max(1, min(CHUNK, len(requests) // self.workers))
        chunks = [requests[at : at + size] for at in range(0, len(requests), size)]
        with ThreadPoolExecutor(self.workers, "checker") as pool:
            futures = [pool.submit(work, chunk) for chunk in chunks]
            done = 0
            for future in as_completed(futures):
                done += len(future.result())
                progress(done, len(requests))
        return [future.result() for future in futures]

    def _verdicts(self, requests: list[Request]) -> list[Verdict]:
        """The verdicts on requests, from the cache where it has them."""
        keys = [_key(request) for request in requests]
        with self._lock:
            known = {key: self._cache[key] for key in keys if key in self._cache}
        owed = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
        judged: dict[bytes, Verdict] = {}
        for key, reply in zip(owed, self._replies(list(owed.values())), strict=True):
            known[key] = self._verdict(reply)
            if reply.failed is None:
                judged[key] = known[key]
        with self._lock:
            self._cache.update(judged)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return [known[key] for key in keys]

    def _replies(self, requests: list[Request]) -> list[Reply]:
        """One reply for each request, from one worker at a time, whatever happens to the worker."""
        replies: list[Reply] = []
        deaths = 0
        while len(replies) < len(requests):
            before = len(replies)
            try:
                with self._worker() as worker:
                    for reply in worker.converse(requests[before:]):
                        replies.append(reply)  # noqa: PERF402 - what came before the worker was lost is kept
            except WorkerLost as lost:
                deaths = 1 if len(replies) > before else deaths + 1
                if lost.late or deaths > 1:
                    replies.append(Reply([], failed=Failure.LATE if lost.late else Failure.DIED))
                    deaths = 0
        return replies

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        """A free worker, started if need be; it is killed unless it is given back in order."""
        worker = self._slots.get()
        kept: Worker | None = None
        try:
            if self._closed:
                raise UsageError("the checker is closed", "use it inside its with block")
            if worker is None:
                worker = self._starter.submit(self._started).result()
            yield worker
            kept = worker if worker.served < RECYCLE else None
        finally:
            if worker is not None and kept is None:
                worker.kill()
            self._slots.put(kept)

    def _started(self) -> Worker:
        return Worker(self._command, self._timeout, self._memory_mb, contained=self._contained)

    def _verdict(self, reply: Reply) -> Verdict:
        if reply.failed is not None:
            found = _UNJUDGED[reply.failed]
            died = self._contained and found.outcome is not Outcome.TIMED_OUT
            return replace(found, outcome=Outcome.ERROR) if died else found
        outcome, candidate, stage, reason, *score = reply.fields
        return Verdict(
            outcome=Outcome(outcome or ""),
            candidate=candidate,
            stage=stage or "",
            reason=reason or "",
            score=float(score[0]) if score and score[0] else None,
        )


def _request(text: str, reference: str, mode: Form, *, cut: bool = False, question: str = "") -> Request:
    return Request(op="check", text=text, reference=reference, mode=mode, cut=cut, question=question)


def _key(request: Request) -> bytes:
    cut = "cut" if request["cut"] else ""
    parts = (VERSION, request["mode"], cut, request["reference"], request["text"], request["question"])
    sized = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(sized.encode("utf-8", "surrogatepass"), digest_size=20).digest()


_UNJUDGED = {
    Failure.LATE: Verdict(
        outcome=Outcome.TIMED_OUT, candidate=None, stage="deadline", reason="the answer was not judged in time"
    ),
    Failure.DIED: Verdict(
        outcome=Outcome.UNPARSED, candidate=None, stage="worker", reason="the process that judged it died twice"
    ),
    Failure.MEMORY: Verdict(
        outcome=Outcome.UNPARSED, candidate=None, stage="limits", reason="judging it needs more memory than is allowed"
    ),
}
