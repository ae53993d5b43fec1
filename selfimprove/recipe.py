"""A recipe is what a run *is*; a runtime is how it is executed.

The recipe bears the run's identity: two runs with equal recipes, on the same machine and engine, write the same
records. It is stored resolved (every default written out) in the run's folder and compared at every start; a
difference is refused by the names of the changed keys. `Runtime` holds what may change between two starts of one
run: engine, device, threads, caches, permissions. Neither holds a key that belongs to the other, and a test pins that.

Each section is owned by one stage, which reads no other section. Values are frozen and unknown keys are refused,
so that a misspelt key can't silently mean its default. TOML comes in; canonical JSON (sorted keys, no spaces) and its
SHA-256, the *fingerprint*, go out.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from selfimprove.errors import UsageError

EMBEDDED = "embedded:smollm2-135m-instruct"

TASK_TEMPLATE = (
    "{question} Please provide the initial step towards resolving the question. "
    "This step may serve as a foundation but might not encompass the entire solution."
)
"""The task template of prefix rows, word for word from UPFT (arXiv 2503.02875, section 3.2)."""


class Section(BaseModel):
    """A frozen group of keys; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Model(Section):
    """The base model."""

    name: str = Field(EMBEDDED, description="`embedded:…`, a hub id, a local folder or a `.gguf` file")
    revision: str = Field("", description="branch, tag or commit of a hub id; empty: the default branch")
    dtype: Literal["bfloat16", "float32"] = Field("bfloat16", description="type that merged weights are rounded to")


class MixturePart(Section):
    """One generator of a `reasoning-gym:` mixture."""

    name: str = Field(description="name of the reasoning-gym dataset")
    weight: float = Field(1.0, gt=0, description="share of the problems, relative to the other parts")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of that dataset")


class Problems(Section):
    """Where problems come from, and how they are split. An empty source is carved out of the one above it."""

    train: str = Field(
        "reasoning-gym:sums",
        description="training problems: `reasoning-gym:NAME`, a hub id `ID[:CONFIG[:SPLIT]]`, or a local file",
    )
    heldout: str = Field(
        "", description="source judged on every round; empty: the train source's test split, or a part"
    )
    sealed: str = Field("", description="source judged once, at the end; empty: carved from the held-out source")
    train_size: int = Field(256, ge=0, description="training problems; 0: all there are")
    heldout_size: int = Field(256, ge=1, description="held-out problems")
    sealed_size: int = Field(256, ge=1, description="sealed problems")
    seed: int = Field(0, ge=0, description="seed of generation and of the split")
    question: str = Field("", description="name of the question field, if it isn't recognised")
    answer: str = Field("", description="name of the answer field, if it isn't recognised")
    mixtures: dict[str, tuple[MixturePart, ...]] = Field(
        default_factory=dict, description="named mixtures of reasoning-gym generators"
    )


class Sampling(Section):
    """How solutions are sampled, for training and for judging."""

    prompt: str = Field("{question}", description="the plain question as the user's turn, used everywhere")
    system: str = Field("", description="system turn; empty: the chat template's own")
    temperature: float = Field(0.6, ge=0, description="of the training samples; 0 is greedy")
    top_p: float | None = Field(None, gt=0, le=1, description="nucleus; unset: the model's own")
    top_k: int | None = Field(None, ge=0, description="most likely tokens kept, 0 for all; unset: the model's own")
    max_new_tokens: int = Field(512, ge=1, description="longest completion, in tokens")
    problems_per_round: int = Field(0, ge=0, description="training problems sampled in a round; 0: all of them")
    samples: int = Field(1, ge=1, description="completions per problem")
    chunk_rows: int = Field(64, ge=1, description="requests in a chunk: the unit of sampling, durability and resume")
    chunk_tokens: int = Field(65536, ge=1, description="padded tokens in a chunk, prompt and completion")

    @field_validator("prompt")
    @classmethod
    def _has_question(cls, value: str) -> str:
        return _needs_question(value)


class Prefixes(Section):
    """How completions become training examples."""

    select: Literal["all", "verified"] = Field(
        "all", description="`all`: every completion (UPFT, SFT); `verified`: those the checker accepts (RFT)"
    )
    length: int | Literal["full"] = Field(8, description="tokens of a prefix, or `full` for whole solutions")
    structure_ratio: float = Field(0.1, ge=0, le=1, description="share p of rows trained on the whole solution")
    template: str = Field(TASK_TEMPLATE, description="user's turn of prefix rows, with `{question}`")
    train_eos: bool = Field(False, description="train an end-of-sequence token after each prefix")

    @field_validator("template")
    @classmethod
    def _has_question(cls, value: str) -> str:
        return _needs_question(value)

    @field_validator("length")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be at least 1 token")
        return value


class Training(Section):
    """How a LoRA is fitted to the examples."""

    rank: int = Field(16, ge=1, description="rank of the LoRA")
    alpha: float = Field(32.0, gt=0, description="LoRA scale times rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="LoRA dropout")
    learning_rate: float = Field(
        1e-5, gt=0, description="peak; the paper's 1e-6 is for full fine-tuning, LoRA wants 10×"
    )
    schedule: Literal["constant", "cosine"] = Field("constant", description="after the warm-up")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of steps with rising learning rate")
    epochs: int = Field(1, ge=1, description="passes over the examples")
    batch_rows: int = Field(64, ge=1, description="examples per optimizer step")
    micro_tokens: int = Field(4096, ge=1, description="padded tokens in one forward pass; bounds memory")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW")
    weight_decay: float = Field(0.0, ge=0, description="AdamW")
    clip_norm: float = Field(1.0, gt=0, description="largest gradient norm")
    gradient_checkpointing: bool = Field(False, description="recompute activations: less memory, more time")
    checkpoint_steps: int = Field(50, ge=1, description="optimizer steps between resumable checkpoints")


class Merging(Section):
    """When a merge is good enough to be judged."""

    canaries: int = Field(8, ge=1, description="held-out prompts on which adapter and merged model are compared")
    min_survival: float = Field(0.5, ge=0, le=1, description="least share of the intended delta kept by rounding")
    min_agreement: float = Field(0.5, ge=0, le=1, description="least greedy agreement of adapter and merged model")


class Answers(Section):
    """How the final answer is taken out of a completion."""

    mode: Literal["boxed", "marked", "last"] = Field(
        "last",
        description="`boxed`: `\\boxed{}`; `marked`: also `####`, `<answer>`, “answer is”; `last`: also a last number",
    )
    finished: bool = Field(
        True, description="a number asked for must be given as one: arithmetic left undone (`3 - 4` for -1) is wrong"
    )


class Gate(Section):
    """When a challenger replaces the champion."""

    rule: Literal["sequential", "point"] = Field(
        "sequential", description="`sequential`: anytime-valid paired test; `point`: accuracy not lower (naive)"
    )
    alpha: float = Field(0.05, gt=0, lt=1, description="chance of any false accept in the whole run")
    worthwhile: float = Field(0.02, gt=0, lt=1, description="smallest gain in accuracy worth having; futility below it")
    batch: int = Field(64, ge=1, description="problems judged between two looks")
    samples: int = Field(1, ge=1, description="answers per problem and side: 1 is greedy, more are averaged")
    max_pass_drop: float = Field(0.05, ge=0, le=1, description="guard: largest fall of pass@k below the champion's")
    max_truncation_rise: float = Field(
        0.1, ge=0, le=1, description="guard: largest rise of the share of cut answers above the champion's"
    )
    fresh: bool = Field(False, description="draw new held-out problems each round (generated sources only)")
    placebo: bool = Field(
        False, description="also train and judge a twin on prefixes permuted between problems: the gain over it is real"
    )
    min_entropy: float = Field(
        0.5, ge=0, le=1, description="alarm when the prefix entropy falls below this share of the champion's"
    )


class Recipe(Section):
    """What a run is: everything that bears on its records."""

    seed: int = Field(0, ge=0, description="seed of the whole run")
    model: Model = Model()
    problems: Problems = Problems()
    sampling: Sampling = Sampling()
    prefixes: Prefixes = Prefixes()
    training: Training = Training()
    merging: Merging = Merging()
    answers: Answers = Answers()
    gate: Gate = Gate()

    @model_validator(mode="after")
    def _prefix_fits(self) -> Recipe:
        length = self.prefixes.length
        if isinstance(length, int) and length > self.sampling.max_new_tokens:
            raise ValueError(
                f"prefixes.length is {length}, above sampling.max_new_tokens ({self.sampling.max_new_tokens})"
            )
        return self

    def canonical(self) -> str:
        """The recipe as JSON with sorted keys and no spaces: equal recipes give equal bytes."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, as hexadecimal digits."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


class Runtime(Section):
    """How a run is executed; may change from one start to the next."""

    engine: Literal["auto", "transformers", "vllm"] = Field("auto", description="what samples")
    device: str = Field("auto", description="torch device of the transformers engine and the trainer")
    threads: int = Field(0, ge=0, description="processor threads for the model; 0: all this process may use")
    checker_workers: int = Field(0, ge=0, description="processes of the answer checker; 0: one per usable core")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that hold one copy of the model in the vllm engine")
    data_parallel: int = Field(1, ge=1, description="copies of the model in the vllm engine, each on GPUs of its own")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")

    def usable_threads(self) -> int:
        """`threads`, or the cores this process may use; never more, since oversubscription costs a factor of ten."""
        mask = getattr(os, "sched_getaffinity", None)  # Linux alone has it
        cores = len(mask(0)) if mask else os.cpu_count() or 1
        return min(self.threads or cores, cores)


def read_recipe(path: Path | None, overrides: dict[str, dict[str, Any]] | None = None) -> Recipe:
    """The recipe in a TOML file (or all defaults), with `overrides` (section to key to value) laid over it.

    Raises `UsageError` naming the file, the key and the cause.
    """
    data: dict[str, Any] = {} if path is None else _read_toml(path)
    for section, values in (overrides or {}).items():
        if not isinstance(data.setdefault(section, {}), dict):
            raise UsageError(f"{path}: `{section}` must be a table, written [{section}]")
        data[section].update(values)
    return parse_recipe(data, str(path or "the command line"))


def parse_recipe(data: dict[str, Any], where: str) -> Recipe:
    """A validated recipe from plain data; `where` is named in the `UsageError` that a bad value raises."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first_fault(error)}", "The keys are listed in README.md, “Recipe”.") from None


def changed_keys(old: Recipe, new: Recipe) -> list[str]:
    """Dotted names of the keys in which two recipes differ, sorted."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def key_table() -> str:
    """The recipe's keys as a Markdown table: key, default, meaning. README.md holds it, and a test compares."""
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    rows.append(f"| `seed` | `0` | {Recipe.model_fields['seed'].description} |")
    for name, section in Recipe():
        if isinstance(section, Section):
            rows += [_key_row(f"{name}.{key}", section, key) for key in type(section).model_fields]
    return "\n".join(rows) + "\n"


def _key_row(dotted: str, section: Section, key: str) -> str:
    value = getattr(section, key)
    shown = "unset" if value is None else "the paper's" if value == TASK_TEMPLATE else f"`{json.dumps(value)}`"
    return f"| `{dotted}` | {shown} | {type(section).model_fields[key].description} |"


def _needs_question(value: str) -> str:
    if value.count("{question}") != 1:
        raise ValueError("must contain {question} exactly once")
    return value


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise UsageError(f"{path}: no such recipe", "Recipes that come with the program are in recipes/.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: not readable as TOML: {error}") from None


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key `{key}`"
    message = fault["msg"].removeprefix("Value error, ")
    return f"`{key}`: {message}" if key else message


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
