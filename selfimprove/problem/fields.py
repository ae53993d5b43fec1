r"""From a row of any file to a question, what belongs to it, and its final answer.

Fields are recognised by their names (`names`), the surest first, whatever their case; a name in the recipe comes first
in every file that has it, and may go into objects (`reward_model.ground_truth`). A question gets what it can't be
answered without: `context`, `passage`, `body`, an `input` beside an `instruction`, and the options of a multiple choice
(`options`). A chat of one user turn is a question (`turns`). What the answer's field holds is reduced to a final
answer (`finals`).

A row is hostile until it has passed. One that is no row, or whose question is none, is a `UsageError` with its file and
line. One without a usable answer keeps its question and is told with the reason, so that it can still be trained on
where no answer is needed; one that can't be asked as it stands (a choice that can't be told, a chat of several turns, a
picture) is set aside. Nothing is dropped without a word.

What single rows leave open is settled by all rows of a source: `FieldReader.learn` sees each row once before any is
read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem.aliases import one_answer
from selfimprove.problem.asking import Asked, Questions
from selfimprove.problem.choosing import Choices
from selfimprove.problem.extras import look, looks
from selfimprove.problem.finals import Final, Kind, final_of, several_texts
from selfimprove.problem.flags import disowned, lost_options, picture_in
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.likeness import LABELLED, is_of
from selfimprove.problem.lookup import Lookup, SetAside, containers, value_of
from selfimprove.problem.names import (
    ANSWERS,
    GRADES,
    LABELS,
    RATINGS,
    READ,
    SCORES,
    SOLUTIONS,
    TESTS,
    Names,
    Row,
    bare_name,
    find,
    lifted,
    listed,
)
from selfimprove.problem.numbering import as_number
from selfimprove.problem.options import shows
from selfimprove.problem.plain import checked_text, kind_of
from selfimprove.problem.rivals import compared
from selfimprove.problem.rivals import look as look_at_rivals
from selfimprove.problem.turns import Chat, is_chat, read_chat
from selfimprove.problem.values import Problem, make_problem
from selfimprove.problem.written import written_answer
from selfimprove.recipe import Problems

SURE, VAGUE = ANSWERS[: ANSWERS.index("answers")], ANSWERS[ANSWERS.index("answers") :]
"""Names of answers, and those that mean many things: passed over where a row has a surer one."""


MOST_LISTS = 200
"""Lists of answers of a part of a source that are looked at."""
_ANNOTATED = frozenset(("annotation", "annotator", "annotated"))


@dataclass(frozen=True, kw_only=True)
class RowRead:
    """A problem, if the row can be asked; without an answer (or a problem), what kind of lack it is, and why."""

    problem: Problem | None
    kind: Kind = "no answer"
    why: str = ""


class FieldReader:
    """Reads the rows of one source, each of which it has to be shown first; `as_written`: answers as they stand."""

    def __init__(self, named: Problems, *, as_written: bool = False, learnt: Learnt | None = None) -> None:
        self._named, self._as_written = named, as_written
        self._lookup = Lookup(named)
        self.used = self._lookup.used
        self.learnt = self._lookup.learnt = learnt or self._lookup.learnt
        self._questions, self._choices = Questions(self._lookup), Choices(self._lookup)

    def notes(self) -> tuple[str, ...]:
        """What the user is told of fields that were taken by no name of theirs."""
        return self._lookup.notes()

    def learn(self, row: object) -> None:
        """Look at a row before any is read."""
        found = as_row(row)
        whole = found and self._lifted(found)
        self.learnt.know(row if whole is found else whole)
        if whole is None:
            return
        row = whole
        for role, name in list(self.learnt.lacking.items()):
            if find(row, name)[0]:
                del self.learnt.lacking[role]
        names = self._lookup.names(row)
        self._questions.learn(row, names)
        for name in names.among(LABELS) if not names.among(SURE) else ():
            if isinstance(label := row[name], str) and label.strip():
                self.learnt.label(name, number=as_number(label) is not None)
        self._look_beside(row, names)
        self._look_at_answers(row, names)
        self._choices.learn(row, names, lambda: self._questions.usual(row, names))

    def _lifted(self, row: Row) -> Row:
        """The row, with the fields of the object that holds its question and answer among its own."""
        named = self._named
        return lifted(row, self._lookup.names(row), (named.question, named.answer, named.context, named.options))

    def _look_beside(self, row: Row, names: Names) -> None:
        """Look at fields that no name tells of, in a row with a question under a usual name."""
        if self._named.context or self._as_written or not looks(self.learnt.extras, names):
            return
        try:
            asked = self._questions.usual(row, names)
        except (SetAside, UsageError):
            return
        if asked is not None:
            look(self.learnt.extras, row, names, asked.name, asked.text)

    def _look_at_answers(self, row: Row, names: Names) -> None:
        """Compare the fields that may be the answer, and the texts of lists in them."""
        if self._named.answer:
            return
        look_at_rivals(self.learnt.rivals, row, names)
        for name in (*names.among(ANSWERS), *names.answer_family[:1]):
            value = [row[one] for one in names.answer_family] if name in names.answer_family else row[name]
            if isinstance(value, str) and value[:1] != "[":
                continue
            texts = several_texts(value)
            if len(texts) > 1 and sum(self.learnt.listed.get(name, Counter()).values()) < MOST_LISTS:
                self.learnt.list_of(name, tied=one_answer(texts))

    def read(self, row: object, where: str, source: str) -> RowRead:
        """The problem of a row that was shown; `UsageError`, naming `where`, for a row that is none."""
        self._lookup.settle()
        found = as_row(row)
        if found is None:
            raise UsageError(f"{where}: not an object with fields, but {kind_of(row)}", "Each row needs named fields.")
        try:
            return self._read(self._lifted(found), where, source)
        except SetAside as aside:
            return RowRead(problem=None, kind=aside.kind, why=aside.why)

    def _read(self, row: Row, where: str, source: str) -> RowRead:
        names = self._lookup.names(row)
        asked = self._questions.asked(row, names, where)
        if name := picture_in(row, names):
            raise SetAside("picture", f"`{name}` holds a picture, which the model would not see")
        self.used["question"][asked.name] += 1
        question = self._questions.with_context(row, names, asked, where)
        options = self._choices.options(row, names) or self._choices.shown_in(row, names, question)
        if options is None:
            final = self._final(row, names, asked, question, where)
            if final.text is not None and (lost := lost_options(question, final.text)):
                raise SetAside("options", lost)
        else:
            lines, right = options.rendered(question, self._named.seed)
            self.used["options"][", ".join(options.fields)] += 1
            final = Final(text=right) if right else self._choices.choice(row, names, options)
            question = question if shows(question, options) else f"{question}\n\n{lines}"
        if why := disowned(row, names):
            final = Final(text=None, why=why)
        question, answer = (
            checked_text(question, asked.name, where),
            final.text and checked_text(final.text, "answer", where),
        )
        problem = make_problem(question, answer, source, system=asked.system)
        return RowRead(problem=problem, kind=final.kind, why=final.why if answer is None else "")

    def _final(self, row: Row, names: Names, asked: Asked, question: str, where: str) -> Final:
        """The row's final answer: of a bare or marked one in the surest field, else why there is none."""
        if (doubt := self._doubt(row, names, where)) is not None:
            return doubt
        if self._as_written:
            answers = self._answers(row, names, asked)
            return written_answer(row, names, answers, self._named.answer, self.used["answer"])
        if program := next((name for name in names.among(TESTS) if row[name] not in (None, "", [], {})), ""):
            return Final(
                text=None, kind="program", why=f"an answer that is judged by running it: the row has `{program}`"
            )
        if value_of(row, names, "label") in (0, "0", "incorrect", "wrong") and isinstance(
            value_of(row, names, "answer"), str
        ):
            raise SetAside("options", f"`{names['label']}` says that `{names['answer']}` is not the answer")
        if bare_name(asked.name) == "input" and {"code", "output"} <= names.keys():
            raise SetAside("program", f"`{asked.name}` is the input of the program in `{names['code']}`")
        weak: tuple[str, Final] | None = None
        lack: Final | None = None
        read = any(row[name] for name in names.among(READ))
        for name, value in self._answers(row, names, asked):
            if isinstance(value, str):
                checked_text(value, name, where)
            final = final_of(value, name, question, read=read, aliased=name in self._lookup.aliased)
            if final.text is not None and not final.weak:
                self.used["answer"][name] += 1
                return final
            if final.text is not None:
                weak = weak or (name, final)
                continue
            if lack is None or (lack.kind == "no answer" and final.kind != "no answer"):
                lack = final
            if "stands for" in final.why:
                break
        if weak is not None:
            self.used["answer"][weak[0]] += 1
            return weak[1]
        if lack is not None:
            return lack
        return Final(text=None, why=f"no answer; the fields are: {listed(row)}")

    def _doubt(self, row: Row, names: Names, where: str) -> Final | None:
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

    def _answers(self, row: Row, names: Names, asked: Asked) -> Iterator[tuple[str, object]]:
        """The fields that may hold the answer, the surest first."""
        if self._named.answer and (found := find(row, self._named.answer))[0]:
            yield self._named.answer, found[1]
            return
        verdict = self._lookup.verdict
        if verdict.taken and verdict.taken in names.values():
            yield verdict.taken, row[verdict.taken]
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
        for name in names.among(LABELS) if not sure else ():
            label = row[name]
            words = isinstance(label, (str, bool)) and as_number(label) is None
            if words or (isinstance(label, str) and self.learnt.is_answer(name)):
                yield name, label
        if not names.among(ANSWERS) and len(names.like_answers) == 1:
            yield names.like_answers[0], row[names.like_answers[0]]
        if not names.among(ANSWERS) and (family := names.answer_family):
            yield family[0], [row[name] for name in family if row[name] not in (None, "")]
        if not names.among((*ANSWERS, *SOLUTIONS, *LABELS)) and not names.like_answers:
            yield from annotated(row)
            for name in names.like_solutions:
                if as_number(row[name]) is None or not is_of(name, LABELLED):
                    yield name, row[name]
        for name, inner in containers(row, names):
            for key in self._lookup.names(inner).among(SURE):
                yield f"{name}.{key}", inner[key]
        if any(row[name] is False for name in names.among(GRADES)):  # a model's solution was found wrong
            if _stands_apart(row, names):
                yield names["solution"], row[names["solution"]]
            return
        graded = any(row[name] is not None for name in names.among(SCORES))
        for name in names.among(SOLUTIONS) if len(names.among(RATINGS)) < 2 else ():
            if name != asked.name and not (graded and bare_name(name) in ("response", "completion")):
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


def problem_from_row(row: object, named: Problems, where: str, source: str) -> Problem:
    """The problem of one row by itself; raises `UsageError` for one that can't be asked, naming `where`."""
    reader = FieldReader(named)
    reader.learn(row)
    read = reader.read(row, where, source)
    if read.problem is None:
        raise UsageError(f"{where}: {read.why}", "Correct or remove the row.")
    return read.problem


def as_row(row: object) -> Row | None:
    """The row as an object: the inner one of the hub's viewer, or a chat that stands by itself."""
    if isinstance(row, dict):
        inner = row.get("row")
        return inner if "row_idx" in row and isinstance(inner, dict) else row
    return {"conversations": row} if is_chat(row) else None
