"""The report's page in a real browser: it renders, loads nothing, logs nothing, and hostile text stays text.

Needs playwright (`selfimprove[browser]`) and a Chromium on the path or named by CHROMIUM; `make test-browser` runs it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from selfimprove.report.page import report_html
from selfimprove.report.records import read_run
from tests.example import RUNS, flip_counts, records

WON, LOST = flip_counts()
FLIPS = WON + LOST
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ATTACK = "</pre></style></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium on the path; install one or name it with CHROMIUM")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def opened(
    chromium: Any,  # noqa: ANN401 - playwright's browser, if it is there
    path: Path,
    width: int = 1280,
    scheme: str = "light",
    script: bool = True,
) -> tuple[Any, list[str]]:
    """The page, and everything that it logged or asked for beside itself."""
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
    )
    page, heard = context.new_page(), []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    return page, [found for found in heard if found != "data:,"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(report_html(read_run(RUNS, "example")), encoding="utf-8", newline="\n")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_renders_and_asks_for_nothing(chromium: Any, example: Path, width: int, scheme: str) -> None:  # noqa: ANN401
    page, heard = opened(chromium, example, width, scheme)
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.inner_text("h1") == "Run example"
    assert page.locator("figure svg").count() == 8
    boxes = [page.locator("figure svg").nth(place).bounding_box() for place in range(8)]
    assert all(box["width"] > 300 and box["height"] > 80 for box in boxes)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 20, 26)"}[scheme]
    line = page.evaluate("getComputedStyle(document.querySelector('.st-challenger')).stroke")
    assert line == {"light": "rgb(11, 99, 184)", "dark": "rgb(111, 180, 255)"}[scheme]


def test_search_finds_words_in_folded_rounds(chromium: Any, example: Path) -> None:  # noqa: ANN401
    page, heard = opened(chromium, example)
    page.fill("#needle", "what is 84 + 81")
    page.locator("#found:not(:empty)").wait_for()
    shown = page.locator(".flip:visible")
    assert shown.count() >= 1
    assert "84 + 81" in shown.first.inner_text()
    assert page.inner_text("#found").startswith(f"{shown.count()} of {FLIPS}")
    page.fill("#needle", "")
    page.locator("#found:empty").wait_for(state="attached")
    page.check("#only-lost")
    assert page.locator(".flip.lost:visible").count() == records().rounds[-1].scorecard.losses  # its round is open
    assert page.locator(".flip.won:visible").count() == 0
    assert heard == []


def test_filters_join_and_say_how_many_are_left(chromium: Any, example: Path) -> None:  # noqa: ANN401
    page, heard = opened(chromium, example)
    first, second, *_ = (record.scorecard for record in records().rounds)
    readable = round((first.judged or 0) * (first.split.became_readable if first.split else 0))
    assert readable > 0
    page.select_option("#filter-change", label=f"became readable ({readable})")
    assert page.locator(".flip:visible").count() == readable
    page.select_option("#filter-round", label=f"2 ({(second.wins or 0) + (second.losses or 0)})")
    assert page.locator(".flip:visible").count() == 0
    assert page.inner_text("#found") == f"0 of {FLIPS} flips on this page are shown."
    assert heard == []


def test_keys_go_from_problem_to_problem(chromium: Any, example: Path) -> None:  # noqa: ANN401
    page, heard = opened(chromium, example)
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator(".flip[open]").count() == 1
    second = page.evaluate("document.activeElement.closest('.flip').id")
    page.keyboard.press("Enter")
    assert page.locator(".flip[open]").count() == 0
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.closest('.flip').id") != second
    page.goto(f"{example.as_uri()}#{second}")
    assert page.locator(f"[id='{second}'] article").is_visible()
    assert heard == [] or set(heard) == {f"{example.as_uri()}#{second}"}


def test_tables_of_runs_side_by_side_fit_a_laptop(chromium: Any, tmp_path: Path) -> None:  # noqa: ANN401
    run = read_run(RUNS, "example")
    written = tmp_path / "page.html"
    written.write_text(report_html(run, [run, run]), encoding="utf-8", newline="\n")
    page, _ = opened(chromium, written)
    cut = "[...document.querySelectorAll('.scroll')].filter((node) => node.scrollWidth > node.clientWidth + 1).length"
    assert page.evaluate(cut) == 0


def test_it_is_whole_without_script(chromium: Any, example: Path) -> None:  # noqa: ANN401
    page, heard = opened(chromium, example, script=False)
    assert heard == []
    assert page.locator("#needle").is_hidden()
    assert page.locator(".flip").count() == FLIPS
    summaries = page.locator("#flips .round > summary")
    assert summaries.count() == len(records().rounds)
    for place in range(summaries.count() - 1):  # the last round is open
        summaries.nth(place).click()
    assert page.locator(".flip:visible").count() == FLIPS
    page.check("#only-lost")
    assert page.locator(".flip:visible").count() == LOST


def test_hostile_text_stays_text(chromium: Any, tmp_path: Path) -> None:  # noqa: ANN401
    shutil.copytree(RUNS / "example", tmp_path / "example")
    for path in tmp_path.glob("example/000*/verdicts.jsonl"):
        rows = [json.loads(line) | {"text": ATTACK, "reason": ATTACK} for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = tmp_path / "page.html"
    written.write_text(report_html(read_run(tmp_path, "example")), encoding="utf-8", newline="\n")
    page, heard = opened(chromium, written)
    assert heard == []
    assert page.title() == "Run example: self-improvement report"
    assert page.locator(".answer").last.text_content() == ATTACK
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1


class Listening(BaseHTTPRequestHandler):
    """A server that keeps the paths it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)


def test_what_got_in_would_neither_run_nor_load(chromium: Any, example: Path, tmp_path: Path) -> None:  # noqa: ANN401
    """The policy is the second wall: what stands in the file beside the page's own script is refused."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        added = f"<script>document.title = 'owned'</script><img src='{there}/img'><iframe src='{there}/frame'></iframe>"
        written = tmp_path / "page.html"
        written.write_text(
            example.read_text(encoding="utf-8").replace("<footer>", added + "<footer>"), encoding="utf-8"
        )
        page, heard = opened(chromium, written)
        page.wait_for_timeout(300)
        opened(chromium, tmp_path / "page.html")[0].goto(f"{there}/reached")  # the server can be reached, if allowed
        server.shutdown()
    assert page.title() == "Run example: self-improvement report"
    assert len([told for told in heard if "Content Security Policy" in told]) == 3
    assert set(Listening.asked) - {"/favicon.ico"} == {"/reached"}


def test_it_prints(chromium: Any, example: Path) -> None:  # noqa: ANN401
    page, _ = opened(chromium, example, scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")
