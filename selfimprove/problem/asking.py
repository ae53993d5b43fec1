"""The question of a row: the field it stands in, what it can't be answered without, and the blanks it has."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from selfimprove.errors import UsageError
from selfimprove.problem.context import context_of
from selfimprove.problem.counting import look_at_counts
from selfimprove.problem.guess import is_formal
from selfimprove.problem.heads import NAME_WORDS
from selfimprove.problem.likeness import ANSWERING, CODING, is_beside, is_of, is_solution, may_be_given, words_of
from selfimprove.problem.lookup import Lookup, SetAside, containers, value_of
from selfimprove.problem.names import (
    ANSWERS,
    CHOSEN,
    LABELS,
    OPTIONS,
    PICTURES,
    QUESTIONS,
    SOLUTIONS,
    SYSTEMS,
    TESTS,
    Group,
    Names,
    Row,
    find,
    listed,
    opened,
)
from selfimprove.problem.option_fields import own_fields
from selfimprove.problem.options import Options
from selfimprove.problem.plain import kind_of, refuse_path
from selfimprove.problem.turns import Chat, has_user, is_chat, read_chat, rendered, spoken

Offered = Callable[[], Options | None]

_BLANK = re.compile(r"N_(?<=\bN_)(\d\d)\b")  # the letters first, so that questions are searched for these
_LANGUAGE = re.compile(r"[a-z]{2}")
"""The name of a field with a question in one of several languages, of which none is taken for the others."""
_NUMBER_BLANK = re.compile(r"\bnumber(\d+)\b")
_TEXTS = Group((*QUESTIONS, "text"))
_ANSWERED = frozenset((*ANSWERS, *SOLUTIONS, *CHOSEN, *LABELS))
_TAKEN = _ANSWERED | frozenset((*OPTIONS, *SYSTEMS, *TESTS, *PICTURES))
_REASONING = frozenset(("rationale", "explanation", "reasoning", "cot", "thought"))
"""Words of fields beside which a `source` and its `target` are no translation."""
_FEW_WORDS = 8
"""Words that may stand behind the question in a text that asks it again: the head of the model's turn, `A:`."""
_BODIES = frozenset(("body", "content", "selftext", "detail", "details"))
_NO_NAMES_HINT = (
    "These are texts, not names: give a table a first line such as question,answer, and objects such fields."
)
_NAME_HINT = "Name them: --set problems.question=FIELD --set problems.answer=FIELD"


@dataclass(slots=True)  # one a row, as `Final`
class Asked:
    """A question as it is found: the field it stands in, its text, its system turn, and the answer of its chat."""

    name: str
    text: str
    system: str = ""
    answer: object = None


class Questions:
    """Finds the question of each row."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def learn(self, row: Row, names: Names) -> None:
        """Look at the texts of a row that has no question under a name of the recipe or a usual one."""
        if not self._has_one(row, names):
            named = self._lookup.named
            fields = _may_ask(names)
            apart = {named.answer, named.context, named.options}
            self._lookup.learnt.texts.look(row, [name for name in row if name in fields and name not in apart])
        look_at_counts(self._lookup.learnt.counted, row, names)
        for name in names.wholes:
            if isinstance(text := row[name], str) and isinstance(question := row[names.questions[0]], str) and question:
                self._lookup.learnt.lead_of(name, text, question.strip())

    def asked(self, row: Row, names: Names, where: str) -> Asked:
        """The row's question; `UsageError` if it has none."""
        named = self._lookup.named.question
        if named and (found := find(row, named))[0]:
            candidates = [(named, found[1])]
        else:
            candidates = [(name, row[name]) for name in self._usual(row, names)]
        filled = [(name, value) for name, value in candidates if value not in (None, "", [])]
        if filled:
            return self._opened(*filled[0], row, names, where)
        for name, inner in containers(row, names):
            for key in self._lookup.names(inner).among(QUESTIONS):
                if isinstance(text := inner[key], str) and text.strip():
                    return _taken(f"{name}.{key}", text)
        if candidates:
            return self._opened(*candidates[0], row, names, where)
        chats = [(str(name), value) for name, value in row.items() if is_chat(opened(value)) or is_chat(value)]
        chats = chats or _chats_inside(row)
        if len(chats) == 1:
            return self._opened(*chats[0], row, names, where)
        return self._guessed(row, where)

    def usual(self, row: Row, names: Names) -> Asked | None:
        """The question under a name of the recipe or a usual one, None without one."""
        return self.asked(row, names, "") if self._has_one(row, names) else None

    def _has_one(self, row: Row, names: Names) -> bool:
        named = self._lookup.named.question
        if self._usual(row, names) or (named and find(row, named)[0]):
            return True
        if any(self._lookup.names(inner).among(QUESTIONS) for _, inner in containers(row, names)):
            return True
        return len(_chats_inside(row)) == 1

    def _usual(self, row: Row, names: Names) -> tuple[str, ...]:
        """The fields with a usual name; none where the only one has one of many meanings, and a formula in it."""
        if names.loose and is_formal(row[names.loose]):
            return ()
        if self._lookup.indexes.isdisjoint(names.questions):
            return names.questions
        left = tuple(name for name in names.questions if name not in self._lookup.indexes)
        return left or tuple(name for name in names.contexts if name not in self._lookup.indexes)[:1]

    def _guessed(self, row: Row, where: str) -> Asked:
        """The question under no usual name, as all rows tell it."""
        guess = self._lookup.guess
        texts = [text for name in guess.fields if isinstance(text := row.get(name), str)]
        if texts:
            title = row[name] if (name := _title_of(tuple(row), guess.fields[0])) else None
            texts = [title, *texts] if isinstance(title, str) and title.strip() else texts
            return _taken(", ".join(guess.fields), "\n".join(texts))
        if guess.unsure:
            raise UsageError(
                f"{where}: no question under a usual name; it may be in {listed(guess.unsure)}",
                "Name it, and what belongs to it: --set problems.question=FIELD --set problems.context=FIELD",
            )
        told = [str(name) for name in row]
        hint = (
            _NO_NAMES_HINT if any(len(name.split()) > NAME_WORDS or name.endswith("?") for name in told) else _NAME_HINT
        )
        raise UsageError(f"{where}: no question; the fields are: {listed(row)}", hint)

    def _opened(self, name: str, value: object, row: Row, names: Names, where: str) -> Asked:
        inner = opened(value)
        system = self._system(name, row, names)
        if isinstance(inner, dict) and not is_chat(value):
            text = next(iter(self._lookup.names(inner).among(_TEXTS)), None)
            if text is not None and isinstance(inner[text], str) and inner[text].strip():
                return _taken(f"{name}.{text}", str(inner[text]))
        turns = value if is_chat(value) else [inner] if is_chat([inner]) else inner
        if is_chat(turns) and isinstance(turns, (list, tuple)):
            chat = read_chat(turns)
            if isinstance(chat, str):
                raise SetAside("chat", f"`{name}` holds {chat}")
            return _of_chat(name, chat, system, where)
        value = inner if isinstance(inner, str) else value
        if not isinstance(value, str):
            kind = kind_of(value).split(" of ")[0]
            raise UsageError(f"{where}: `{name}` must be a text, not {kind}", "Correct or remove the row.")
        if not value.strip():
            raise UsageError(f"{where}: `{name}` is empty", "Correct or remove the row.")
        if turns := rendered(value):
            return self._opened(name, turns, row, names, where)
        return _taken(name, value, system)

    def _system(self, name: str, row: Row, names: Names) -> str:
        """The system turn that stands beside the field `name`, in the row or in the object that holds the field."""
        holder = row.get(name.partition(".")[0])
        beside = [(holder, self._lookup.names(holder))] if "." in name and isinstance(holder, dict) else []
        told = (spoken(fields[one]) for fields, known in [*beside, (row, names)] for one in known.among(SYSTEMS))
        return next((text for text in told if isinstance(text, str)), "")

    def _given(self, row: Row, where: str) -> tuple[str, ...]:
        """The fields of the row that all rows together show to be context; `UsageError` where that is open."""
        roles = self._lookup.roles
        if not roles:
            return ()
        open_ones = [name for name, role in roles.items() if role == "unsure"]
        if unsure := [name for name in open_ones if find(row, name)[1] not in (None, "", [])]:
            raise UsageError(
                f"{where}: {listed(unsure)}: nothing says whether the question needs it",
                f"If it does: --set problems.context={unsure[0]} (or problems.options). Else leave it out of the file.",
            )
        return tuple(name for name in row if roles.get(name) == "context")

    def with_context(self, row: Row, names: Names, asked: Asked, where: str, offered: Offered) -> str:
        """The question with what it can't be answered without, blanks filled in; `offered` finds the row's options."""
        named = self._lookup.named.context
        taken = frozenset((self._lookup.named.answer, self._lookup.named.options)) - {named} | self._lookup.indexes
        if self._lookup.whole and not named:
            wholes = [name for name in names.wholes if name in self._lookup.whole]
            taken |= {name for name in wholes if _is_all(row[name], asked.text, offered())}
        given = self._given(row, where)
        found = context_of(row, names, named, asked.name, asked.text, given, taken)
        for name in found.names:
            refuse_path(find(row, name)[1], name, where)
            self._lookup.used["context"][name] += 1
        question = "\n\n".join([*found.before, asked.text, *found.after])
        blank = _NUMBER_BLANK if "numbers" in names and _NUMBER_BLANK.search(question) else _BLANK
        if not blank.search(question):
            return question
        numbers = str(value_of(row, names, "numbers") or "").split()
        blanks = {int(match[1]) for match in blank.finditer(question)}
        if not numbers or max(blanks) >= len(numbers):
            raise SetAside("blank", f"`{asked.name}` has blanks such as N_00 and the row no `Numbers` for them")
        return blank.sub(lambda match: numbers[int(match[1])], question)


def _chats_inside(row: Row, depth: int = 3) -> list[tuple[str, object]]:
    """The chats with a user's turn in the objects of a row, and in those inside them, with their dotted names."""
    found: list[tuple[str, object]] = []
    for name, value in row.items():
        held = opened(value) if isinstance(value, str) and value[:1] == "{" else value
        for key, inner in held.items() if isinstance(held, dict) else ():
            if is_chat(inner):
                found += [(f"{name}.{key}", inner)] if has_user(inner) else []
            elif isinstance(inner, dict) and depth > 1:
                found += [(f"{name}.{more}", chat) for more, chat in _chats_inside({key: inner}, depth - 1)]
    return found


def _is_all(whole: object, question: str, options: Options | None) -> bool:
    """Whether the text holds the question, and behind it all of the options, or without any but a few words."""
    at = whole.find(question) if isinstance(whole, str) else -1
    if not isinstance(whole, str) or at < 0:
        return False
    behind = whole[at + len(question) :]
    return len(behind.split()) <= _FEW_WORDS if options is None else all(text in behind for text in options.texts)


def _taken(name: str, text: str, system: str = "") -> Asked:
    return Asked(name, text, system.strip())


@lru_cache(maxsize=1000)
def _title_of(names: tuple[str, ...], body: str) -> str:
    """The field with the title of a question whose body stands in a field of its own; empty without one."""
    words = words_of(body)
    titled = {("title" if word in _BODIES else word) for word in words}
    if "title" not in titled:
        return ""
    return next((name for name in names if set(words_of(str(name))) == titled), "")


@lru_cache(maxsize=1000)
def _may_ask(names: Names) -> frozenset[str]:
    """The fields that may hold the question where none has a usual name for it; none in a row without an answer."""
    answering = [name for name in names.values() if is_of(name, ANSWERING) or is_solution(name)]
    chosen = names.chosen and own_fields(names)
    answered = bool(answering or chosen) or not _ANSWERED.isdisjoint(names)
    apart = own_fields(names) if answered else names.values()
    reasoned = {"source", "target"} <= names.keys() and any(is_of(name, _REASONING) for name in names.values())
    return frozenset(
        name
        for one, name in names.items()
        if name not in (*apart, *answering)
        and not _LANGUAGE.fullmatch(name)
        and one not in _TAKEN
        and not is_of(name, CODING)
        and (not is_beside(name) or (reasoned and one == "source") or may_be_given(name))
    )


def _of_chat(name: str, chat: Chat, system: str, where: str) -> Asked:
    if not chat.question.strip():
        raise UsageError(f"{where}: `{name}` holds an empty user turn", "Correct or remove the row.")
    return Asked(name, chat.question, (chat.system or system).strip(), chat.answer)
