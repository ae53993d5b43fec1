from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfimprove.recipe import Prefixes
from selfimprove.round.prefixes import Prompts, assign_kinds, harvest, prefix_statistics, token_limit
from selfimprove.round.selection import verified
from selfimprove.sampling import Completion, StopReason
from selfimprove.store.rows import Kind

EOS = 2


@st.composite
def completions(draw) -> list[Completion]:
    found = []
    for number in range(draw(st.integers(1, 25))):
        body = draw(st.lists(st.integers(3, 50), max_size=20))
        ended = draw(st.booleans())
        ids = (*body, EOS) if ended else tuple(body)
        found.append(
            Completion(
                key=f"k{number // 2}",
                sample=number % 2,
                token_ids=ids,
                stop=StopReason.EOS if ended else StopReason.LENGTH,
                seed=number,
            )
        )
    return found


settings = st.builds(
    Prefixes,
    length=st.one_of(st.integers(1, 12), st.just("full")),
    structure_ratio=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    train_eos=st.booleans(),
)


def _harvest(found, chosen, choice=None):
    kinds = assign_kinds([c.row for c in found], chosen, seed=1)
    prompts = {c.key: Prompts((1, 10), (1, 11)) for c in found}
    return kinds, harvest(found, kinds, prompts, chosen, EOS, choice)


@given(completions(), settings)
def test_trained_ids_are_a_prefix_of_sampled_ids(found, chosen) -> None:
    _, result = _harvest(found, chosen)
    sampled = {c.row: c for c in found}
    for example in result.examples:
        source = sampled[example.key, example.sample]
        target = example.target_ids
        asked_for_end = chosen.train_eos and example.kind == "prefix"
        if asked_for_end and target[-1] == EOS and target != source.token_ids[: len(target)]:
            target = target[:-1]
        assert target == source.token_ids[: len(target)]
        assert target


@given(completions(), settings)
def test_an_end_is_trained_only_if_sampled_or_asked_for(found, chosen) -> None:
    _, result = _harvest(found, chosen)
    sampled = {c.row: c for c in found}
    for example in result.examples:
        if example.target_ids[-1] == EOS:
            source = sampled[example.key, example.sample]
            was_sampled = source.stop == StopReason.EOS and example.target_ids == source.token_ids
            assert was_sampled or (chosen.train_eos and example.kind == "prefix")
        elif example.kind == "prefix":
            assert not chosen.train_eos


@given(completions(), settings, st.randoms())
def test_the_split_is_seeded_exact_and_order_free(found, chosen, random) -> None:
    rows = [c.row for c in found]
    kinds = assign_kinds(rows, chosen, seed=5)
    full = sum(kind == "full" for kind in kinds.values())
    assert full == (len(rows) if chosen.length == "full" else round(chosen.structure_ratio * len(rows)))
    random.shuffle(rows)
    assert assign_kinds(rows, chosen, seed=5) == kinds


@given(completions(), settings)
def test_every_completion_becomes_an_example_or_is_counted(found, chosen) -> None:
    right = frozenset(c.row for c in found if c.sample == 0)
    _, result = _harvest(found, chosen, verified(found, right))
    assert len(result.examples) + sum(result.dropped.values()) == len(found)
    assert all((e.key, e.sample) in right for e in result.examples)


def test_prefix_rows_use_the_task_template_and_full_rows_the_plain_question() -> None:
    found = [
        Completion(key=f"k{n}", sample=0, token_ids=(5, 6, 7, EOS), stop=StopReason.EOS, seed=n) for n in range(10)
    ]
    _, result = _harvest(found, Prefixes(length=2, structure_ratio=0.3))
    assert {(e.kind, e.prompt_ids) for e in result.examples} == {("prefix", (1, 11)), ("full", (1, 10))}
    assert {(e.kind, e.target_ids) for e in result.examples} == {("prefix", (5, 6)), ("full", (5, 6, 7, EOS))}


def test_a_prefix_row_is_sampled_to_t_tokens_unless_a_verdict_is_needed() -> None:
    assert token_limit(Kind.PREFIX, Prefixes(length=8), 100) == 8
    assert token_limit(Kind.FULL, Prefixes(length=8), 100) == 100
    assert token_limit(Kind.PREFIX, Prefixes(length=8, select="verified"), 100) == 100


def test_statistics_see_lost_diversity() -> None:
    same = [Completion(key=f"k{n}", sample=0, token_ids=(5, 6), stop=StopReason.LENGTH, seed=n) for n in range(4)]
    different = [Completion(key=f"k{n}", sample=0, token_ids=(n, 6), stop=StopReason.EOS, seed=n) for n in range(4)]
    assert prefix_statistics(same, 2).prefix_entropy == 0
    assert prefix_statistics(same, 2).truncated == 1
    assert prefix_statistics(different, 2).distinct_prefixes == 1
    assert prefix_statistics([], 2).mean_tokens == 0


@given(
    st.integers(1, 12), st.integers(1, 5), st.sampled_from([0.0, 0.1, 0.3, 1.0]), st.sampled_from(["modal", "rollout"])
)
def test_where_prefixes_are_chosen_the_share_of_full_rows_is_one_of_problems(problems, samples, share, select) -> None:
    rows = [(f"k{key}", sample) for key in range(problems) for sample in range(samples)]
    kinds = assign_kinds(rows, Prefixes(select=select, structure_ratio=share), seed=3)
    full = {key for (key, _), kind in kinds.items() if kind == "full"}
    assert len(full) == round(share * problems)
    for key in {key for key, _ in rows}:
        sampled = sorted(sample for one, sample in kinds if one == key)
        assert sampled == ([0] if key in full and select == "modal" else list(range(samples)))


def test_a_rollouts_prefix_is_sampled_to_t_tokens_whatever_is_trained() -> None:
    assert token_limit(Kind.FULL, Prefixes(length=8, select="rollout"), 100) == 8
    assert token_limit(Kind.FULL, Prefixes(length=8, select="modal"), 100) == 100
    assert token_limit(Kind.PREFIX, Prefixes(length=8, select="consistent"), 100) == 100
