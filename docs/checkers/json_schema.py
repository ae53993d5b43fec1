"""JSON that must fit a schema. The problem's answer is the schema; needs `pip install jsonschema`."""

from __future__ import annotations

import json
import re

from jsonschema import Draft202012Validator

from selfimprove.answer import Outcome, Verdict
from selfimprove.problem import Problem

FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


def check(completion: str, problem: Problem) -> Verdict:
    """Whether the JSON of the last fenced block, or else the whole text, fits the schema, and why not."""
    blocks = FENCED.findall(completion)
    written = (blocks[-1] if blocks else completion).strip()
    try:
        value = json.loads(written)
    except ValueError as error:
        return Verdict(Outcome.UNPARSED, written, "schema", f"no JSON: {error}")
    schema = json.loads(problem.answer or "{}")
    fault = next(Draft202012Validator(schema).iter_errors(value), None)
    if fault is None:
        return Verdict(Outcome.CORRECT, written, "schema", "it fits the schema")
    return Verdict(Outcome.WRONG, written, "schema", f"{fault.json_path}: {fault.message}")
