"""The model card of an export: what the model is, what it was made from and how, and what is known of its quality.

The number a card reports is the sealed one, with its interval, its size, its decoding, and which look at the sealed
problems it was; a champion that these were never judged on (after a rollback, or with rounds still owed) has none, and
the card says so. The text stands in `card.md.jinja`; everything that comes from a file is escaped before it gets there.
A card is made to be read elsewhere, so it holds no path of this machine.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, StrictUndefined

from selfimprove import formatting
from selfimprove.escaping import escape_markdown
from selfimprove.export.source import Source
from selfimprove.models.origin import Origin
from selfimprove.recipe import Recipe
from selfimprove.report.records import decision_of
from selfimprove.round.answers import judging_decoding
from selfimprove.sampling import DrawRule, read_own_decoding, resolve, told_rule
from selfimprove.store.looks import SealedLook
from selfimprove.store.records import GuardRecord, PlaceboRecord, RoundRecord

NAME = "README.md"
LIMIT = 500
_RELATIONS = {"merged": "finetune", "adapter": "adapter", "gguf": "finetune"}
_LIBRARIES = {"merged": "transformers", "adapter": "peft", "gguf": "gguf"}
_FORMS = {
    "merged": "This folder holds the merged model.",
    "adapter": "This folder holds one LoRA adapter of rank {rank}, equal to the sum of all accepted ones.",
    "gguf": "This folder holds the merged model as a GGUF file.",
}
_USES = {
    "merged": """\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("THIS FOLDER", dtype="auto")
tokenizer = AutoTokenizer.from_pretrained("THIS FOLDER")""",
    "adapter": """\
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained("THE BASE", dtype="float32")
model = PeftModel.from_pretrained(base, "THIS FOLDER")""",
    "gguf": """\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("THIS FOLDER", gguf_file="{file}")
tokenizer = AutoTokenizer.from_pretrained("THIS FOLDER", gguf_file="{file}")""",
}
_SERVING = {
    "merged": """\
# vLLM
vllm serve THIS_FOLDER
# llama.cpp and Ollama need a GGUF file: export again
selfimprove export {run} --to NEW_FOLDER --gguf q8_0""",
    "adapter": """\
# vLLM
vllm serve THE_BASE --enable-lora --max-lora-rank {most_rank} --lora-modules {name}=THIS_FOLDER
# llama.cpp and Ollama need a GGUF file: export again
selfimprove export {run} --to NEW_FOLDER --gguf q8_0""",
    "gguf": """\
# llama.cpp, in this folder
llama-server --model {file}
# Ollama, in this folder
ollama create {name} --file Modelfile
ollama run {name}
# vLLM serves the merged model best: export again, without --gguf
selfimprove export {run} --to NEW_FOLDER""",
}
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM takes for its largest rank."""


@dataclass(frozen=True)
class Subject:
    """What a card is about; `fits` is the SHA-256 of the weights that an adapter of rank `rank` is a delta to."""

    source: Source
    origin: Origin
    form: str
    fits: str = ""
    rank: int = 0


def card_text(subject: Subject) -> str:
    """The card as Markdown with its front matter in YAML."""
    source, origin, form = subject.source, subject.origin, subject.form
    journal, recipe, rounds = source.journal, source.recipe, source.rounds
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # values come escaped
    outcome, rows = _outcome(journal.sealed(), source.champion.number)
    text = Path(__file__).with_name("card.md.jinja").read_text(encoding="utf-8")
    return template.from_string(text).render(
        front=_front(subject).to_yaml(),
        name=_told(journal.name),
        rule=recipe.gate.rule,
        version=version("selfimprove"),
        champion=formatting.model_named(source.champion.number),
        base=_told(origin.title),
        form=_FORMS[form].format(rank=subject.rank),
        outcome=outcome,
        rows=rows,
        decoding=decoding_told(resolve(judging_decoding(recipe), read_own_decoding(source.base.path)), recipe),
        weights=source.base.fingerprint,
        fits=_fits(subject),
        dtype=recipe.model.dtype,
        chain=formatting.rounds_named(source.champion.chain),
        rounds=[_round(record) for record in rounds],
        sentences=[f"Round {record.round}: {_told(record.decision.sentence)}" for record in rounds],
        guards=[_guard(record.round, guard) for record in rounds for guard in record.guards],
        placebos=[_placebo(record.round, record.placebo) for record in rounds if record.placebo],
        usage=_USES[form].format(file=f"{journal.name}.gguf"),
        serving=_serving(subject),
        system=f" after the system turn `{_coded(recipe.sampling.system)}`" if recipe.sampling.system else "",
        prompt=_coded(recipe.sampling.prompt),
        recipe=json.dumps(recipe_told(recipe), indent=1, ensure_ascii=True),
        licence=_licence(origin),
    )


def _serving(subject: Subject) -> str:
    """What to type to serve the folder."""
    run, rank = subject.source.journal.name, next((rank for rank in _RANKS if rank >= subject.rank), _RANKS[-1])
    name = re.sub(r"[^a-z0-9._-]+", "-", run.lower())
    file, run = (shlex.quote(part) for part in (f"{run}.gguf", run))
    return _SERVING[subject.form].format(run=run, file=file, name=name, most_rank=rank)


def decoding_told(rule: DrawRule, recipe: Recipe) -> str:
    """How answers are drawn, in words, with the longest that the recipe allows."""
    several = f", {recipe.gate.samples} answers averaged" if recipe.gate.samples > 1 else ""
    return f"{told_rule(rule)}{several}, at most {formatting.count(recipe.sampling.max_new_tokens)} tokens"


def recipe_told(recipe: Recipe) -> dict[str, Any]:
    """The recipe's keys and values; of an absolute path only its last part."""
    told = recipe.model_dump(mode="json")
    for section, keys in {"model": ("name",), "problems": ("train", "heldout", "sealed")}.items():
        for key in keys:
            path = Path(told[section][key]).expanduser()
            told[section][key] = path.name if path.is_absolute() else told[section][key]
    return told


def _front(subject: Subject) -> ModelCardData:
    origin, form = subject.origin, subject.form
    return ModelCardData(
        base_model=origin.lineage or None,
        base_model_relation=_RELATIONS[form] if origin.lineage else None,
        library_name=_LIBRARIES[form],
        license=origin.licence or "unknown",
        license_name=origin.licence_name or None,
        license_link=origin.licence_link or None,
        pipeline_tag="text-generation",
        tags=["selfimprove", "self-training", "lora"],
    )


def _outcome(looks: Sequence[SealedLook], champion: int) -> tuple[list[str], list[tuple[str, ...]]]:
    """Sentences and table rows of the last look at the sealed problems that was at this champion."""
    places = [place for place, look in enumerate(looks, 1) if look.champion == champion]
    if not places:
        return ["This model has not been judged on the sealed problems."], []
    place, look = places[-1], looks[places[-1] - 1]
    size = formatting.count(look.n)
    split = f": {formatting.split_told(look.split)} (unreadable: unparsed or cut)" if look.split else ""
    told = (
        f"Gain {formatting.points(look.gain)} percentage points, 95% interval "
        f"{formatting.points_range(look.gain_interval)}, on {size} problems that nothing else touched{split}. "
        f"{formatting.verdict_on_gain(look.gain, look.gain_interval, champion)}"
    )
    looked = "These problems were judged only once."
    if len(looks) > 1:
        looked = f"This is look {place} of {len(looks)} at these problems; they were unseen only the first time."
    base = (formatting.percent(look.base_accuracy), formatting.percent_range(look.base_interval))
    best = (formatting.percent(look.champion_accuracy), formatting.percent_range(look.champion_interval))
    return [told, looked], [("base", *base, size), ("this model", *best, size)]


def _round(record: RoundRecord) -> tuple[str, ...]:
    card = record.scorecard
    sides = (formatting.percent(card.champion.accuracy), formatting.percent(card.challenger.accuracy))
    return str(record.round), *sides, formatting.points(record.gain), decision_of(record)


def _guard(number: int, guard: GuardRecord) -> tuple[str, ...]:
    sides = (formatting.percent(side.accuracy if side else None) for side in (guard.champion, guard.challenger))
    most = formatting.points(guard.max_drop).removeprefix("+")
    return str(number), _told(guard.name), *sides, formatting.points(guard.gain), most, _told(guard.reason)


def _placebo(number: int, placebo: PlaceboRecord) -> tuple[str, ...]:
    return (
        str(number),
        formatting.percent(placebo.scorecard.accuracy if placebo.scorecard else None),
        formatting.points(placebo.gain_over_placebo),
        formatting.points_range(placebo.gain_interval or (None, None)),
    )


def _fits(subject: Subject) -> list[str]:
    if not subject.fits:
        return []
    folder = "config, tokenizer and safetensors as selfimprove writes them"
    return [f"the adapter is a delta to these weights, in float32: SHA-256 `{subject.fits}` ({folder})"]


def _licence(origin: Origin) -> str:
    if not origin.licence:
        return "Unknown: see the base model. The terms of its licence also apply to this model."
    named = _told(" ".join(filter(None, (origin.licence, origin.licence_name, origin.licence_link))))
    files = ", ".join(_told(path.name) for path in origin.texts)
    text = f"Its text: {files}." if files else "No text of it was found with the base model."
    return f"The base model's licence: {named}. {text}"


def _told(text: str) -> str:
    return escape_markdown(text, LIMIT)


def _coded(text: str) -> str:
    """Text between backticks: on one line, and without a backtick that would end them."""
    return json.dumps(text, ensure_ascii=True)[1:-1].replace("`", "'")[:LIMIT]
