"""What the rows of a source say together, which no row can say for itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from selfimprove.problem.numbering import Numbering

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

    def know(self, row: object) -> None:
        """Note the names of a row's fields."""
        if len(self.known) < MOST_NAMED and isinstance(row, dict):
            self.known |= dict.fromkeys(str(name) for name in row)

    def join(self, later: Learnt) -> None:
        """Add what a later part of the source said."""
        self.lacking = {role: name for role, name in self.lacking.items() if role in later.lacking}
        for name, numbering in later.numbering.items():
            self.numbering.setdefault(name, Numbering()).join(numbering)
        if len(self.known) < MOST_NAMED:
            self.known |= later.known
