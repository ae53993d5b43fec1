from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

from selfimprove.errors import StageError
from selfimprove.host.gpus import Memory
from selfimprove.models import compute_dtype, load_model
from selfimprove.models.gpus import pretend_gpus, runs_packed
from selfimprove.models.memory import gpus_in_use
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Training
from selfimprove.round.prefixes import Example
from selfimprove.training import train
from selfimprove.training.attention import branches_hold
from selfimprove.training.batches import (
    count_tokens,
    cut_packed,
    cut_padded,
    fault_in_losses,
    learning_rate,
    plan_steps,
)
from selfimprove.training.loss import Batch, head_is_all, pack, pad, row_ids, weighted_loss
from tests.paths import ROOT
from tests.scripted_gpus import ScriptedGpus
from tests.training.train_once import RUNTIME, SETTINGS, make_examples, make_job

CPU = torch.device("cpu")
Way = Callable[[Sequence[Example], torch.device], Batch]


def silent(*_: float) -> None:
    pass


def without_peaks(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: count for name, count in counts.items() if not name.startswith("peak_")}


def naive_loss(model: torch.nn.Module, examples: list[Example]) -> torch.Tensor:
    """The loss by its definition: each row alone, no padding, all logits."""
    rows = []
    for example in examples:
        ids = torch.tensor([[*example.prompt_ids, *example.target_ids]])
        log_probs = torch.log_softmax(model(input_ids=ids).logits[0].float(), dim=-1)
        start = len(example.prompt_ids)
        nll = [-log_probs[start + at - 1, token] for at, token in enumerate(example.target_ids)]
        rows.append(example.weight * torch.stack(nll).mean())
    return torch.stack(rows).mean()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "model")


# The plan


ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), min_size=1, max_size=60)


@given(ROWS, st.booleans(), st.integers(1, 9), st.integers(1, 60), st.integers(0, 9))
def test_every_epoch_uses_every_row_once(
    rows: list[tuple[int, ...]], packs: bool, batch: int, tokens: int, seed: int
) -> None:
    settings = Training(epochs=2, batch_rows=batch)
    plan = plan_steps(rows, packs, settings, seed, micro_tokens=tokens)
    order = [row for step in plan for micro in step.micro_batches for row in micro]
    half = len(rows)
    assert sorted(order[:half]) == sorted(order[half:]) == list(range(half))
    assert plan == plan_steps(rows, packs, settings, seed, micro_tokens=tokens)
    for step in plan:
        assert step.rows <= batch
        for micro in step.micro_batches:
            alone = replace(step, micro_batches=(micro,))
            assert len(micro) == 1 or count_tokens(alone, rows, packs) <= tokens


def test_epochs_and_seeds_differ_in_order() -> None:
    settings = Training(epochs=2, batch_rows=1)
    first, second = plan_steps([(1,) * n for n in range(1, 50)], True, settings, 0, micro_tokens=4096)[::49]
    assert first != second
    five = settings.model_copy(update={"batch_rows": 5})
    one, other = (plan_steps([(5,)] * 50, True, five, seed, micro_tokens=4096) for seed in (0, 1))
    assert one != other


def test_rows_of_like_length_are_padded_together() -> None:
    rows = [(0,) * length for length in (3, 9, 4, 8)]
    assert cut_padded([0, 1, 2, 3], rows, tokens=18) == ((1, 3), (2, 0))


def test_rows_that_begin_alike_are_packed_together() -> None:
    rows = [(1, 1, 1, 2), (7, 7, 7, 7), (1, 1, 1, 3), (7, 7, 7, 8)]
    assert cut_packed([0, 1, 2, 3], rows, tokens=5) == ((0, 2), (1, 3))
    assert cut_packed([0, 1, 2, 3], rows, tokens=4) == ((0,), (2,), (1,), (3,))


@pytest.mark.parametrize("packs", [True, False])
def test_every_process_has_work(packs: bool) -> None:
    rows = [(1, 2, 3, 4, *range(n, 40 + n)) for n in range(32)]
    for processes in (2, 3, 4):
        (step,) = plan_steps(rows, packs, Training(batch_rows=32), 0, micro_tokens=4096, processes=processes)
        sizes = [count_tokens(replace(step, micro_batches=(micro,)), rows, packs) for micro in step.micro_batches]
        assert len(sizes) == processes
        assert min(sizes) > 0.4 * max(sizes)


def test_learning_rates() -> None:
    constant = Training(learning_rate=1.0, warmup_ratio=0.2)
    assert [learning_rate(step, 10, constant) for step in (1, 2, 3, 10)] == [0.5, 1.0, 1.0, 1.0]
    cosine = Training(learning_rate=1.0, warmup_ratio=0.0, schedule="cosine")
    rates = [learning_rate(step, 10, cosine) for step in range(1, 11)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0


@pytest.mark.parametrize(
    ("losses", "fault"),
    [
        ([2.0 - step / 20 for step in range(20)], ""),
        ([1.0] * 20, ""),
        ([1.0, 1.2, 0.9, 1.1, 1.0, 0.9, 1.2, 1.1, 1.0], ""),  # noise
        ([1.0 + step / 20 for step in range(20)], "rose"),
        ([1.0, 1.1, 1.0, 0.9, 4.0, 4.1, 4.0, 4.1, 4.0, 4.1, 4.0, 4.1], "rose"),
        ([1.0, 9.0], ""),  # too few steps to tell
        ([1.0, float("nan")], "not finite"),
    ],
)
def test_a_loss_that_rises_beyond_noise_is_a_fault(losses: list[float], fault: str) -> None:
    assert fault in fault_in_losses(losses)
    assert bool(fault_in_losses(losses)) == bool(fault)


# The loss


@pytest.mark.parametrize("way", [pack, pad])
def test_loss_and_gradients_equal_the_definition_whatever_the_micro_batches(model: Path, way: Way) -> None:
    examples = sorted(make_examples(9), key=row_ids)
    reference = load_model(model, torch.float32)
    naive = naive_loss(reference, examples)
    naive.backward()
    for cut in ([9], [4, 5], [1] * 9):
        ours, total, at = load_model(model, torch.float32), 0.0, 0
        freeze_head(ours)
        assert way is pad or branches_hold(ours, examples[0].prompt_ids, 50, CPU)
        for size in cut:
            share = weighted_loss(ours, way(examples[at : at + size], CPU), head_alone=True) / len(examples)
            share.backward()
            total, at = total + share.item(), at + size
        assert total == pytest.approx(naive.item(), rel=1e-5)
        for (name, p), q in zip(reference.named_parameters(), ours.parameters(), strict=True):
            assert not q.requires_grad or torch.allclose(p.grad, q.grad, rtol=1e-3, atol=1e-5), name


def test_the_head_takes_any_number_of_targets_at_once(model: Path) -> None:
    examples = sorted(make_examples(9), key=row_ids)
    found = []
    for at_once in (1, 7, 10**6):
        ours = load_model(model, torch.float32)
        freeze_head(ours)
        loss = weighted_loss(ours, pad(examples, CPU), head_alone=True, at_once=at_once)
        loss.backward()
        found.append((loss.item(), [p.grad for p in ours.parameters() if p.requires_grad]))
    for loss, gradients in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-6)
        # Sums in another order: on one core the largest gradient, 7, is 1.2e-6 off.
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(gradients, found[0][1], strict=True))


def freeze_head(model: torch.nn.Module) -> None:
    """As in a training with a LoRA; the tiny model ties its head to the embedding."""
    for part in (model.get_input_embeddings(), model.get_output_embeddings()):
        part.weight.requires_grad_(False)


def test_the_padding_id_may_be_any(model: Path) -> None:
    batch = pad(make_examples(6), CPU)
    padding = batch.others["attention_mask"] == 0
    ours = load_model(model, torch.float32)
    filled = [replace(batch, ids=batch.ids.masked_fill(padding, fill)) for fill in (0, 1, 9)]
    with torch.no_grad():
        losses = [weighted_loss(ours, one, True) for one in filled]
    assert padding.any()
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("way", [pack, pad])
def test_an_end_of_sequence_among_the_targets_counts(model: Path, way: Way) -> None:
    example = Example("k", 0, "full", (70, 1, 71), (80, 1), 1.0)  # 1 ends a sequence and is the padding id
    longer = make_examples(5)[4]
    ours = load_model(model, torch.float32)
    naive = naive_loss(ours, [example, longer]).item()
    if way is pack:
        assert branches_hold(ours, longer.prompt_ids, 50, CPU)
    rows = sorted([example, longer], key=row_ids)
    assert weighted_loss(ours, way(rows, CPU), True).item() / 2 == pytest.approx(naive, rel=1e-5)


def test_a_model_that_scales_its_logits_is_noticed() -> None:
    from transformers import GraniteConfig, GraniteForCausalLM, LlamaForCausalLM

    size = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    assert head_is_all(LlamaForCausalLM(LlamaConfig(**size)).eval(), (1, 2, 3), CPU)
    granite = GraniteForCausalLM(GraniteConfig(**size, num_key_value_heads=2, logits_scaling=8.0)).eval()
    assert not head_is_all(granite, (1, 2, 3), CPU)
    batch = pad([Example("k", 0, "full", (3, 4), (5, 6))], CPU)
    ours = weighted_loss(granite, batch, head_alone=False)
    assert ours.item() == pytest.approx(naive_loss(granite, [Example("k", 0, "full", (3, 4), (5, 6))]).item(), rel=1e-5)


# The training


def test_the_first_loss_is_the_loss_of_the_first_batch(model: Path, tmp_path: Path) -> None:
    examples = make_examples(6)
    settings, runtime = Training(batch_rows=6, rank=2), RUNTIME.model_copy(update={"micro_tokens": 40})
    heard: list[tuple[float, ...]] = []
    job = make_job(tmp_path, model, examples=examples, settings=settings, seed=0, runtime=runtime)
    counts = train(job, lambda *step: heard.append(step))
    expected = naive_loss(load_model(model, torch.float32), examples).item()
    assert counts.first_loss == pytest.approx(expected, rel=1e-5)
    assert heard == [(1, 1, counts.first_loss, settings.learning_rate)]
    assert counts.target_tokens == sum(len(e.target_ids) for e in examples)
    assert counts.trained_prompt_tokens == sum(len(e.prompt_ids) for e in examples)
    assert counts.computed_tokens <= counts.target_tokens + counts.trained_prompt_tokens - len(examples)
    assert counts.peak_rss_mb > 50
    assert json.loads(json.dumps(asdict(counts))) == asdict(counts)


def test_the_adapter_is_what_peft_reads_and_names_no_machine(model: Path, tmp_path: Path) -> None:
    counts = train(make_job(tmp_path, model), silent)
    assert counts.last_loss < counts.first_loss
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    text = (tmp_path / "out" / "adapter_config.json").read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["base_model_name_or_path"] == ""
    tuned = PeftModel.from_pretrained(load_model(model, torch.float32), str(tmp_path / "out"))
    base = load_model(model, torch.float32)
    assert naive_loss(tuned, make_examples(20)) < naive_loss(base, make_examples(20)) - 0.1
    factors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in factors.values()} == {torch.float32}
    assert all(".lora_A.weight" in name or ".lora_B.weight" in name for name in factors)
    assert len(factors) == 2 * 2 * 7  # two layers of seven matrices; neither head nor embedding


@pytest.mark.parametrize("checkpointing", [False, True])
def test_bfloat16_weights_stay_and_the_lora_is_float32(checkpointing: bool, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model", dtype="bfloat16")
    runtime = RUNTIME.model_copy(update={"gradient_checkpointing": "on" if checkpointing else "off"})
    counts = train(make_job(tmp_path, folder, runtime=runtime), silent)
    assert counts.gradient_checkpointing == checkpointing
    assert counts.dtype == str(compute_dtype(folder, CPU)).removeprefix("torch.")
    assert counts.last_loss < counts.first_loss
    factors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in factors.values()} == {torch.float32}


def test_gradient_checkpointing_changes_nothing(model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"dropout": 0.0})
    one, two = (
        train(
            make_job(
                tmp_path / way,
                model,
                examples=make_examples(8),
                settings=settings,
                seed=1,
                runtime=RUNTIME.model_copy(update={"gradient_checkpointing": way}),
            ),
            silent,
        )
        for way in ("off", "on")
    )
    assert one.losses == pytest.approx(two.losses, rel=1e-6)


def test_training_leaves_the_process_as_it_was(model: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    train(make_job(tmp_path, model, examples=make_examples(4), seed=0), silent)
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


# Kill and resume


def run_once(folder: Path, *stop: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(Path(__file__).with_name("train_once.py")), str(folder), *stop]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_adapter(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "model")
    killed = run_once(tmp_path, "8")
    assert killed.stdout is not None
    assert killed.stdout.readline() == "waiting\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "adapter").exists()
    resumed = json.loads(run_once(tmp_path).communicate()[0])
    assert resumed["steps"] == [7, 8, 9, 10]  # from the checkpoint of step 6
    undisturbed = train(make_job(tmp_path / "undisturbed", tmp_path / "model"), silent)
    assert without_peaks(resumed["counts"]) == without_peaks(asdict(undisturbed))
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "adapter" / name).read_bytes() == (tmp_path / "undisturbed" / "out" / name).read_bytes()


def test_a_training_whose_steps_are_done_writes_its_adapter_without_any(model: Path, tmp_path: Path) -> None:
    """As after a kill while the placebo is judged, which was trained in the same stage."""
    settings = SETTINGS.model_copy(update={"checkpoint_steps": 50})
    job = make_job(tmp_path, model, settings=settings)
    counts = train(job, lambda *_: None)
    steps: list[int] = []
    again = train(replace(job, out=tmp_path / "again"), lambda step, *_: steps.append(step))
    assert steps == []
    assert again.losses == counts.losses
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (job.out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_training_goes_on_from_an_adapter(model: Path, tmp_path: Path) -> None:
    plain = SETTINGS.model_copy(update={"dropout": 0.0, "epochs": 1, "batch_rows": 20})
    train(make_job(tmp_path / "one", model, settings=plain), silent)
    first = tmp_path / "one" / "out"
    heard: list[float] = []
    job = make_job(tmp_path / "two", model, settings=plain, start=first)
    train(job, lambda _step, _steps, loss, _rate: heard.append(loss))
    begun = PeftModel.from_pretrained(load_model(model, torch.float32), str(first))
    with torch.inference_mode():
        assert heard == pytest.approx([float(naive_loss(begun, make_examples(20)))], rel=1e-4)
    ours, theirs = (load_file(path / "adapter_model.safetensors") for path in (first, tmp_path / "two" / "out"))
    assert ours.keys() == theirs.keys()
    assert not any(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_belongs_to_the_adapter_it_went_on_from(model: Path, tmp_path: Path) -> None:
    train(make_job(tmp_path / "one", model), silent)
    heard: list[float] = []
    for name, start in (("a", None), ("b", tmp_path / "one" / "out"), ("c", tmp_path / "one" / "out")):
        job = make_job(tmp_path, model, work=tmp_path / "work", out=tmp_path / name, start=start)
        train(job, lambda step, *_: heard.append(step))
    assert heard == [*range(1, 11), *range(1, 11)]  # the last one has the checkpoint of all ten steps


def test_an_adapter_of_another_shape_is_not_gone_on_from(model: Path, tmp_path: Path) -> None:
    train(make_job(tmp_path / "one", model), silent)
    other = make_job(tmp_path / "two", model, settings=SETTINGS.model_copy(update={"rank": 2}))
    with pytest.raises(StageError, match="don't fit the LoRA that this recipe trains"):
        train(replace(other, start=tmp_path / "one" / "out"), silent)


def test_a_foreign_or_broken_checkpoint_is_ignored(model: Path, tmp_path: Path) -> None:
    def steps(work: Path, examples: list[Example], seed: int) -> tuple[list[float], bytes]:
        heard: list[float] = []
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        job = make_job(tmp_path, model, examples=examples, work=work, out=out, seed=seed)
        train(job, lambda step, *_: heard.append(step))
        return heard, (out / "adapter_model.safetensors").read_bytes()

    alone = steps(tmp_path / "clean", make_examples(12), 1)
    assert alone[0] == [1, 2, 3, 4, 5, 6]
    work = tmp_path / "work"
    steps(work, make_examples(12), 2)  # leaves its checkpoint of step 6
    assert steps(work, make_examples(12), 2)[0] == []
    assert steps(work, make_examples(12), 1) == alone
    for content in (b"", b"\x10" * 500, (work / "checkpoint.safetensors").read_bytes()[:-9]):
        (work / "checkpoint.safetensors").write_bytes(content)
        assert steps(work, make_examples(12), 1) == alone


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [
        *launch,
        "--nproc-per-node",
        "2",
        str(Path(__file__).with_name("train_once.py")),
        str(tmp_path),
        "-1",
        "0",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=env, check=True, capture_output=True)
    alone = SETTINGS.model_copy(update={"dropout": 0.0})
    train(make_job(tmp_path / "alone", model, settings=alone), silent)
    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("alone/out", "adapter"))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


# Failures


def test_what_can_not_be_trained_fails_with_a_reason_and_leaves_nothing(model: Path, tmp_path: Path) -> None:
    def failure(examples: list[Example], settings: Training = SETTINGS) -> str:
        with pytest.raises(StageError) as caught:
            train(make_job(tmp_path, model, examples=examples, settings=settings, seed=0), silent)
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    assert "no examples" in failure([])
    assert "problem k, sample 3" in failure([Example("k", 3, "full", (5,), ())])
    weights = load_file(model / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    assert "step 1 of 10: loss nan" in failure(make_examples(20))


def test_a_training_that_diverges_fails(model: Path, tmp_path: Path) -> None:
    # What the model says anyway is the best there is: a rate that rises to a wild one makes it twice the bound worse.
    base = load_model(model, torch.float32)
    examples = []
    for example in make_examples(20):
        prompt = torch.tensor([example.prompt_ids])
        said = base.generate(prompt, do_sample=False, max_new_tokens=8, min_new_tokens=8)[0, prompt.shape[1] :]
        examples.append(replace(example, target_ids=tuple(said.tolist())))
    wild = SETTINGS.model_copy(update={"learning_rate": 0.1, "epochs": 12, "schedule": "constant", "warmup_ratio": 0.9})
    with pytest.raises(StageError, match="the loss rose"):
        train(make_job(tmp_path, model, examples=examples, settings=wild, seed=0), silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.gpu_branch
def test_training_beside_a_gpu_takes_accelerates_device_and_records_the_gpus_peak(tmp_path: Path, model: Path) -> None:
    gpus = ScriptedGpus(memories=[Memory(free=1 << 30, total=1 << 30)], peak=321)
    job = make_job(tmp_path, model)
    job = replace(job, runtime=job.runtime.model_copy(update={"device": "auto"}))
    with pretend_gpus(gpus):
        counts = train(job, silent)
    assert counts.peak_gpu_mb == 321
    assert gpus.forgotten == 1
    assert counts.device == "cpu"  # accelerate sees no GPU here


@pytest.mark.gpu_branch
def test_on_apples_gpu_neither_packed_training_nor_the_own_decoder_runs() -> None:
    assert not runs_packed(torch.device("mps"))
    assert runs_packed(torch.device("cuda"))


@pytest.mark.parametrize(
    ("device", "rank", "used"),
    [("auto", "", [0]), ("auto", "3", [3]), ("cuda", "", [0]), ("cuda", "1", [1]), ("cuda:2", "1", [2])],
)
def test_only_the_generator_of_the_gpu_in_use_is_put_back(
    device: str, rank: str, used: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert gpus_in_use(device, available=True) == used
    assert gpus_in_use(device, available=False) == []
    assert gpus_in_use("cpu", available=True) == []
