"""The report as one page: everything about a run in a file that asks for nothing else.

**What holds.** The file is whole without script, network and fonts of its own. Its policy
(`Content-Security-Policy`) allows one style sheet and one script, both by their SHA-256, and icons of `data:`; nothing
can be loaded, sent or framed from it, whatever stands in it. All text is escaped by jinja; text from records goes
through `escaping` first, so a control character or a mark that reverses the reading order is shown, not obeyed. The
same records give the same bytes: the page knows no time but theirs.

**What it is made of.** The outcome, once: three figures, what the gain is made of, a chart. Then what was judged beside
it (`sections.outcomes`), then the flips, each a line that opens to a section of its own (`browsing.py`), then how the
run came to that: the other sections of `sections.py`, as in the terminal and in Markdown. Charts and further tables
hang on sections by title. Tables of detail and earlier rounds are folded (`details`): a browser's own search opens
them. The script filters the flips and moves between them, and nothing else.

**How large it gets.** At most `FLIPS` flips stand in a page, shared by its rounds, each answer with at most
`ANSWER` characters, its two ends. What is left out is counted, and the file that holds it named.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

from selfimprove import formatting
from selfimprove.escaping import escape_lines, escape_text
from selfimprove.report import charts, sidebyside
from selfimprove.report.browsing import browsed
from selfimprove.report.contests import Contest, contests, sealed_flips
from selfimprove.report.costs import costs
from selfimprove.report.details import details_of, openings_title
from selfimprove.report.flips import shown_flips
from selfimprove.report.overview import facts, outcome
from selfimprove.report.records import RunRecords
from selfimprove.report.section import Section
from selfimprove.report.sections import (
    COST,
    DIVERSITY,
    EVIDENCE,
    OUTCOME,
    ROUNDS,
    TRAINING,
    beside_outcome,
    details,
    outcomes,
)
from selfimprove.report.series import RoundFigures, batch_rows, losses, round_figures, spreads, trail
from selfimprove.report.svg import Chart, colours, role_rules

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

FLIPS = 1100
"""Flips in a page, shared by its rounds."""
FEWEST = 20
"""Flips of a round that are shown, however many rounds there are."""
ANSWER = 1200
"""Characters of an answer or a question."""
LINE = 200
"""Characters of a cell."""
BRIEF = 110
"""Characters of a question in the list of flips."""
SENTENCE = 1000
"""Characters of a sentence."""
MOODS = {"accepted": "yes", "passed": "yes", "rejected": "no", "failed": "no"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of the page: sentences, charts, a table, and further tables that are folded."""

    anchor: str
    title: str
    sentences: tuple[str, ...]
    charts: tuple[Chart, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[str]
    more: tuple[Section, ...] = ()
    opened: str = ""
    """Title of the one further table that isn't folded."""


@dataclass(frozen=True)
class Run:
    """A run with what is derived from its verdict rows."""

    records: RunRecords
    contests: tuple[Contest, ...]
    rounds: tuple[RoundFigures, ...]


@dataclass(frozen=True, kw_only=True)
class Live:
    """What a served page shows of a run that goes on: lines as they are now, and where to ask for later ones.

    `state` is a path on the server, which answers with `lines` and `stamp`; a page whose stamp is another one is out of
    date, and loads itself again if `reload` says so. Lines are safe to show.
    """

    state: str
    stamp: str
    lines: tuple[str, ...]
    reload: bool = False


def report_html(records: RunRecords, others: Sequence[RunRecords] = (), live: Live | None = None) -> str:
    """The report of a run as one HTML file; with `others` all of them side by side before the report of the first.

    With `live` it is the page of a server, which asks that server, and nobody else, for the run's state.
    """
    run = _read(records)
    css, script = _style(), _source("page.js") + (_source("live.js") if live else "")
    flips, unknown = shown_flips(records, run.contests, max(FEWEST, FLIPS // max(1, len(run.contests))))
    shown, filters = browsed(flips, ANSWER)
    first, *beside = [_part(section, run) for section in outcomes(records)]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            policy=_policy(css, script, served=live is not None),
            css=_trusted(css),
            script=_trusted(script),
            live=live,
            name=records.name,
            running=records.running,
            compared=[_side_by_side([run, *map(_read, others)])] if others else [],
            outcome=outcome(records),
            outcome_part=first,
            outcome_notes=beside_outcome(records),
            facts=facts(records),
            beside=beside,
            parts=[_part(section, run) for section in details(records)],
            flips=shown,
            filters=filters,
            flip_sentences=_flip_sentences(run, unknown),
            footer=f"Written by selfimprove {version('selfimprove')} from the records of run {records.name}.",
        )
    )


RUNS = ("run", "rounds", "accepted", "base", "champion", "gain, points", "95% interval", "state")
"""Columns of the list of runs."""


@dataclass(frozen=True)
class Listed:
    """A run in the list: where its page is, and its cells after the name."""

    name: str
    href: str
    cells: tuple[str, ...]


def runs_html(folder: str, rows: Sequence[Listed], live: Live) -> str:
    """The list of the runs in a folder, as the first page of a server."""
    css, script = _style(), _source("live.js")
    return (
        _environment()
        .get_template("runs.html.j2")
        .render(
            policy=_policy(css, script, served=True),
            css=_trusted(css),
            script=_trusted(script),
            folder=folder,
            header=RUNS,
            rows=rows,
            live=live,
            footer=f"Served by selfimprove {version('selfimprove')}, to this machine only.",
        )
    )


def listed(records: RunRecords, href: str) -> Listed:
    """A run for the list."""
    look = records.last_look
    return Listed(
        records.name,
        href,
        (
            str(len(records.rounds)),
            formatting.rounds_named(records.accepted),
            formatting.percent(look.base_accuracy if look else None),
            formatting.percent(look.champion_accuracy if look else None),
            formatting.points(look.gain if look else None),
            formatting.points_range(look.gain_interval) if look else formatting.MISSING,
            f"running: {records.running}" if records.running else "judged" if look else "not finished",
        ),
    )


def _read(records: RunRecords) -> Run:
    found = tuple(contests(records))
    greedy = records.recipe is None or records.recipe.gate.samples == 1
    pairs = zip(records.rounds, found, strict=True)
    return Run(records, found, tuple(round_figures(record, contest, greedy) for record, contest in pairs))


def _part(section: Section, run: Run) -> Part:
    title = section.title
    return Part(
        anchor=_anchor(title),
        title=title,
        sentences=section.sentences,
        charts=tuple(chart for chart in _charts(title, run) if chart),
        header=section.header,
        rows=section.rows,
        words=section.words,
        more=tuple(details_of(title, run.records, run.contests, run.rounds)),
        opened=openings_title(len(run.contests)) if title == DIVERSITY else "",
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")


def _charts(title: str, run: Run) -> list[Chart | None]:
    """The charts that hang on a section."""
    rounds = run.records.rounds
    if title == OUTCOME:
        return [_sealed_chart(run.records)]
    if title == ROUNDS:
        return [charts.accuracy_chart(run.rounds), charts.gain_chart(run.rounds)]
    if title == EVIDENCE:
        return [charts.evidence_chart([trail(record) for record in rounds])]
    if title == COST:
        return [charts.cost_chart([(record.round, costs([record])[0]) for record in rounds])]
    if title == TRAINING:
        rows = batch_rows(run.records.recipe)
        return [charts.loss_chart([losses(record, rows) for record in rounds])]
    if title == DIVERSITY:
        return [_entropy_chart(run.records), charts.length_chart(spreads(run.contests))]
    return []


def _sealed_chart(records: RunRecords) -> Chart | None:
    look = records.last_look
    if look is None:
        return charts.sealed_chart("sealed", [])
    base = ("base", "champion", look.base_accuracy, look.base_interval)
    best = ("champion", "challenger", look.champion_accuracy, look.champion_interval)
    return charts.sealed_chart("sealed", [base, best] if look.champion else [base])


def _entropy_chart(records: RunRecords) -> Chart | None:
    numbers = [record.round for record in records.rounds]
    entropy = [record.prefixes.prefix_entropy for record in records.rounds]
    return charts.entropy_chart(numbers, entropy, [record.prefixes.truncated for record in records.rounds])


def _side_by_side(runs: Sequence[Run]) -> Part:
    every = [run.records for run in runs]
    table = sidebyside.outcomes(every)
    found = (
        charts.sealed_chart("sealed-runs", sidebyside.gains(every)),
        charts.runs_chart([(sidebyside.letter(place), run.rounds) for place, run in enumerate(runs)]),
    )
    drawn = tuple(chart for chart in found if chart)
    more = (*([split] if (split := sidebyside.splits(every)).rows else []), sidebyside.differences(every))
    return Part(
        anchor=_anchor(table.title),
        title=table.title,
        sentences=table.sentences,
        charts=drawn,
        header=table.header,
        rows=table.rows,
        words=table.words,
        more=more,
    )


def _flip_sentences(run: Run, unknown: str) -> list[str]:
    """What the flips are, those of the sealed problems as counts, and what couldn't be read."""
    told = [
        "A flip is a held-out problem that one model solved and the other didn't: champion against challenger, on the "
        "same problems with the same decoding."
    ]
    sealed = sealed_flips(run.records)
    if sealed is not None:
        told.append(
            f"On the sealed problems the champion won {sealed[0]} and lost {sealed[1]} against the base model. "
            "These problems are counted but not shown, so that nobody uses them to choose the next recipe."
        )
    return [*told, *filter(None, [unknown, *(contest.fault for contest in run.contests)])]


def _policy(css: str, script: str, *, served: bool) -> str:
    """The page's Content-Security-Policy: this style sheet, this script, its server's state, and nothing else."""
    asks = "connect-src 'self'; " if served else ""
    return (
        f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(script)}'; img-src data:; {asks}"
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _style() -> str:
    return colours() + _source("page.css") + role_rules()


def _source(name: str) -> str:
    return files("selfimprove.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        autoescape=True,
        loader=FunctionLoader(_source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "line": lambda text: escape_text(str(text), LINE),
        "sentence": lambda text: escape_text(str(text), SENTENCE),
        "brief": lambda text: escape_text(str(text), BRIEF),
        "excerpt": lambda text: escape_lines(text, ANSWER),
        "mood": lambda cell: MOODS.get(cell, ""),
        "drawing": _trusted,
    }
    return made


def _trusted(text: str) -> Markup:
    """Text of this program, which goes into the page as it is."""
    from markupsafe import Markup

    return Markup(text)
