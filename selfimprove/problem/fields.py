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
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem.answer_fields import Answers
from selfimprove.problem.asking import Asked, Questions
from selfimprove.problem.choosing import Choices
from selfimprove.problem.extras import has_families, look, looks
from selfimprove.problem.finals import Final, Kind, final_of
from selfimprove.problem.flags import (
    disowned,
    kind_of_picture,
    lost_options,
    not_in_text,
    picture_in,
    puzzle_target,
    scaled_by,
)
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.lookup import ROLES, Lookup, SetAside, value_of
from selfimprove.problem.names import (
    READ,
    TESTS,
    Names,
    Row,
    bare_name,
    find,
    listed,
)
from selfimprove.problem.options import shows
from selfimprove.problem.plain import checked_text, kind_of, refuse_encoded, restored
from selfimprove.problem.programs import may_be_formal
from selfimprove.problem.several import has_parts
from selfimprove.problem.turns import are_earlier_turns, is_chat
from selfimprove.problem.unfolding import decoded, lifted
from selfimprove.problem.values import Problem, make_problem
from selfimprove.problem.written import written_answer
from selfimprove.recipe import Problems

_NAME = 40
"""Characters of a field's name, at most."""


@dataclass(kw_only=True, slots=True)  # one a row, as `Final`
class RowRead:
    """A problem, if the row can be asked; without an answer (or a problem), what kind of lack it is, and why."""

    problem: Problem | None
    kind: Kind = "no answer"
    why: str = ""


class FieldReader:
    """Reads the rows of one source, each of which it has to be shown first; `as_written`: answers as they stand.

    `used` counts the fields that were read, by their role; `lacked` the rows in which other fields were read than the
    one that the recipe names, because they don't have it.
    """

    def __init__(self, named: Problems, *, as_written: bool = False, learnt: Learnt | None = None) -> None:
        self._named, self._as_written = named, as_written
        self._lookup = Lookup(named)
        self.used = self._lookup.used
        self.lacked: Counter[str] = Counter()
        self._own = {role: name for role in ROLES if (name := getattr(named, role))}
        self.learnt = self._lookup.learnt = learnt or self._lookup.learnt
        self._questions, self._choices = Questions(self._lookup), Choices(self._lookup)
        self._answers = Answers(self._lookup)

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
        self._look_beside(row, names)
        self._answers.learn(row, names)
        self._choices.learn(row, names, lambda: self._questions.usual(row, names))

    def _lifted(self, row: Row) -> Row:
        """The row, with the fields of the object that holds its question and answer among its own."""
        named = (self._named.question, self._named.answer, self._named.context, self._named.options)
        names = self._lookup.names(row)
        return lifted(decoded(row, names, named), names, named)

    def _look_beside(self, row: Row, names: Names) -> None:
        """Look at fields that no name tells of, in a row with a question under a usual name."""
        if self._named.context or self._as_written or not looks(self.learnt.extras, names):
            return
        try:
            asked = self._questions.usual(row, names)
        except (SetAside, UsageError):
            return
        if asked is None:
            return
        offered = self._choices.offered(row, names) if has_families(names) else frozenset()
        look(self.learnt.extras, row, names, asked.name, asked.text, offered)

    def read(self, row: object, where: str, source: str) -> RowRead:
        """The problem of a row that was shown; `UsageError`, naming `where`, for a row that is none."""
        self._lookup.settle()
        found = as_row(row)
        if found is None:
            raise UsageError(f"{where}: not an object with fields, but {kind_of(row)}", "Each row needs named fields.")
        whole = self._lifted(found)
        without = [(role, self.used[role].total()) for role, name in self._own.items() if not find(whole, name)[0]]
        try:
            read = self._read(whole, where, source)
        except SetAside as aside:
            return RowRead(problem=None, kind=aside.kind, why=aside.why)
        self.lacked.update(role for role, before in without if self.used[role].total() > before)
        return read

    def _read(self, row: Row, where: str, source: str) -> RowRead:
        names = self._lookup.names(row)
        asked = self._questions.asked(row, names, where)
        refuse_encoded(asked.text, asked.name, where)
        if name := picture_in(row, names):
            raise SetAside("picture", f"`{name}` holds {kind_of_picture(name)}, which the model would not see")
        if absent := not_in_text(asked.text):
            raise SetAside("picture", absent)
        if "history" in names and are_earlier_turns(row[names["history"]]):
            raise SetAside("chat", f"`{names['history']}` holds earlier turns of a chat")
        self.used["question"][asked.name] += 1
        question = self._questions.with_context(row, names, asked, where, lambda: self._choices.options(row, names))
        options = self._choices.options(row, names) or self._choices.shown_in(row, names, question)
        if options is not None and options.fields and bare_name(options.fields[0]) == "multiplechoicetargets":
            options = None if all(text in question for text in options.texts) else options  # the prompt lists them
        if options is None:
            final = self._final(row, names, asked, question, where)
            if final.text is not None and (lost := lost_options(question, final.text)):
                raise SetAside("options", lost)
        else:
            if options.right is not None and options.separate and options.speak_of_others:
                raise SetAside("options", "an option speaks of others, whose order the row doesn't tell")
            lines, right = options.rendered(question, self._named.seed)
            self.used["options"][", ".join(options.fields)] += 1
            final = Final(text=right) if right else self._choices.choice(row, names, options)
            question = question if shows(question, options) else f"{question}\n\n{lines}"
        if why := disowned(row, names):
            final = Final(text=None, why=why)
        if len(asked.text) <= _NAME and repeats_header(row, asked, final.text):
            raise SetAside("blank", "the row repeats the names of the fields")
        question, answer = (
            checked_text(restored(question), asked.name, where),
            final.text and checked_text(restored(final.text), "answer", where),
        )
        problem = make_problem(question, answer, source, system=asked.system)
        return RowRead(problem=problem, kind=final.kind, why=final.why if answer is None else "")

    def _final(self, row: Row, names: Names, asked: Asked, question: str, where: str) -> Final:
        """The row's final answer: of a bare or marked one in the surest field, else why there is none."""
        if self._lookup.verdict.unsure and (doubt := self._answers.doubt(row, names, where)) is not None:
            return doubt
        if self._as_written:
            answers = self._answers.fields(row, names, asked)
            return written_answer(row, names, answers, self._named.answer, self.used["answer"])
        if (refused := self._refused(row, names, asked)) is not None:
            return refused
        weak: tuple[str, Final] | None = None
        lack: Final | None = None
        read = any(row[name] for name in names.among(READ))
        for name, value in self._answers.fields(row, names, asked):
            if isinstance(value, str):
                checked_text(value, name, where)
            final = final_of(value, name, question, read=read, aliased=name in self._lookup.aliased)
            if isinstance(value, str) and final.text is not None and has_parts(question, value):
                lack = Final(text=None, kind="several answers", why=f"`{name}` answers several parts of the question")
                break
            if final.text is not None and name in self._lookup.formal and may_be_formal(final.text):
                return Final(text=None, kind="program", why=f"`{name}` holds programs or the like in most rows")
            if final.text is not None and not final.weak:
                self.used["answer"][name] += 1
                if scale := scaled_by(row, names, final.text):
                    self._lookup.scales[scale] = None
                return final
            if final.text is not None:
                weak = weak or (name, final)
                continue
            if lack is None or (lack.kind == "no answer" and final.kind != "no answer"):
                lack = final
            if final.kind == "program" or "stands for" in final.why:
                break
        if weak is not None:
            self.used["answer"][weak[0]] += 1
            return weak[1]
        if lack is not None:
            return lack
        return Final(text=None, why=f"no answer; the fields are: {listed(row)}")

    def _refused(self, row: Row, names: Names, asked: Asked) -> Final | None:
        """Why the row itself says that what stands in its answer's place is none; None where it doesn't."""
        if program := next((name for name in names.among(TESTS) if row[name] not in (None, "", [], {})), ""):
            return Final(
                text=None, kind="program", why=f"an answer that is judged by running it: the row has `{program}`"
            )
        if value_of(row, names, "label") in (0, "0", "incorrect", "wrong") and isinstance(
            value_of(row, names, "answer"), str
        ):
            raise SetAside("options", f"`{names['label']}` says that `{names['answer']}` is not the answer")
        if why := self._answers.marked_wrong(row, names):
            return Final(text=None, why=why)
        if not self._named.answer and (name := puzzle_target(row, names)):
            return Final(text=None, kind="type", why=f"`{name}` holds the target of a puzzle, which is no answer to it")
        if bare_name(asked.name) == "input" and {"code", "output"} <= names.keys():
            raise SetAside("program", f"`{asked.name}` is the input of the program in `{names['code']}`")
        return None


def repeats_header(row: Row, asked: Asked, answer: str | None) -> bool:
    """Whether question and answer are names of fields, as in a heading that stands in a file again."""
    names = {str(name).strip().casefold() for name in row}
    return answer is not None and {asked.text.strip().casefold(), answer.strip().casefold()} <= names


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
