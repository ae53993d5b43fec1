"""The measurement of samplers counts what was sampled, on the same work for all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from benchmarks.bench.engines import (
    Ceilings,
    bench_engines,
    generate_run,
    least_seconds,
    measure,
    report_lines,
    sampler_run,
)
from benchmarks.bench.work import Work
from selfimprove.engines.transformers import TransformersSampler
from selfimprove.models import load_tokenizer
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Runtime
from selfimprove.sampling import GREEDY, Request


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    ends = list(range(1, 258, 9))  # so that completions end at different lengths
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends, "pad_token_id": 1}))
    return folder


@pytest.fixture(scope="module")
def requests(model: Path) -> list[Request]:
    return Work().requests(load_tokenizer(model), 10, 12)


def test_both_ways_count_the_same_tokens_of_greedy_completions(model: Path, requests: list[Request]) -> None:
    chunk = [replace(request, max_new_tokens=40, decoding=GREEDY) for request in requests]
    plain = generate_run(AutoModelForCausalLM.from_pretrained(model), 1)
    with TransformersSampler(model, Runtime(device="cpu", threads=1)) as sampler:
        ours = sampler_run(sampler)
        lengths = {len(completion.token_ids) for completion in sampler.sample(chunk)}
        speeds = measure({"ours": (ours, [chunk[:6], chunk[6:]]), "plain": (plain, [chunk])}, 2)
    assert [speed.tokens for speed in speeds] == [(speeds[0].tokens[0],) * 2] * 2
    assert len(lengths) > 1
    assert all(seconds > 0 for speed in speeds for seconds in speed.seconds)


def test_the_ceiling_of_a_step_is_the_slower_of_products_and_reading() -> None:
    top = Ceilings(bfloat16=2.0, float32=1.0, memory=1.0)
    # A billion weights in bfloat16: 1 s of products a token, 2 s to read them; steps of 3, 3 and 1 rows.
    assert least_seconds([[2, 3, 2]], 10, 10**9, 2, top) == pytest.approx(10 + 3 + 3 + 2)
    assert least_seconds([[2], [3]], 0, 10**9, 2, top) == pytest.approx(5 * 2)


def test_prompts_may_come_from_a_problem_file(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(tmp_path / "cache"))
    rows = [{"question": f"How many is {n} and {n}?", "answer": str(2 * n)} for n in range(12)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    work = Work(model=str(model), problems=str(tmp_path / "mine.jsonl"), prompt="Now: {question}")
    tokenizer = load_tokenizer(work.folder().path)
    requests = work.requests(tokenizer, 5, 7)
    assert requests == work.requests(tokenizer, 5, 7)
    assert {request.max_new_tokens for request in requests} == {7}
    assert len({request.prompt_ids for request in requests}) == 5
    assert "Now: How many is" in tokenizer.decode(requests[0].prompt_ids)
    assert work.described() == "prompts from mine.jsonl"


@pytest.mark.slow
def test_a_report_names_each_engine_with_its_speed_beside_generates(model: Path, requests: list[Request]) -> None:
    report = bench_engines(model, Runtime(device="cpu", threads=1), requests, [4, 64], 1, vllm=False)
    assert json.loads(json.dumps(report))["requests"] == 10
    assert report["prompt_tokens"] == sum(len(request.prompt_ids) for request in requests)
    head, *lines = report_lines(report)
    assert "GFLOP/s" in head
    assert [line.split("  ")[0] for line in lines] == [row["engine"] for row in report["engines"]]
    assert "1.00 x generate" in lines[-1]
