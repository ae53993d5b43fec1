"""What the rows of a source say together, which no row can say for itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from selfimprove.problem.counting import Counted
from selfimprove.problem.extras import MOST_ROWS, Extra, Leads, Role
from selfimprove.problem.guess import Guess, Texts, guessed
from selfimprove.problem.numbering import Numbering
from selfimprove.problem.rivals import Pair, Rivals, Verdict, judged

LEAST_TIED = 3
"""Lists whose texts are tied to each other that outweigh one whose texts are not."""
LEAST_FORMAL = 2
"""Programs under a name from which on, if they are half of the texts with words there, the others are such too."""
MOST_NAMED = 200
"""Names of fields that are listed of a source, at most."""


@dataclass
class Learnt:
    """From rows that were looked at: how they number their options, names that none has, and all their names.

    `lacking` holds the fields that the recipe names and no row has, by their role. Parts of a source are learnt from
    apart and joined in their order, which gives what learning from all of it gives.
    """

    lacking: dict[str, str]
    numbering: dict[str, Numbering] = field(default_factory=dict)
    known: dict[str, None] = field(default_factory=dict)
    texts: Texts = field(default_factory=Texts)
    extras: dict[str, Extra] = field(default_factory=dict)
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    rivals: dict[Pair, Rivals] = field(default_factory=dict)
    listed: dict[str, Counter[str]] = field(default_factory=dict)
    written: dict[str, Counter[str]] = field(default_factory=dict)
    leads: dict[str, Leads] = field(default_factory=dict)
    marks: dict[str, Counter[str]] = field(default_factory=dict)
    counted: dict[str, Counted] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether rows can be read only when all were looked at."""
        numbers = any(found["number"] for found in self.labels.values())
        marked = any(found["wrong"] or found["zero"] for found in self.marks.values())
        counts = any(found.counts for found in self.counted.values())
        return bool(self.numbering or self.texts.rows or numbers or marked or counts or self.decides)

    @property
    def open(self) -> bool:
        """Whether other rows may say of fields in these that they belong to the questions, or are the answer."""
        apart = any(found["apart"] for found in self.listed.values())
        plain = any(found["plain"] for found in self.written.values())
        return apart or plain or bool(self.rivals or self.leads) or any(extra.filled for extra in self.extras.values())

    def roles(self) -> dict[str, Role]:
        """What the fields that no name tells of are to the questions; to be asked when all rows were looked at."""
        told = ((name, extra, extra.role(name)) for name, extra in self.extras.items())
        return {one: role for name, extra, role in told if role for one in extra.family or (name,)}

    def verdict(self) -> Verdict:
        """Which of the fields that look like the answer is it; to be asked when all rows were looked at."""
        return judged(self.rivals, self.known)

    def aliased(self) -> frozenset[str]:
        """The fields in which most lists are names of one answer by their form."""
        return frozenset(
            name for name, found in self.listed.items() if found["tied"] >= LEAST_TIED * max(found["apart"], 1)
        )

    def formal(self) -> frozenset[str]:
        """The fields in which half of the texts with words are programs, queries or the like, and not all of them."""
        return frozenset(
            name
            for name, found in self.written.items()
            if found["formal"] >= max(found["plain"], LEAST_FORMAL) and found["plain"]
        )

    def whole(self) -> frozenset[str]:
        """The fields in which the question stands behind the same words in all rows."""
        return frozenset(name for name, found in self.leads.items() if found.alike)

    @property
    def decides(self) -> bool:
        """Whether all rows together say something that each has to be read by."""
        verdict = self.verdict()
        return bool(self.roles() or verdict.left or verdict.unsure or self.aliased() or self.formal() or self.whole())

    def guess(self) -> Guess:
        """The question of rows that have none under a usual name; to be asked when all were looked at."""
        return guessed(self.texts)

    def know(self, row: object) -> None:
        """Note the names of a row's fields."""
        if len(self.known) < MOST_NAMED and isinstance(row, dict):
            self.known |= dict.fromkeys(str(name) for name in row)

    def list_of(self, name: str, *, tied: bool) -> None:
        """Note a list of several texts under the name of an answer: whether their form ties them to each other."""
        self.listed.setdefault(name, Counter())["tied" if tied else "apart"] += 1

    def texts_of(self, name: str) -> int:
        """How many texts with words, programs among them, were noted under the name."""
        return self.written[name].total() if name in self.written else 0

    def text_of(self, name: str, *, formal: bool) -> None:
        """Note a text under the name of an answer or a solution: whether it is a program or the like."""
        self.written.setdefault(name, Counter())["formal" if formal else "plain"] += 1

    def lead_of(self, name: str, text: str, question: str) -> None:
        """Note what stands before the question in a text that may hold it."""
        found = self.leads.setdefault(name, Leads())
        if found.rows < MOST_ROWS:
            found.look(text, question)

    def mark(self, name: str, said: str) -> None:
        """Note what a field that may hold a mark says."""
        self.marks.setdefault(name, Counter())[said] += 1

    def label(self, name: str, *, number: bool) -> None:
        """Note a label that is written as a text."""
        self.labels.setdefault(name, Counter())["number" if number else "word"] += 1

    def is_answer(self, name: str) -> bool:
        """Whether numbers under this name are answers like the words there, and not those of classes."""
        found = self.labels.get(name, Counter())
        return 4 * found["word"] >= found["number"] > 0

    def join(self, later: Learnt) -> None:
        """Add what a later part of the source said."""
        self.lacking = {role: name for role, name in self.lacking.items() if role in later.lacking}
        for name, numbering in later.numbering.items():
            self.numbering.setdefault(name, Numbering()).join(numbering)
        self.texts.join(later.texts)
        for name, extra in later.extras.items():
            self.extras.setdefault(name, Extra()).join(extra)
        for name, found in later.labels.items():
            self.labels.setdefault(name, Counter()).update(found)
        for pair, rivals in later.rivals.items():
            self.rivals.setdefault(pair, Rivals()).join(rivals)
        for name, found in later.listed.items():
            self.listed.setdefault(name, Counter()).update(found)
        for name, counted in later.counted.items():
            self.counted.setdefault(name, Counted()).join(counted)
        for name, found in later.marks.items():
            self.marks.setdefault(name, Counter()).update(found)
        for name, leads in later.leads.items():
            self.leads.setdefault(name, Leads()).join(leads)
        for name, found in later.written.items():
            self.written.setdefault(name, Counter()).update(found)
        if len(self.known) < MOST_NAMED:
            self.known |= later.known
