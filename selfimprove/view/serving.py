"""Reports served to this machine: the list of all runs in a folder, and each run's page as it goes on.

The pages are those of `report/page.py`; beside the finished rounds they show what the live view would, from the run's
history, asked for every two seconds. Nothing can be changed through the server: it answers GET and HEAD, and reads.

**Who may ask.** The server listens on 127.0.0.1 alone. Any page that is open in a browser could still send it requests,
so a request has to name the server by its own address (`Host`), which a page of another name can't make a browser do
(DNS rebinding); answers may be used by this origin alone (`Cross-Origin-Resource-Policy`), stand in no frame, and allow
no script but their own (`Content-Security-Policy`). A run is looked up among the names of the folder, so no path can
be asked for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from selfimprove.errors import SelfImproveError, UsageError
from selfimprove.escaping import escape_text
from selfimprove.report.page import Listed, Live, listed, report_html, runs_html
from selfimprove.report.records import read_run
from selfimprove.store.journal import Journal
from selfimprove.store.names import run_names
from selfimprove.view.live import progress
from selfimprove.view.scene import Scene, advance

ADDRESS = "127.0.0.1"
WIDTH = 100
"""Columns of the lines that show a run live."""
PATIENCE = 30
"""Seconds for which a connection may stay silent."""
HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


@dataclass(frozen=True)
class Answer:
    """What is sent: a status, a type and a body."""

    status: HTTPStatus
    kind: str
    body: str


class Followed:
    """A run's history as far as it has been read."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._place = 0
        self._scene = Scene()

    def lines(self) -> tuple[str, ...]:
        """What the run is doing, empty if no process works on it; safe to show."""
        fresh, self._place = self._journal.events_since(self._place)
        for timed in fresh:
            self._scene = advance(self._scene, timed.event, timed.time)
        return tuple(progress(self._scene, WIDTH, time.time())) if self._journal.held_by() else ()


class Reports:
    """The pages of the runs in a folder; each is made once for each state of its records."""

    def __init__(self, rounds_dir: Path) -> None:
        self._folder = rounds_dir
        self._lock = Lock()
        self._followed: dict[str, Followed] = {}
        self._pages: dict[str, tuple[str, str]] = {}

    def answer(self, path: str) -> Answer:
        """The answer to a request for this path."""
        parts = [unquote(part) for part in path.split("/") if part]
        with self._lock:
            try:
                return self._answer(parts)
            except SelfImproveError as error:
                told = escape_text(f"{error.message} {error.hint}", 1000)
                return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", told)

    def _answer(self, parts: Sequence[str]) -> Answer:
        match parts:
            case []:
                return Answer(HTTPStatus.OK, "text/html", self._list())
            case ["state"]:
                return _json(self._stamp(run_names(self._folder)), ())
            case ["run", name] if name in run_names(self._folder):
                return Answer(HTTPStatus.OK, "text/html", self._page(name))
            case ["run", name, "state"] if name in run_names(self._folder):
                return _json(self._stamp([name]), self._following(name).lines())
            case _:
                return Answer(HTTPStatus.NOT_FOUND, "text/plain", "There is no such page.")

    def _list(self) -> str:
        names = run_names(self._folder)
        rows = [self._listed(name) for name in names]
        return runs_html(str(self._folder), rows, Live(state="/state", stamp=self._stamp(names), lines=(), reload=True))

    def _listed(self, name: str) -> Listed:
        href = f"/run/{quote(name, safe='')}"
        try:
            return listed(read_run(self._folder, name), href)
        except UsageError as error:
            return Listed(name, href, (*[""] * 6, f"can't be read: {error.message}"))

    def _page(self, name: str) -> str:
        stamp = self._stamp([name])
        made = self._pages.get(name)
        if made is None or made[0] != stamp:
            state = f"/run/{quote(name, safe='')}/state"
            live = Live(state=state, stamp=stamp, lines=self._following(name).lines())
            made = self._pages[name] = (stamp, report_html(read_run(self._folder, name), live=live))
        return made[1]

    def _following(self, name: str) -> Followed:
        return self._followed.setdefault(name, Followed(Journal(self._folder / name)))

    def _stamp(self, names: Sequence[str]) -> str:
        """What changes when a report would: its runs, their records, and whether somebody works on them."""
        told: list[Any] = []
        for name in names:
            journal = Journal(self._folder / name)
            records = [files.record for files in journal.round_folders()]
            paths = [journal.recipe_path, journal.sealed_path, journal.rollbacks_path, *records]
            found = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.exists()]
            told.append([name, found, bool(journal.held_by())])
        return sha256(json.dumps(told).encode()).hexdigest()[:16]


def _json(stamp: str, lines: Sequence[str]) -> Answer:
    return Answer(HTTPStatus.OK, "application/json", json.dumps({"stamp": stamp, "lines": list(lines)}))


class Server(ThreadingHTTPServer):
    """The server on this machine's own address; `port` 0 takes a free one. Raises `OSError` if the port is taken."""

    daemon_threads = True

    def __init__(self, rounds_dir: Path, port: int) -> None:
        self.reports = Reports(rounds_dir)
        super().__init__((ADDRESS, port), _Handler)
        own = self.server_address[1]
        self.hosts = {f"{ADDRESS}:{own}", f"localhost:{own}"}

    @property
    def url(self) -> str:
        """Where the list of runs is."""
        return f"http://{ADDRESS}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Answer with the page."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - the signature is the library's
        """Write nothing: requests are no news."""

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Host", "") in self.server.hosts:
            answer = self.server.reports.answer(urlsplit(self.path).path)
        else:
            answer = Answer(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", f"Ask for {self.server.url} instead.")
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", f"{answer.kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in HEADERS:
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)
