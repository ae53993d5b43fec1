"""The batches of a model that no look of a gate waits for: each is one chunk of answers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from selfimprove.problem.values import make_problem
from selfimprove.recipe.reading import parse_recipe
from selfimprove.round.answers import in_chunks
from selfimprove.round.job import prompt_of
from tests.peers import Letters

LIMIT = 24


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=40),
    samples=st.integers(1, 6),
    rows=st.integers(1, 20),
    tokens=st.integers(1, 3000),
)
def test_the_answers_to_a_batch_fill_one_chunk(lengths: list[int], samples: int, rows: int, tokens: int) -> None:
    problems = [make_problem(f"{number} {'x' * length}", "1", "here") for number, length in enumerate(lengths)]
    sampling = {"chunk_rows": rows, "chunk_tokens": tokens, "max_new_tokens": LIMIT}
    recipe = parse_recipe({"sampling": sampling, "gate": {"samples": samples}}, "the test")
    batches = in_chunks(recipe, Letters(), problems)

    def width(key: str) -> int:
        (problem,) = [problem for problem in problems if problem.key == key]
        return len(prompt_of(Letters(), recipe.sampling, problem)) + LIMIT

    def fits(keys: list[str]) -> bool:
        count = len(keys) * samples
        return count <= rows and count * max(map(width, keys)) <= tokens

    planned = [[problem.key for problem in batch] for batch in batches]
    assert sorted(key for keys in planned for key in keys) == sorted(problem.key for problem in problems)
    assert all(len(keys) == 1 or fits(keys) for keys in planned)
    assert not any(fits([*keys, later[0]]) for keys, later in pairwise(planned))
