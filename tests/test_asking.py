"""Base and champion asked side by side: the models that answer, how it is shown, and what is left of the run."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from selfimprove.answer import Verdict
from selfimprove.asking import Answered, Asked, Manner, Question, Reply, ask
from selfimprove.asking.questions import read_questions
from selfimprove.asking.shown import plain_lines, show
from selfimprove.cli import app
from selfimprove.durable import content_hash
from selfimprove.errors import UsageError
from selfimprove.journal import Champion, Journal
from selfimprove.models import load_tokenizer
from selfimprove.recipe import Recipe, Runtime
from selfimprove.sampling import GREEDY, Decoding, Request
from selfimprove.wiring import open_sampler
from tests.workshop import Workshop, events_of, make_workshop

RUNTIME = Runtime(device="cpu", threads=1, engine="transformers")
ASKED = [Question("What is 3 + 12?", "15"), Question("What is 4 + 11?", "15")]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A workshop with a run of one accepted round, `whole`."""
    made = make_workshop(tmp_path_factory.mktemp("asked"))
    finished = events_of(made.run("whole", 1, "--set", "gate.rule=point", "--set", "training.learning_rate=1e-2"))[-1]
    assert finished["accepted"] == [1]
    return made


@pytest.fixture
def here(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """The workshop as the working folder of this process, with its cache, as it was when the run was made."""
    monkeypatch.chdir(workshop.folder)
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(workshop.folder / "cache"))
    return workshop


def _ask(workshop: Workshop, name: str = "whole", manner: Manner = Manner()) -> Asked:  # noqa: B008 - frozen
    return ask(Journal(workshop.runs / name), ASKED, manner, RUNTIME, workshop.folder / "cache")


def _copied(workshop: Workshop, name: str) -> Journal:
    shutil.copytree(workshop.runs / "whole", workshop.runs / name)
    return Journal(workshop.runs / name)


def _texts(asked: Asked) -> list[tuple[str, ...]]:
    return [tuple(reply.text for reply in answered.replies) for answered in asked.answers]


def _greedy(model: Path) -> list[str]:
    """What a model answers greedily to the questions, asked of the engine directly."""
    tokenizer = load_tokenizer(model)
    prompts = [tuple(tokenizer.render("", question.text)) for question in ASKED]
    with open_sampler("transformers", model, RUNTIME) as sampler:
        found = sampler.sample([Request(str(n), 0, prompt, 10, 0, GREEDY) for n, prompt in enumerate(prompts)])
        return [tokenizer.decode(completion.token_ids) for completion in found]


def test_piped_replies_are_labelled_lines(here: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ask", "whole", "What is 3 + 12?", "--gold", "15", "--max-new-tokens", "5", "--threads", "1"]
    app([*words, "--device", "cpu", "--engine", "transformers"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "asked: the base model and the model of round 1; greedy, at most 5 tokens"
    assert lines[1] == "question: What is 3 + 12?"
    assert all(line.startswith(("base", "champion (round 1)")) for line in lines[2:])
    finals = [line for line in lines if ", final answer: " in line]
    assert [line.split(",")[0] for line in finals] == ["base", "champion (round 1)"]
    assert all("cut after 5 tokens" in line or "unparsed" in line or "wrong" in line for line in finals)
    assert all(line.isprintable() for line in lines)


def test_base_and_champion_answer_as_the_engine_has_them(here: Workshop) -> None:
    asked = _ask(here)
    base = next((here.folder / "cache" / "models").glob("tiny-*"))
    expected = list(zip(_greedy(base), _greedy(here.runs / "whole" / "0001" / "model"), strict=True))
    assert _texts(asked) == expected
    assert any(one != other for one, other in expected)
    assert (asked.champion.number, asked.decoding) == (1, GREEDY)
    assert all(reply.verdict for answered in asked.answers for reply in answered.replies)


def test_a_model_that_is_missing_is_built_in_the_run_and_records_stay(here: Workshop) -> None:
    journal = _copied(here, "pruned")
    shutil.rmtree(journal.round(1).model)
    assert _texts(_ask(here, "pruned")) == _texts(_ask(here))
    assert content_hash(journal.folder) == content_hash(here.runs / "whole")


def test_a_run_that_is_held_is_asked_and_not_touched(here: Workshop) -> None:
    journal = _copied(here, "held")
    shutil.rmtree(journal.round(1).model)
    with journal.lock():
        before = content_hash(journal.folder)
        assert _texts(_ask(here, "held")) == _texts(_ask(here))
        assert content_hash(journal.folder) == before
    assert not list((here.folder / "cache").glob(".ask-*"))


def test_without_an_accepted_round_the_base_answers_alone(here: Workshop) -> None:
    journal = _copied(here, "back")
    journal.roll_back(0)
    asked = _ask(here, "back")
    assert _texts(asked) == [(base,) for base, _ in _texts(_ask(here))]
    lines = list(plain_lines(asked))
    assert "the base model is the champion" in lines[0]
    assert {line.split(":")[0].split(",")[0] for line in lines[1:]} == {"question", "base and champion"}


def test_draws_follow_the_seed_alone(here: Workshop) -> None:
    drawn = [_texts(_ask(here, manner=Manner(temperature=1.0, seed=seed, max_new_tokens=8))) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] != _texts(_ask(here, manner=Manner(max_new_tokens=8)))


def _asked(text: str, width: int, terminal: bool = True) -> str:
    """What is shown of a reply by both models to a question of the same text."""
    verdict = Verdict("wrong", text, "compare", text)
    reply = Reply(text, 7, "eos", text, verdict)
    asked = Asked(Champion(2, (1, 2)), Recipe(), Decoding(0.5), (Answered(Question(text, "1"), (reply, reply)),))
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
    with pytest.raises(UsageError, match="what shall be asked"):
        read_questions(["-"], [], ["\n"])
