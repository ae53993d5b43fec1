"""`selfimprove report --serve`: who may ask, what is answered, and how a run is shown while it goes on."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from selfimprove import formatting
from selfimprove.store.journal import Journal
from selfimprove.view.serving import Reports, Server
from tests import example
from tests.example import EXAMPLE
from tests.paths import ROOT
from tests.workshop import hear_interrupts

LINES = (EXAMPLE / "events.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: one with a name that means something to HTML and to paths, one that can't be read."""
    folder = tmp_path_factory.mktemp("rounds")
    shutil.copytree(EXAMPLE, folder / "example")
    shutil.copytree(EXAMPLE, folder / "<b>100% #1?</b>".replace("/", "∕"))
    (folder / "spoilt").mkdir()
    (folder / "spoilt" / "recipe.json").write_text("[]")
    (folder / "secret.txt").write_text("nobody shall read this")
    return folder


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Server]:
    with Server(runs, 0) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


def ask(
    server: Server, path: str, host: str | None = None, method: str = "GET"
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    connection.putrequest(method, path, skip_host=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{server.server_address[1]}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def test_every_run_is_listed_and_leads_to_its_report(server: Server) -> None:
    answer, page = ask(server, "/")
    assert answer.status == 200
    links = re.findall(r'href="(/run/[^"]*)"', page)
    assert len(links) == 3
    assert formatting.points(example.last_look().gain) in page
    assert "can&#39;t be read" in page
    assert "<b>100" not in page
    for link in links[:2]:
        answer, page = ask(server, link)
        assert answer.status == 200
        assert "Flips: problems won and lost" in page
        assert "connect-src &#39;self&#39;; base-uri &#39;none&#39;" in page
    assert ask(server, links[2])[0].status == 500


def test_only_this_machine_is_listened_to(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "/", f"localhost:{server.server_address[1]}")[0].status == 200


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}"]
)
def test_a_page_under_another_name_gets_no_answer(server: Server, host: str) -> None:
    answer, body = ask(server, "/run/example/state", host.replace("{port}", str(server.server_address[1])))
    assert answer.status == 421
    assert "stamp" not in body


def test_answers_can_be_used_by_no_other_page(server: Server) -> None:
    for path in ("/", "/run/example", "/run/example/state", "/nowhere"):
        answer, _ = ask(server, path)
        told = dict(answer.getheaders())
        assert told["Cross-Origin-Resource-Policy"] == "same-origin"
        assert told["X-Frame-Options"] == "DENY"
        assert told["X-Content-Type-Options"] == "nosniff"
        assert told["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in told


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/run/../secret.txt",
        "/run/..%2fsecret.txt",
        "/run/%2e%2e",
        "/run/example/events.jsonl",
        "/run/no",
    ],
)
def test_nothing_but_reports_can_be_asked_for(server: Server, path: str) -> None:
    answer, body = ask(server, path)
    assert answer.status == 404
    assert "nobody" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    assert ask(server, "/", method=method)[0].status == 501


def test_a_head_has_no_body(server: Server) -> None:
    answer, body = ask(server, "/", method="HEAD")
    assert answer.status == 200
    assert int(dict(answer.getheaders())["Content-Length"]) > 1000
    assert body == ""


def test_a_run_is_shown_as_it_goes_on(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "run")
    journal, reports = Journal(tmp_path / "run"), Reports(tmp_path)
    before = json.loads(reports.answer("/run/run/state").body)
    assert before["lines"] == []
    with journal.lock():
        journal.events_path.write_bytes(b"".join(LINES[:40]))
        during = json.loads(reports.answer("/run/run/state").body)
        assert during["stamp"] != before["stamp"]
        assert during["lines"][0].startswith("round 1 of 2 · ")
        assert any("sample" in line for line in during["lines"])
        page = reports.answer("/run/run").body
        assert during["lines"][0].split(" · ")[0] in page
        assert f'data-stamp="{during["stamp"]}"' in page
        assert json.loads(reports.answer("/state").body)["stamp"]


def test_the_command_says_where_and_ends_with_ctrl_c(runs: Path) -> None:
    words = [sys.executable, "-m", "selfimprove", "report", "--serve", "--port", "0", "--rounds-dir", str(runs)]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_interrupts
    )
    assert process.stdout is not None
    told = process.stdout.readline().decode()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/ ", told)
    assert found
    taken = subprocess.run(
        [*words[:-4], "--port", found[1], *words[-2:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert taken.returncode == 2
    assert "Name another port" in taken.stderr
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")
