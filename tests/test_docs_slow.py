"""Documented commands that take long, typed as they stand: the kind `slow` of `tests/cases/docs_commands.toml`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.docs_house import clone, full_house, study
from tests.docs_typing import SECONDS, Case, Typist, cases, end_marked, hold

SLOW = cases("slow")


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typist]:
    """Types each command once; what a command leaves running, as `ray start` does, is ended."""
    sockets = tempfile.mkdtemp(prefix="ray")  # the name of a Unix socket is bounded, and pytest's folders are deep
    makers = {
        "house": lambda: full_house(tmp_path_factory.mktemp("house")),
        "clone": lambda: clone(tmp_path_factory.mktemp("clone")),
        "study": lambda: study(tmp_path_factory.mktemp("study")),
    }
    try:
        yield Typist(SLOW, makers, {"RAY_TMPDIR": sockets, "RAY_USAGE_STATS_ENABLED": "0"})
    finally:
        end_marked(sockets)
        shutil.rmtree(sockets, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("case", SLOW.values(), ids=SLOW)
def test_a_command_does_what_the_page_says(typist: Typist, case: Case) -> None:
    hold(case, typist.type(case))
