"""A written answer read once: its canonical spelling, its tree, its type.

The same reading serves references and predictions. What the grammar can't read keeps its words, so that a text
answer is compared as text; why it was not read is kept as its fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from selfimprove.answer.atoms import read_atom
from selfimprove.answer.chains import read_chain
from selfimprove.answer.choices import led_letter
from selfimprove.answer.domains import named_set
from selfimprove.answer.limits import MAX_RAW, over_limit
from selfimprove.answer.named import without_name
from selfimprove.answer.normal import normalise, peel, plain
from selfimprove.answer.numerals import signed_number, spoken_quantity
from selfimprove.answer.parse import Parser
from selfimprove.answer.precision import within
from selfimprove.answer.scales import ratio
from selfimprove.answer.shape import settle
from selfimprove.answer.spoken import in_signs
from selfimprove.answer.steps import allowance
from selfimprove.answer.tokens import Token, tokenise
from selfimprove.answer.tongues import NAMELY, without_foreign_unit
from selfimprove.answer.tree import Node, Op, Refused, Unreadable, free_names, number, shallow, walk
from selfimprove.answer.words import ARTICLES, LABELS, REASONS, UNITS, canonical_unit, spoken_number

_CHOICE = re.compile(
    r"(?:(?:[Tt]he |[Mm]y |[Oo]ur )?(?:correct |right |best |final )?(?:[Oo]ption|[Cc]hoice|[Aa]nswer|[Ss]election)"
    r"(?: is)?(?: option| choice)?\s*[:.]?\s*|not \(?[A-J]\)?\s?[,;.]?\s?(?:but )?(?:rather )?(?:it is |it's )?)?"
    r"\(?([A-Ja-j])\)?"
)
_WORDY = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_FONTS = re.compile(
    r"\\(?:text|mbox|textbf|textnormal|textit|textrm|texttt|mathrm|mathbf|mathit|mathsf|operatorname|hbox|emph)(?![A-Za-z])"
)
_OPENINGS = LABELS | {"it", "its", "this"}
_CODE = frozenset(("'", "[", "]", "@", "{", "}", "_"))  # signs of program text, which no reason in words has
_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")  # the common case, read without the grammar
_SPOKEN_SETS = {
    ("all", "real", "numbers"): Node(Op.DOMAIN, (), "R"),
    ("all", "reals"): Node(Op.DOMAIN, (), "R"),
    ("no", "solution"): Node(Op.EMPTY),
    ("no", "solutions"): Node(Op.EMPTY),
    ("no", "real", "solution"): Node(Op.EMPTY),
    ("no", "real", "solutions"): Node(Op.EMPTY),
    ("there", "is", "no", "solution"): Node(Op.EMPTY),
    ("there", "are", "no", "solutions"): Node(Op.EMPTY),
    ("there", "are", "no", "real", "solutions"): Node(Op.EMPTY),
    ("no", "solution", "exists"): Node(Op.EMPTY),
    ("no", "solutions", "exist"): Node(Op.EMPTY),
    ("none",): Node(Op.EMPTY),
    ("empty", "set"): Node(Op.EMPTY),
    ("the", "empty", "set"): Node(Op.EMPTY),
}
_CASES = re.compile(r"\b(?:otherwise|else|even|odd|prime)\b|,.*\b(?:for|where|when|if)\b")
"""Behind the condition of a value: another condition of it, or the next case."""
_NOUNS = frozenset(
    ("function", "number", "integer", "series", "sequence", "graph", "curve", "polynomial", "statement", "triangle")
)
_REPEATED = re.compile(r"([A-J])\1{3,9}")  # LiveBench asks for the letter of a choice five times
_OPTION = re.compile(r"\([A-J]\)\s")
_SPOKEN = re.compile(r"[A-Za-z]{3,9}(?:[ -][A-Za-z]{3,9}){1,8}")
_PROSE = re.compile(r"[\w\s.,:;!?'\"()-]*")
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)  # as `Node`
class Answer:
    """One side of a comparison; `node` is None if it was not read, and `fault` then says why."""

    written: str
    normal: str
    node: Node | None
    fault: str
    choice: str | None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a text answer, without case, marks and articles."""
        return (self.written,) if _DECIMAL.fullmatch(self.written) else _words(self.normal)

    @property
    def kind(self) -> str:
        """What the answer is, in the words that `explain` shows; `choice` is compared as one."""
        if self.choice is not None and self.choice.isupper():
            return "choice"
        if self.node is None:
            return "too large" if self.fault.startswith("limit: ") else "text"
        return _KINDS.get(self.node.op, "expression")


_KINDS = {
    Op.NUMBER: "number", Op.SYMBOL: "variable", Op.RELATION: "relation", Op.NAMED: "named value", Op.LIST: "list",
    Op.SET: "set", Op.SEQUENCE: "tuple or interval", Op.MATRIX: "matrix", Op.RATIO: "ratio",
    Op.CASES: "function in pieces", Op.BASED: "number in a base", Op.UNIT: "quantity",
    Op.DEGREES: "quantity", Op.PERCENT: "quantity",
    Op.UNION: "set of reals", Op.INTERSECTION: "set of reals", Op.DIFFERENCE: "set of reals",
    Op.EMPTY: "set of reals", Op.DOMAIN: "set of reals",
}  # fmt: skip


def read(written: str) -> Answer:
    """The answer as read; never raises."""
    if _DECIMAL.fullmatch(written):
        return Answer(written, written, number(Fraction(written)), "", None)
    if len(written) > MAX_RAW:
        return Answer(written, "", None, f"limit: the answer is longer than {MAX_RAW} characters", None)
    core = _freed(written)
    reason = over_limit(core)
    if reason is not None:
        return Answer(written, "", None, f"limit: {reason}", None)
    normal = peel(normalise(core))
    bare = _FONTS.sub("", normal).replace("{", "").replace("}", "").strip(" .")
    choice = _CHOICE.fullmatch(bare)
    letter = choice[1] if choice else led_letter(bare) or _letter_of_form(bare)
    with allowance():
        node, fault = _tree(normal)
        chain = None if node is not None or "=" not in normal else read_chain(normal, _member)
        if chain is not None:
            node, fault, normal = chain.exact or chain.value, "", chain.normal
    if (
        choice is None
        and node is not None
        and node.op not in (Op.MUL, Op.RATIO)
        and not _OPTION.match(bare)
        and not _WORDY.search(bare)
    ):
        letter = None
    return Answer(written, normal, node, fault, letter)


def _freed(written: str) -> str:
    """The answer without what stands around its value: names, units between signs, articles, words for signs."""
    core = peel(_unbold(written.strip()))
    if core[:1] == "P" and "\\text" in core.partition("=")[0]:
        core = _PROBABILITY.sub("", core)
    if core[:1] == "$" and "=" in core:
        core = _MEASURED.sub(_with_its_unit, core)
    if "=" in core[:60] or core[:1] in "\\(_^{PCA":
        core = without_name(core)
    if " not " in core:
        core = _AND_NOT.sub(r"\1", core)
    if " is the " in core:
        core = _IS_THE_ONLY.sub("", core)
    if "\n####" in core:
        core = core.rpartition("####")[2].strip()  # a solution of GSM8K's, whose answer stands in its last line
    if not core.isascii():
        core = without_foreign_unit(core)
    if "\\int" in core:
        core = _EVALUATED.split(_ANTIDERIVATIVE.sub("", core))[-1]
    if core[1:2] in ", )" and (namely := NAMELY.match(core)) is not None:
        core = f"({namely[1]}) {core[namely.end() :]}"
    if len(core) < _PHRASE and (" " in core or "-" in core):
        core = in_signs(plain_text(core) if _ALL_TEXT.fullmatch(core) else core, core)
    if core.startswith("\\text") and _NUMERALS.fullmatch(numerals := plain_text(core)):
        core = numerals
    if len(core) < _PHRASE and _SET_OPENS.match(core):
        core = named_set(_INLINE.sub(" ", plain_text(core)).strip(), core)
    if core[:2] in ("a ", "an", "A ", "An"):
        core = _ARTICLE.sub("", _ONE.sub("one ", core))
    return core


def _with_its_unit(formula: re.Match[str]) -> str:
    """A formula without its dollar signs, with the unit behind them in a font command."""
    return f"{formula[1].strip()}\\text{{ {formula[2]}}}" if formula[2] else formula[1].strip()


def _member(text: str) -> Node | None:
    """One member of a chain as it is read by itself."""
    return _tree(peel(normalise(text)))[0]


def _letter_of_form(bare: str) -> str | None:
    """The letter of a choice that stands several times, or small before its text: "DDDDD", "c) glucose"."""
    if _REPEATED.fullmatch(bare):
        return bare[0]
    small = _SMALL_LED.match(bare)
    return None if small is None else small[1]


_SMALL_LED = re.compile(r"\(?([a-j])\)\s+[A-Za-z]{3}")


def behind_label(answer: Answer) -> str | None:
    """What stands behind the letter of a choice, `(B) 12`, where the answer as a whole is no choice; else None."""
    label = _LABEL.match(answer.normal)
    return answer.normal[label.end() :] if label is not None else None


_MEASURED = re.compile(
    r"\A\$([^$]{1,600})\$(?: ((?:[A-Za-z]{1,3}|[a-z]{4,12})(?:/(?:[a-z]{1,3}|[A-Z]))?(?:\^?[23]|[²³])?))?\Z"
)
"""A formula between dollar signs, with the unit that may stand behind them: `$V = 12.5$ L`."""
_PHRASE = 80  # characters
_SET_OPENS = re.compile(r"(?:\\text\s?\{\s?)?(?:[Tt]he set of )?(?:[Aa]ll|[a-z] (?:\\text\s?\{\s?)?(?:is|must))\b")
_NUMERALS = re.compile(r"(?:I{1,3}|IV|V|VI)(?:(?:, and |, | and )(?:I{1,3}|IV|V|VI)){0,5}(?: only)?")
"""Roman numerals of statements: "I and III", "II only"."""
_INLINE = re.compile(r"\$|\s+")
_ALL_TEXT = re.compile(r"(?:\d+|[a-z])?\s?\\text\s?\{[^{}]*\}(?:\s?\d+)?")
_ANTIDERIVATIVE = re.compile(r"\A(?:\$|\\[\[(])?\s?\\int(?!\s?_|\\)[^=]{1,80}\bd[a-z]\s?=(?=[^=]+\Z)")
_IS_THE_ONLY = re.compile(r"\s*\\text\s?\{\s*is the (?:only )?(?:[a-z]+ )?(?:solution|answer|root|value)\.?\s*\}\.?\Z")
_AND_NOT = re.compile(r"(?<=[\w}]),? (?:and )?not -?\d[\d.,/]*(\}?)\Z")  # "45 miles per hour, not 54"
_PROBABILITY = re.compile(r"\AP\s?\((?:[^()=]|\([^()]{0,40}\)){1,80}\)\s?=\s?(?=[\d\\.])")  # of an event
_LIMIT = r"\s?(?:\{[^{}]{1,20}\}|-?\w|\\[a-z]+)\s?"
_EVALUATED = re.compile(rf"[|\])]\s?_{_LIMIT}\^{_LIMIT}=")
"""The bar or bracket of an antiderivative between its limits, behind which its value stands: `x^3 |_0^1 = 1`."""
_ONE = re.compile(r"\A[Aa] (?=(?:hundred|thousand|million|billion|trillion)\b)")
_ARTICLE = re.compile(
    r"\A[Aa]n? (?=(?!(?:times|plus|minus|over|and|or|squared|cubed|divided|mod|to|is|not|"
    r"of)\b)[a-z]{3,}(?: [a-z'-]+){0,5}\Z)"
)
_LABEL = re.compile(
    r"(?:\\(?:text|textbf|mathrm|mathbf)\s?\{\s?)?(?:\([A-J]\)|[A-J]\)|[A-J][.:](?=[\s}~]))\s?\}?\s*(?=[^\s^_=+*/)-])"
)


def plain_text(normal: str) -> str:
    """The text of an answer without its fonts."""
    return _FONTS.sub("", normal).replace("{", "").replace("}", "").strip()


def near_value(answer: Answer) -> Node | None:
    """The value behind the last ≈ of a reference that also states an exact one; None if it states none."""
    head, sign, tail = answer.normal.rpartition("\\approx")
    return read(tail).node if sign and head.strip() and tail.strip() else None


def rounded_value(answer: Answer) -> Node | None:
    """The decimal behind the last ≈ of an answer, if it is what the value before it rounds to; else None."""
    head, sign, tail = answer.normal.rpartition("\\approx")
    decimal = _DECIMAL.match(tail.strip())
    if not sign or decimal is None or answer.node is None:
        return None
    near, places = read(tail), len(decimal[0].partition(".")[2])
    exact = read(head.rpartition("=")[2])
    if exact.node is None or near.node is None:
        return None
    if "=" in head and free_names(exact.node) and not free_names(near.node):
        return near.node
    if not (places or len(decimal[0].lstrip("-")) >= _WHOLE):
        return None
    return near.node if within(exact.node, near.node, Fraction(51, 100) / 10**places) else None


def is_rounding(reference: Answer, prediction: Answer) -> bool:
    """Whether the reference is a decimal of twelve digits or more, and what an exact prediction rounds to."""
    written = reference.normal.lstrip("-")
    if len(written) <= _LONG or not _DECIMAL.fullmatch(reference.normal) or reference.node is None:
        return False
    digits, places = written.replace(".", "").lstrip("0"), len(written.partition(".")[2])
    exact = prediction.node is not None and not re.search(r"\d\.\d|\\approx", prediction.normal)
    if len(digits) < _LONG or not places or not exact or prediction.node is None:
        return False
    return within(prediction.node, reference.node, Fraction(51, 100) / 10**places)


_WHOLE = 2  # digits of a whole number that may be a rounded value, at least
_LONG = 12  # digits, which nobody writes of a value that is not the quotient or root they stand for


def _unbold(text: str) -> str:
    """The text without Markdown emphasis around or inside it."""
    if text.startswith("**") and text.endswith("**") and len(text) > 4:
        return text[2:-2].strip()
    return text.strip("`").strip() if text.startswith("`") else text


def _tree(normal: str) -> tuple[Node | None, str]:
    """The settled tree, or None and the reason why there is none."""
    if (negative := _NEGATIVE.fullmatch(normal)) is not None:
        return number(-Fraction(negative[1])), ""
    spoken = _SPOKEN.fullmatch(normal) is not None
    if spoken and (signed := signed_number(normal)) is not None:
        return number(Fraction(signed)), ""
    if spoken and "-" in normal and (value := spoken_number(normal)) is not None:
        return number(value), ""
    try:
        if spoken and (quantity := spoken_quantity(normal[:1].lower() + normal[1:])) is not None:
            return settle(Node(Op.UNIT, (number(quantity[0]),), canonical_unit(quantity[1]))), ""
        tokens = trimmed(tokenise(normal))
        if not tokens:
            raise Unreadable("nothing is written")
        if all(token.kind == "text" for token in tokens):
            return _spoken(" ".join(token.text for token in tokens))
        node = settle(shallow(Parser(tokens, read_atom).answer()))
    except (Unreadable, Refused) as error:
        return None, str(error)
    except RecursionError:
        return None, "limit: the answer is nested too deep"
    if node.op not in _WITH_WORDS and Op.TEXT in {part.op for part in walk(node)}:
        return None, "words that are no quantity"
    return node, ""


_NEGATIVE = re.compile(r"(?:negative|minus) (\d+(?:\.\d+)?)", re.IGNORECASE)
_WITH_WORDS = frozenset((Op.NAMED, Op.LIST, Op.RELATION, Op.CASES))


def _spoken(text: str) -> tuple[Node | None, str]:
    value = spoken_number(text)
    words = tuple(re.findall(r"[a-z]+", text.lower()))
    if words in _SPOKEN_SETS:
        return _SPOKEN_SETS[words], ""
    return (None, "words") if value is None else (number(value), "")


def trimmed(tokens: list[Token]) -> list[Token]:
    """The tokens without a label in front ("The answer is") or a reason behind ("since ..."); `USD 5` as `5 USD`."""
    start = 0
    while start < len(tokens) and _is_label(tokens, start):
        start += 1
    if start:
        while start < len(tokens) and tokens[start].text in (":", "="):
            start += 1
    kept = tokens[start:]
    pieces = any(token.kind == "env" for token in kept)  # whose conditions begin with such words
    for at, token in enumerate(kept):
        if at and not pieces and token.kind == "text" and token.text.lower().split()[0].strip(",") in REASONS:
            cause = token.text.lower().split()[0].strip(",") in ("since", "because")
            if not any(later.text in _CODE or (not cause and later.kind == "join") for later in kept[at:]) and (
                cause or not _CASES.search(" ".join(later.text for later in kept[at + 1 :]))
            ):
                kept = kept[:at]
            break
    while kept and (kept[-1].text in (",", ";", ":") or (kept[-1].text.strip() == "only" and len(kept) > 1)):
        kept = kept[:-1]
    if len(kept) > 1 and kept[-1].text == "\\min" and kept[-2].kind == "num":
        kept = [*kept[:-1], Token("text", "minutes", gap=True)]
    kept = _composed(_bare_unit(kept))
    if len(kept) > 1 and kept[0].kind == "text" and kept[0].text.lower() in UNITS and kept[1].kind == "num":
        kept = [*kept[1:], kept[0]]
    return kept


def _composed(tokens: list[Token]) -> list[Token]:
    """`3 hours 30 minutes` as `3 hours and 30 minutes`: only quantities of one kind, each in a smaller unit."""
    read = list(tokens)
    joined = [*tokens[:1]]
    for at in range(1, len(tokens)):
        if at > 1 and at + 1 < len(tokens) and read[at].kind == read[at - 2].kind == "num":
            larger, smaller = _measure(read[at - 1]), _measure(read[at + 1])
            if larger == "hour" and tokens[at + 1].text == "m":
                smaller = "minute"
            if larger and smaller and (ratio(canonical_unit(larger), canonical_unit(smaller)) or 0) > 1:
                joined[-1] = Token("text", larger, gap=True)
                joined.append(Token("join", "and", gap=True))
                read[at + 1] = Token("text", smaller, gap=True)
        joined.append(read[at])
    return joined


def _measure(token: Token) -> str | None:
    """The name of the unit that a token may be, one letter or a word; None for a sign."""
    return _SHORT.get(token.text, token.text) if token.kind in ("text", "sym", "cmd") else None


_SHORT = {"h": "hour", "\\min": "minute"}


def _bare_unit(tokens: list[Token]) -> list[Token]:
    """`7 (apples)` as `7 apples`: words in brackets behind the value are its unit."""
    at = next((at for at, token in enumerate(tokens) if token.text == "("), 0)
    if not at or tokens[-1].text != ")" or len(tokens) - at < 3:
        return tokens
    inside = tokens[at + 1 : -1]
    power = len(inside) == 3 and inside[1].text == "^" and inside[2].kind == "num"
    if inside[0].kind != "text" or not (power or all(token.kind == "text" for token in inside)):
        return tokens
    return [*tokens[:at], *inside]


def _is_label(tokens: list[Token], at: int) -> bool:
    token = tokens[at]
    if token.kind == "text":
        return all(word in LABELS for word in re.findall(r"[a-z]+", token.text.lower())) and not re.search(
            r"\d", token.text
        )
    return False


def _words(normal: str) -> tuple[str, ...]:
    """The words of a text answer, without case, marks and articles; all in one piece if it has signs of mathematics."""
    text = _FONTS.sub("", plain(normal)).replace("{", "").replace("}", "")
    if not _PROSE.fullmatch(text):
        return (re.sub(r"\s+", "", text),)
    words = [word.lower() for word in _WORD.findall(text)]
    while len(words) > 1 and words[0] in _OPENINGS:
        del words[0]
    if words[:2] == ["infinitely", "many"] and words[2:] in (["solutions"], ["solution"]):
        words = words[:2]
    while len(words) > 1 and words[-1] in _NOUNS:
        del words[-1]
    kept = tuple(word for word in words if word not in ARTICLES) or tuple(words)
    return ("does", "not", "exist") if kept == ("dne",) else kept
