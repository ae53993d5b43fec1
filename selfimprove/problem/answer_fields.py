"""The fields of a row that may hold its answer, the surest first, and what all rows of a source say of them.

A name that is usual for an answer comes first, then those that mean many things, labels in words, names that are like
that of an answer, and last solutions and what a chat's model said. Where two of them disagree, `rivals` tells which is
the reference, or the user is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from selfimprove.errors import UsageError
from selfimprove.problem.aliases import one_answer
from selfimprove.problem.asking import Asked
from selfimprove.problem.finals import Final, several_texts
from selfimprove.problem.likeness import LABELLED, is_of
from selfimprove.problem.lookup import Lookup, containers, value_of
from selfimprove.problem.marks import mark_fields, marked_field, said_by, wrong_by
from selfimprove.problem.names import (
    ANSWERS,
    GRADES,
    LABELS,
    RATINGS,
    SCORES,
    SOLUTIONS,
    TESTS,
    Group,
    Names,
    Row,
    bare_name,
    find,
)
from selfimprove.problem.numbering import as_number
from selfimprove.problem.programs import formal_kind, may_be_formal
from selfimprove.problem.rivals import compared
from selfimprove.problem.rivals import look as look_at_rivals
from selfimprove.problem.turns import Chat, is_chat, read_chat

SURE, VAGUE = Group(ANSWERS[: ANSWERS.index("answers")]), Group(ANSWERS[ANSWERS.index("answers") :])
"""Names of answers, and those that mean many things: passed over where a row has a surer one."""
_ANSWERED = Group((*ANSWERS, *SOLUTIONS, *LABELS))
MOST_LISTS = 200
"""Lists of answers of a part of a source that are looked at, and texts in each field of them."""
_RESPONSES = ("response", "completion", "output")
"""What a model may have said, of which a score tells; beside a label any of them."""
_GRADES = frozenset(("", "yes", "no", "true", "false", "0", "1"))
"""What `correct` holds where it says whether something is right, and not what is."""
_ANNOTATED = frozenset(("annotation", "annotator", "annotated"))


class Answers:
    """Finds the fields that may hold the answer of each row."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def learn(self, row: Row, names: Names) -> None:
        """Look at labels, at lists of answers, and at fields of which only one can be the answer."""
        learnt = self._lookup.learnt
        for name in names.among(LABELS) if not names.among(SURE) else ():
            if isinstance(label := row[name], str) and label.strip():
                learnt.label(name, number=as_number(label) is not None)
        for name in names.told:
            if isinstance(text := row[name], str) and learnt.texts_of(name) < MOST_LISTS:
                formal = bool(formal_kind(text))
                if formal or may_be_formal(text):
                    learnt.text_of(name, formal=formal)
        for name in mark_fields(names):
            learnt.mark(name, said_by(name, row[name]))
        if self._lookup.named.answer:
            return
        look_at_rivals(learnt.rivals, row, names)
        for name in names.among(ANSWERS):
            value = row[name]
            if not isinstance(value, str) or value[:1] == "[":
                self._learn_list(name, value)
        if family := names.answer_family:
            self._learn_list(family[0], [row[name] for name in family])

    def _learn_list(self, name: str, value: object) -> None:
        """Look at the texts of a list under the name of an answer."""
        learnt = self._lookup.learnt
        texts = several_texts(value)
        if len(texts) > 1 and learnt.listed.get(name, Counter()).total() < MOST_LISTS:
            learnt.list_of(name, tied=one_answer(texts))

    def doubt(self, row: Row, names: Names, where: str) -> Final | None:
        """Why the row has no answer where two fields disagree on it; `UsageError` if they do in many rows."""
        for (first, second), found in self._lookup.verdict.unsure.items():
            pair = first, second
            if first not in names.values() or second not in names.values() or names.among(TESTS):
                continue
            if compared(row, pair, exact=True) not in ("number", "word"):
                continue
            told = f"`{first}` and `{second}` both look like the answer and differ"
            if found.few():
                return Final(text=None, kind="several answers", why=told)
            values = f"{str(row[first])!r:.40} and {str(row[second])!r:.40}"
            hint = f"Name the right one: --set problems.answer={second} (or {first})."
            raise UsageError(f"{where}: {told}: {values}", hint)
        return None

    def marked_wrong(self, row: Row, names: Names) -> str:
        """Why the row's answer is none where a mark says so; empty where none does."""
        name = marked_field(names) if self._lookup.marks else ""
        if not name or self._lookup.verdict.taken or isinstance(row[name], (list, tuple, dict)):
            return ""
        wrong = wrong_by(row, names, self._lookup.marks)
        apart = wrong and name in names.among(SOLUTIONS) and _stands_apart(row, names)
        return f"`{wrong}` says that `{name}` is wrong" if wrong and not apart else ""

    def fields(self, row: Row, names: Names, asked: Asked) -> Iterator[tuple[str, object]]:
        """The fields that may hold the answer, the surest first."""
        if self._lookup.named.answer and (found := find(row, self._lookup.named.answer))[0]:
            yield self._lookup.named.answer, found[1]
            return
        verdict = self._lookup.verdict
        if verdict.taken and verdict.taken in names.values():
            yield verdict.taken, row[verdict.taken]
            return
        if not verdict.left:
            yield from self._usual_answers(row, names, asked)
            return
        for name, value in self._usual_answers(row, names, asked):
            if name not in verdict.left:
                yield name, value

    def _usual_answers(self, row: Row, names: Names, asked: Asked) -> Iterator[tuple[str, object]]:
        sure = False
        for name in names.among(SURE):
            sure = sure or row[name] not in (None, "")
            yield name, row[name]
        for name in names.among(VAGUE):
            if not sure:
                sure = row[name] not in (None, "")
                yield name, row[name]
        for name in names.among(LABELS) if not sure and not names.compared else ():
            label = row[name]
            words = isinstance(label, (str, bool)) and as_number(label) is None
            if words or (isinstance(label, str) and self._lookup.learnt.is_answer(name)):
                yield name, label
        if not names.among(ANSWERS) and len(names.like_answers) == 1:
            yield names.like_answers[0], row[names.like_answers[0]]
        if isinstance(told := value_of(row, names, "correct"), str) and told.strip().casefold() not in _GRADES:
            yield names["correct"], told
        for name, inner in containers(row, names):
            for key in self._lookup.names(inner).among(SURE):
                yield f"{name}.{key}", inner[key]
        for name in names.references if not names.among(ANSWERS) and not names.like_answers else ():
            yield name, row[name]
        if not names.among(ANSWERS) and (family := names.answer_family):
            yield family[0], [row[name] for name in family if row[name] not in (None, "")]
        if not names.among(_ANSWERED) and not names.like_answers:
            yield from annotated(row)
            for name in names.like_solutions if not names.compared else ():
                if as_number(row[name]) is None or not is_of(name, LABELLED):
                    yield name, row[name]
        if any(row[name] in (False, "False", "false") for name in names.among(GRADES)):  # a model's solution is wrong
            if _stands_apart(row, names):
                yield names["solution"], row[names["solution"]]
            return
        labelled = any(row[name] is not None for name in names.among(LABELS))
        graded = labelled or any(row[name] is not None for name in names.among(SCORES))
        for name in names.among(SOLUTIONS) if len(names.among(RATINGS)) < 2 else ():
            if name != asked.name and not (graded and bare_name(name) in _RESPONSES[: None if labelled else 2]):
                yield name, row[name]
        if asked.answer is not None:
            yield asked.name, asked.answer


def annotated(row: Row) -> Iterator[tuple[str, object]]:
    """The answers in a list of objects by annotators, if each of these gives one."""
    for name, value in row.items():
        if not isinstance(value, list) or not value or not is_of(str(name), _ANNOTATED):
            continue
        keys = [
            next((key for key in one if bare_name(key) in SURE), "") if isinstance(one, dict) else "" for one in value
        ]
        if all(keys):
            given = [one[key] for one, key in zip(value, keys, strict=True)]
            flat = [text for one in given for text in (one if isinstance(one, list) else [one])]
            yield f"{name}.{keys[0]}", list({str(text): text for text in flat}.values())


def _stands_apart(row: Row, names: Names) -> bool:
    """Whether the row has a chat whose answer is another text than its solution: what was graded is that answer."""
    solution = value_of(row, names, "solution")
    if not isinstance(solution, str) or not solution.strip():
        return False
    turns = [value for value in row.values() if is_chat(value) and isinstance(value, (list, tuple))]
    chats = [chat for one in turns if isinstance(chat := read_chat(one), Chat)]
    answers = [chat.answer.strip() for chat in chats if isinstance(chat.answer, str) and chat.answer.strip()]
    return any(solution.strip() not in answer and answer not in solution for answer in answers)
