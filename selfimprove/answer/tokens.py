"""The canonical spelling cut into tokens, with words told from products of letters.

A run of letters is a function name, a constant, a joining word (`and`, `or`, `to`), a word (a `text` token) or a
product of one-letter variables. `ab`, `xyz` and `ABC` are products; `apples` is a word; `sinx` is `sin x`. Commands
that only change the font are looked through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from selfimprove.answer.limits import MAX_TOKENS
from selfimprove.answer.tree import Unreadable
from selfimprove.answer.words import ALIASES, BARE_UNITS, CONSTANTS, FUNCTIONS, SHORT_WORDS, known_command


@dataclass(slots=True)  # as `Node`
class Token:
    """A kind, its spelling, and whether a space comes before it (`gap`).

    The kinds: `num`, `rep` (a repeating decimal), `sym` (one letter), `cmd` (a TeX command), `op` (a sign), `text`
    (words), `join` (and, or, to), `env` (begin or end of an environment), `domain` (a blackboard letter).
    """

    kind: str
    text: str
    gap: bool = False


_TEXT_COMMANDS = (
    "text|mbox|textbf|textnormal|textit|textrm|texttt|mathrm|mathbf|mathit|mathsf|operatorname|hbox|emph|mathcal|textsf"
)
_TOKEN = re.compile(
    rf"""
    (?P<gap>\s+)
  | (?P<env>\\(?:begin|end)\{{[A-Za-z]+\*?\}}(?:(?:(?<=\{{array\}})\s)?\{{[lcr| ]*\}})?)
  | (?P<font>\\(?:{_TEXT_COMMANDS})\*?\s?\{{(?P<inner>[^{{}}]*)\}})
  | (?P<blackboard>\\mathbb\s?\{{?(?P<domain>[RZNQC])\}}?)
  | (?P<row>\\\\(?:\[[^\]]{{0,12}}\])?)
  | (?P<cmd>\\[A-Za-z]+)
  | (?P<esc>\\[{{}}|&#])
  | (?P<rep>\d*\.\d*\\(?:overline|bar|dot)\s?\{{?\d+\}}?)
  | (?P<num>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+(?![\dA-Za-z.]))?)
  | (?P<word>[A-Za-z]+)
  | (?P<op><=|>=|!=|==|:=|=<|[-+*/^_=<>!(){{}}\[\]|,;:&%'?@])
    """,
    re.VERBOSE,
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?")
_GROUPED = re.compile(r"\d{1,2}(?:,\d\d)+,\d{3}(?![\d,])(?:\.\d+)?")  # as in India, 1,00,000
_PLAIN_UNIT = re.compile(
    r"\s*((?:km|cm|mm|m|mi|ft|kg|mg|g|lb|oz|L|mL|ml|J|kJ|N|kN|W|mol|rad|rev|C|V|gal)(?:\^\{?\d\}?)?"
    r"(?:\s?/\s?(?:s|sec|min|h|hr|m|cm|km|kg|g|K|L|mL|mol|gal|day|year|yr|C|V|A|ft)(?:\^\{?\d\}?)?){1,2})\s*\.?\s*\Z"
)
_SYMBOL_UNIT = re.compile(
    r"\s+(?:(J|W|eV|keV|MeV|GeV|TeV|Hz|kHz|MHz|GHz|Pa|hPa|kPa|MPa|GPa|kJ|MJ|kW|MW|kWh|kN|kV|mV|mA|pF)|\\(Omega)|\\(?:text|mathrm)\s?\{\s?\\(Omega)\s?\})\s*\Z"
)  # what is a unit behind a number and a space even without a font; m, N or V may be a variable
_SPACED = re.compile(r"[1-9]\d{0,2}(?: \d{3})+(?![\d/]| \d)(?:\.\d+)?")
_LETTER_UNIT = re.compile(
    r"\\Omega|[msghlLNJWVKAC]|(?:[kc]?m|kg|g|N|J|s|mol)(?:\^\d)?(?: (?:s|m|kg|K|L)(?:\^-?\d)?){1,2}|"
    r"[A-Za-z]{1,4}(?:\^\d)?\s?/\s?[A-Za-z]{1,4}(?:\^\d)?"
)  # in a font command behind a number
_ENDS_SYMBOL = frozenset("JWVzaNAhF}")
_INFINITIES = {
    "infinity": (), "positive infinity": (), "negative infinity": (Token("op", "-"),),
    "minus infinity": (Token("op", "-"),), "-infinity": (Token("op", "-"),), "+infinity": (),
}  # fmt: skip
_JOINS = frozenset(("and", "or", "to"))
_LATER = "abcdefghijklmnopqrstuvwxyz"


def _is_product(run: str) -> bool:
    """Whether a run of letters reads as variables side by side."""
    low = run.lower()
    if len(run) == 1:
        return True
    if low in SHORT_WORDS or low in BARE_UNITS:
        return run.isupper() and low not in ("usd", "eur", "mph", "kph", "lbs")
    if run.isupper():
        return len(run) <= 4
    return len(run) <= 3 or (len(run) <= 6 and (low in _LATER or not set(low) & set("aeiouy")))


def _word(run: str, gap: bool) -> list[Token]:
    """The tokens of a run of letters."""
    low = run.lower()
    if low in _JOINS and not run.isupper():
        return [Token("join", low, gap)]
    known = ALIASES.get(run, run)
    if known in FUNCTIONS or known in CONSTANTS or known in ("cbrt", "theta", "alpha", "beta", "infty"):
        return [Token("cmd", "\\" + known, gap)]
    if low in ("infinity", "pi") or (low in ("dollars", "cents")):
        return [Token("cmd", "\\" + low, gap)] if low in CONSTANTS else [Token("text", low, gap)]
    for size in range(min(6, len(run) - 1), 1, -1):
        rest = run[size:]
        if run[:size] in FUNCTIONS and len(rest) == 1 and size > 2 and low not in SHORT_WORDS and low != "mind":
            return [Token("cmd", "\\" + run[:size], gap), Token("sym", rest)]
    if _is_product(run):
        return [Token("sym", letter, gap and at == 0) for at, letter in enumerate(run)]
    return [Token("text", run, gap)]


def _font(inner: str, gap: bool) -> list[Token]:
    """The content of a font or text command: one letter or mathematics stays so, words become text."""
    bare = inner.strip().strip("$").strip()
    low = bare.lower().rstrip(".:,").strip()
    if low in _INFINITIES:
        return [*_INFINITIES[low], Token("cmd", "\\infty", gap)]
    if low in ("and", "or", "to", ", and", "and,", ", or"):
        return [Token("join", low.strip(", "), gap)]
    if not bare:
        return []
    name = ALIASES.get(bare, bare)
    if name in FUNCTIONS:
        return [Token("cmd", "\\" + name, gap)]
    if "\\" in bare or re.search(r"\d", bare):
        return tokenise(bare)
    words = re.findall(r"[A-Za-z]+", bare)
    if any(len(word) > 1 for word in words) or not re.fullmatch(r"[A-Za-z0-9\s.,()+\-*/=<>^%]*", bare):
        return [Token("text", bare, gap)]
    return tokenise(bare)


def _command(name: str, gap: bool) -> list[Token]:
    """A TeX command, split where a space was lost (`\\cotx`, `\\pir`)."""
    if known_command(name):
        return [Token("cmd", "\\" + name, gap)]
    for size in range(len(name) - 1, 1, -1):
        if known_command(name[:size]):
            return [Token("cmd", "\\" + name[:size], gap), *_word(name[size:], False)]
    raise Unreadable(f"unknown command \\{name[:20]}")


def _number(text: str, at: int, depth: int) -> str | None:
    """The number with thousands separators that starts at `at`, or None; commas count only outside brackets."""
    before = text[at - 1] if at else " "
    if before.isdigit() or before in ".,":
        return None
    match = (_THOUSANDS.match(text, at) if depth == 0 else None) or _SPACED.match(text, at)
    if match is None and depth == 0:
        match = _GROUPED.match(text, at)
        return match[0] if match is not None and ",0" in match[0] else None  # else it may be a list
    if match is None or (match[0].startswith("0,") or match[0].startswith("0 ")):
        return None
    return match[0]


def _token(match: re.Match[str], gap: bool) -> list[Token]:
    """The tokens of one match of the lexer."""
    kind, text = match.lastgroup or "", match[0]
    if match["font"] is not None:
        return _font(match["inner"], gap)
    if match["blackboard"] is not None:
        return [Token("domain", match["domain"], gap)]
    if kind == "word":
        return _word(text, gap)
    if kind == "cmd":
        return _command(text[1:], gap)
    if kind == "esc":
        return [Token("op", text, gap)]
    if kind == "row":
        return [Token("op", "\\\\", gap)]
    return [Token(kind, text, gap)]


def _ends_number(token: Token) -> bool:
    return token.kind == "num" or (token.kind == "op" and token.text in ("}", ")"))


def tokenise(text: str) -> list[Token]:
    """The tokens of a normalised answer; raises `Unreadable` at a sign the grammar does not know."""
    tokens: list[Token] = []
    at = depth = 0
    gap = False
    has_slash = "/" in text
    symbol = _SYMBOL_UNIT.search(text) if text and text[-1] in _ENDS_SYMBOL else None
    while at < len(text):
        if text[at].isdigit() and (grouped := _number(text, at, depth)):
            tokens.append(Token("num", grouped.replace(",", "").replace(" ", ""), gap))
            at, gap = at + len(grouped), False
            continue
        if symbol is not None and at == symbol.start() and tokens and _ends_number(tokens[-1]):
            tokens.append(Token("text", symbol[1] or "Omega", gap=True))
            break
        slash = has_slash and tokens and _ends_number(tokens[-1])
        if slash and (unit := _PLAIN_UNIT.match(text, at)) is not None:
            tokens.append(Token("text", unit[1].replace("{", "").replace("}", ""), gap))
            break
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unreadable(f"unknown sign {text[at]!r}")
        at = match.end()
        if match["gap"] is not None:
            gap = True
            continue
        depth += match[0] in ("(", "[", "\\{") or 0
        depth -= match[0] in (")", "]", "\\}") or 0
        if (
            match["font"] is not None
            and tokens
            and _LETTER_UNIT.fullmatch(match["inner"].strip())
            and _ends_number(tokens[-1])
        ):
            tokens.append(Token("text", match["inner"].strip(), gap))
        elif match[0] == "at" and not gap and tokens and tokens[-1].kind == "num":
            tokens += [Token("sym", "a"), Token("sym", "t")]  # the word stands behind a space
        elif match[0] in ("mg", "Ft") and not (tokens and _ends_number(tokens[-1])):
            tokens += [Token("sym", match[0][0], gap), Token("sym", match[0][1])]
        else:
            tokens.extend(_token(match, gap))
        gap = False
        if len(tokens) > MAX_TOKENS:
            raise Unreadable(f"more than {MAX_TOKENS} tokens")
    return tokens
