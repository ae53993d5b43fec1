"""A Modelfile for Ollama beside an exported GGUF file.

Ollama writes prompts with a template of Go's, while a model brings one of Jinja, a program that can't be translated in
general. But nearly all of them put fixed texts before and after each turn. So the texts are read off three
conversations as the model's template renders them, a template of Go's is made of them, and what it would give for each
conversation is held against what the model's gave. Where they differ, the Modelfile has no template and says so: Ollama
then looks at the one in the GGUF file and takes a template of its own if it knows that one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.export.source import Source
from selfimprove.models import load_tokenizer
from selfimprove.recipe import Runtime
from selfimprove.round.answers import judging_decoding
from selfimprove.sampling import read_own_decoding, resolve

Turns = Sequence[tuple[str, str]]
_SYSTEM, _FIRST, _ANSWER, _SECOND = "SYSTEM TURN", "FIRST QUESTION", "FIRST ANSWER", "SECOND QUESTION"
_UNTOLD = (
    "# No TEMPLATE: this model's chat template can't be expressed as an Ollama template. If Ollama recognises the one",
    "# in the GGUF file, it uses its own version: compare what `ollama show --template` prints with the chat template.",
)


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The fixed texts around the turns: before and after each, and the system turn that stands by default."""

    before_system: str
    after_system: str
    before_user: str
    after_user: str
    after_answer: str
    system: str

    def template(self) -> str:
        """The template as Ollama reads it."""
        system = f"{{{{ if .System }}}}{self.before_system}{{{{ .System }}}}{self.after_system}{{{{ end }}}}"
        user = f"{{{{ if .Prompt }}}}{self.before_user}{{{{ .Prompt }}}}{self.after_user}{{{{ end }}}}"
        return f"{system}{user}{{{{ .Response }}}}{self.after_answer}"

    def rendered(self, turns: Turns) -> str:
        """What Ollama makes of these turns with that template, up to where the model's turn begins."""
        text = self.system and f"{self.before_system}{self.system}{self.after_system}"
        for role, said in turns:
            match role:
                case "system":
                    text = f"{self.before_system}{said}{self.after_system}"
                case "user":
                    text += f"{self.before_user}{said}{self.after_user}"
                case _:
                    text += f"{said}{self.after_answer}"
        return text


def modelfile(source: Source, file: str, runtime: Runtime) -> str:
    """The Modelfile for the GGUF file of that name: template, system turn, and the decoding of the run's judging."""
    recipe = source.recipe
    tokenizer = load_tokenizer(source.base.path, runtime.trust_remote_code).using(recipe.sampling.template)
    begin, end = tokenizer.ends
    found = (
        texts_of(lambda turns: tokenizer.conversation(turns).removeprefix(begin)) if tokenizer.has_template else None
    )
    lines = [f"FROM ./{file}"]
    lines += [f'TEMPLATE """{found.template()}"""'] if found else _UNTOLD
    system = recipe.sampling.system or (found.system if found else "")
    lines += [f'SYSTEM """{system}"""'] if system and '"""' not in system else []
    rule = resolve(judging_decoding(recipe), read_own_decoding(source.base.path))
    lines.append(f"PARAMETER temperature {rule.temperature:g}")
    lines += [f'PARAMETER stop "{end}"'] if end and '"' not in end else []
    return "\n".join(lines) + "\n"


def texts_of(render: Callable[[Turns], str]) -> Texts | None:
    """The texts around the turns as the chat template puts them; None if it does more than put such texts."""
    system, first, answer, second = (
        ("system", _SYSTEM), ("user", _FIRST), ("assistant", _ANSWER), ("user", _SECOND),
    )  # fmt: skip
    try:
        plain = _split(render([first]), [_FIRST])
        asked = _split(render([system, first]), [_SYSTEM, _FIRST])
        longer = _split(render([first, answer, second]), [_FIRST, _ANSWER, _SECOND])
    except UsageError:  # it takes no system turn, or only some orders of turns
        return None
    if not (plain and asked and longer):
        return None
    found = _joined(plain[0], asked, longer[2], plain[1])
    held = ([first], [system, first], [first, answer, second], [system, first, answer, second])
    marked = any(mark in part for part in vars(found).values() for mark in ('"""', "{{", "}}"))
    return None if marked or any(found.rendered(turns) != render(turns) for turns in held) else found


def _joined(before: str, asked: Sequence[str], between: str, after_user: str) -> Texts:
    """The texts, from what stands before the first question with and without a system turn, and between two turns."""
    before_system, after_system, _ = asked
    default = ""
    before_user = before
    if before.startswith(before_system) and before.endswith(after_system) and before != after_system:
        default = before[len(before_system) : len(before) - len(after_system)]
        ends = zip(reversed(after_system), reversed(between), strict=False)
        before_user = "".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], ends))[::-1]
    return Texts(
        before_system=before_system,
        after_system=after_system.removesuffix(before_user),
        before_user=before_user,
        after_user=after_user,
        after_answer=between.removesuffix(before_user),
        system=default,
    )


def _split(text: str, marks: Sequence[str]) -> list[str] | None:
    """What stands before, between and after the marks; None unless each stands there once, in this order."""
    parts: list[str] = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            return None
        parts.append(before)
    return [*parts, text]
