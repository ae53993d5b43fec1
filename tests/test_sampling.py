from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.errors import UsageError
from selfimprove.sampling import (
    GREEDY,
    Completion,
    Decoding,
    DrawRule,
    OwnDecoding,
    Request,
    StopReason,
    derive_seed,
    owed_chunks,
    plan_chunks,
    read_own_decoding,
    resolve,
    told_rule,
)

requests = st.lists(
    st.builds(
        Request,
        key=st.sampled_from([f"k{number}" for number in range(30)]),
        sample=st.integers(0, 3),
        prompt_ids=st.lists(st.integers(0, 9), min_size=1, max_size=12).map(tuple),
        max_new_tokens=st.sampled_from([4, 32]),
        seed=st.integers(0, 9),
        decoding=st.just(GREEDY),
    ),
    unique_by=lambda request: request.row,
    max_size=60,
)


@given(requests, st.integers(1, 9), st.integers(1, 200), st.randoms())
def test_chunks_hold_every_request_once_within_bounds_in_any_order(asked, rows, tokens, random) -> None:
    chunks = plan_chunks(asked, rows, tokens)
    assert sorted(r.row for chunk in chunks for r in chunk) == sorted(r.row for r in asked)
    for chunk in chunks:
        width = max(len(r.prompt_ids) + r.max_new_tokens for r in chunk)
        assert len(chunk) <= rows
        assert len({r.max_new_tokens for r in chunk}) == 1
        assert len(chunk) == 1 or len(chunk) * width <= tokens
    shuffled = list(asked)
    random.shuffle(shuffled)
    assert plan_chunks(shuffled, rows, tokens) == chunks


@given(requests, st.integers(1, 9), st.sets(st.integers(0, 59)))
def test_a_chunk_is_owed_whole_unless_all_its_rows_are_there(asked, rows, lost) -> None:
    chunks = plan_chunks(asked, rows, 10_000)
    made = [
        Completion(key=r.key, sample=r.sample, token_ids=(1,), stop=StopReason.LENGTH, seed=r.seed)
        for chunk in chunks
        for r in chunk
    ]
    there = [completion for place, completion in enumerate(made) if place not in lost]
    owed, kept = owed_chunks(chunks, there)
    owed_rows = {r.row for chunk in owed for r in chunk}
    kept_rows = {c.row for c in kept}
    assert owed_rows.isdisjoint(kept_rows)
    assert owed_rows | kept_rows == {r.row for r in asked}
    assert all(any(r.row not in {c.row for c in there} for r in chunk) for chunk in owed)


def test_a_completion_of_another_seed_pays_no_debt() -> None:
    request = Request(key="k", sample=0, prompt_ids=(1, 2), max_new_tokens=4, seed=7, decoding=GREEDY)
    owed, kept = owed_chunks([(request,)], [Completion(key="k", sample=0, token_ids=(3,), stop=StopReason.EOS, seed=8)])
    assert owed == [(request,)]
    assert kept == []


def test_seeds_depend_on_every_part_and_its_type() -> None:
    seeds = [derive_seed(*parts) for parts in [(1, "a"), (1, "b"), (2, "a"), ("1", "a"), ("1a",), (1, "a", 0)]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, 1, "sample", "abc", 2) == 2669537507893269621


def test_what_the_recipe_leaves_open_is_the_models_own() -> None:
    own = OwnDecoding({"top_p": 0.9, "top_k": 40, "min_p": 0.1, "repetition_penalty": 1.2})
    both = DrawRule(temperature=0.6, top_p=0.9, top_k=40, min_p=0.1, repetition_penalty=1.2)
    assert resolve(Decoding(0.6), own) == both
    mixed = DrawRule(temperature=0.6, top_p=0.5, top_k=0, min_p=0.1, repetition_penalty=1.2)
    assert resolve(Decoding(0.6, 0.5, 0), own) == mixed
    assert resolve(Decoding(0.6), OwnDecoding({})) == DrawRule(temperature=0.6)
    assert resolve(Decoding(0.6), OwnDecoding({"top_k": -1})) == DrawRule(temperature=0.6)


def test_greedy_decoding_takes_nothing_from_the_model() -> None:
    own = OwnDecoding({"top_k": 40, "repetition_penalty": 1.2})
    assert resolve(GREEDY, own) == resolve(Decoding(0.0, 0.5, 3), own) == DrawRule(temperature=0.0)


def test_a_rule_is_told_by_what_it_changes() -> None:
    assert told_rule(DrawRule(temperature=0.0)) == "greedy"
    assert told_rule(DrawRule(temperature=0.6)) == "temperature 0.6"
    full = DrawRule(temperature=0.6, top_p=0.9, top_k=40, min_p=0.1, repetition_penalty=1.2)
    assert told_rule(full) == "temperature 0.6, top-p 0.9, top-k 40, min-p 0.1, repetition penalty 1.2"


def test_a_generation_config_is_read_and_what_no_engine_applies_is_named(tmp_path: Path) -> None:
    assert read_own_decoding(tmp_path) == OwnDecoding({})
    (tmp_path / "config.json").write_text(json.dumps({"top_k": 7, "repetition_penalty": None}))
    assert read_own_decoding(tmp_path) == OwnDecoding({"top_k": 7})
    idle = {"typical_p": 1.0, "num_beams": 1, "no_repeat_ngram_size": 0, "bad_words_ids": [], "min_length": None}
    own = {"temperature": 0.7, "min_p": 0.05, "presence_penalty": 1.5, "suppress_tokens": [3], "eos_token_id": 2}
    (tmp_path / "generation_config.json").write_text(json.dumps(idle | own))
    assert read_own_decoding(tmp_path) == OwnDecoding({"min_p": 0.05}, ("presence_penalty", "suppress_tokens"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repetition_penalty", 0),
        ("min_p", 1.5),
        ("min_p", "0.1"),
        ("top_p", 0.0),
        ("top_k", 2.5),
        ("top_k", True),
        ("repetition_penalty", float("inf")),
        ("top_k", float("nan")),
    ],
)
def test_a_parameter_that_can_not_be_applied_is_refused(tmp_path: Path, name: str, value: object) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps({name: value}))
    with pytest.raises(UsageError, match=f"generation_config.json: {name} is "):
        read_own_decoding(tmp_path)
