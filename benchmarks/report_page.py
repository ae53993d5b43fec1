"""Seconds and bytes of a report's page, on synthetic records of a long run.

    python benchmarks/report_page.py [--rounds 20] [--problems 1000] [--tokens 300] [--keep FOLDER]

The records are made up here, no model wrote them: random words as answers, each of about `--tokens` tokens, random
verdicts with a few more right ones each round. Their shapes, their scorecards and their decisions are the program's
own (`round.judge.judgement` on the made-up verdicts). Half of the rounds have their flips in the history, so that both
ways to a question are taken.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfimprove.answer import Outcome
from selfimprove.problem import load_problems
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import parse_recipe
from selfimprove.report.page import report_html
from selfimprove.report.records import read_run
from selfimprove.round.answers import by_key, scorecard
from selfimprove.round.judge import Judgement, judgement, terms_of
from selfimprove.sampling import StopReason
from selfimprove.store.durable import append_rows, write_json
from selfimprove.store.journal import FORMAT, Journal
from selfimprove.store.rows import Answered

WORDS = ("so", "the", "sum", "of", "both", "is", "then", "add", "carry", "one", "two", "equals", "<b>x</b>", "\\(y\\)")
LOOKS = {"base_interval": [0.25, 0.31], "champion_interval": [0.4, 0.46], "gain_interval": [0.1, 0.2]}


def synthetic_run(folder: Path, rounds: int, problems: int, tokens: int) -> Journal:
    """The folder of a made-up run, with everything that a report reads."""
    sizes = {"train_size": 64, "heldout_size": problems, "sealed_size": 64, "train": "reasoning-gym:sums"}
    recipe = parse_recipe({"problems": sizes, "gate": {"batch": 50}}, "the benchmark")
    sets = load_problems(recipe.problems)
    journal = Journal(folder / "synthetic")
    journal.folder.mkdir(parents=True)
    bound = {"format": FORMAT, "fingerprint": recipe.fingerprint(), "model": "0" * 64, "problems": sets.fingerprint()}
    write_json(journal.recipe_path, {**bound, "recipe": recipe.model_dump()})
    draw = random.Random(0)
    known = _answers(draw, 0, [problem.key for problem in sets.heldout], 0.3, tokens)
    parent, rows = 0, list(known.values())
    for number in range(1, rounds + 1):
        answers = _answers(draw, number, list(known), 0.3 + 0.02 * number, tokens)
        decided = _write_round(journal, recipe, number, parent, known, answers, [*rows, *answers.values()])
        if number % 2:
            _write_flips(journal, number, sets.heldout, known, answers)
        if decided.decision.accepted:
            parent, known = number, answers
        rows = []
    look = {"look": 1, "rounds": rounds, "champion": parent, "n": 64, "base_accuracy": 0.28, "champion_accuracy": 0.43}
    write_json(journal.sealed_path, {"format": FORMAT, "looks": [{**look, "gain": 0.15, **LOOKS}]})
    return journal


def _answers(draw: random.Random, model: int, keys: list[str], skill: float, tokens: int) -> dict[str, Answered]:
    return {key: _answer(draw, model, key, draw.random() < skill, tokens) for key in keys}


def _answer(draw: random.Random, model: int, key: str, right: bool, tokens: int) -> Answered:
    length = draw.randint(tokens // 2, tokens * 3 // 2)
    text = " ".join(draw.choices(WORDS, k=length))
    ids = tuple(draw.choices(range(40_000), k=length))
    outcome = Outcome.of(right)
    return Answered(
        model=model, key=key, sample=0, outcome=outcome, candidate=str(length), stage="rational",
        reason="different as fractions", stop=StopReason.EOS, token_ids=ids, text=text,
    )  # fmt: skip


def _write_round(
    journal: Journal,
    recipe: Recipe,
    number: int,
    parent: int,
    champion: dict[str, Answered],
    challenger: dict[str, Answered],
    rows: list[Answered],
) -> Judgement:
    folder = journal.round(number)
    folder.path.mkdir()
    append_rows(folder.verdicts, [row.model_dump() for row in rows])
    sides = [by_key(answers.values()) for answers in (champion, challenger)]
    terms = terms_of(recipe, journal.bound(), journal.rounds())
    decided = judgement(recipe, number, terms, list(champion), *sides, {})
    losses = [1.5 / (1 + 0.1 * step) for step in range(200)]
    stages = [
        {"stage": stage, "sha256": {}, "start": "2026-01-01T00:00:00.000Z", "end": "2026-01-01T00:01:00.000Z",
         "seconds": 60.0, "counts": {"losses": losses, "steps": 200} if stage == "train" else {"sampled_tokens": 9_999}}
        for stage in ("sample", "harvest", "train", "merge", "judge")
    ]  # fmt: skip
    told = {"prefix_entropy": 5.0 - 0.1 * number, "distinct_prefixes": 0.9, "mean_tokens": 9.0, "truncated": 0.01}
    record = {"format": FORMAT, "round": number, "parent": parent, "chain": [], "stages": stages, "prefixes": told}
    certificate = {"sha256": "0" * 64, "passed": True, "survival": 0.9, "failures": []}
    judged = {"scorecard": decided.scorecard.plain(), "decision": decided.decision.plain(), "alarm": decided.alarm}
    record |= {**judged, "certificate": certificate, "versions": {"selfimprove": "0", "engine": "synthetic"}}
    write_json(folder.record, record)
    assert scorecard(sides[1]).n == len(champion)
    return decided


def _write_flips(
    journal: Journal,
    number: int,
    heldout: tuple[Any, ...],
    champion: dict[str, Answered],
    challenger: dict[str, Answered],
) -> None:
    with journal.events_path.open("a", encoding="ascii") as file:
        for problem in heldout:
            before, after = champion[problem.key], challenger[problem.key]
            if before.correct != after.correct:
                told = {"question": problem.question, "reference": problem.answer, "won": after.correct}
                texts = {"champion_text": before.text, "challenger_text": after.text}
                file.write(json.dumps({"event": "flip", "number": number, **told, **texts}) + "\n")


def main(words: Sequence[str] | None = None) -> None:
    """Make the records, build the page twice and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 20), ("problems", 1000), ("tokens", 300)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep", type=Path, help="write the page into this folder")
    chosen = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        journal = synthetic_run(Path(folder), chosen.rounds, chosen.problems, chosen.tokens)
        read = sum(path.stat().st_size for path in journal.folder.rglob("*") if path.is_file())
        print(f"synthetic records: {chosen.rounds} rounds × {chosen.problems} problems, {read:,} bytes")
        for turn in ("first", "second"):
            start = time.perf_counter()
            page = report_html(read_run(Path(folder), "synthetic"))
            print(f"{turn} page: {time.perf_counter() - start:.2f} s, {len(page.encode()):,} bytes")
    if chosen.keep:
        (chosen.keep / "synthetic.html").write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
