"""The measurement of samplers counts what was sampled, on the same work for all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from benchmarks.bench.engines import bench_engines, generate_run, measure, mixed_requests, report_lines, sampler_run
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
    return mixed_requests(load_tokenizer(model), 10, 12)


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


def test_a_report_names_each_engine_with_its_speed_beside_generates(model: Path, requests: list[Request]) -> None:
    report = bench_engines(model, Runtime(device="cpu", threads=1), requests, [4, 64], 1, vllm=False)
    assert json.loads(json.dumps(report))["requests"] == 10
    assert report["prompt_tokens"] == sum(len(request.prompt_ids) for request in requests)
    head, *lines = report_lines(report)
    assert "GFLOP/s" in head
    assert [line.split("  ")[0] for line in lines] == [row["engine"] for row in report["engines"]]
    assert "1.00 x generate" in lines[-1]
