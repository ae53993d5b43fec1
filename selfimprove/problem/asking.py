"""The question of a row: the field it stands in, what it can't be answered without, and the blanks it has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem.context import context_of
from selfimprove.problem.lookup import Lookup, SetAside, containers, value_of
from selfimprove.problem.names import QUESTIONS, SYSTEMS, Names, Row, find, listed, opened
from selfimprove.problem.plain import kind_of
from selfimprove.problem.turns import Chat, is_chat, read_chat

_BLANK = re.compile(r"N_(?<=\bN_)(\d\d)\b")  # the letters first, so that questions are searched for these
_NUMBER_BLANK = re.compile(r"\bnumber(\d+)\b")
_NAME_HINT = "Name them: --set problems.question=FIELD --set problems.answer=FIELD"


@dataclass(frozen=True)
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

    def asked(self, row: Row, names: Names, where: str) -> Asked:
        """The row's question; `UsageError` if it has none."""
        named = self._lookup.named.question
        if named and (found := find(row, named))[0]:
            candidates = [(named, found[1])]
        else:
            candidates = [(name, row[name]) for name in names.among(QUESTIONS)]
        filled = [(name, value) for name, value in candidates if value not in (None, "", [])]
        if filled:
            return self._opened(*filled[0], row, names, where)
        for name, inner in containers(row, names):
            for key in self._lookup.names(inner).among(QUESTIONS):
                if isinstance(text := inner[key], str) and text.strip():
                    return self._taken(f"{name}.{key}", text)
        if candidates:
            return self._opened(*candidates[0], row, names, where)
        raise UsageError(f"{where}: no question; the fields are: {listed(row)}", _NAME_HINT)

    def _taken(self, name: str, text: str, system: str = "") -> Asked:
        self._lookup.used["question"][name] += 1
        return Asked(name, text, system.strip())

    def _opened(self, name: str, value: object, row: Row, names: Names, where: str) -> Asked:
        inner = opened(value)
        system = next((text for one in names.among(SYSTEMS) if isinstance(text := row[one], str)), "")
        if isinstance(inner, dict) and not is_chat(value):
            text = next(iter(self._lookup.names(inner).among((*QUESTIONS, "text"))), None)
            if text is not None and isinstance(inner[text], str) and inner[text].strip():
                return self._taken(f"{name}.{text}", str(inner[text]))
        turns = value if is_chat(value) else [inner] if is_chat([inner]) else inner
        if is_chat(turns) and isinstance(turns, (list, tuple)):
            chat = read_chat(turns)
            if isinstance(chat, str):
                raise SetAside("chat", f"`{name}` holds {chat}")
            self._lookup.used["question"][name] += 1
            return _of_chat(name, chat, system, where)
        value = inner if isinstance(inner, str) else value
        if not isinstance(value, str):
            kind = kind_of(value).split(" of ")[0]
            raise UsageError(f"{where}: `{name}` must be a text, not {kind}", "Correct or remove the row.")
        if not value.strip():
            raise UsageError(f"{where}: `{name}` is empty", "Correct or remove the row.")
        return self._taken(name, value, system)

    def with_context(self, row: Row, names: Names, asked: Asked) -> str:
        """The question with what it can't be answered without, blanks filled in."""
        found = context_of(row, names, self._lookup.named.context, asked.name, asked.text)
        for name in found.names:
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


def _of_chat(name: str, chat: Chat, system: str, where: str) -> Asked:
    if not chat.question.strip():
        raise UsageError(f"{where}: `{name}` holds an empty user turn", "Correct or remove the row.")
    return Asked(name, chat.question, (chat.system or system).strip(), chat.answer)
