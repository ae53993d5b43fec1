"""A preview as a reader sees it: coloured on a terminal, the same words anywhere else.

Everything comes from a file that may have come from anywhere: it is escaped, and goes to rich as `Text`, which has no
markup. A question keeps its lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from selfimprove.escaping import escape_lines, escape_text
from selfimprove.formatting import plural
from selfimprove.problem.guessing import guessing_told
from selfimprove.problem.preview import Preview
from selfimprove.problem.references import FaultyReference
from selfimprove.problem.values import Problem, Tally

QUESTION = 2000
"""Characters of a question that are shown."""
CELL = 200
FIRST = 3
"""Rows of each kind of lack that are named."""


def shown_lines(found: Preview, limit: int) -> Iterator[Text]:
    """The preview, a line each: fields, counts, what was set aside, and `limit` problems (0: all)."""
    yield Text(escape_text(found.source, CELL), style="bold")
    for role, names in found.stock.fields:
        if names:
            yield labelled(role, ", ".join(f"`{name}`" for name in names[:8]))
    if found.stock.unused:
        yield labelled("not used", ", ".join(f"`{name}`" for name in found.stock.unused[:20]), "dim")
    for note in found.stock.notes:
        yield labelled("note", note, "yellow")
    rows = f"{found.stock.rows:,}: {len(found.problems):,} problems, {found.answered:,} with an answer"
    yield labelled("rows", rows)
    if guessing := guessing_told(found.problems):
        yield labelled("guessing", guessing)
    if found.stock.duplicates:
        yield labelled("dropped", plural(found.stock.duplicates, "duplicate"), "yellow")
    if found.off:
        yield labelled("note", found.off, "yellow")
    yield from _set_aside(found)
    for problem in found.problems[: limit or None]:
        yield from _pair(problem)


def _set_aside(found: Preview) -> Iterator[Text]:
    for kind, count in found.kinds().most_common():
        yield labelled("set aside", f"{plural(count, 'row')}: {kind}", "yellow")
        for one in [one for one in found.stock.aside if one.kind == kind][:FIRST]:
            yield Text(f"{'':<12}{escape_text(one.where, CELL)}: {escape_text(one.why, CELL)}", style="dim")


def _pair(problem: Problem) -> Iterator[Text]:
    yield Text()
    yield Text(escape_text(problem.source, CELL), style="dim")
    if problem.system:
        yield labelled("system", problem.system, "magenta")
    excerpt = escape_lines(problem.question, QUESTION)
    lines = excerpt.start.split("\n")
    if excerpt.left_out:
        lines += [f"… {excerpt.left_out:,} characters …", *excerpt.end.split("\n")]
    for number, line in enumerate(lines):
        yield Text(f"{'question' if not number else '':<12}{line}")
    if problem.answer is None:
        yield labelled("reference", "none", "yellow")
    else:
        yield labelled("reference", problem.answer, "bold green")


def checker_line(tested: int, faulty: Sequence[FaultyReference], own: str) -> Text:
    """What the self-test on the references gave; `own` names the checker of one's own, if there is one."""
    if own and not faulty:
        return labelled("checker", f"{own} gave a verdict on {tested:,} of {tested:,} references", "green")
    if not faulty:
        return labelled("checker", f"{tested:,} of {tested:,} references equal themselves and no changed copy", "green")
    first = faulty[0]
    told = f"{len(faulty):,} of {tested:,} can't be judged against, such as {first.problem.source}: "
    return labelled("checker", f"{told}{first.problem.answer}: {first.fault}", "red")


def pair_told(problem: Problem) -> str:
    """A question and its reference in one line, for a line among others."""
    question = escape_text(problem.question, 120)
    return f"“{question}” → {escape_text(problem.answer or 'none', 40)} ({escape_text(problem.source, 80)})"


def labelled(label: str, text: str, style: str = "") -> Text:
    """A line of the preview, the text escaped."""
    return Text.assemble((f"{label:<12}", "cyan"), (escape_text(text, 4 * CELL), style))


def told_aside(tallies: Iterable[tuple[str, Tally]]) -> list[str]:
    """A line for each source some of whose rows have no usable answer, and for each note on a source's fields."""
    lines = []
    for _, tally in tallies:
        if tally.aside:
            told = f"{tally.aside:,} of {tally.rows:,} rows have no usable answer"
            lines.append(f"{tally.source}: {told} (selfimprove problems {tally.source})")
        lines += [f"{tally.source}: {note}" for note in tally.notes]
    return list(dict.fromkeys(lines))
