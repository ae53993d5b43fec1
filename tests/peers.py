"""Peers of tokenizer, sampler, trainer and merge behind their protocols: a model is a folder that holds its skill.

A model of skill s answers a question right if the question's own number in [0, 1) is below s, so a more skilful model
solves all that a less skilful one does. Training adds what `gains` says for the round. With `openings` the model's
skill is that of the opening which its seed picks, the same for every model. With `rambling` the base model doesn't
finish within the limit what it can't solve; a trained one does. `forgets` says how much skill a model, named by its
round's folder, lacks on a question. Everything around them is real: the loop, the journal, the harvest, the checker in
its processes, the gate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfimprove.answer.checking import Checker
from selfimprove.engines.scripted import ScriptedSampler
from selfimprove.events import Event, silence
from selfimprove.host.gpus import NoGpus
from selfimprove.problem import problems_of
from selfimprove.problem.judging import checkers_digest
from selfimprove.recipe import Recipe, Runtime
from selfimprove.recipe.reading import parse_recipe
from selfimprove.round.job import Job
from selfimprove.round.machinery import (
    Footprint,
    Machinery,
    MergeCheck,
    MergeJob,
    OnStep,
    Samplers,
    TrainCounts,
    TrainJob,
)
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.prefixes import Example
from selfimprove.runs.loop import run_rounds
from selfimprove.sampling import Completion, Hold, OnTokens, Request, Sampler
from selfimprove.store.champion import BASE
from selfimprove.store.durable import content_hash
from selfimprove.store.journal import Identity, Journal
from selfimprove.store.looks import SealedLook
from selfimprove.store.records import Certificate

EOS = 0
NUL = chr(0x10FFFF)
"""Stands for the letter NUL, whose code point ends a turn."""


class Letters:
    """A tokenizer whose ids are code points; 0 ends a turn."""

    eos_id = EOS

    def using(self, template: Mapping[str, bool | int | float | str]) -> Letters:
        """Itself: there is no template."""
        return self

    def render(self, system: str, user: str) -> list[int]:
        """The letters of both turns."""
        return [ord(letter) for letter in (system + user).replace("\0", NUL)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The letters without the end."""
        return "".join(chr(number) for number in token_ids if number).replace(NUL, "\0")


@dataclass
class Ahead:
    """A sampler that holds many rows: all the chunks there are have been sampled before the first is handed over."""

    sampler: ScriptedSampler
    reproducible = True
    hold = Hold(rows=256, tokens=1 << 20)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """As the sampler does."""
        return self.sampler.sample(requests)

    def sample_chunks(self, chunks: Iterable[Sequence[Request]]) -> Iterator[list[Completion]]:
        """All of them, then one after the other."""
        yield from [list(self.sampler.sample(chunk)) for chunk in chunks]


class Telling(ScriptedSampler):
    """A sampler that tells how far it is after each completion."""

    def __init__(self, script: Callable[[Request], Sequence[int]], eos_id: int) -> None:
        super().__init__(script, eos_id)
        self.on_tokens: OnTokens = lambda tokens: None

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """As a scripted one does."""
        tokens = 0
        for found in super().sample(requests):
            tokens += len(found.token_ids)
            self.on_tokens(tokens)
            yield found


@dataclass
class World:
    """A folder with problems, a recipe and a base model of a given skill; `gains` is what each training adds."""

    folder: Path
    checker: Checker
    gains: Sequence[float]
    base_skill: float = 0.3
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    sampled: list[tuple[str, Request]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    trained: list[list[Example]] = field(default_factory=list)
    passed: bool = True
    script_of_sums: bool = True
    echo: bool = False
    rambling: bool = False
    ahead: bool = False
    telling: bool = False
    on_event: Callable[[Event], None] = silence
    say: Callable[[str], str] = lambda question: ""
    openings: Sequence[tuple[str, float]] = ()
    forgets: Callable[[str, str], float] = lambda model, question: 0.0
    guards: Sequence[dict[str, Any]] = ()
    runtime: Runtime = field(default_factory=Runtime)
    engine: str = "scripted"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [{"question": f"What is {a} + {b}?", "answer": f"{a + b}"} for a in range(30) for b in range(30, 60)]
        (self.folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        _write_skill(self.folder / "base", self.base_skill)

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "rounds" / "run")

    def recipe(self) -> Recipe:
        sizes = {"train_size": 40, "heldout_size": 400, "sealed_size": 200}
        data: dict[str, dict[str, Any]] = {
            "problems": {"train": str(self.folder / "sums.jsonl"), **sizes},
            "sampling": {"max_new_tokens": 24, "chunk_rows": 16},
            "prefixes": {"length": 4},
            "gate": {"batch": 50},
        }
        for section, values in self.settings.items():
            data[section] = {**data.get(section, {}), **values}
        guards = {"guards": list(self.guards)} if self.guards else {}
        return parse_recipe({**data, **guards}, "the test")

    def run(self, rounds: int) -> SealedLook:
        """The real loop on these peers; what happened is in `events`."""
        recipe = self.recipe()
        problems = problems_of(recipe)
        identity = Identity("base", problems.fingerprint(), checkers_digest(recipe))
        return run_rounds(recipe, problems, identity, self.machinery(), self.journal, rounds, self.emit)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def job(self, number: int = 1) -> Job:
        """A round's job on these peers, for a stage alone; the run's folder is there and the round's as well."""
        machinery, recipe = self.machinery(), self.recipe()
        self.journal.round(number).make()
        problems, models = (
            problems_of(recipe),
            ModelCache(self.journal, machinery, recipe, self.events.append),
        )
        samplers = Samplers(machinery.open_sampler)
        return Job(number, BASE, recipe, problems, machinery, self.journal, samplers, models, self.events.append)

    def machinery(self) -> Machinery:
        return Machinery(
            base=self.folder / "base",
            exact=self.folder / "base",
            tokenizer=Letters(),
            checker=self.checker,
            open_sampler=self._open,
            train=self._train,
            merge=self._merge,
            rebuild=self._rebuild,
            score=self._score,
            fingerprint=content_hash,
            footprint=Footprint(8, 4),
            gpus=NoGpus(),
            runtime=self.runtime,
            versions={"engine": self.engine},
        )

    def round(self, number: int) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.journal.round(number).record.read_text())
        return record

    def _open(self, model: Path, adapter: Path | None = None) -> Sampler:
        name = f"{model.parent.name}+{adapter.parent.name}" if adapter else model.parent.name
        self.opened.append(name)
        skill = float((model / "skill").read_text()) + _gained(adapter)

        def script(request: Request) -> list[int]:
            self.sampled.append((name, request))
            question = Letters().decode(request.prompt_ids)
            if self.openings:
                return self._opened(question, request.seed)
            numbers = [int(word.rstrip("?")) for word in question.split() if word.rstrip("?").isdigit()]
            first, second = numbers[-2:] if self.script_of_sums else (0, 0)
            luck = int(hashlib.sha256(question.encode()).hexdigest()[:8], 16) / 2**32
            known = skill - self.forgets(model.parent.name, question)
            answer = first + second + (0 if luck < known else 1)
            said = f"{first} + {second}" if self.echo else f"{answer}"
            if self.rambling and luck >= skill and model == self.folder / "base":
                return [*map(ord, "Let me think about this for a while"), EOS]
            return [*map(ord, f"{self.say(question)}The answer is {said}.".replace("\0", NUL)), EOS]

        sampler = (Telling if self.telling else ScriptedSampler)(script, EOS)
        return Ahead(sampler) if self.ahead else sampler

    def _opened(self, prompt: str, seed: int) -> list[int]:
        """The sum after one of the openings, each of which has a skill of its own; what was begun is gone on with."""
        question, _, begun = prompt.partition("?")
        fitting = [(text, skill) for text, skill in self.openings if text.startswith(begun)]
        text, skill = fitting[seed % len(fitting)]
        first, second = (int(word) for word in question.split() if word.isdigit())
        answer = first + second + (0 if seed // 7 % 100 < 100 * skill else 1 + seed % 5)
        return [*map(ord, f"{text}{answer}."[len(begun) :]), EOS]

    def _score(self, model: Path, examples: Sequence[Example]) -> list[float]:
        """A more skilful model finds every answer likelier, by its skill and what the answer's length adds to it."""
        skill = float((model / "skill").read_text())
        return [skill - 2 + len(example.target_ids) / 1000 for example in examples]

    def _train(self, job: TrainJob, on_step: OnStep) -> TrainCounts:
        assert job.examples
        self.trained.append(list(job.examples))
        number = int(job.out.parent.name)
        job.out.mkdir()
        steps = self.recipe().schedule.steps
        (job.out / "gain").write_text(str(_gained(job.start) + self.gains[number - 1] / steps))
        on_step(1, 1, 0.5, 1e-3)
        targets, prompts = ([len(getattr(e, name)) for e in job.examples] for name in ("target_ids", "prompt_ids"))
        return TrainCounts(
            examples=len(job.examples),
            steps=1,
            first_loss=0.5,
            last_loss=0.5,
            losses=[0.5],
            target_tokens=sum(targets),
            trained_prompt_tokens=sum(prompts),
            computed_tokens=sum(targets) + sum(prompts),
            trained_weights=1,
            held_weights=1,
            dtype="float32",
            device="cpu",
            threads=1,
            processes=1,
            micro_tokens=4096,
            gradient_checkpointing=False,
            head_targets=256,
            halved=False,
            peak_rss_mb=1,
            peak_gpu_mb=0,
        )

    def _merge(self, job: MergeJob, _check: MergeCheck) -> Certificate:
        return Certificate(
            survival=1.0,
            functional_share=1.0,
            agreement=1.0,
            passed=self.passed,
            failures=() if self.passed else ("nothing of the update survived",),
            sha256=self._rebuild(job),
        )

    def _rebuild(self, job: MergeJob) -> str:
        gained = sum(map(_gained, job.adapters))
        _write_skill(job.out, float((job.base / "skill").read_text()) + gained)
        return content_hash(job.out)


def _gained(adapter: Path | None) -> float:
    return float((adapter / "gain").read_text()) if adapter else 0.0


def _write_skill(folder: Path, skill: float) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "skill").write_text(f"{skill:.6f}")
