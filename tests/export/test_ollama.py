"""Chat templates of Jinja as templates of Ollama's: told where they put fixed texts around turns, and else not."""

from __future__ import annotations

import jinja2
import pytest

from selfimprove.errors import UsageError
from selfimprove.export.ollama import Texts, Turns, texts_of

CHATML = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}\
{{ '<|im_start|>assistant\\n' }}"""
DEFAULT = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are Q.<|im_end|>\\n' }}{% endif %}" + CHATML
)
LLAMA3 = """{% for m in messages %}{{ '<|head|>' + m.role + '<|/head|>\\n\\n' + m.content | trim + '<|eot|>' }}\
{% endfor %}\
{{ '<|head|>assistant<|/head|>\\n\\n' }}"""
LLAMA2 = """{% set s = messages[0].content if messages[0].role == 'system' else '' %}\
{% for m in messages if m.role != 'system' %}{% if m.role == 'user' %}\
{{ '[INST] ' + ('<<SYS>>' + s + '<</SYS>>' if loop.first and s else '') + m.content + ' [/INST]' }}\
{% else %}{{ ' ' + m.content + ' </s><s>' }}{% endif %}{% endfor %}"""
GEMMA = """{% if messages[0].role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}""" + CHATML
FORGETFUL = (
    """{% for m in messages %}{% if m.role != 'assistant' %}{{ m.role + ': ' + m.content }}{% endif %}{% endfor %}"""
)
BRACES = CHATML.replace("'<|im_start|>'", "'{' + '{'")


def render(template: str, turns: Turns) -> str:
    """What transformers makes of these turns."""

    def refuse(why: str) -> None:
        raise jinja2.TemplateError(why)

    made = jinja2.Environment().from_string(template)
    try:
        return made.render(messages=[{"role": r, "content": c} for r, c in turns], raise_exception=refuse)
    except jinja2.TemplateError as error:
        raise UsageError(str(error)) from error


def found(template: str) -> Texts | None:
    return texts_of(lambda turns: render(template, turns))


def test_chatml_is_what_ollamas_library_has() -> None:
    texts = found(CHATML)
    assert texts is not None
    assert texts.template() == (
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
        "{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n{{ end }}"
        "{{ .Response }}<|im_end|>\n"
    )


def test_a_system_turn_that_stands_by_default_is_told() -> None:
    texts = found(DEFAULT)
    assert texts is not None
    assert texts.system == "You are Q."


@pytest.mark.parametrize("template", [CHATML, DEFAULT, LLAMA3], ids=["chatml", "default", "llama3"])
def test_other_conversations_come_out_as_the_models_template_has_them(template: str) -> None:
    texts = found(template)
    assert texts is not None
    turns = [("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4"), ("user", "3 + 3?")]
    for said in (turns, turns[1:], turns[1:2], turns[:2]):
        assert texts.rendered(said) == render(template, said)


@pytest.mark.parametrize("template", [LLAMA2, GEMMA, FORGETFUL, BRACES], ids=["llama2", "gemma", "forgetful", "braces"])
def test_a_template_that_does_more_is_not_told(template: str) -> None:
    assert found(template) is None
