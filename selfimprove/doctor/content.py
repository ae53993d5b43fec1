"""Checks of the run's content: problems, reference answers, model, chat template, and the size of an update.

The checker that will judge is tested on the references: it must accept each as its own answer, and reject a perturbed
copy. Prompts are rendered, encoded and decoded again, to see that the question survives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from selfimprove.answer import PERTURBED
from selfimprove.doctor.findings import Finding, error, ok, warning
from selfimprove.doctor.subject import FoundModel, Subject
from selfimprove.errors import SelfImproveError
from selfimprove.formatting import byte_count, plural
from selfimprove.gate.budget import alpha_of_round
from selfimprove.gate.intervals import power_line
from selfimprove.plan.forecast import forecast_round
from selfimprove.plan.hope import most_heldout, power_gap
from selfimprove.problem import Problem
from selfimprove.problem.guessing import guessing_told
from selfimprove.problem.judging import open_checker, own_judge
from selfimprove.problem.references import FaultyReference, faulty_references
from selfimprove.problem.shown import pair_told, told_aside
from selfimprove.problem.sources import decontamination_off
from selfimprove.recipe import Recipe
from selfimprove.round.admit import (
    TriedPrompt,
    answers_hint,
    empty_sets,
    missing_answers,
    most_are_lost,
    refuse_prose,
    try_prompts,
)
from selfimprove.round.answers import judging_decoding
from selfimprove.round.sample import training_decoding
from selfimprove.sampling import read_own_decoding, resolve, told_rule

HELD = {"stochastic": 4e-6, "nearest": 4e-4}
"""Learning rate times optimizer steps below which a merge in bfloat16 may lose an update, by the way of rounding.

Adam moves a weight of the LoRA by about its rate at each step, so the product says how large an update becomes. In
`docs/certificate.md` stochastic rounding kept 92% at 6e-6 and loses as one over the product; nearest kept 27% at
6e-5 and 73% at 6e-4. Measured on the embedded model: the figures leave room for others."""
TESTED = 2000
"""References tested at most; a run tests all of them."""
NO_PROBLEMS, NO_MODEL = "not tested: the problems have an error", "not tested: the model has an error"
TOLERATED = 0.05
"""Share of faulty references above which it is the source that is at fault, not some of its rows."""


def recipe(subject: Subject) -> Finding:
    """What chose the recipe."""
    return ok("recipe", subject.why)


def problems(subject: Subject) -> Finding:
    """Whether the problems can be read, and how many there are."""
    found = subject.problems
    if isinstance(found, SelfImproveError):
        return error("problems", found.message, found.hint)
    sizes = f"{len(found.train):,} training, {len(found.heldout):,} held-out, {len(found.sealed):,} sealed"
    sizes += "".join(f", {len(part):,} of guard {name}" for name, part in found.guards.items())
    if missing := missing_answers(subject.recipe, found):
        lacking = f"{missing:,} training problems have no answer to verify with"
        return error("problems", f"{sizes}; {lacking}", answers_hint(subject.recipe))
    try:
        refuse_prose(subject.recipe, found)
    except SelfImproveError as cause:
        return error("problems", f"{sizes}; {cause.message}", cause.hint)
    pairs = "; ".join(pair_told(problem) for problem in found.heldout[:2])
    off = decontamination_off(subject.recipe.problems, subject.recipe.problems.train)
    guessing = guessing_told(found.heldout)
    more = [*([guessing] if guessing else []), *told_aside(found.tallies), *([off] if off else [])]
    return ok("problems", "; ".join([f"{sizes}, such as {pairs}", *more]))


def detectable(subject: Subject) -> Finding:
    """Whether the gate can detect the gain that can be hoped for on so many held-out problems."""
    found = subject.problems
    if isinstance(found, SelfImproveError):
        return warning("power", NO_PROBLEMS, "Correct the problems first.")
    fault, advice = power_gap(subject.recipe, len(found.heldout), most_heldout(found))
    if fault:
        return warning("power", fault, f"{advice}.")
    gate = subject.recipe.gate
    if gate.rule != "sequential":
        return ok("power", f"gate.rule is `{gate.rule}`: rounds are accepted without a test")
    if gate.samples > 1:
        return ok("power", "not computed for the average of several answers (gate.samples)")
    return ok("power", power_line(len(found.heldout), alpha_of_round(gate, ())).removeprefix("power: "))


def samples(subject: Subject, count: int) -> Finding:
    """Whether samples of the model on `count` training problems speak against the recipe's selection."""
    from selfimprove.plan.outlook import advice, outlook_lines
    from selfimprove.runs.assemble import sampled_outlook

    found = subject.problems
    if isinstance(found, SelfImproveError):
        return warning("samples", NO_PROBLEMS, "Correct the problems first.")
    if all(problem.answer is None for problem in found.train):
        return ok("samples", "not taken: no training problem has an answer to judge samples by")
    seen = sampled_outlook(subject.recipe, subject.runtime, count)
    told, advised = "; ".join(outlook_lines(subject.recipe, seen)), advice(subject.recipe, seen)
    return warning("samples", told, " ".join(advised)) if advised else ok("samples", told)


def references(subject: Subject) -> Finding:
    """Whether the checker accepts each reference as its own answer and rejects a perturbed copy of it."""
    found = subject.problems
    if isinstance(found, SelfImproveError):
        return warning("checker", NO_PROBLEMS, "Correct the problems first.")
    listed = found.answered()
    listed = listed[:: max(1, -(-len(listed) // TESTED))]  # spread over the sets
    settings = subject.recipe.answers
    with open_checker(settings, subject.runtime.checker_workers or subject.runtime.usable_threads()) as checker:
        faulty = faulty_references(listed, checker, settings)
    shares = _shares(faulty, len(listed), own_judge(settings, listed))
    if not faulty:
        return ok("checker", shares)
    where = f"{faulty[0].problem.source}: {faulty[0].problem.answer}: {faulty[0].fault}"
    advice = f"A run sets these aside. See them: selfimprove check --references {subject.recipe.problems.train}"
    many = len(faulty) > TOLERATED * len(listed) or empty_sets(found.without(one.problem for one in faulty))
    return (error if many else warning)("checker", f"{shares}; {len(faulty):,} faulty, such as {where}", advice)


def _shares(faulty: Sequence[FaultyReference], n: int, judge: str) -> str:
    """How many references equal themselves and perturbed copies, or get a verdict from a checker of one's own."""
    if judge:
        return f"{judge} gave a verdict on {n - len(faulty):,} of {n:,} references"
    kinds = Counter(found.fault.startswith(PERTURBED) for found in faulty)
    own, copies = n - kinds[False], kinds[True]
    return f"{own:,} of {n:,} references equal themselves, {copies:,} of {n:,} perturbed copies accepted"


def model(subject: Subject) -> Finding:
    """Whether the model can be read, and the size of its weights."""
    found = subject.model
    if isinstance(found, SelfImproveError):
        return error("model", found.message, found.hint)
    if found.footprint is None:
        return ok("model", f"{found.folder.source}: the first run downloads the weights")
    return ok(
        "model", f"{found.folder.source}: weights {byte_count(found.footprint.model)} in {subject.recipe.model.dtype}"
    )


def targets(subject: Subject) -> Finding:
    """Whether a LoRA on the model can be merged, what it adapts, and whether training packs rows."""
    from selfimprove.training.targets import find_targets

    found = subject.model
    if isinstance(found, SelfImproveError):
        return warning("targets", NO_MODEL, "Correct the model first.")
    if found.footprint is None:
        return ok("targets", "unknown until the weights are downloaded")
    seen = find_targets(found.folder.source, found.folder.path, subject.runtime.trust_remote_code)
    experts = "; experts are not adapted" if seen.experts else ""
    if seen.never_packed:
        rows = f"training pads rows: {seen.never_packed}"
    else:
        rows = f"training packs rows of up to {seen.window:,} tokens" if seen.window else "training packs rows"
    adapted = plural(len(seen.modules), "linear layer")
    return ok("targets", f"{seen.architecture}: a LoRA adapts {adapted}{experts}; {rows}")


def decoding(subject: Subject) -> Finding:
    """How tokens are drawn, and what of the model's generation config no engine applies."""
    found = subject.model
    if isinstance(found, SelfImproveError):
        return warning("decoding", NO_MODEL, "Correct the model first.")
    own = read_own_decoding(found.folder.path, found.folder.source)
    sampled = told_rule(resolve(training_decoding(subject.recipe), own))
    told_of = f"samples: {sampled}; judging: {told_rule(resolve(judging_decoding(subject.recipe), own))}"
    if own.ignored:
        advice = "No engine applies them. If the model needs them, use another model."
        return warning(
            "decoding", f"{told_of}; not applied from its generation config: {', '.join(own.ignored)}", advice
        )
    return ok("decoding", told_of)


def merge(subject: Subject) -> Finding:
    """Whether a round's update is large enough to survive rounding to the recipe's type when it is merged."""
    recipe, found = subject.recipe, subject.problems
    if recipe.model.dtype == "float32":
        return ok("merge", "float32 weights hold any update")
    try:
        way = _way_of_rounding(recipe)
    except SelfImproveError:  # the model's own check tells
        return warning("merge", NO_MODEL, "Correct the model first.")
    if way == "finer":
        return ok("merge", "the base is finer than bfloat16: sums are rounded to nearest")
    if isinstance(found, SelfImproveError):
        return warning("merge", NO_PROBLEMS, "Correct the problems first.")
    steps, rate = forecast_round(recipe, len(found.train)).steps, recipe.training.learning_rate
    told_of = f"{way} rounding to bfloat16, at most {plural(steps, 'step')} per round at {rate:g}"
    if rate * steps >= HELD[way]:
        return ok("merge", told_of)
    least = HELD[way] / steps
    advice = f"Use --set model.dtype=float32, or a training.learning_rate of {least:.0e} or more."
    return warning("merge", f"{told_of}: an update that small may be lost, which stops the round", advice)


def _way_of_rounding(recipe: Recipe) -> str:
    """`nearest` or `stochastic` on a base that lies on bfloat16's grid, `finer` for one that doesn't."""
    from selfimprove.models import is_finer

    if recipe.merging.rounding == "stochastic":
        return "stochastic"
    if is_finer(recipe.model):
        return "finer"
    return "stochastic" if recipe.merging.rounding == "auto" else "nearest"


def template(subject: Subject) -> Finding:
    """Whether questions survive in their prompts: rendered, encoded, decoded, and encoded again to the same ids."""
    found, sets = subject.model, subject.problems
    if isinstance(found, SelfImproveError):
        return warning("template", NO_MODEL, "Correct the model first.")
    if isinstance(sets, SelfImproveError):
        return warning("template", NO_PROBLEMS, "Correct the problems first.")
    try:
        finding = _round_trip(found, try_prompts(found.tokenizer, subject.recipe.sampling, sets.all_problems()))
        return replace(finding, found=finding.found + _control_told(found, sets.all_problems()))
    except SelfImproveError as cause:
        return error("template", cause.message, cause.hint)


def _control_told(seen: FoundModel, problems: Sequence[Problem]) -> str:
    """How many questions spell out control tokens of the model, and what is done about it; empty if none does."""
    spelt = [tokens for one in problems if (tokens := seen.tokenizer.control_tokens(one.question + one.system))]
    if not spelt:
        return ""
    return f"; {plural(len(spelt), 'question')} with control tokens such as {spelt[0][0]}, which are encoded as text"


def _round_trip(seen: FoundModel, tried: Sequence[TriedPrompt]) -> Finding:
    tokenizer = seen.tokenizer
    lost = sum(prompt.lost for prompt in tried)
    verbatim = sum(prompt.question.strip() in prompt.text for prompt in tried)
    controlled = [prompt for prompt in tried if tokenizer.control_tokens(prompt.question)]
    equal = len(controlled)  # those are encoded otherwise than their text would be, on purpose
    equal += sum(
        tokenizer.reencode(prompt.prompt_ids) == list(prompt.prompt_ids) for prompt in tried if prompt not in controlled
    )
    n, longest = len(tried), max(len(prompt.prompt_ids) for prompt in tried)
    told_of = f"{verbatim} of {n} questions verbatim in their prompts, {equal} of {n} re-encoded to the same ids"
    found = f"{told_of}; longest {longest:,} tokens"
    if lost:
        advice = "Fix chat_template in the model's tokenizer_config.json, or use another model."
        return (error if most_are_lost(tried) else warning)(
            "template", f"{lost} of {n} questions lost; {found}", advice
        )
    if not tokenizer.has_template:
        advice = "Name the model's instruct version, or add chat_template to its tokenizer_config.json."
        return warning(
            "template", f"the model has no chat template: questions are asked as plain text; {found}", advice
        )
    if verbatim < n or equal < n:
        advice = "Nothing is lost: targets are cut from sampled ids. Look at how the model spells your questions."
        return warning("template", found, advice)
    return ok("template", found)
