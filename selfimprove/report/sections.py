"""What a run's records say, as sections of a report: pure, from records to sentences and tables of strings.

The sealed outcome comes first: it is the number that a run reports. The rounds' own figures stand below it, since they
come from problems that the rounds were chosen on. Cost charges rejected rounds too (`report/costs.py`). What a machine,
an engine or a checker doesn't measure, such as energy, has no column.

Records are read as `report/records.py` reads them: what is missing is a dash. Strings from files stand here as they
are; `report/__init__.py` and `report/page.py` escape them when they write them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from selfimprove import formatting
from selfimprove.formatting import MISSING, plural
from selfimprove.gate.reuse import cost_of_reuse
from selfimprove.report.advice import advice
from selfimprove.report.costs import Spent, cost_of_looks, costs, price
from selfimprove.report.evaluations import evaluations_section
from selfimprove.report.guards import guards_section
from selfimprove.report.records import RunRecords, decision_of, robust
from selfimprove.report.section import Section
from selfimprove.report.series import batch_rows, losses
from selfimprove.report.settings import recipe_section, versions_section
from selfimprove.store.looks import SealedLook
from selfimprove.store.records import LookRecord, PlaceboRecord, RoundRecord, Side

OUTCOME = "Outcome on the sealed problems"
ROUNDS = "Rounds, on the held-out problems"
GAINS = "What the gains are made of, in points"
EVIDENCE = "Evidence at the last look"
COST = "Cost"
TRAINING = "Training"
DIVERSITY = "Diversity of the samples"
"""Titles that the page hangs its charts on."""


def sections(run: RunRecords) -> list[Section]:
    """The report's parts in reading order; parts with nothing to say are left out, the outcome never is."""
    return [*outcomes(run), *details(run)]


def outcomes(run: RunRecords) -> list[Section]:
    """What the run came to: the sealed outcome first, then what was judged beside it."""
    parts = (_outcome(run), evaluations_section(run), guards_section(run))
    return [part for part in parts if part.rows or part.sentences]


def details(run: RunRecords) -> list[Section]:
    """How it came to that: rounds, evidence, costs, certificates; parts with nothing to say are left out."""
    parts = (
        _rounds(run),
        _gains(run),
        _evidence(run),
        _placebo(run),
        _told_columns(_verdicts(run)),
        _diversity(run),
        _training(run),
        _told_columns(_cost(run)),
        _told_columns(_machine(run)),
        _told_columns(_certificates(run)),
        recipe_section(run),
        versions_section(run),
    )
    return [part for part in parts if part.rows or part.sentences]


def _told_columns(section: Section) -> Section:
    """The section without the columns that hold nothing but dashes."""
    kept = [
        place for place in range(len(section.header)) if not place or any(row[place] != MISSING for row in section.rows)
    ]
    if not section.rows or len(kept) == len(section.header):
        return section
    header = tuple(section.header[place] for place in kept)
    return replace(section, header=header, rows=tuple(tuple(row[place] for place in kept) for row in section.rows))


def _outcome(run: RunRecords) -> Section:
    last = run.last_look
    if last is None:
        return Section(OUTCOME, ("Not judged yet: the sealed problems are judged once the requested rounds are done.",))
    told = (_change(last), formatting.verdict_on_gain(last.gain, last.gain_interval, last.champion))
    rows = tuple(row for place, look in enumerate(run.looks, 1) for row in _sealed_look(place, look))
    header = ("judging", "after rounds", "model", "accuracy", "95% interval", "n")
    return Section(OUTCOME, (*filter(None, told), *beside_outcome(run)), header, rows, frozenset({"model"}))


def beside_outcome(run: RunRecords) -> tuple[str, ...]:
    """What has to be said with the outcome: that these problems were judged before, and the second decoding."""
    last = run.last_look
    times = "twice" if len(run.looks) == 2 else f"{len(run.looks)} times"
    again = f"The sealed problems have been judged {times}; they were unseen only the first time."
    told = (again if len(run.looks) > 1 else "", last.beside.sentence if last and last.beside else "")
    return tuple(filter(None, told))


def _change(look: SealedLook) -> str:
    """Base, champion, the gain and what it is made of; of a champion that is the base its accuracy alone."""
    base, n = formatting.percent(look.base_accuracy), formatting.count(look.n)
    if look.champion == 0:
        return f"Base {base} (95% interval {formatting.percent_range(look.base_interval)}), on {n} problems."
    split = f": {formatting.split_told(look.split)}" if look.split else ""
    return (
        f"Base {base} → champion {formatting.percent(look.champion_accuracy)}: gain {formatting.points(look.gain)} "
        f"points, 95% interval {formatting.points_range(look.gain_interval)}, on {n} problems{split}."
    )


def _sealed_look(place: int, look: SealedLook) -> list[tuple[str, ...]]:
    """Three rows: the base model, the champion, the gain; one where the base is still the champion."""
    head, n = (str(place), formatting.count(look.rounds)), formatting.count(look.n)
    base = (formatting.percent(look.base_accuracy), formatting.percent_range(look.base_interval))
    best = (formatting.percent(look.champion_accuracy), formatting.percent_range(look.champion_interval))
    change = (formatting.points(look.gain), formatting.points_range(look.gain_interval))
    if look.champion == 0:
        return [(*head, "base, still the champion", *base, n)]
    return [
        (*head, "base", *base, n),
        (*head, f"champion: {_source(look.champion)}", *best, n),
        (*head, "gain, points", *change, n),
    ]


def _rounds(run: RunRecords) -> Section:
    sentences = tuple(
        f"Round {record.round}: {record.decision.sentence}" for record in run.rounds if record.decision.sentence
    )
    header = ("round", "from", "judged", "champion", "challenger", "gain", "won–lost", "decision")
    rows = tuple(_round(record) for record in run.rounds)
    sentences += tuple(filter(None, (advice(record) for record in run.rounds[-1:])))
    return Section(ROUNDS, sentences, header, rows, frozenset({"decision"}))


def _round(record: RoundRecord) -> tuple[str, ...]:
    return (
        str(record.round),
        _source(record.parent),
        _judged(record),
        formatting.percent(record.scorecard.champion.accuracy),
        formatting.percent(record.scorecard.challenger.accuracy),
        formatting.points(record.gain),
        _won_lost(record),
        decision_of(record),
    )


def _gains(run: RunRecords) -> Section:
    """Each round's gain and those of the sealed looks by cause; only where a record tells it."""
    header = ("gain of", "became readable", "became right", "became unreadable", "became wrong", "gain")
    held = [(f"round {record.round}", record.scorecard.split, record.gain) for record in run.rounds]
    beyond = [
        (f"round {record.round} over placebo", record.placebo.split, record.placebo.gain_over_placebo)
        for record in run.rounds
        if record.placebo
    ]
    looks = [(f"sealed judging {place}", look.split, look.gain) for place, look in enumerate(run.looks, 1)]
    drawn = [
        (f"sealed judging {place}, at temperature {formatting.decimal(look.beside.temperature)}", look.beside.split,
         look.beside.gain)
        for place, look in enumerate(run.looks, 1)
        if look.beside
    ]  # fmt: skip
    rows = tuple(
        (name, *formatting.split_cells(split), formatting.points(gain))
        for name, split, gain in (*held, *beyond, *looks, *drawn)
        if split
    )
    told = (
        "An answer that isn't right is unreadable if the checker can't read it or runs out of time on it, or if it was "
        "cut off at the token limit; otherwise, it is wrong. If answers became readable or unreadable, the model "
        "states its answers differently, but doesn't necessarily reason better or worse. If wrong answers became "
        "right, more than the format has changed."
    )
    return Section(GAINS, (told,) if rows else (), header, rows)


def _evidence(run: RunRecords) -> Section:
    """The last look of each round; a decision that isn't robust hangs on the checker's unclear verdicts."""
    header = ("round", "looks", "evidence", "needed", "error budget", "gain at most", "reason", "robust")
    found = _per_round(run, EVIDENCE, header, _evidence_cells)
    return Section(found.title, _reuse(run), header, found.rows, frozenset({"reason", "robust"}))


def _reuse(run: RunRecords) -> tuple[str, ...]:
    """How often one held-out set was used, and what picking champions on it can have cost (`gate/reuse.py`)."""
    cards = [record.scorecard for record in run.rounds]
    uses = max((card.uses_of_heldout or 0 for card in cards), default=0)
    if uses < 2:
        return ()
    told = f"The held-out problems were used for {uses} decisions."
    picked = [record.scorecard for record in run.rounds if record.accepted and record.decision.reason == "evidence"]
    flips = [((card.wins or 0) + (card.losses or 0)) / card.judged for card in picked if card.judged]
    problems = max((card.total or 0 for card in picked), default=0)
    if not flips or not problems:
        return (told,)
    cost = cost_of_reuse(len(picked), sum(flips) / len(flips), problems)
    last = "champion's" if len(picked) == 1 else "last champion's"
    return (
        f"{told} Because {plural(len(picked), 'champion')} {'was' if len(picked) == 1 else 'were'} chosen on them, "
        f"luck may inflate the {last} measured gain over the base model. In the worst case simulated (true gains so "
        f"small that luck matters most), luck adds {100 * cost.mean:.1f} points on average, and {100 * cost.most:.1f} "
        "points or more in one run in 20 (see docs/gate.md). The gain on the sealed problems is not affected.",
    )


def _placebo(run: RunRecords) -> Section:
    """Gain over a twin trained on permuted targets, beside the gain over the champion; only where one was trained."""
    header = ("round", "placebo", "gain over placebo", "95% interval", "gain over champion")
    rows = tuple(_placebo_cells(record, record.placebo) for record in run.rounds if record.placebo)
    return Section("Placebo: the same training on permuted targets", (), header, rows)


def _placebo_cells(record: RoundRecord, placebo: PlaceboRecord) -> tuple[str, ...]:
    return (
        str(record.round),
        formatting.percent(placebo.scorecard.accuracy if placebo.scorecard else None),
        formatting.points(placebo.gain_over_placebo),
        formatting.points_range(placebo.gain_interval or (None, None)),
        formatting.points(record.gain),
    )


def _evidence_cells(record: RoundRecord) -> tuple[str, ...]:
    looks = record.decision.looks
    last = looks[-1] if looks else LookRecord()
    return (
        str(len(looks)) if looks else MISSING,
        formatting.decimal(last.evidence),
        formatting.decimal(last.threshold),
        formatting.decimal(record.decision.alpha),
        formatting.points(last.gain_upper),
        record.decision.reason or MISSING,
        robust(record),
    )


def _won_lost(record: RoundRecord) -> str:
    wins, losses = formatting.count(record.scorecard.wins), formatting.count(record.scorecard.losses)
    return MISSING if wins == losses == MISSING else f"{wins}–{losses}"


def _judged(record: RoundRecord) -> str:
    judged = record.scorecard.judged
    return MISSING if judged is None else f"{formatting.count(judged)}/{formatting.count(record.scorecard.total)}"


def _source(number: int) -> str:
    """The model of a round in a cell: `base`, `round 2`."""
    return f"round {number}" if number else "base"


def _cost(run: RunRecords) -> Section:
    """Each stage over all rounds, their sum, the sum per point of sealed gain, and the sealed looks."""
    spent, total = costs(run.rounds)
    if not spent:
        return Section(COST)
    found = price(run)
    rows = [*(_cost_row(name, cost) for name, cost in spent.items()), _cost_row("total", total)]
    if found.per_point:
        rows.append(_cost_row("per point gained", found.per_point))
    if run.looks:
        rows.append(_cost_row("sealed (not in the total)", cost_of_looks(run)))
    header = ("stage", "time", "generated", "prompts read", "targets", "training prompts")
    told = (
        "Time and tokens of each stage over all rounds, including rejected ones. “Generated” and “prompts read” are "
        "the output and prompt tokens of sampling and judging. “Targets” are the tokens trained on, and “training "
        "prompts” the prompt tokens before them; both are counted again in each epoch."
    )
    return Section(COST, (told, found.sentence), header, tuple(rows))


def _cost_row(name: str, cost: Spent) -> tuple[str, ...]:
    tokens = (cost.sampled, cost.prompts, cost.targets, cost.trained_prompts)
    return name, formatting.duration(cost.seconds), *(formatting.count(amount) for amount in tokens)


def _machine(run: RunRecords) -> Section:
    """Peaks of memory and energy by stage; nothing where no record tells."""
    spent, total = costs(run.rounds)
    rows = [*spent.items(), ("whole run", total)]
    found = price(run).per_point
    if found and found.energy is not None:
        rows.append(("per point gained", found))
    header = ("stage", "peak memory, MiB", "peak GPU memory, MiB", "energy, J")
    known = tuple(
        (name, *(formatting.count(part) for part in (cost.rss, cost.gpu, cost.energy))) for name, cost in rows
    )
    told = "The row “whole run” has the highest peak of the run, and the run's total energy if energy was measured."
    is_known = any(cell != MISSING for row in known for cell in row[1:])
    return Section("Memory and energy", (told,), header, known) if is_known else Section("Memory and energy")


def _training(run: RunRecords) -> Section:
    """Rows, steps and losses; the last loss is that of a whole batch, since one of few rows jumps."""
    header = ("round", "prefix rows", "whole-solution rows", "steps", "first loss", "last loss")
    rows = batch_rows(run.recipe)
    found = _per_round(run, TRAINING, header, partial(_training_cells, rows=rows))
    few = any(losses(record, rows).partial for record in run.rounds)
    told = "“Last loss” is the loss of the last full batch, because the final batch of an epoch may have fewer rows."
    return replace(found, sentences=(told,)) if few and found.rows else found


def _training_cells(record: RoundRecord, *, rows: int) -> tuple[str, ...]:
    harvested, trained, found = record.counts_of("harvest"), record.counts_of("train"), losses(record, rows)
    ends_in_few = bool(found.partial) and found.partial[-1][0] == found.steps
    return (
        formatting.count(harvested.prefix),
        formatting.count(harvested.full),
        formatting.count(trained.steps),
        formatting.decimal(trained.first_loss),
        formatting.decimal(found.last if ends_in_few else trained.last_loss),
    )


def _diversity(run: RunRecords) -> Section:
    header = ("round", "distinct prefixes", "entropy (nats)", "mean tokens", "truncated")
    return _per_round(run, DIVERSITY, header, _diversity_cells)


def _diversity_cells(record: RoundRecord) -> tuple[str, ...]:
    return (
        formatting.percent(record.prefixes.distinct_prefixes),
        formatting.decimal(record.prefixes.prefix_entropy),
        formatting.decimal(record.prefixes.mean_tokens),
        formatting.percent(record.prefixes.truncated),
    )


def _verdicts(run: RunRecords) -> Section:
    """What the checker said of champion and challenger, as `58 → 69`; `error` where a checker of one's own judges."""
    header = ("round", "correct", "wrong", "unparsed", "timed out", "error", "truncated", "mean tokens")
    own = bool(run.recipe and run.recipe.answers.checker)
    return _per_round(run, "Verdicts, champion → challenger", header, partial(_verdict_cells, own=own))


def _verdict_cells(record: RoundRecord, *, own: bool) -> tuple[str, ...]:
    sides = zip(
        *(_side_cells(side, own) for side in (record.scorecard.champion, record.scorecard.challenger)), strict=True
    )
    return tuple(MISSING if before == after == MISSING else f"{before} → {after}" for before, after in sides)


def _side_cells(side: Side, own: bool) -> tuple[str, ...]:
    error = side.error if own or side.error else None
    counts = (side.correct, side.wrong, side.unparsed, side.timed_out, error, side.truncated)
    return (*map(formatting.count, counts), formatting.decimal(side.mean_tokens))


def _certificates(run: RunRecords) -> Section:
    header = ("round", "certificate", "effect kept", "delta kept", "unchanged", "agreement", "KL", "failures")
    found = _per_round(run, "Merge certificates", header, _certificate_cells)
    told = (
        "Effect kept: the share of the adapter's effect on the model's predictions that the merge keeps. Delta kept: "
        "the share of the weight change. Unchanged: the share of the adapted weights that the merge left as they were. "
        "Agreement: the share of the test tokens at which adapter and merged model have the same most likely token. "
        "KL: the mean KL divergence between the two, in nats.",
    )
    return Section(found.title, told if found.rows else (), header, found.rows, frozenset({"certificate", "failures"}))


def _certificate_cells(record: RoundRecord) -> tuple[str, ...]:
    found = record.certificate
    return (
        MISSING if found.passed is None else "passed" if found.passed else "failed",
        formatting.percent(found.functional_share),
        formatting.percent(found.survival),
        formatting.percent(found.unchanged_weights),
        formatting.percent(found.agreement),
        formatting.decimal(found.kl),
        "; ".join(found.failures) or ("none" if found.passed else MISSING),
    )


def _per_round(
    run: RunRecords, title: str, header: tuple[str, ...], cells: Callable[[RoundRecord], tuple[str, ...]]
) -> Section:
    """A row for each round; no section where no round has a figure for it."""
    rows = tuple((str(record.round), *cells(record)) for record in run.rounds)
    known = any(cell != MISSING for row in rows for cell in row[1:])
    return Section(title, (), header, rows if known else ())
