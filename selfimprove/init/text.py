"""The recipe as a TOML file that says beside each key why it has that value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from selfimprove.escaping import escape_text
from selfimprove.formatting import points_worth
from selfimprove.gate.budget import alpha_of_round
from selfimprove.gate.intervals import LIKELY_FLIPS, POWER, smallest_gain
from selfimprove.init import Found
from selfimprove.plan.hope import heldout_needed, hoped
from selfimprove.recipe import Recipe

WIDTH = 120
_SELECTIONS = {
    "verified": "The training problems have answers: whole solutions that the checker accepts are trained on (RFT).",
    "modal": "Not every training problem has an answer: the most common of a problem's prefixes is trained on.",
    "all": "Not every training problem has an answer: every prefix is trained on, the paper's method (UPFT).",
}


def recipe_text(recipe: Recipe, found: Found, cost: Sequence[str], output: Path, own: Mapping[str, object]) -> str:
    """The file's text; `cost` are lines about what a run costs on this machine, `own` is that of `look`."""
    problems, sampling, prefixes, training = recipe.problems, recipe.sampling, recipe.prefixes, recipe.training
    head = [
        *_comments([f"Written by: selfimprove init. Run it: selfimprove run --recipe {output} --rounds 3"]),
        *_comments(["Keys that aren't listed here have their default values; docs/recipe.md lists all keys."]),
        "#",
        *_comments(found.told()),
        "#",
        *_comments(cost),
        "",
    ]
    sections = {"model": [f"name = {_string(recipe.model.name)}"]}
    sections["problems"] = [
        f"train = {_string(problems.train)}",
        _key("train_size", problems.train_size, "" if problems.train_size else "all that the other two sets leave"),
        *([_key("answered_only", "true", "problems without an answer are left out")] if problems.answered_only else []),
        *_comments(_power(recipe)),
        _key("heldout_size", problems.heldout_size, "judged in every round"),
        _key("sealed_size", problems.sealed_size, "judged once, at the end: the result to report"),
    ]
    sections["sampling"] = [
        _key("max_new_tokens", sampling.max_new_tokens, "longest answer; longer ones are cut and count as wrong"),
        _key("problems_per_round", sampling.problems_per_round, "" if sampling.problems_per_round else "all of them"),
        _key("samples", sampling.samples, "solutions sampled per problem"),
    ]
    sections["prefixes"] = [
        *_comments([_SELECTIONS[prefixes.select]]),
        f"select = {_string(prefixes.select)}",
        f"length = {json.dumps(prefixes.length)}",
        *([] if prefixes.whole else [_key("structure_ratio", prefixes.structure_ratio, "share of whole solutions")]),
    ]
    sections["training"] = [
        _key("learning_rate", f"{training.learning_rate:g}", "also try half and double: selfimprove compare"),
        _key("epochs", training.epochs, ""),
        _key("batch_rows", training.batch_rows, "examples per optimizer step"),
    ]
    single = _add_own(sections, own)
    return "\n".join([*head, *single, *("\n".join([f"[{name}]", *lines, ""]) for name, lines in sections.items())])


def _add_own(sections: dict[str, list[str]], own: Mapping[str, object]) -> list[str]:
    """Add the keys that the user has set to the sections that lack them; the lines of keys outside any section."""
    single = []
    for section, keys in own.items():
        if not isinstance(keys, Mapping):
            single.append(_key(section, _value(keys), "as set"))
            continue
        lines = sections.setdefault(section, [])
        there = {line.split(" = ")[0] for line in lines}
        lines += [_key(name, _value(value), "as set") for name, value in keys.items() if name not in there]
    return [*single, ""] if single else []


def _value(value: object) -> str:
    """A value of TOML."""
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            return _string(value)
    return json.dumps(value)


def _power(recipe: Recipe) -> list[str]:
    """What the held-out problems can detect, and how many the gain hoped for takes."""
    size, hope = recipe.problems.heldout_size, hoped(recipe)
    gain = smallest_gain(size, alpha_of_round(recipe.gate, ()), LIKELY_FLIPS)
    least = "no gain is" if gain is None else f"a gain of {100 * gain:.1f} points or more is"
    told = [
        f"With {size:,} held-out problems, {least} detectable at {POWER:.0%} power in round 1 if {LIKELY_FLIPS:.0%} of "
        f"them flip. The gain that you can hope for is {points_worth(hope.gain)} ({hope.seen})."
    ]
    needed = heldout_needed(recipe)
    more = f"Detecting it takes {needed:,} problems: add problems, or set gate.samples = 4."
    return told if size >= needed else [*told, more]


def _key(name: str, value: object, why: str) -> str:
    line = f"{name} = {value}"
    return f"{line:<28} # {why}" if why else line


def _comments(lines: Sequence[str]) -> list[str]:
    """The lines as comments, those that are too long wrapped at spaces; they may quote a file, so they are escaped."""
    wrapped: list[str] = []
    for line in lines:
        row = "#"
        for word in escape_text(line, 10 * WIDTH).split(" "):
            if len(row) + 1 + len(word) > WIDTH and row != "#":
                wrapped, row = [*wrapped, row], "#"
            row = f"{row} {word}"
        wrapped.append(row)
    return wrapped


def _string(text: str) -> str:
    """A string of TOML: JSON's, but for one control character that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
