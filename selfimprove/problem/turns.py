"""Chats as problems: one user turn is the question, a system turn before it the system turn, what follows a solution.

The forms are `role` and `content`, ShareGPT's `from` and `value`, and a text that a chat template has made of the
turns, which a run would otherwise put into a template again. A chat with several user turns is no problem: its last
question can't be asked without the answers before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.problem.names import Row

_USERS = frozenset(("user", "human", "prompter"))
_OTHERS = {"system": "system", "developer": "system", "tool": "tool"}
_MODELS = frozenset(("assistant", "gpt", "model", "bot", "chatgpt"))


@dataclass(frozen=True)
class Chat:
    """A chat of one user turn; `answer` is what the model's turn holds, None without one."""

    question: str
    system: str = ""
    answer: object = None


def is_chat(value: object) -> bool:
    """Whether the value is a list of turns."""
    return isinstance(value, (list, tuple)) and bool(value) and all(_role(turn) for turn in value)


def spoken(value: object) -> object:
    """What a turn or its blocks say that stand by themselves (`{"parts": [{"text": …}]}`); any other value as it is."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(part, dict) and "text" in part for part in value):
        return _content({"content": value})
    return _content(value) if isinstance(value, dict) and not {"parts", "content"}.isdisjoint(value) else value


def are_earlier_turns(value: object) -> bool:
    """Whether the value is a list of what was asked and answered before, in pairs."""
    pairs = value if isinstance(value, (list, tuple)) else ()
    return bool(pairs) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(said, str) for said in pair)
        for pair in pairs
    )


def has_user(turns: object) -> bool:
    """Whether a user speaks in a chat."""
    return isinstance(turns, (list, tuple)) and any(_role(turn) == "user" for turn in turns)


def read_chat(turns: Sequence[object]) -> Chat | str:
    """The chat's one question, or why it has none."""
    roles = [_role(turn) for turn in turns]
    if "tool" in roles or "other" in roles:
        return "a chat with turns of tools"
    users = roles.count("user")
    if users != 1:
        return f"a chat with {users or 'no'} user turns"
    at = roles.index("user")
    if any(role != "system" for role in roles[:at]) or roles.count("model") > 1:
        return "a chat whose user turn isn't the first"
    texts = [_content(turn) for turn in turns]
    question = texts[at]
    if question is not None and (inner := rendered(question)):
        return read_chat([*turns[:at], *inner, *turns[at + 1 :]])
    if question is None or any(texts[place] is None for place in range(at)):
        return "a chat with a turn that is more than text"
    system = "\n\n".join(text for text in texts[:at] if text)
    answer = next((_answer(turn) for turn, role in zip(turns, roles, strict=True) if role == "model"), None)
    return Chat(question, system, answer)


def last_text(turns: Sequence[object]) -> str | None:
    """The text of a completion that is a list of one turn of the model, or of one user's turn and the model's."""
    *before, last = (_role(turn) for turn in turns)
    alone = before.count("user") <= 1 and set(before) <= {"system", "user"}
    return _content(turns[-1]) if alone and last == "model" else None


_TEMPLATES = (
    re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL),
    re.compile(r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\s*(.*?)(?:<\|eot_id\|>|\Z)", re.DOTALL),
    re.compile(r"<start_of_turn>(\w+)\n(.*?)(?:<end_of_turn>|\Z)", re.DOTALL),
    re.compile(r"<\|(user|system|assistant)\|>\s*(.*?)(?=<\||</s>|\Z)", re.DOTALL),
)
"""The turns of ChatML (Qwen), Llama 3, Gemma and Zephyr: the role and what is said."""
_BEGIN = re.compile(r"\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>)?\s*")
_BARE = re.compile(r"^(system|user|assistant)\n(.*?)(?=^(?:system|user|assistant)\n|\Z)", re.DOTALL | re.MULTILINE)
"""Turns of ChatML whose tokens were left out in decoding: each role stands on a line of its own."""
_BARE_WHOLE = re.compile(r"(?:system\n.*?\n)?user\n.+\nassistant\n?\s*\Z", re.DOTALL)


def rendered(text: str) -> list[dict[str, str]]:
    """The turns in a text that a chat template has made, without those that say nothing; empty for any other text.

    Such a text begins with a turn: one that only speaks of a template's tokens is none.
    """
    if "<|" not in text and "<start_of_turn>" not in text:
        turns = _BARE.findall(text) if text[:20].startswith(("user\n", "system\n")) and _BARE_WHOLE.match(text) else []
    else:
        whole = _BEGIN.sub("", text, count=1)
        turns = next((one.findall(whole) for one in _TEMPLATES if one.match(whole)), [])
    return [{"role": role, "content": said.strip()} for role, said in turns if said.strip()]


def _role(turn: object) -> str:
    if not isinstance(turn, dict):
        return ""
    role = turn.get("role", turn.get("from"))
    if not isinstance(role, str) or not {"content", "value", "text", "ground_truth", "parts"} & turn.keys():
        return ""
    lower = role.lower()
    if lower in _USERS:
        return "user"
    return "model" if lower in _MODELS else _OTHERS.get(lower, "other")


def _content(turn: object) -> str | None:
    assert isinstance(turn, dict)  # `_role` has looked
    value = turn.get("content", turn.get("value", turn.get("text", turn.get("parts"))))
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and value:
        parts = [
            part.get("text") if isinstance(part, dict) and part.get("type", "text") == "text" else None
            for part in value
        ]
        texts = [part for part in parts if isinstance(part, str)]
        return "\n".join(texts) if len(texts) == len(parts) else None
    return None


def _answer(turn: object) -> object:
    """What the model's turn holds: its text, or a bare answer that stands in its place."""
    assert isinstance(turn, dict)
    truth = turn.get("ground_truth")
    if isinstance(truth, dict):
        return truth.get("value")
    return truth if truth is not None else _content(turn)


__all__ = ["Chat", "Row", "has_user", "is_chat", "last_text", "read_chat", "rendered", "spoken"]
