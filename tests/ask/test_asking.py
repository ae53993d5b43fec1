"""Base and champion asked side by side: the models that answer, how it is shown, and what is left of the run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from selfimprove.answer import Verdict
from selfimprove.ask import Answered, Asked, Question, Reply
from selfimprove.ask.display import show
from selfimprove.ask.questions import read_questions
from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe, Runtime
from selfimprove.sampling import DrawRule, StopReason
from selfimprove.store.champion import Champion

RUNTIME = Runtime(device="cpu", threads=1, engine="transformers")
ASKED = [Question("What is 3 + 12?", "15"), Question("What is 4 + 11?", "15")]


def _asked(text: str, width: int, terminal: bool = True) -> str:
    """What is shown of a reply by both models to a question of the same text."""
    verdict = Verdict("wrong", text, "compare", text)
    reply = Reply(text=text, tokens=7, stop=StopReason.EOS, candidate=text, verdict=verdict)
    answers = (Answered(Question(text, "1"), (reply, reply)),)
    asked = Asked(champion=Champion(2, (1, 2)), recipe=Recipe(), decoding=DrawRule(temperature=0.5), answers=answers)
    out = io.StringIO()
    show(asked, Console(file=out, force_terminal=terminal, width=width, color_system=None))
    return out.getvalue()


def test_replies_stand_beside_each_other_where_there_is_room() -> None:
    wide, narrow = _asked("seven", 120).splitlines(), _asked("seven", 60).splitlines()
    assert any("base" in line and "champion (round 2)" in line for line in wide)
    assert not any("base ─" in line and "champion" in line for line in narrow)
    assert "".join(narrow).index("base ─") < "".join(narrow).index("champion (round 2) ─")
    assert all(len(line) <= 60 for line in narrow)


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_replies_are_shown_and_not_obeyed(terminal: bool) -> None:
    shown = _asked("\x1b[31mred\x1b]0;title\x07 \u202egnp.exe\r[bold]x[/bold]\n[link=http://a]b", 120, terminal)
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(shown)
    assert "\\x1b[31mred" in shown
    assert "[bold]x[/bold]" in shown


def test_a_reply_without_end_is_cut() -> None:
    assert len(_asked("x\n" * 100_000, 120, terminal=False).splitlines()) < 1000
    assert len(_asked("x" * 1_000_000, 120, terminal=False)) < 20_000


def test_questions_come_from_arguments_and_lines() -> None:
    assert read_questions(["a", "-", "b"], [], ["one\n", "\n", " two \n"]) == [
        Question("a"),
        Question("one"),
        Question("two"),
        Question("b"),
    ]
    assert read_questions(["a", "b"], ["1", "2"], []) == [Question("a", "1"), Question("b", "2")]
    with pytest.raises(UsageError, match="1 of --gold for 2 questions"):
        read_questions(["a", "b"], ["1"], [])
    with pytest.raises(UsageError, match="no question given"):
        read_questions(["-"], [], ["\n"])
