"""The words an answer may hold: functions, units, number words, and what joins or ends an answer.

A unit is only ever a whole word, never a bare letter: `8d` and `8s` are products. Two units must agree, so spellings
of one unit share a canonical name here; an unknown word after a number is its own canonical name.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
from fractions import Fraction

from selfimprove.answer.tree import Constant, Op, Sign, Unit

TRIG = frozenset("sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan arccot arcsec arccsc".split())
FUNCTIONS = TRIG | frozenset(
    "cis arsinh arcosh artanh sqrt ln log lg exp min max gcd lcm abs floor ceil det Gamma sgn".split()
)
ALIASES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "arcsinh": "arsinh", "arccosh": "arcosh",
    "arctanh": "artanh", "ceiling": "ceil", "tg": "tan", "ctg": "cot", "cosec": "csc", "arctg": "arctan",
    "sgn": "sgn", "cbrt": "cbrt",
}  # fmt: skip
GREEK = frozenset(
    (
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho varrho "
        "sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell hbar"
    ).split()
)
CONSTANTS = {
    "pi": Constant.PI, "infty": Constant.INFINITY, "infinity": Constant.INFINITY, "inf": Constant.INFINITY,
}  # fmt: skip
RELATIONS = {
    spelling: sign
    for sign, spellings in {
        Sign.EQUAL: "= == :=",
        Sign.UNEQUAL: r"!= \ne \neq",
        Sign.LESS: r"< \lt",
        Sign.GREATER: r"> \gt",
        Sign.AT_MOST: r"<= =< \le \leq \leqslant \leqq",
        Sign.AT_LEAST: r">= \ge \geq \geqslant \geqq",
        Sign.NEAR: r"\approx \simeq \sim \cong",
        Sign.CONGRUENT: r"\equiv",
        Sign.IN: r"\in",
        Sign.ARROW: r"\to \rightarrow",
        Sign.IMPLIES: r"\implies \Rightarrow \Longrightarrow",
    }.items()
    for spelling in spellings.split()
}
SET_SIGNS = {
    "\\cup": Op.UNION, "\\bigcup": Op.UNION, "\\cap": Op.INTERSECTION, "\\setminus": Op.DIFFERENCE,
    "\\backslash": Op.DIFFERENCE,
}  # fmt: skip
_STRUCTURE = frozenset(
    (
        "frac sqrt binom choose sum prod int lim pmod mod bmod emptyset varnothing ldots dots cdots vdots dotsc "
        "lfloor rfloor lceil rceil langle rangle lbrace rbrace lbrack rbrack mid vee lor wedge land cdot times div "
        "pm mp circ overline overrightarrow vec hat bar widehat tilde angle triangle dollar euro pound yen cent "
        "cbrt prime "
        "over colon underline ast star text not measuredangle dot odot partial deg triangleq iff quad"
    ).split()
)

_UNIT_GROUPS = """
cm centimeter centimeters centimetre centimetres
mm millimeter millimeters millimetre millimetres
km kilometer kilometers kilometre kilometres
meter meters metre metres m
inch inches in
foot feet ft
yard yards yd yds
mile miles mi
second seconds sec secs s
minute minutes min mins minuten minutos minuti minuto
hour hours hr hrs h stunde stunden heure heures hora horas
day days tage tagen jours dias giorni
week weeks wochen semaines semanas
month months
year years yr yrs jahre jahren anni
gram grams g
kg kilogram kilograms kilo kilos
mg milligram milligrams
pound pounds lb lbs
ounce ounces oz
liter liters litre litres l
ml milliliter milliliters millilitre millilitres
mole moles mol
gallon gallons
quart quarts
pint pints
acre acres
hectare hectares
dollar dollars usd bucks
cent cents
yen jpy
euro euros eur
yuan rmb cny
degree degrees deg
radian radians rad
mph
percent percents percentage pct
unit units
person people persons
kph kmh kmph
child children
man men
woman women
joule joules
newton newtons
watt watts
volt volts
ohm ohms
hertz
pascal pascals
ampere amperes amps
kelvin kelvins
tesla teslas
coulomb coulombs
farad farads
weber webers
siemens
henry henrys henries
electronvolt electronvolts
angstrom angstroms
atmosphere atmospheres atm
calorie calories cal
kilocalorie kilocalories kcal
kiloohm kiloohms kilohm kilohms
megaohm megaohms megohm megohms
micrometer micrometers micrometre micrometres micron microns
nanometer nanometers nanometre nanometres
""".strip()
UNITS = {word: line.split()[0] for line in _UNIT_GROUPS.splitlines() for word in line.split()}
BARE_UNITS = frozenset(word for word in UNITS if len(word) > 1 and word not in ("in", "min", "deg", "rad", "sec"))
_SI = {
    "N": "newton", "J": "joule", "W": "watt", "V": "volt", "A": "ampere", "Pa": "pascal", "Hz": "hertz", "C": "coulomb",
    "F": "farad", "T": "tesla", "Wb": "weber", "Ω": "ohm", "Omega": "ohm", "eV": "electronvolt",
}  # fmt: skip
SYMBOLS = {
    **_SI, "K": "kelvin", "Mg": "megagram", "Mm": "megameter", "Nm": "newton meter", "Å": "angstrom",
    **{f"{sign}{unit}": f"{prefix}{name}"
       for sign, prefix in (("k", "kilo"), ("M", "mega"), ("G", "giga"), ("m", "milli"), ("μ", "micro"), ("n", "nano"))
       for unit, name in _SI.items()},
    **{f"{sign}{unit}": f"{prefix}{name}"
       for sign, prefix in (("μ", "micro"), ("n", "nano"))
       for unit, name in (("m", "meter"), ("s", "second"), ("g", "gram"), ("L", "liter"), ("mol", "mole"))},
    "pF": "picofarad", "pC": "picocoulomb", "mmol": "millimole", "kmol": "kilomole", "H": "henry", "mH": "millihenry",
    "μH": "microhenry", "M": "molar", "mM": "millimolar", "S": "siemens", "G": "gauss", "ms": "millisecond",
    "fm": "femtometer", "dm": "decimeter", "TeV": "teraelectronvolt", "hPa": "hectopascal", "kWh": "kilowatthour",
}  # fmt: skip
MAGNITUDES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "lakh": 10**5, "crore": 10**7,
}  # fmt: skip
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
COUNTS = {word: n for n, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}

LABELS = frozenset(
    (
        "the a an final answer answers is are equals equal to so thus therefore hence result value option choice "
        "solution simply just point vertex midpoint center centre ordered pair"
    ).split()
)
REASONS = frozenset("since because as where for with given such".split())
NEVER_UNITS = frozenset(
    (
        "not no or and is are was wrong incorrect false true correct none nor but maybe either neither isn than "
        "except plus minus times least most mod modulo power squared "
        "mille mila tausend duizend millone millones millionen milioni miljoen "
        "cubed factorial half halve halves third thirds fourth fifth sixth seventh eighth ninth tenth hundredth "
        "thousandth over divided root less more fewer anything below above"
    ).split()
)
ARTICLES = frozenset(("a", "an", "the"))
SHORT_WORDS = frozenset(
    (
        "and for the not odd yes one two six ten pct mph day usd eur oz lb ft hr am pm no or is to of if at by on "
        "mod per so as all any are but nor red dog cat boy man men box car bus egg pen cup nan dne"
    ).split()
)


def canonical_unit(text: str) -> Unit:
    """The unit that a text names: `square meters` and `m^2` are one, `miles per hour` and `mph` another."""
    text = text.replace("^{", "^").replace("}", "").replace(" ^", "^").replace("{", "")
    found: list[str] = []
    power = ""
    for word in text.replace("/", " / ").split():
        low = word.lower()
        if low in ("squared", "cubed") and found and found[-1] != "/":
            found[-1] += "^2" if low == "squared" else "^3"
        elif low in _POWERS:
            power = _POWERS[low]
        elif word not in SYMBOLS and low in ("per", "/", "an", "a", "each"):
            found.append("/")
        else:
            stem, mark, exponent = word.partition("^")
            if exponent.startswith("-"):
                found.append("/")
                mark, exponent = ("", "") if exponent == "-1" else (mark, exponent[1:])
            found.append(unit_name(stem) + (mark + exponent or power))
            power = ""
    name = " ".join(found).replace(" / / ", "/").replace(" / ", "/").replace("/ ", "/").rstrip("/ ").lstrip()
    return Unit(tuple(_COMPOUND.get(name, name).split()) or (text.strip().lower(),))


SQUARED = {"square": 2, "sq": 2, "sq.": 2, "cubic": 3, "cu": 3, "cu.": 3}
"""Words in front of a unit for its power."""
_POWERS = {word: f"^{power}" for word, power in SQUARED.items()}
_COMPOUND = {"mile/hour": "mph", "kph": "km/hour", "km/h": "km/hour"}


def unit_name(word: str) -> str:
    """The canonical name of a unit word: its group's, else the word without a plural s."""
    if word in SYMBOLS:
        return SYMBOLS[word]
    low = word.lower().strip(" .")
    if low in UNITS:
        return UNITS[low]
    return low[:-1] if len(low) > 3 and low.endswith("s") and not low.endswith("ss") else low


def spoken_number(text: str) -> Fraction | None:
    """The value of an English number word such as "twenty-one" or "three hundred", or None."""
    words = text.lower().replace("-", " ").replace(" and ", " ").split()
    if not words or len(words) > 12:
        return None
    total = current = 0
    for word in words:
        if word in COUNTS:
            current += COUNTS[word]
        elif word == "hundred" and current:
            current *= 100
        elif word in MAGNITUDES and current and word != "dozen":
            total, current = total + current * MAGNITUDES[word], 0
        else:
            return None
    return Fraction(total + current)


def known_command(name: str) -> bool:
    """Whether a TeX command (without its backslash) has a meaning in the grammar."""
    return (
        name in FUNCTIONS
        or name in GREEK
        or name in CONSTANTS
        or name in ALIASES
        or name in _STRUCTURE
        or "\\" + name in RELATIONS
        or "\\" + name in SET_SIGNS
    )
