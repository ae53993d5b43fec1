"""A recipe is what a run *is*; a runtime is how it is executed.

The recipe bears the run's identity: two runs with equal recipes, on the same machine and engine, write the same
records. It is stored resolved (every default written out) in the run's folder and compared at every start; a
difference is refused by the names of the changed keys. `Runtime` holds what may change between two starts of one
run: engine, device, threads, caches, permissions. Neither holds a key that belongs to the other, and a test pins that.

Each section is owned by one stage, which reads no other section. Values are frozen and unknown keys are refused,
so that a misspelt key can't silently mean its default. TOML comes in (`reading.py`); canonical JSON (sorted keys, no
spaces) and its SHA-256, the *fingerprint*, go out. `keys.py` tells which keys differ and what each means.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from selfimprove.host.cgroups import usable_cores
from selfimprove.recipe.gate import MOST_SAMPLES
from selfimprove.recipe.gate import Gate as Gate
from selfimprove.recipe.guards import Guard as Guard
from selfimprove.recipe.prefixes import TASK_TEMPLATE as TASK_TEMPLATE
from selfimprove.recipe.prefixes import Prefixes as Prefixes
from selfimprove.recipe.problems import MixturePart as MixturePart
from selfimprove.recipe.problems import Problems as Problems
from selfimprove.recipe.problems import Section as Section
from selfimprove.recipe.texts import CheckerName, Template

EMBEDDED = "embedded:smollm2-135m-instruct"

# Above any real run: a larger figure is a typing error, and would fill the memory before it showed.
MOST_TOKENS = 1_000_000
MOST_RANK = 65_536
MOST_STEPS = 9_999


@dataclass(frozen=True)
class Rounding:
    """How merged weights are rounded: to which type, in which way, and by the thresholds of which seed."""

    dtype: Literal["bfloat16", "float32"]
    way: Literal["auto", "nearest", "stochastic"] = "auto"
    seed: int = 0


class Model(Section):
    """The base model."""

    name: str = Field(EMBEDDED, description="`embedded:…`, a hub id, a local folder or a `.gguf` file")
    revision: str = Field("", description="branch, tag or commit of a hub id; empty: the default branch")
    dtype: Literal["bfloat16", "float32"] = Field("bfloat16", description="type that merged weights are rounded to")


class Sampling(Section):
    """How solutions are sampled, for training and for judging."""

    prompt: Template = Field(
        "{question}",
        description="user turn of sampling, judging and whole-solution rows; the plain question by default",
    )
    later: ClassVar[frozenset[str]] = frozenset(("template",))

    system: str = Field("", description="system turn; empty: the chat template's own")
    template: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="keyword arguments for the chat template, such as `{ enable_thinking = false }`",
    )
    temperature: float = Field(0.6, ge=0, description="temperature of the training samples; 0 is greedy")
    top_p: float | None = Field(None, gt=0, le=1, description="top-p mass of nucleus sampling; unset: the model's own")
    top_k: int | None = Field(None, ge=0, description="most likely tokens kept, 0: all; unset: the model's own")
    max_new_tokens: int = Field(512, ge=1, le=MOST_TOKENS, description="longest completion, in tokens")
    problems_per_round: int = Field(0, ge=0, description="training problems sampled in a round; 0: all of them")
    samples: int = Field(1, ge=1, le=MOST_SAMPLES, description="completions per problem")
    chunk_rows: int = Field(256, ge=1, description="requests per chunk, which is sampled, saved and resumed whole")
    chunk_tokens: int = Field(65536, ge=1, description="padded tokens in a chunk, prompt and completion")


class Training(Section):
    """How a LoRA is fitted to the examples."""

    later: ClassVar[frozenset[str]] = frozenset(("negatives",))

    rank: int = Field(16, ge=1, le=MOST_RANK, description="rank of the LoRA")
    alpha: float = Field(32.0, gt=0, description="LoRA alpha: the adapter is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the LoRA; that of the model itself is off")
    learning_rate: float = Field(
        1e-4, gt=0, description="peak; the paper's 1e-6 is for full fine-tuning; a LoRA needs about 100 times that"
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="learning rate after the warm-up: `constant` or `cosine`"
    )
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of steps with rising learning rate")
    epochs: int = Field(1, ge=1, description="passes over the examples")
    batch_rows: int = Field(64, ge=1, description="examples per optimizer step")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW")
    weight_decay: float = Field(0.0, ge=0, description="AdamW")
    clip_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    checkpoint_steps: int = Field(50, ge=1, description="optimizer steps between resumable checkpoints")
    negatives: float = Field(
        0.0,
        ge=0,
        le=10,
        description="`verified`, `consistent`: weight of rows of wrong answers, which lower the probability of their "
        "tokens; 0: none",
    )


class Merging(Section):
    """When a merge is good enough to be judged."""

    rounding: Literal["auto", "nearest", "stochastic"] = Field(
        "auto",
        description="how merged weights are rounded to `model.dtype`; `auto`: stochastic if the base holds "
        "bfloat16 values, as most models do, otherwise to nearest",
    )
    canaries: int = Field(
        8, ge=1, description="held-out prompts on which adapter, parent and merged model are compared"
    )
    min_functional_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="smallest share of the adapter's effect on the canaries' answers that the merge must keep, as "
        "measured by the lower end of its 95% interval",
    )


class Answers(Section):
    """How a completion is judged."""

    later: ClassVar[frozenset[str]] = frozenset(("checker",))

    mode: Literal["boxed", "marked", "last"] = Field(
        "last",
        description="where the answer is looked for; `boxed`: `\\boxed{}`; `marked`: also `####`, `<answer>`, “answer "
        "is”; `last`: also the last number in the text",
    )
    finished: bool = Field(
        True,
        description="if a number is asked for, it must be given as one: arithmetic left undone (`3 - 4` for -1, `4/6` "
        "for 2/3) is wrong",
    )
    checker: CheckerName = Field(
        "",
        description="function that judges instead of the answer checker: `package.module:function` or "
        "`path/to/file.py:function`; `mode` and `finished` are then ignored",
    )


class Schedule(Section):
    """In how many steps a round samples and trains, what it changes after rejections, and what ends a run early."""

    later: ClassVar[frozenset[str]] = frozenset(("steps",))

    steps: int = Field(
        1,
        ge=1,
        le=MOST_STEPS,
        description="steps of a round: the round's training problems are dealt to this many steps, and each step after "
        "the first samples from the model as the step before left it and trains that adapter further; one merge and "
        "one judgement end the round",
    )
    rejected_learning_rate: float = Field(
        1.0, gt=0, le=1, description="factor on `training.learning_rate` for each rejection in a row"
    )
    rejected_lengths: tuple[int, ...] = Field(
        (),
        description="`prefixes.length` after one rejection, two in a row, …; the last is kept; empty: unchanged",
    )
    patience: int = Field(0, ge=0, description="rejections in a row that end the run; 0: no limit")
    tokens_per_point: int = Field(
        0,
        ge=0,
        description="the run ends if it spends more than this many tokens per point of held-out accuracy; 0: no limit",
    )

    @field_validator("rejected_lengths")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(length < 1 for length in value):
            raise ValueError("each must be at least 1 token")
        return value


class Recipe(Section):
    """What a run is: everything that bears on its records."""

    later: ClassVar[frozenset[str]] = frozenset(("guards",))

    seed: int = Field(0, ge=0, description="seed of the whole run")
    model: Model = Model()
    problems: Problems = Problems()
    sampling: Sampling = Sampling()
    prefixes: Prefixes = Prefixes()
    training: Training = Training()
    merging: Merging = Merging()
    answers: Answers = Answers()
    gate: Gate = Gate()
    schedule: Schedule = Schedule()
    guards: tuple[Guard, ...] = Field(
        (),
        description="tables `[[guards]]`: further sets of problems on which a challenger's accuracy must not drop by "
        "more than `max_drop`",
    )

    @model_validator(mode="after")
    def _prefix_fits(self) -> Recipe:
        lengths = {"prefixes.length": self.prefixes.length}
        lengths |= {"schedule.rejected_lengths": max(self.schedule.rejected_lengths, default=1)}
        for key, length in lengths.items():
            if isinstance(length, int) and length > self.sampling.max_new_tokens:
                raise ValueError(f"{key} is {length}, above sampling.max_new_tokens ({self.sampling.max_new_tokens})")
        return self

    @model_validator(mode="after")
    def _schedule_fits(self) -> Recipe:
        if self.schedule.rejected_lengths and self.prefixes.whole:
            raise ValueError("schedule.rejected_lengths changes the length of prefixes, but prefixes.length is `full`")
        return self

    @model_validator(mode="after")
    def _steps_fit(self) -> Recipe:
        steps = self.schedule.steps
        drawn = [n for n in (self.problems.train_size, self.sampling.problems_per_round) if n]
        if drawn and min(drawn) < steps:
            raise ValueError(f"schedule.steps is {steps}, but a round has only {min(drawn)} training problems to deal")
        if steps > 1 and self.gate.placebo:
            raise ValueError("gate.placebo trains its twin in one pass, so schedule.steps must be 1")
        return self

    @model_validator(mode="after")
    def _can_agree(self) -> Recipe:
        if self.prefixes.selection.compares and self.sampling.samples < 2:
            raise ValueError(
                f"prefixes.select is `{self.prefixes.select}`, which needs sampling.samples of 2 or more to compare"
            )
        return self

    @model_validator(mode="after")
    def _can_compare(self) -> Recipe:
        settings = self.prefixes
        agreeing = settings.select == "consistent" or (settings.selection.continues and settings.value == "agreement")
        if self.answers.checker and agreeing:
            raise ValueError(
                "answers.checker judges an answer by its problem and can't tell whether two answers are the same, as "
                "prefixes.select = `consistent` and prefixes.value = `agreement` require"
            )
        return self

    @model_validator(mode="after")
    def _knows_wrong_answers(self) -> Recipe:
        if self.training.negatives and not self.prefixes.selection.samples_whole:
            raise ValueError(
                "training.negatives trains on wrong answers, which prefixes.select must tell apart: `verified` or "
                f"`consistent`, not `{self.prefixes.select}`"
            )
        return self

    @model_validator(mode="after")
    def _guards_fit(self) -> Recipe:
        names = [guard.name.casefold() for guard in self.guards]
        if twice := next((guard.name for guard in self.guards if names.count(guard.name.casefold()) > 1), None):
            raise ValueError(f"two guards are called `{twice}`: set the name of one")
        if self.guards and self.gate.rule == "none":
            raise ValueError("gate.rule is `none`, which accepts every round, so guards could reject nothing")
        return self

    @model_validator(mode="after")
    def _is_text(self) -> Recipe:
        try:
            json.dumps(self.model_dump(mode="python"), ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            raise ValueError("a value holds half of a surrogate pair, which isn't valid text") from None
        return self

    def rounding(self) -> Rounding:
        """How this run's merges are rounded."""
        return Rounding(dtype=self.model.dtype, way=self.merging.rounding, seed=self.seed)

    def beside(self) -> Recipe | None:
        """The recipe that judges at `gate.beside_temperature` with its number of samples; None if that isn't set."""
        if self.gate.beside_temperature is None:
            return None
        update = {"temperature": self.gate.beside_temperature, "samples": self.gate.beside_samples}
        return self.model_copy(update={"gate": self.gate.model_copy(update=update)})

    @property
    def checkers(self) -> tuple[str, ...]:
        """The checkers of one's own that it names: its own, then those of its guards."""
        return tuple(filter(None, (self.answers.checker, *(guard.checker for guard in self.guards))))

    def guarding(self, guard: Guard) -> Recipe:
        """The recipe that judges on a guard's problems: with the guard's prompt and checker where it names them."""
        prompt = {"prompt": guard.prompt} if guard.prompt else {}
        checker = {"checker": guard.checker} if guard.checker else {}
        sections = {
            "sampling": self.sampling.model_copy(update=prompt),
            "answers": self.answers.model_copy(update=checker),
        }
        return self.model_copy(update=sections)

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, as hexadecimal digits: equal recipes have equal ones."""
        return fingerprint_of(self.model_dump(mode="json"))


class Runtime(Section):
    """How a run is executed; may change from one start to the next."""

    engine: Literal["auto", "transformers", "vllm"] = Field("auto", description="auto, transformers or vllm")
    device: str = Field("auto", description="torch device of the transformers engine and the trainer")
    threads: int = Field(0, ge=0, description="CPU threads for the model; 0: all usable cores")
    ray: str = Field("", description="Ray cluster that samples and trains: `auto` or HOST:PORT; empty: none")
    workers: int = Field(0, ge=0, description="samplers on the cluster; 0: one per GPU, or per node without GPUs")
    checker_workers: int = Field(0, ge=0, description="processes of the answer checker; 0: one per usable core")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that hold one copy of the model in the vllm engine")
    data_parallel: int = Field(1, ge=1, description="copies of the model in the vllm engine, each on its own GPUs")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    keep_models: bool = Field(False, description="keep every round's merged model, not only the champion's")
    train_processes: int = Field(1, ge=1, description="processes that train together, here or on the cluster")
    sharding: Literal["none", "fsdp"] = Field(
        "none", description="`fsdp`: shard the frozen weights over those processes"
    )
    micro_tokens: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="tokens in one forward pass of training, or `auto`: as many as 30% of the free memory holds",
    )
    gradient_checkpointing: Literal["auto", "on", "off"] = Field(
        "auto", description="`on`: training computes activations twice and holds few; `auto`: where memory is short"
    )

    def usable_threads(self) -> int:
        """`threads`, or the cores this process may use, a container's quota included; never more."""
        cores = usable_cores()
        return min(self.threads or cores, cores)


def fingerprint_of(data: Mapping[str, object]) -> str:
    """The fingerprint of a resolved recipe's plain data, whichever version of the format it has."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
