r"""Answers in a formal language: programs, queries, commands, calls, markup, proofs, patterns.

Many texts of this kind do what the reference does, and the checker compares what is written. So no such text is a final
answer: its row is set aside, and a source of them needs a checker of one's own. A formula is none of them, so each
pattern asks for what no formula has, and what holds only of a part of a text (a method that is called, a `.*`) is
looked for in short texts alone.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from collections.abc import Iterable

LOOKED_AT = 2000
"""Characters of a text that are looked at."""
SHORT = 500
"""Characters of a text that is searched for a part that only programs have."""
LEAST = 4
"""Characters of a program, a query or a call."""

_FENCED = re.compile(r"```.*```\s*", re.DOTALL)
_QUERY = re.compile(
    r"select\s.{1,1500}?\b(?:from|where)\b\s*[\w\"'`\[{(?<]|with\s+\w+\s+as\s*\(|insert\s+into\s|update\s+\w+\s+set\s|"
    r"delete\s+from\s|(?:create|alter|drop)\s+(?:table|view|index|database)\s|prefix\s+\w*:|"
    r"(?:ask|construct)\s+(?:where\s*)?\{|(?:optional\s+)?match\s*\(\w*(?::\w+|\)-)",
    re.IGNORECASE | re.DOTALL,
)
_PROGRAM = re.compile(
    r"(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*(?:\([\w., ]*\))?\s*:\s*\n|class\s+\w+[^\n]*\{|"
    r"import\s+(?:[\w.]+\s+as\s+\w+|\w+\.\w+|[\w.]+(?:,\s*\w+)*[;\n])|from\s+[\w.]+\s+import\s|#include\b|#!\s*/|"
    r"using\s+namespace\s|public\s+(?:class|static|int|void)\s|(?:const|let|var)\s+\w+\s*=[^\n]*;|"
    r"function\s*\w*\s*\([\w, ]*\)\s*\{|func\s+\w+\s*\(|fn\s+\w+\s*\(|<\?php|print\s*\(|"
    r"assert\s[^\n]*(?:[=!<>]=|[<>(]|\sis\s|\sin\s)|"
    r"for\s+\w+\s+in\s+\w[^\n]*:|diff --git |@@ -\d"
)
_PART = re.compile(
    r"(?<![\w\\])[A-Za-z_]\w*\.[a-z_]\w+\(|[\[({].*\bfor\s+\w+(?:\s*,\s*\w+)*\s+in\s+\w.*[\])}]|"
    r"\blambda\s+\w+(?:\s*,\s*\w+)*\s*:|=>\s*\{|\)\s*\{[^{}]*;\s*\}"
)
_CALL = re.compile(
    r"<(?:tool_?call|function_?call|function)\b|=[A-Z]{2,}\w*\(|\[[\w. /-]+\(\s*\w{2,}\s*=|"
    r"\[?\s*(?:[\w.]+\(\s*\w+\s*=\s*[\"'\[{]|[a-z]{2,}(?:_[a-z]{2,})+\w*\()"
)
_COMMAND = re.compile(
    r"(?:\$\s+)?(?:sudo\s+)?(?:find|[ef]?grep|ls|cat|awk|sed|chmod|chown|tar|curl|wget|git|docker|kubectl|pip|npm|"
    r"apt|apt-get|ssh|scp|rsync|xargs|sort|uniq|head|tail|wc|cut|tr|du|df|ps|kill|mkdir|rm|cp|mv|ln|touch|tee|"
    r"diff|mount|ping|systemctl|nmap)\b(?=.*(?:\s--?[A-Za-z]|\s\|\s|\s(?:\.{0,2}/|~/|\*\.)|&&))"
)
_MARKUP = re.compile(
    r"<(?:!doctype|\?xml|html|head|body|div|section|span|h[1-6]|p|table|tr|ul|ol|li|svg|a|button|form|script|style)"
    r"(?:\s+[\w-]+(?:\s*=[^>]*)?)*\s*\??>.*</|\\documentclass|\\begin\{(?:document|tikzpicture)\}",
    re.IGNORECASE | re.DOTALL,
)
_DATA = re.compile(r"\{\s*\"[^\"]*\"\s*:|\[\s*\{\s*\"[^\"]*\"\s*:")
_PROOF = re.compile(
    r"(?:theorem|lemma|example|corollary)\s[^\n]*:=|.{0,500}:=\s*(?:by|begin)\b|Proof\.\s|proof\s*(?:-|\(\w+)\s|"
    r"by\s+(?:simp|norm_num|n?linarith|omega|rfl|aesop|field_simp|rw)\b|by\s*\(|"
    r"by\s+(?:exact|apply|metis|auto|blast|ring_nf|decide)\s*(?:[(\[<]|$)",
    re.DOTALL,
)
_LOGIC = re.compile(
    r"\((?:lambda|call|argmax|argmin|AND|JOIN|ARGMAX|ARGMIN|COUNT|TC)\s|\[(?:IN|SL):[A-Z_]+|answer\(\w+,|"
    r"\([a-z]{2,}(?:-[a-z]{2,})+(?:\s+[\w?-]+)+\s*\)\s*(?:\(|$)|"
    r"(?:[∀∃]\s*\w+|(?:forall|exists|all)\s+\w+)\s*[.,:]?\s*\(?\s*[A-Z][a-z]\w*\(|λ\w+\s*\."
)
_PATTERN = re.compile(
    r"\^\S*[\[\]\\(){}|+*?]\S*\$|\S*(?:\\[dwsDWS][+*{]|\[\^?[a-z0-9]-[a-z0-9][^\]\s]*\][+*{?]|(?<![.\d])\.[*+](?![\d\s]))\S*",
    re.IGNORECASE,
)
_PATTERNED = re.compile(r"\.[*+]|\\[dwsDWS]|\[")
_LETTERS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_LATEX = re.compile(r"\\[A-Za-z]{2,}")

_OPENINGS = (
    ("a query", _QUERY),
    ("a program", _PROGRAM),
    ("a call of a function", _CALL),
    ("a command", _COMMAND),
    ("markup", _MARKUP),
    ("JSON", _DATA),
    ("a formal proof", _PROOF),
    ("a logical form", _LOGIC),
)
_FIRST = re.compile(r"\$?\s*(\w+)")
_WORDS = frozenset(
    (
        "assert select with insert update delete create alter drop prefix ask construct optional match async "
        "def class import from using public const let var function func fn print for diff sudo find egrep "
        "fgrep grep ls cat awk sed chmod chown tar curl wget git docker kubectl pip npm apt ssh scp rsync "
        "xargs sort uniq head tail wc cut tr du df ps kill mkdir rm cp mv ln touch tee mount ping systemctl "
        "nmap theorem lemma example corollary proof by forall exists all"
    ).split()
)
"""Words with which one begins, in lower case: most texts begin with none, and are looked at no further."""
_SIGNS = frozenset("[({<#@λ∀∃")
_CALLED = frozenset("name function functionname tool toolname api apiname action".split())
_GIVEN = frozenset("arguments parameters args kwargs actioninput".split())


def formal_kind(text: str) -> str:
    """What the text is, in words, if it is a program or anything like one as a whole; else empty."""
    shown = text.strip()
    if len(shown) < LEAST:
        return ""
    if shown.startswith("```"):
        return "a block of code" if _FENCED.fullmatch(shown) else ""
    shown = shown[:LOOKED_AT]
    first = _FIRST.match(shown)
    called = "(" in shown or " for " in shown
    if (
        shown[0] in _SIGNS
        or called
        or (first and first[1].lower() in _WORDS)
        or ":=" in shown
        or shown.startswith(("\\documentclass", "\\begin{document", "\\begin{tikz"))
    ):
        found = next((kind for kind, opening in _OPENINGS if opening.match(shown)), "")
        if found or (called and len(shown) <= SHORT and not _LATEX.search(shown) and _PART.search(shown)):
            return found or "a program"
    if len(shown) > SHORT or not (shown[0] == "^" or _PATTERNED.search(shown)):
        return ""
    return "a pattern" if _PATTERN.fullmatch(shown) and not _LATEX.search(shown) else ""


def may_be_formal(text: str) -> bool:
    """Whether a text may be a short program or the like where others are: there are words in it that are no LaTeX."""
    return bool(_LETTERS.search(text))


def is_call(fields: Iterable[str]) -> bool:
    """Whether an object with fields of these bare names is a call of a function, with what it is given."""
    names = set(fields)
    return not names.isdisjoint(_CALLED) and not names.isdisjoint(_GIVEN)
