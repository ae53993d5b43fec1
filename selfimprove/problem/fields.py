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

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem.context import context_of
from selfimprove.problem.finals import Final, Kind, final_of
from selfimprove.problem.flags import disowned, lost_options, picture_in
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.names import (
    ANSWERS,
    CHOSEN,
    CONTAINERS,
    GRADES,
    OPTIONS,
    QUESTIONS,
    RATINGS,
    SOLUTIONS,
    SYSTEMS,
    TESTS,
    Names,
    Row,
    bare_name,
    find,
    listed,
    opened,
)
from selfimprove.problem.options import (
    Numbering,
    Options,
    as_number,
    is_label,
    option_fields,
    options_in,
    place_of,
    read_options,
    shows,
)
from selfimprove.problem.plain import checked_text, kind_of
from selfimprove.problem.turns import Chat, is_chat, read_chat
from selfimprove.problem.values import Problem, make_problem
from selfimprove.problem.written import written_answer
from selfimprove.recipe import Problems

SURE, VAGUE = ANSWERS[: ANSWERS.index("answers")], ANSWERS[ANSWERS.index("answers") :]
"""Names of answers, and those that mean many things: passed over where a row has a surer one."""

_BLANK = re.compile(r"N_(?<=\bN_)(\d\d)\b")  # the letters first, so that questions are searched for these
_NUMBER_BLANK = re.compile(r"\bnumber(\d+)\b")
_NAME_HINT = "Name them: --set problems.question=FIELD --set problems.answer=FIELD"


@dataclass(frozen=True, kw_only=True)
class RowRead:
    """A problem, if the row can be asked; without an answer (or a problem), what kind of lack it is, and why."""

    problem: Problem | None
    kind: Kind = "no answer"
    why: str = ""


@dataclass(frozen=True)
class _Asked:
    """A question as it is found: the field it stands in, its text, its system turn, and the answer of its chat."""

    name: str
    text: str
    system: str = ""
    answer: object = None
    inside: Row | None = None


class _SetAside(Exception):  # noqa: N818 - no error: the row is set aside
    """This row can't be asked as it stands."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.kind, self.why = kind, why


class FieldReader:
    """Reads the rows of one source, each of which it has to be shown first; `as_written`: answers as they stand."""

    def __init__(self, named: Problems, *, as_written: bool = False) -> None:
        self._named, self._as_written = named, as_written
        self._names: dict[tuple[object, ...], Names] = {}
        self.used: dict[str, Counter[str]] = {role: Counter() for role in ("question", "context", "options", "answer")}
        self.learnt = Learnt(lacking={role: getattr(named, role) for role in self.used if getattr(named, role)})

    def learn(self, row: object) -> None:
        """Look at a row before any is read."""
        self.learnt.know(row)
        row = as_row(row)
        if row is None:
            return
        for role, name in list(self.learnt.lacking.items()):
            if find(row, name)[0]:
                del self.learnt.lacking[role]
        names = self._bare_names(row)
        try:
            options = self._options(row, names)
        except _SetAside:
            return
        if options is None or options.right is not None:
            return
        for name, value in self._chosen(row, names):
            number = as_number(value)
            if number is not None and number >= 0 and not is_label(options, value):
                written = isinstance(value, str)
                self.learnt.numbering.setdefault(name, Numbering()).learn(options, number, written=written)

    def read(self, row: object, where: str, source: str) -> RowRead:
        """The problem of a row that was shown; `UsageError`, naming `where`, for a row that is none."""
        found = as_row(row)
        if found is None:
            raise UsageError(f"{where}: not an object with fields, but {kind_of(row)}", "Each row needs named fields.")
        try:
            return self._read(found, where, source)
        except _SetAside as aside:
            return RowRead(problem=None, kind=aside.kind, why=aside.why)

    def _read(self, row: Row, where: str, source: str) -> RowRead:
        names = self._bare_names(row)
        asked = self._asked(row, names, where)
        if name := picture_in(row, names):
            raise _SetAside("picture", f"`{name}` holds a picture, which the model would not see")
        question = self._with_context(row, names, asked)
        options = self._options(row, names)
        if options is None:
            final = self._final(row, names, asked, question, where)
            if final.text is not None and lost_options(question, final.text):
                raise _SetAside("options", f"the answer is the number {final.text} of an option, and none are shown")
        else:
            lines, right = options.rendered(question, self._named.seed)
            self.used["options"][", ".join(options.fields)] += 1
            final = Final(text=right) if right else self._choice(row, names, options)
            question = question if shows(question, options) else f"{question}\n\n{lines}"
        if why := disowned(row, names):
            final = Final(text=None, why=why)
        question, answer = (
            checked_text(question, asked.name, where),
            final.text and checked_text(final.text, "answer", where),
        )
        problem = make_problem(question, answer, source, system=asked.system)
        return RowRead(problem=problem, kind=final.kind, why=final.why if answer is None else "")

    def _bare_names(self, row: Row) -> Names:
        keys = tuple(row)
        if keys not in self._names:
            if len(self._names) > 1000:
                self._names.clear()
            self._names[keys] = Names(keys)
        return self._names[keys]

    def _asked(self, row: Row, names: Names, where: str) -> _Asked:
        """The row's question; `UsageError` if it has none."""
        if self._named.question and (found := find(row, self._named.question))[0]:
            candidates = [(self._named.question, found[1])]
        else:
            candidates = [(name, row[name]) for name in names.among(QUESTIONS)]
        filled = [(name, value) for name, value in candidates if value not in (None, "", [])]
        if filled:
            return self._opened_question(*filled[0], row, names, where)
        for name, inner in _containers(row, names):
            inside = self._bare_names(inner)
            for key in inside.among(QUESTIONS):
                if isinstance(text := inner[key], str) and text.strip():
                    self.used["question"][f"{name}.{key}"] += 1
                    return _Asked(f"{name}.{key}", text, inside=inner)
        if candidates:
            return self._opened_question(*candidates[0], row, names, where)
        raise UsageError(f"{where}: no question; the fields are: {listed(row)}", _NAME_HINT)

    def _opened_question(self, name: str, value: object, row: Row, names: Names, where: str) -> _Asked:
        inner = opened(value)
        system = next((text for name in names.among(SYSTEMS) if isinstance(text := row[name], str)), "")
        if isinstance(inner, dict) and not is_chat(value):
            inside = self._bare_names(inner)
            text = next(iter(inside.among((*QUESTIONS, "text"))), None)
            if text is not None and isinstance(inner[text], str) and inner[text].strip():
                self.used["question"][f"{name}.{text}"] += 1
                return _Asked(f"{name}.{text}", str(inner[text]), inside=inner)
        turns = value if is_chat(value) else [inner] if is_chat([inner]) else inner
        if is_chat(turns) and isinstance(turns, (list, tuple)):
            chat = read_chat(turns)
            if isinstance(chat, str):
                raise _SetAside("chat", f"`{name}` holds {chat}")
            self.used["question"][name] += 1
            return _of_chat(name, chat, system, where)
        value = inner if isinstance(inner, str) else value
        if not isinstance(value, str):
            kind = kind_of(value).split(" of ")[0]
            raise UsageError(f"{where}: `{name}` must be a text, not {kind}", "Correct or remove the row.")
        if not value.strip():
            raise UsageError(f"{where}: `{name}` is empty", "Correct or remove the row.")
        self.used["question"][name] += 1
        return _Asked(name, value, system.strip())

    def _with_context(self, row: Row, names: Names, asked: _Asked) -> str:
        """The question with what it can't be answered without, blanks filled in."""
        found = context_of(row, names, self._named.context, asked.name, asked.text)
        for name in found.names:
            self.used["context"][name] += 1
        question = "\n\n".join([*found.before, asked.text, *found.after])
        blank = _NUMBER_BLANK if "numbers" in names and _NUMBER_BLANK.search(question) else _BLANK
        if not blank.search(question):
            return question
        numbers = str(_of(row, names, "numbers") or "").split()
        blanks = {int(match[1]) for match in blank.finditer(question)}
        if not numbers or max(blanks) >= len(numbers):
            raise _SetAside("blank", f"`{asked.name}` has blanks such as N_00 and the row no `Numbers` for them")
        return blank.sub(lambda match: numbers[int(match[1])], question)

    def _options(self, row: Row, names: Names) -> Options | None:
        if self._named.options and (found := find(row, self._named.options))[0]:
            named = options_in(row, names, self._named.options, found[1])
            if named is None and found[1] not in (None, "", [], {}):
                raise _SetAside("options", f"`{self._named.options}` holds options in a form that isn't read")
            return named
        unread = ""
        for bare in option_fields(tuple(names)):
            name = names[bare]
            if row[name] in (None, "", [], {}):
                continue
            options = options_in(row, names, name, row[name])
            if options is not None:
                return options
            unread = unread or ("" if bare == "answers" or isinstance(row[name], (int, float)) else name)
        if isinstance(inner := opened(_of(row, names, "question")), dict):
            for key, value in inner.items():
                if bare_name(key) in OPTIONS and read_options(value) is not None:
                    return options_in(inner, Names(()), str(key), value)
        several = options_in(row, names, "", None)
        if several is None and unread:
            raise _SetAside("options", f"`{unread}` holds options in a form that isn't read")
        return several

    def _chosen(self, row: Row, names: Names) -> Iterator[tuple[str, object]]:
        """The fields that may say which option is right, with what they hold."""
        if self._named.answer and (found := find(row, self._named.answer))[0]:
            yield self._named.answer, opened(found[1])
            return
        for name in names.chosen:
            yield name, opened(row[name])
        for name, inner in _containers(row, names):
            for bare, key in self._bare_names(inner).items():
                if bare in CHOSEN:
                    yield f"{name}.{key}", opened(inner[key])

    def _choice(self, row: Row, names: Names, options: Options) -> Final:
        """The letter of the right option; a row in which it can't be told is set aside."""
        places: dict[str, int] = {}
        unread: list[str] = []
        for name, value in self._chosen(row, names):
            if value in (None, "", [], -1, "-1") or isinstance(value, (dict, list, bool)):
                continue
            place = self._place(options, name, value)
            if place is not None:
                places[name] = place
            elif bare_name(name) not in ("label", "target", "gold", "output", "response", "solution"):
                unread.append(f"`{name}` {value!r:.60}")
        if len(set(places.values())) > 1:
            raise _SetAside("options", f"{listed(places)} name different options")
        if places:
            self.used["answer"][next(iter(places))] += 1
            return Final(text=options.letters()[next(iter(places.values()))])
        if unread:
            raise _SetAside("options", f"{unread[0]} can't be mapped to one of {len(options.texts)} options")
        return Final(text=None, why=f"options in {listed(options.fields)} and nothing that says which is right")

    def _place(self, options: Options, name: str, value: object) -> int | None:
        counts = ""
        if as_number(value) is not None and name in self.learnt.numbering:
            counts = self.learnt.numbering[name].first(options, name, written=isinstance(value, str))
        place = place_of(options, value, counts)
        if place is None and isinstance(value, str):
            final = final_of(value, name, "")
            place = place_of(options, final.text, "text") if final.text else None
        return place

    def _final(self, row: Row, names: Names, asked: _Asked, question: str, where: str) -> Final:
        """The row's final answer: of a bare or marked one in the surest field, else why there is none."""
        if self._as_written:
            answers = self._answers(row, names, asked)
            return written_answer(row, names, answers, self._named.answer, self.used["answer"])
        if program := next((name for name in names.among(TESTS) if row[name] not in (None, "", [], {})), ""):
            return Final(
                text=None, kind="program", why=f"an answer that is judged by running it: the row has `{program}`"
            )
        if _of(row, names, "label") in (0, "0", "incorrect", "wrong") and isinstance(_of(row, names, "answer"), str):
            raise _SetAside("options", f"`{names['label']}` says that `{names['answer']}` is not the answer")
        if bare_name(asked.name) == "input" and {"code", "output"} <= names.keys():
            raise _SetAside("program", f"`{asked.name}` is the input of the program in `{names['code']}`")
        weak: tuple[str, Final] | None = None
        lack: Final | None = None
        for name, value in self._answers(row, names, asked):
            if isinstance(value, str):
                checked_text(value, name, where)
            final = final_of(value, name, question)
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

    def _answers(self, row: Row, names: Names, asked: _Asked) -> Iterator[tuple[str, object]]:
        """The fields that may hold the answer, the surest first."""
        if self._named.answer and (found := find(row, self._named.answer))[0]:
            yield self._named.answer, found[1]
            return
        sure = False
        for name in names.among(SURE):
            sure = sure or row[name] not in (None, "")
            yield name, row[name]
        for name in names.among(VAGUE):
            if not sure:
                sure = row[name] not in (None, "")
                yield name, row[name]
        if not sure and isinstance(label := _of(row, names, "label"), (str, bool)) and as_number(label) is None:
            yield names["label"], label
        for name, inner in _containers(row, names):
            for key in self._bare_names(inner).among(SURE):
                yield f"{name}.{key}", inner[key]
        if any(row[name] is False for name in names.among(GRADES)):
            return  # a model's solution that was found wrong
        for name in names.among(SOLUTIONS) if len(names.among(RATINGS)) < 2 else ():
            if name != asked.name:
                yield name, row[name]
        if asked.answer is not None:
            yield asked.name, asked.answer


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


def _containers(row: Row, names: Names) -> Iterator[tuple[str, Row]]:
    """The objects inside a row, the likeliest to hold the answer first."""
    order = {bare: place for place, bare in enumerate(CONTAINERS)}
    for _, name in sorted(names.items(), key=lambda item: order.get(item[0], len(order))):
        value = row[name]
        may_be = isinstance(value, dict) or (isinstance(value, str) and value.lstrip()[:1] == "{")
        if may_be and isinstance(inner := opened(value), dict):
            yield name, inner


def _of_chat(name: str, chat: Chat, system: str, where: str) -> _Asked:
    if not chat.question.strip():
        raise UsageError(f"{where}: `{name}` holds an empty user turn", "Correct or remove the row.")
    return _Asked(name, chat.question, (chat.system or system).strip(), chat.answer)


def _of(row: Row, names: Names, bare: str) -> object:
    """What the row's field of this bare name holds; None without one."""
    return row[names[bare]] if bare in names else None
