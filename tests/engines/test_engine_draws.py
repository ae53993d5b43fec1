"""The choice of a token: against its definition, on vocabularies smaller and larger than what it looks at first."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MinPLogitsWarper, RepetitionPenaltyLogitsProcessor

from selfimprove.engines.draws import BLOCK, NUCLEUS, Repetition, draw, drop_unlikely
from selfimprove.engines.prefill import WORTH, plan_prefill
from selfimprove.sampling import DrawRule

RULES = [
    DrawRule(temperature=0.7),
    DrawRule(temperature=1.0, top_p=0.8),
    DrawRule(temperature=1.3, top_k=5, top_p=0.9),
    DrawRule(temperature=0.5, top_k=3),
    DrawRule(temperature=1.0, top_p=0.999),
    DrawRule(temperature=1.0, min_p=0.2),
    DrawRule(temperature=1.5, min_p=0.1, top_p=0.8),
    DrawRule(temperature=1.5, min_p=0.3, top_k=4, top_p=0.9),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("vocabulary", [12, 5 * NUCLEUS + 7])
def test_tokens_are_drawn_with_the_probabilities_asked_for(rule: DrawRule, vocabulary: int) -> None:
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(3))
    uniforms = (torch.arange(4_000) + 0.5) / 4_000
    frequency = torch.bincount(draw(logits.expand(4_000, -1), rule, uniforms), minlength=vocabulary) / 4_000
    assert torch.allclose(frequency, _reference(logits, rule), atol=6e-4)


def _reference(logits: torch.Tensor, rule: DrawRule) -> torch.Tensor:
    """The definition, token by token: temperature, min-p, top-k, then the smallest set that reaches p."""
    probabilities = (logits.double() / rule.temperature).softmax(-1)
    probabilities[probabilities < rule.min_p * probabilities.max()] = 0
    order = probabilities.argsort(descending=True)[: rule.top_k or None]
    kept = torch.zeros_like(probabilities)
    kept[order] = probabilities[order]
    kept /= kept.sum()
    reached = 0.0
    for token in order.tolist():
        reached, own = reached + float(kept[token]), reached
        if own >= rule.top_p:
            kept[token] = 0
    return (kept / kept.sum()).float()


@pytest.mark.parametrize("vocabulary", [1, BLOCK - 1, 3 * BLOCK, 1000])
def test_greedy_takes_the_first_of_the_likeliest(vocabulary: int) -> None:
    logits = torch.randint(0, 3, (50, vocabulary), generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = [row.index(max(row)) for row in logits.tolist()]
    assert draw(logits, DrawRule(temperature=0.0), torch.zeros(50)).tolist() == expected


@pytest.mark.parametrize("rule", RULES)
def test_a_row_s_token_does_not_depend_on_its_neighbours(rule: DrawRule) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(20, 3000, generator=generator) * torch.linspace(0.1, 5, 20)[:, None]
    uniforms = torch.rand(20, generator=generator, dtype=torch.float64)
    alone = [int(draw(logits[n : n + 1], rule, uniforms[n : n + 1])) for n in range(20)]
    assert draw(logits, rule, uniforms).tolist() == alone


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-53])
def test_what_has_no_probability_is_never_drawn(rule: DrawRule, uniform: float) -> None:
    logits = torch.full((1, 3 * BLOCK + 5), -torch.inf)
    logits[0, [2, BLOCK + 3, BLOCK + 4]] = torch.tensor([0.0, 1.0, 0.5])
    assert int(draw(logits, rule, torch.tensor([uniform], dtype=torch.float64))) in {2, BLOCK + 3, BLOCK + 4}


@pytest.mark.parametrize("min_p", [0.05, 0.5, 1.0])
def test_min_p_drops_what_transformers_drops(min_p: float) -> None:
    logits = torch.randn(20, 300, generator=torch.Generator().manual_seed(7)) * 2
    theirs = MinPLogitsWarper(min_p)(torch.empty(20, 0, dtype=torch.long), logits)
    assert torch.equal(drop_unlikely(logits, min_p), theirs)


@pytest.mark.parametrize("penalty", [1.3, 0.8])
def test_a_repetition_is_penalized_as_in_transformers_while_rows_enter_and_leave(penalty: float) -> None:
    generator = torch.Generator().manual_seed(9)
    process = RepetitionPenaltyLogitsProcessor(penalty)
    repetition, rows = Repetition(penalty), list[list[int]]()

    def enter(prompts: list[list[int]]) -> None:
        rows.extend(list(prompt) for prompt in prompts)
        repetition.enter(prompts, torch.empty(len(prompts), 40))

    def step() -> None:
        logits = torch.randn(len(rows), 40, generator=generator)
        theirs = [process(torch.tensor([row]), logits[n : n + 1]) for n, row in enumerate(rows)]
        assert torch.equal(repetition.penalized(logits), torch.cat(theirs))
        tokens = torch.randint(0, 40, (len(rows),), generator=generator)
        repetition.append(tokens)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            row.append(token)

    enter([[1, 2, 2], [3], [4, 5, 6, 7]])
    step()
    step()
    repetition.keep([2, 1])
    rows[:] = [rows[2], rows[1]]
    step()
    enter([[8, 9], [0]])
    step()
    repetition.keep([])
    rows.clear()
    enter([[11, 12]])
    step()


def test_without_a_penalty_the_logits_are_the_same_tensor() -> None:
    logits, repetition = torch.randn(2, 5), Repetition(1.0)
    repetition.enter([[1], [2]], logits)
    repetition.append(torch.tensor([3, 4]))
    repetition.keep([1])
    assert repetition.penalized(logits) is logits


PROMPT = st.builds(
    lambda heads, rest: tuple(token for head in heads for token in [head] * (WORTH + head)) + tuple(rest),
    st.lists(st.integers(0, 2), max_size=3),
    st.lists(st.integers(0, 3), min_size=1, max_size=20),
)


@given(st.sets(PROMPT, min_size=1, max_size=12).map(sorted))
@settings(deadline=None, max_examples=100)
def test_a_prefill_computes_every_token_of_every_prompt_in_order(prompts: list[tuple[int, ...]]) -> None:
    known: list[tuple[int, ...]] = [() for _ in prompts]
    passes = plan_prefill(prompts)
    for spans in passes:
        for span in spans:
            assert len(known[span.prompt]) == span.start < span.end
            known[span.prompt] += prompts[span.prompt][span.start : span.end]
            for other in span.others:
                known[other] = known[span.prompt]
    assert known == prompts
    assert [span.prompt for span in passes[-1]] == list(range(len(prompts)))


def test_what_is_shared_is_computed_once() -> None:
    system, examples = tuple(range(100, 130)), tuple(range(200, 260))
    prompts = sorted([*((*system, n) for n in range(5)), *((*system, *examples, n, n) for n in range(5))])
    assert sum(span.end - span.start for spans in plan_prefill(prompts) for span in spans) == 30 + 60 + 5 + 10
