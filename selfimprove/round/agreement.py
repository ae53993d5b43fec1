"""Agreement of a problem's answers and their majority: what stands in for labels where there are none.

The checker says which answers of a problem are the same (`answer_classes`), exactly as it says which are right: each
distinct candidate is held against the ones before it as if they were references. An answer that leaves its arithmetic
undone agrees with nobody, or a model could come to agree with itself by repeating the question. `majority` counts the
votes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from selfimprove.answer import Outcome
from selfimprove.answer.checking import Checker
from selfimprove.answer.finished import left_undone
from selfimprove.recipe import Answers

ANY_NUMBER = "1/2"
"""Stands for a reference that may be a fraction, so that `2/3` counts as finished, `4/6` and `3 - 4` don't."""


def majority(votes: Sequence[tuple[str | None, int]]) -> str | None:
    """The answer with the most votes, if it has two or more and more than any other; None is no answer's vote."""
    counts: Counter[str] = Counter()
    for answer, weight in votes:
        if answer is not None:
            counts[answer] += weight
    ranked = counts.most_common(2)
    if not ranked or ranked[0][1] < 2 or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def answer_classes(
    checker: Checker,
    keys: Sequence[str],
    texts: Sequence[str],
    settings: Answers,
    cut: Sequence[bool] | None = None,
) -> list[str | None]:
    """A name for each text's answer, equal within a problem (`keys`) where the checker finds the answers equal.

    The name is the first candidate of its class as written; None where no finished answer can be read. `cut` says of
    each text whether it was cut off at the token limit; by default none was.
    """
    cuts = [False] * len(texts) if cut is None else cut
    candidates = _candidates(checker, texts, settings, cuts)
    distinct: dict[tuple[str, str], int] = {}
    for place, (key, candidate) in enumerate(zip(keys, candidates, strict=True)):
        if candidate is not None:
            distinct.setdefault((key, candidate), place)
    leaders = _leaders(checker, distinct, list(zip(texts, cuts, strict=True)), settings)
    return [
        None if candidate is None else leaders[key, candidate] for key, candidate in zip(keys, candidates, strict=True)
    ]


def _candidates(checker: Checker, texts: Sequence[str], settings: Answers, cut: Sequence[bool]) -> list[str | None]:
    verdicts = checker.check_all([(text, ANY_NUMBER) for text in texts], settings.mode, cut=cut)
    return [
        _finished(v.candidate, settings) if v.outcome in (Outcome.CORRECT, Outcome.WRONG) else None for v in verdicts
    ]


def _finished(candidate: str | None, settings: Answers) -> str | None:
    undone = candidate and settings.finished and left_undone(candidate, ANY_NUMBER)
    return None if undone else candidate


def _leaders(
    checker: Checker, distinct: dict[tuple[str, str], int], texts: Sequence[tuple[str, bool]], settings: Answers
) -> dict[tuple[str, str], str]:
    """The first candidate of the same problem that each one equals, itself if none before it does."""
    earlier: dict[str, list[str]] = {}
    asked: list[tuple[tuple[str, str], str]] = []
    for key, candidate in distinct:
        asked += [((key, candidate), before) for before in earlier.setdefault(key, [])]
        earlier[key].append(candidate)
    written = [texts[distinct[one]] for one, _ in asked]
    pairs = [(text, before) for (text, _), (_, before) in zip(written, asked, strict=True)]
    verdicts = checker.check_all(pairs, settings.mode, cut=[cut for _, cut in written])
    leaders = {one: one[1] for one in distinct}
    for (one, before), verdict in zip(asked, verdicts, strict=True):
        if verdict.outcome is Outcome.CORRECT and leaders[one] == one[1]:
            leaders[one] = leaders[one[0], before]
    return leaders
