r"""Displayed mathematics in free text brought into one line: `\[ ... \]`, `$$ ... $$`, environments such as `align`.

Sentences end at line breaks, so a fraction over several lines would otherwise be read as one of its numbers.
"""

from __future__ import annotations

import re

_DISPLAY = re.compile(
    r"\\\[(?:(?!\\\[|\\\]|\n\s*\n)[\s\S]){1,1000}\\\]|\$\$(?:(?!\n\s*\n)(?:[^$\\]|\\[\s\S])){1,1000}\$\$"
)
_ALIGNED = re.compile(
    r"\\begin\{((?:align|equation|gather|multline|eqnarray)\*?)\}((?:(?!\\begin\{(?:align|equation))[\s\S]){1,3000}?)\\end\{\1\}"
)
_BRACKETS = re.compile(r"(?<!\\)\\[\[\]]")
_DOLLARS = re.compile(r"(?:^|\n)[ \t]{0,8}\$\$|\$\$[ \t]{0,8}\n")
_ROWS_END = re.compile(r"[\s\\.,]+\Z")


def in_one_line(text: str) -> str:
    """The text with each display in one line, aligned equations as the formula behind their last sign of equality."""
    if "\\begin{" in text:
        text = _ALIGNED.sub(_last_member, text)
    return _DISPLAY.sub(lambda m: " ".join(m[0].split()), text) if "\\[" in text or "$$" in text else text


def opens_display(text: str) -> bool:
    """Whether displayed mathematics is still open at the end of the text."""
    if text.rfind("\\begin{") > text.rfind("\\end{") or ("$$" in text and _DOLLARS.search(_DISPLAY.sub("", text))):
        return True
    return "\\[" in text and [match[0] for match in _BRACKETS.finditer(text)][-1:] == ["\\["]


def _last_member(match: re.Match[str]) -> str:
    body = match[2].replace("\n", " ")
    at = max(body.rfind("&="), body.rfind("& ="))
    member = _ROWS_END.sub("", body[at:].lstrip("&= "))
    return f"\n\\[{member}\\]\n" if at >= 0 else match[0]
