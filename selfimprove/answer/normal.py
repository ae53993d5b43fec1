"""One normaliser for the reference and the prediction: the same spelling for the same signs.

Only spelling changes here, never meaning: Unicode digits, minus signs, fractions, superscripts and Greek letters
become their plain or TeX forms; TeX spacing, sizing and colour go; dollar signs are told apart into delimiters and
currency. Every step is one linear pass. What the normaliser returns is what the canonical-string stage compares.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
import unicodedata

from selfimprove.answer.domains import written_out
from selfimprove.answer.measures import in_one_unit, with_unit

_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True))
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξρσςτυφχψωΓΔΘΛΞΠΣΦΨΩϕϑ",
        (
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma sigma tau upsilon phi "
            "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega phi vartheta"
        ).split(),
        strict=True,
    )
)
_SIGNS = {
    "∶": ":", "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "﹣": "-", "×": r"\times ", "⋅": r"\cdot ",
    "·": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "∗": "*", "÷": r"\div ", "∕": "/", "⁄": "/", "≤": r"\le ",
    "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ", "∞": r"\infty ",
    "π": r"\pi ", "√": r"\sqrt ", "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∅": r"\emptyset ",
    "∈": r"\in ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "±": r"\pm ", "∓": r"\mp ", "°": r"^\circ ", "º": r"^\circ ", "′": "'", "’": "'", "…": r"\ldots ",
    "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ", "〉": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
    "⌈": r"\lceil ", "⌉": r"\rceil ", "∨": r"\vee ", "∧": r"\wedge ", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ",
    "¥": r"\yen ", "¢": r"\cent ", "→": r"\rightarrow ", "⇒": r"\Rightarrow ", "€": r"\euro ", "£": r"\pound ",
    "∠": r"\angle ", "∣": "|", "％": "%", "；": ";", "：": ":", "，": ",", "、": ",",
    "।": ".", "µ": r"\mu ", "。": ".", "（": "(", "）": ")", "∛": r"\sqrt[3]", "₂": "_{2}", "【": "[", "】": "]",
}  # fmt: skip
_FRACTIONS = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
    "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_OR = re.compile(r"(?<=[\w)}$.])\s?或者?\s?(?=[-+(\w\\$±])")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f")

_DROP = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|Biggl|Biggr|big|Big|bigg|Bigg|displaystyle|textstyle|limits|"
    r"nolimits|scriptstyle|rm|bf|it|middle|boldsymbol|large|Large|LARGE|huge|Huge|small|footnotesize|normalsize|tiny|boxed|fbox|strut|hfill|allowbreak|label\{[^{}]{0,80}\}|"
    r"color\{[^{}]{0,40}\}|textcolor\{[^{}]{0,40}\}|phantom\{[^{}]{0,40}\}|therefore|hspace\*?\{[^{}]{0,40}\})(?![A-Za-z])\.?"
)
_SPACE = re.compile(
    r"\\q?quad|\\(?:thinspace|enspace|medspace|thickspace|space|nobreakspace)(?![A-Za-z])|(?<!\\)\\[,;:> ]|~"
)
_RENAMES = (
    ("frac", re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    ("binom", re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    ("\\!", re.compile(r"\\!\s*"), ""),
    ("\\var", re.compile(r"\\var(?=(?:phi|epsilon|theta|rho|sigma|kappa|pi)(?![A-Za-z]))"), r"\\"),
    ("\\top", re.compile(r"\\top(?![A-Za-z])"), "T"),
    ("\\intercal", re.compile(r"\\intercal(?![A-Za-z])"), "T"),
    ("\\", re.compile(r"(?<!\\)\\[\[\]()]"), " "),
    (",", re.compile(r"(?<=\d)\s?\{\s?,\s?\}\s?(?=\d)|\{,\}"), ","),
    ("...", re.compile(r",\s?\.{3}"), r",\\ldots "),
    ("**", re.compile(r"\*\*"), "^"),
    ("_", re.compile(r"\\text\s?\{\s?([A-F])\s?\}(?=_\s?\{?\s?16)"), r"\1"),
    ("(base", re.compile(r"\A([\dA-F]+)\s?\(base (\d{1,2})\)"), r"\1_{\2}"),
    ("\\", re.compile(r"(?:\\(?:mathbf|boldsymbol|bm|textbf|underline|mathrm)\s?\{+){1,3}(-?\d[\d.,/]*)\}+"), r"\1"),
    (" over ", re.compile(r"\A(-?\d{1,9}) over (\d{1,9})\Z"), r"\1/\2"),
    ("\\texttt", re.compile(r"\\texttt\s?\{([\w.]{1,40})\}"), r"\1"),
    ("\\dot", re.compile(r"\.(\d*)\\dot\s?\{?(\d)\}?(\d*)\\dot\s?\{?(\d)\}?"), r".\1\\overline{\2\3\4}"),
    ("\\angle", re.compile(r"(?<![A-Za-z\\])m\s?(?=\\angle)"), ""),
    (
        "\\forall",
        re.compile(r"[,;\s]*\\forall\s?[a-z](?:,\s?[a-z]){0,2}(?:\s?\\in\s?\\mathbb\s?\{?R\}?)?\s*\Z"),
        "",
    ),
    ("C", re.compile(r"(?<![\w)}\]])(?:\{\s?\}\s?)?\^\s?\{?(\d{1,3})\}?\s?C_\s?\{?(\d{1,3})\}?"), r"\\binom{\1}{\2}"),
    ("log", re.compile(r"(?<![A-Za-z])\\?log(2|10)(?=\s?\()"), r"\\log_{\1}"),
    ("approx", re.compile(r"\s?\(\s?(\\approx\s?-?\d[\d.,]*)\s?\)\Z"), r" \1"),
    (
        "\\text",
        re.compile(r"\s?\\text\s?\{,?\s?(?:or|which is)\s(?:about|approximately|roughly)\s?\}\s?(?=\d)"),
        r" \\approx ",
    ),
    ("base", re.compile(r"\A(?:\\text\s?\{\s?)?([\dA-F]+)\s(?:in )?base (\d{1,2})\s?\}?\Z"), r"\1_{\2}"),
    ("_", re.compile(r"_\s?\{?\s?\\text\s?\{\s?base\s?\}\s?(\d{1,2})\s?\}?"), r"_{\1}"),
    ("(", re.compile(r"\A(-?\d+\.\d*)\((\d{1,12})\)\Z"), r"\1\\overline{\2}"),
    ("approximately", re.compile(r"\A\s?\\text\s?\{\s?approximately\s?\}"), ""),
    (
        "<",
        re.compile(r"\A\s?<\s?(-?[\w\\{}^/. ]{1,30}(?:,\s?-?[\w\\{}^/. ]{1,30}){1,4})>\s?\Z"),
        r"\\langle \1\\rangle ",
    ),
    (" in", re.compile(r"(?<=\d) in\.?\Z"), " inches"),
    ("per cent", re.compile(r"\bper cent\b"), "percent"),
    ("'", re.compile(r"(?<![\w.,'])(\d{1,3})'(\d{3})(?:'(\d{3}))?(?![\d'])"), r"\1\2\3"),
    ("10", re.compile(r"(?<=\d)\s?[xX]\s?(?=10\s?\^)"), r"\\times "),
    (
        "\\",
        re.compile(r"\^\{\s*\\circ\s*\}|\^\s*\\circ(?![A-Za-z])|\\degree(?![A-Za-z])|\\textdegree(?![A-Za-z])"),
        r"^\\circ ",
    ),
    ("vert", re.compile(r"\\(?:lvert|rvert|vert)(?![A-Za-z])"), "|"),
    ("\\%", re.compile(r"\\%"), "%"),
    ("\\", re.compile(r"\\(?:\$|dollar(?![A-Za-z]))"), r"\\dollar "),
    ("\\textdollar", re.compile(r"\\textdollar(?![A-Za-z])"), r"\\dollar "),
    ("\\", re.compile(r"\\(?:pounds|textsterling)(?![A-Za-z])"), r"\\pound "),
    ("\\texteuro", re.compile(r"\\texteuro(?![A-Za-z])"), r"\\euro "),
    ("\\dollar", re.compile(r"\A(\\dollar)\s{0,2}-\s?(?=\d)"), r"-\1 "),
    ("\\dollar", re.compile(r"(\\dollar\s{1,2}\d[\d.,]*)M(?![A-Za-z])"), r"\1 million"),
    ("\\dollar", re.compile(r"(\\dollar\s{1,2}\d[\d.,]*)[kK](?![A-Za-z])"), r"\1 thousand"),
    ("\\_", re.compile(r"\\_"), "_"),
    ("{{", re.compile(r"(?<!\\)\{\{([^{}]*)\}\}"), r"{\1}"),
    ("", re.compile(r"\s+"), " "),
)  # each with what a text must hold for its pattern to match
_PERIODIC = re.compile(
    r"(?<![\d.])(\d*)\.(\d{0,12}?)(?:(\d)\3\3+|(\d{2,5})\4\4+|(\d{6})\5+)(?:\s?\.{3,}|\s?\\(?:ldots|dots|cdots)(?![A-Za-z]))(?!\s?\d)"
)  # 1.666... and 0.142857142857...
_TWICE = re.compile(
    r"\A(-?\d*)\.(\d{2,3})\2\s?(?:\.{3,}|\\(?:ldots|dots|cdots))\Z"
)  # 0.3636..., from the first digit on
_IDENTICAL = re.compile(r"\A\s?([fgh](?:\([a-z](?:,\s?[a-z])?\))?)\s?\\equiv(?![A-Za-z])\s?")
_PRIMES = re.compile(r"\^\s?\{(?:\s?(?:\\prime(?![A-Za-z])|'))+\s?\}|\^\s?\\prime(?![A-Za-z])")
_OPENS_LAST = re.compile(r"\[ ?(?:\\c[ua]p|\Z)")
_INTERVAL = re.compile(r"([\[\]])([^\[\],;]{1,100}[,;][^\[\],;]{1,100})([\[\]])")
_TRAILING = re.compile(r"[\s.,;:\\]+$")


def _one(sign: str) -> str:
    """One character in its plain or TeX spelling, before compatibility forms are folded."""
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign in _GREEK:
        return f"\\{_GREEK[sign]} "
    if sign in _FRACTIONS:
        return f" {_FRACTIONS[sign]} "
    if sign in _INVISIBLE:
        return ""
    if unicodedata.category(sign) == "Nd":
        return str(unicodedata.decimal(sign))
    return unicodedata.normalize("NFKC", sign)


def _scripts(text: str, table: dict[str, str], mark: str) -> str:
    """Runs of Unicode super- or subscripts as TeX groups."""
    if not any(sign in table for sign in text):
        return text
    return re.sub(f"[{''.join(table)}]+", lambda m: f"{mark}{{{''.join(table[s] for s in m[0])}}}", text)


def plain(text: str) -> str:
    """The text in ASCII and TeX commands, with its meaning unchanged; one linear pass."""
    if text.isascii():
        return text
    text = _scripts(_scripts(text, _SUPER, "^"), _SUB, "_")
    if "或" in text:
        text = _OR.sub(" or ", text)
    return "".join(sign if sign < "\x80" else _one(sign) for sign in text)


def _dollars(text: str) -> str:
    """Unescaped dollar signs resolved: delimiters come in pairs, a lone one beside a number is money."""
    signs = [m.start() for m in re.finditer(r"(?<!\\)\$", text)]
    if not signs:
        return text
    if len(signs) == 1 and len(text) > 1:
        at = signs[0]
        before, after = text[:at].rstrip(), text[at + 1 :].lstrip()
        money = after[:1].isdigit() or after[:1] == "." or before[-1:].isdigit()
        return f"{before} {chr(92)}dollar {after}" if money else f"{before} {after}"
    if re.search(r"\$\s?\d[^$]*\$\s?\d", text) and not text.startswith("$$"):
        return re.sub(r"(?<!\\)\$", r" \\dollar ", text)
    return re.sub(r"(?<!\\)\$", " ", text)


def peel(text: str) -> str:
    """The text without redundant outer brackets `((x))` or braces, found in one linear scan."""
    text = re.sub(r"\\(?:left|right)\s*(?=[()])", "", text.strip()) if len(text) > 200 else text.strip()
    if not text or text[0] not in "({":
        return text
    partner: dict[int, int] = {}
    stack: list[int] = []
    for at, sign in enumerate(text):
        if sign in "({":
            stack.append(at)
        elif sign in ")}" and stack:
            partner[stack.pop()] = at
    first, last = 0, len(text) - 1
    while first < last and text[first] in "({" and partner.get(first) == last and partner.get(first + 1) == last - 1:
        if text[first] + text[last] not in ("()", "{}"):
            break
        first, last = first + 1, last - 1
    return text[first : last + 1].strip()


def _ordinary_brackets(text: str) -> str:
    """Intervals in reversed brackets, `]0,1[`, in round ones; a text whose brackets pair up stays as it is."""
    depth = 0
    for sign in text:
        depth += (sign in "[(") - (sign in "])")
        if depth < 0:
            break
    if depth == 0 and not _OPENS_LAST.search(text):
        return text
    return _INTERVAL.sub(lambda m: f"{'(' if m[1] == ']' else '['}{m[2]}{')' if m[3] == '[' else ']'}", text)


def _chained(text: str) -> str:
    """The rows of `aligned` that each go on with a relation, as the one chain they are."""
    found = _ALIGNED.fullmatch(text.strip())
    if found is None:
        return text
    rows = [
        row.replace("&", " ").strip() for row in re.split(r"\\\\(?:\[[^\]]{0,12}\])?", found[2]) if row.strip(" \n&")
    ]
    if all(_GOES_ON.match(row) for row in rows[1:]):
        return " ".join(rows)
    related = all(_GOES_ON.search(row) and not _GOES_ON.match(row) for row in rows)
    return ", ".join(row.rstrip(" ,;") for row in rows) if related else text


_ALIGNED = re.compile(r"\\begin\{(aligned|align\*?|split|gathered)\}(.{1,2000}?)\\end\{\1\}", re.DOTALL)
_GOES_ON = re.compile(r"=|<|>|\\(?:approx|le|ge|leq|geq|equiv|Rightarrow|implies)(?![A-Za-z])")


_DOLLARS_OF = re.compile(r"\A(?:R|A|C|S|HK|NZ|AU|CA|SG)\\?\$(?=\s?\d)")
_GROUPED = re.compile(r"-?\d{1,3}(?:_\d{3})+")  # as in programs: 1_000_000
_GERMAN = re.compile(r"[-−]?[$€£]?\s?(\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,})(?:\s?[€$£]|\s[A-Za-z]{1,12}\.?)?")
_UNITED = re.compile(r"(?<=[)\]])\s?U\s?(?=[(\[])")


_CURRENCIES = {
    "₹": "rupee", "rs": "rupee", "inr": "rupee", "₦": "naira", "ngn": "naira", "₩": "won", "krw": "won", "₱": "peso",
    "php": "peso", "฿": "baht", "thb": "baht", "₽": "rouble", "₺": "lira", "₫": "dong", "₪": "shekel", "₴": "hryvnia",
    "chf": "franc", "r": "rand", "zar": "rand", "kr": "krone", "nok": "krone", "sek": "krona", "dkk": "krone",
    "zl": "zloty", "pln": "zloty",
}  # fmt: skip
_SIGN = r"((?:₹|₦|₩|₱|฿|₽|₺|₫|₪|₴|Rs\.?|INR|NGN|KRW|PHP|THB|CHF|R\$?|ZAR|kr\.?|NOK|SEK|DKK|PLN))"
_MONEY = re.compile(
    rf"(?:\\text\s?\{{\s?)?{_SIGN}(?:\s?\}})?\s?(\d[\d.,]*)|(\d[\d.,]*)\s(?:\\text\s?\{{\s?)?(₹|₦|₩|₱|฿|₽|₺|₫|₪|₴|kr\.?|zł|INR|CHF|ZAR|"
    r"NOK|SEK|DKK|PLN)(?:\s?\})?"
)  # R28, Rs. 500, 20 kr


def _named_currency(money: re.Match[str]) -> str:
    """`R28` as `28 \\text{rand}`."""
    sign = (money[1] or money[4]).lower().rstrip("$.").replace("ł", "l")
    return f"{money[2] or money[3]} \\text{{{_CURRENCIES[sign]}}}"


_TEMPERATURE = re.compile(
    r"\s?\^\s?(?:\{\s?\\circ\s?\}|\\circ)\s?(?:\\(?:text|mathrm)\s?\{\s?)?([CF])(?:\s?\})?(?![A-Za-z=])|"
    r"\s?(?:\\text\s?\{\s?)?degrees?\s([Cc]elsius|[Ff]ahrenheit)(?:\s?\})?"
)
_SCALES_OF_HEAT = {"c": "celsius", "f": "fahrenheit"}
_BASIS = re.compile(
    r"\\(?:hat|widehat|vec)\s?(?:\{\s?(?:\\mathbf\s?\{\s?)?\\?([ijk])(?:math)?\s?(?:\}\s?)?\}|\s?\\?([ijk])(?:math)?(?![A-Za-z]))"
)


_COMPONENT = re.compile(
    r"\s?([-+])?\s?((?:[^-+{}()]|\([^()]{1,40}\)|\{(?:[^{}]|\{[^{}]{0,20}\}){0,40}\}){0,80}?)\s?(?:\\cdot\s?)?\\mathbf\s?\{\s?([ijk])\s?\}\s?"
)


def _in_components(text: str) -> str:
    """`2\\mathbf{i}-\\mathbf{j}` as `(2,-1)`; any text but a sum of different unit vectors as it is."""
    found: dict[str, str] = {}
    at = 0
    for part in _COMPONENT.finditer(text):
        if part.start() != at or part[3] in found or (at and not part[1]):
            return text
        at, sign = part.end(), "-" if part[1] == "-" else ""
        found[part[3]] = sign + (part[2].strip() or "1")
    if at != len(text) or len(found) < _PLANE:
        return text
    return f"({','.join(found.get(axis, '0') for axis in ('ijk' if 'k' in found else 'ij'))})"


_PLANE = 2  # dimensions
_FORMULA_IN_TEXT = re.compile(r"\\(?:text|mbox)\s?\{\s?\$([^$]{1,200})\$\s?\}")
_PREFIXED = re.compile(r"(?:\\text\s?\{\s?)?0([xXbBoO])([0-9A-Fa-f]+)\s?\}?")
_SPELT_BASE = re.compile(r"_\s?\{?\s?\\text\s?\{\s?([a-z]+)\s?\}\s?\}?")
_HEXADECIMAL = re.compile(r"(?<![A-Za-z\\])(?=[a-f]*\d)[0-9a-f]+(?=_\s?\{?\s?16(?!\d))")  # and not `\alpha_{16}`
_BASES = dict(
    zip(
        "two three four five six seven eight nine ten eleven twelve sixteen".split(),
        (*range(2, 13), 16),
        strict=True,
    )
)


def _based(text: str) -> str:
    """A number in a base in its usual spelling: `0x3E` and `3e_{16}` as `3E_{16}`, `52_{\\text{eight}}` as `52_{8}`."""
    if (prefixed := _PREFIXED.fullmatch(text)) is not None:
        base = {"x": 16, "o": 8, "b": 2}[prefixed[1].lower()]
        return f"{prefixed[2].upper()}_{{{base}}}"
    text = _SPELT_BASE.sub(lambda found: f"_{{{_BASES[found[1]]}}}" if found[1] in _BASES else found[0], text)
    return _HEXADECIMAL.sub(lambda found: found[0].upper(), text)


def normalise(text: str) -> str:
    """The canonical spelling of an answer."""
    if "." in text and (german := _GERMAN.fullmatch(text)) is not None:
        text = text.replace(german[1], german[1].replace(".", "").replace(",", "."))
    if "_" in text and _GROUPED.fullmatch(text):
        text = text.replace("_", "")
    if "$" in text and not text.startswith("$"):
        text = _DOLLARS_OF.sub("$", text)
    if "US" in text:
        text = text.replace("US$", "$").replace("US\\$", "\\$")
    if "U" in text:
        text = _UNITED.sub(r"\\cup ", text)
    if (money := _MONEY.fullmatch(text)) is not None:
        text = _named_currency(money)
    if (inside := _FORMULA_IN_TEXT.fullmatch(text)) is not None:
        text = inside[1]
    text = _dollars(plain(text))
    if "_" in text or text.startswith(("0", "\\text")):
        text = _based(text)
    if "{:}" in text:
        text = text.replace("{:}", ":")
    if "hat" in text or "vec" in text:
        text = _BASIS.sub(lambda basis: f"\\mathbf{{{basis[1] or basis[2]}}}", text)
    text = with_unit(in_one_unit(text))
    if "\\equiv" in text and "mod" not in text:
        text = _IDENTICAL.sub(r"\1=", text)
    if "..." in text or "dots" in text:
        text = _TWICE.sub(r"\1.\\overline{\2}", _PERIODIC.sub(r"\1.\2\\overline{\3\4\5}", text))
    if "\\begin" in text:
        text = _chained(text)
    if "[" in text or "]" in text:
        text = _ordinary_brackets(text)
    if "circ" in text or "degree" in text:
        text = _TEMPERATURE.sub(lambda m: f" \\text{{{_SCALES_OF_HEAT[(m[1] or m[2])[0].lower()]}}}", text)
    if "'" in text or "prime" in text:
        text = _PRIMES.sub(lambda m: "'" * (m[0].count("prime") + m[0].count("'")), text)
    if "\\" in text or "~" in text:
        text = _SPACE.sub(" ", _DROP.sub("", text))
    if "\\in" in text or "\\ne" in text or "mathbb" in text:
        text = written_out(text.strip())
    if "mathbf" in text:
        text = _in_components(text)
    for sign, pattern, new in _RENAMES:
        if sign in text:
            text = pattern.sub(new, text)
    return _TRAILING.sub("", text.strip()).strip()
