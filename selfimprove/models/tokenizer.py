"""A model's tokenizer and chat template behind the `Tokenizer` protocol of `sampling.py`.

`eos_id` is the tokenizer's, which for chat models ends a turn. It may equal the padding id (it does in the embedded
model): nothing here derives a mask from ids.

Both come with the model and are hostile until shown otherwise. A chat template is a program: it runs under limits
(`limits.py`), and has to render something, at most `LONGEST` characters. An id for which the model's embedding has no
row is refused when it is rendered. The vocabulary itself must fit the embedding, tokens added to it need not: some
models have added tokens without a row, and never render them.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import transformers
from jinja2 import TemplateError

from selfimprove.errors import UsageError
from selfimprove.models.limits import OutOfTime, bounded
from selfimprove.models.weights import read_json

SECONDS = 3.0
"""Longest time that a chat template may take for one conversation; it takes about a millisecond."""
MEMORY = 2**31
"""Bytes that rendering may take."""
LONGEST = 4_000_000
"""Characters of a rendered conversation; problem rows are at most a quarter of that."""

PATTERN_TOKENS = 100_000
"""Tokens of a vocabulary above which transformers asks whether its splitting pattern is one of Mistral's old ones."""
MISTRALS = ("mistral", "ministral", "pixtral", "voxtral")
"""How the types of Mistral's models begin."""
FLAG = "fix_mistral_regex"
"""transformers' setting for that: absent it warns, true it puts Mistral's new pattern in, false it leaves all alone."""

REFETCH = "Fetch the model's files again."
FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a broken template raises, and a tokenizer with settings that make no sense."""


class ChatTokenizer:
    """A model's tokenizer and chat template as `sampling.Tokenizer`."""

    def __init__(
        self,
        tokenizer: transformers.PreTrainedTokenizerBase,
        folder: Path,
        title: str,
        keywords: Mapping[str, bool | int | float | str] = MappingProxyType({}),
    ) -> None:
        self.eos_id = int(tokenizer.eos_token_id)
        self._tokenizer = tokenizer
        self._title = title
        self._folder, self._keywords = folder, dict(keywords)
        self._rows = _embedding_rows(folder)
        self._control = _control_tokens(tokenizer)

    def using(self, template: Mapping[str, bool | int | float | str]) -> ChatTokenizer:
        """The same tokenizer with these keywords for its chat template."""
        return ChatTokenizer(self._tokenizer, self._folder, self._title, template)

    def control_tokens(self, text: str) -> list[str]:
        """The control tokens that are spelt out in a text, which are encoded as text where they stand in a turn."""
        return [] if self._control is None else list(dict.fromkeys(self._control.findall(text)))

    def render(self, system: str, user: str) -> list[int]:
        """Ids up to where the model's turn begins; without a chat template, the plain text of the turns.

        An empty `system` is left out, which leaves a template's own default in force. Raises `UsageError` if the
        template refuses the conversation, takes too long or gives too much or nothing, or if the model lacks an id.
        """
        spelt: list[str] = []
        if self._control is not None and self._control.search(system + user):
            parts = (part.translate(_MARKS_OUT) for part in (system, user))
            system, user = (self._control.sub(lambda match: _hidden(match[0], spelt), part) for part in parts)
        if self._tokenizer.chat_template:
            turns = [("system", system)] if system else []
            ids = self._encoded(self.conversation([*turns, ("user", user)]), spelt, with_special=False)
        else:
            text = "\n\n".join(part for part in (system, user) if part)
            ids = self._encoded(text, spelt, with_special=True)
        if not ids:
            raise UsageError(f"{self._title}: its chat template renders nothing", "Fix the template.")
        if self._rows is not None and max(ids) >= self._rows:
            raise UsageError(
                f"{self._title}: its tokenizer gives id {max(ids)}, its embedding has {self._rows} rows",
                "Name a model with the tokenizer it was trained with.",
            )
        return ids

    @property
    def ends(self) -> tuple[str, str]:
        """The texts of the token that is put before every text, empty if none is, and of the one that ends a turn.

        A model may name a token that begins texts and yet put none there: only what encoding puts there counts.
        """
        first = self._ids("a", with_special=True)[:1]
        begins = first == [self._tokenizer.bos_token_id]
        return str(self._tokenizer.bos_token) if begins else "", str(self._tokenizer.eos_token)

    @property
    def has_template(self) -> bool:
        """Whether the model brings a chat template."""
        return bool(self._tokenizer.chat_template)

    def reencode(self, token_ids: Sequence[int]) -> list[int]:
        """The ids of the decoded text of `token_ids`, special tokens included; equal to them in most tokenizers."""
        text = self._tokenizer.decode(list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return self._ids(str(text), with_special=False)

    def _encoded(self, text: str, spelt: Sequence[str], *, with_special: bool) -> list[int]:
        """The ids of a text in which control tokens that a turn spelt out are hidden: those are encoded as text."""
        ids: list[int] = []
        for place, piece in enumerate(_HIDDEN.split(text) if spelt else [text]):
            if place % 2:
                ids += self._as_text(spelt[int(piece)])
            elif piece or (with_special and place == 0):
                ids += self._ids(piece, with_special=with_special and place == 0)
        return ids

    def _as_text(self, token: str) -> list[int]:
        """The ids of a control token's characters, none of which is the control token."""
        known = set(self._tokenizer.added_tokens_decoder)
        ids = [number for part in (token[:1], token[1:]) if part for number in self._ids(part, with_special=False)]
        if known.isdisjoint(ids):
            return ids
        return [number for sign in token for number in self._ids(sign, with_special=False) if number not in known]

    def _ids(self, text: str, with_special: bool) -> list[int]:
        try:
            return list(self._tokenizer(text, add_special_tokens=with_special)["input_ids"])
        except FAULTS as error:
            raise UsageError(f"{self._title}: its tokenizer fails: {error}", REFETCH) from error

    def conversation(self, turns: Sequence[tuple[str, str]]) -> str:
        """The text of these turns, each a role and what it says, up to where the model's next turn begins.

        Raises `UsageError` if there is no chat template, or it refuses these turns, takes too long or gives too much.
        """
        try:
            with bounded(SECONDS, MEMORY):
                text = self._tokenizer.apply_chat_template(
                    [{"role": role, "content": content} for role, content in turns],
                    add_generation_prompt=True,
                    tokenize=False,
                    strftime_now=DAY.strftime,
                    **self._keywords,  # type: ignore[arg-type]  # any keyword is passed on to the template
                )
        except OutOfTime:
            raise self._faulty(f"takes more than {SECONDS:.0f} seconds") from None
        except MemoryError:
            raise self._faulty("takes too much memory") from None
        except FAULTS as error:
            asks = turns[0][0] == "system"
            hint = "Leave sampling.system empty: not every template takes one." if asks else "Fix the template."
            raise UsageError(f"{self._title}: its chat template fails: {error}", hint) from error
        if not isinstance(text, str) or len(text) > LONGEST:
            raise self._faulty(f"gives more than {LONGEST:,} characters")
        return text

    def _faulty(self, what: str) -> UsageError:
        return UsageError(f"{self._title}: its chat template {what}", "Fix the template.")

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out, spaces as sampled."""
        text = self._tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)


DAY = datetime.date(2024, 7, 26)
"""The day that a template is told where it asks for today's, so that a run's prompts stay the same the next day.

Llama 3's template has this day where none is given.
"""
_HIDDEN = re.compile("\ue000(\\d+)\ue001")
"""What stands for a control token while a template is rendered: characters of private use around its number."""
_MARKS_OUT = {0xE000: None, 0xE001: None}
"""Takes those two out of a turn that spells a control token, which might otherwise name one that it doesn't spell."""


def _hidden(token: str, spelt: list[str]) -> str:
    spelt.append(token)
    return f"\ue000{len(spelt) - 1}\ue001"


def _control_tokens(tokenizer: transformers.PreTrainedTokenizerBase) -> re.Pattern[str] | None:
    """What finds the tokens that mean something to the model beyond their letters: special ones, and the template's."""
    template = tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else ""
    found = [
        str(added.content)
        for added in tokenizer.added_tokens_decoder.values()
        if added.content.strip() and len(added.content) > 1 and (added.special or added.content in template)
    ]
    ordered = sorted(found, key=lambda content: (-len(content), content))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def load_tokenizer(folder: Path, trust_remote_code: bool = False, title: str = "") -> ChatTokenizer:
    """The tokenizer of a model folder; `title` is what the user calls it.

    Raises `UsageError` if there is none, none that knows an end of sequence, or one for another vocabulary.
    """
    title = title or str(folder)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
        if _loses_bytes(tokenizer, folder):
            tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    except Exception as error:  # the Rust library under it raises a bare Exception for a broken file
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        own_code = "custom code" in str(error) and not trust_remote_code
        hint = "If you trust that code, add --trust-remote-code." if own_code else REFETCH
        raise UsageError(f"{title}: no tokenizer that can be loaded: {cause}", hint) from error
    if tokenizer.eos_token_id is None:
        raise UsageError(
            f"{title}: its tokenizer has no end-of-sequence token", "Set eos_token in tokenizer_config.json."
        )
    rows = _embedding_rows(folder)
    if rows is not None and max(tokenizer.vocab_size - 1, int(tokenizer.eos_token_id)) >= rows:
        raise UsageError(
            f"{title}: its tokenizer has {tokenizer.vocab_size} tokens and ends on id {tokenizer.eos_token_id}, "
            f"its embedding has {rows} rows",
            "Name a model with the tokenizer it was trained with.",
        )
    return ChatTokenizer(tokenizer, folder, title)


def end_of_turn(folder: Path, trust_remote_code: bool = False) -> int:
    """The `eos_id` of the folder's tokenizer; it is loaded, in a second or more, only where its files don't tell."""
    settings, file = folder / "tokenizer_config.json", folder / "tokenizer.json"
    if settings.is_file() and file.is_file():
        end = read_json(settings).get("eos_token")
        name = end.get("content") if isinstance(end, dict) else end
        added = read_json(file).get("added_tokens")
        for token in added if name and isinstance(added, list) else []:
            if token.get("content") == name:
                return int(token["id"])
    return load_tokenizer(folder, trust_remote_code).eos_id


def _loses_bytes(tokenizer: Any, folder: Path) -> bool:  # noqa: ANN401 - any tokenizer of transformers
    """Whether the folder's byte-level tokenizer was loaded as one that is not, which drops every space.

    DeepSeek's models and their distillates name `LlamaTokenizerFast`, and transformers 5 gives each of that name the
    pieces of Llama 2 whatever tokenizer.json says (huggingface/transformers issue 45488).
    """
    file = folder / "tokenizer.json"
    if not file.is_file() or not getattr(tokenizer, "is_fast", False):
        return False
    written = json.loads(file.read_text(encoding="utf-8")).get("pre_tokenizer")
    loaded = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"]
    return '"ByteLevel"' in json.dumps(written) and '"ByteLevel"' not in json.dumps(loaded)


def confirm_pattern(folder: Path) -> None:
    """Say in the folder's `tokenizer_config.json` that the pattern by which its tokenizer splits text is right.

    transformers takes a large vocabulary beside a `config.json` without a version for one of Mistral's old tokenizers:
    it warns at each loading, and to follow its advice would change the ids. What may be Mistral's is left as it is.
    """
    path, kind = folder / "tokenizer_config.json", str(read_json(folder / "config.json").get("model_type"))
    if path.is_file() and (_embedding_rows(folder) or 0) > PATTERN_TOKENS and not kind.startswith(MISTRALS):
        settings = {FLAG: False, **read_json(path)}
        path.write_text(json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def _embedding_rows(folder: Path) -> int | None:
    """Rows of the embedding by `config.json`, which conversion compared with the weights; None if it doesn't say."""
    config = read_json(folder / "config.json")
    text = config.get("text_config")
    rows = config.get("vocab_size", text.get("vocab_size") if isinstance(text, dict) else None)
    return rows if isinstance(rows, int) else None
