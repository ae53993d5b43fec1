"""Chemical formulas: `H₂SO₄`, `H_2SO_4`, `\\mathrm{H_2SO_4}` and `\\ce{H2SO4}` are one, and `NO2` is not `N2O`.

To the grammar of mathematics they are products of letters and numbers, so they are compared here, by their spelling.
"""

from __future__ import annotations

import re

from selfimprove.answer.normal import plain

_SYMBOLS = (
    "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Zr|Mo|Ag|Cd|Sn|Sb|Te|Xe|Cs|Ba|"
    "La|Ce|Pt|Au|Hg|Pb|Bi|Rn|Ra|Th|H|B|C|N|O|F|P|S|K|V|Y|I|W|U"
)
_GROUP = rf"(?:(?:{_SYMBOLS})\d*)"
_FORMULA = re.compile(rf"((?:{_GROUP}|\({_GROUP}+\)\d*)+)(?:\^?(\d?[+-]|[+-]\d))?")
_ELEMENT = re.compile(_SYMBOLS)
_GASES = re.compile(r"(?:[HNOFI]|Cl|Br)2|O3|S8|P4")
_FONTS = re.compile(r"\\(?:text|mathrm|mathsf|ce|rm|operatorname)(?![A-Za-z])")


def formula(written: str) -> str | None:
    """The canonical spelling of a chemical formula with a number or several elements in it; None for anything else."""
    if len(written) > 120 or not any(sign.isupper() for sign in written):
        return None
    bare = re.sub(r"[\s{}$_~]|\\[,;! ]", "", _FONTS.sub("", plain(written))).strip(".*")
    match = _FORMULA.fullmatch(bare)
    if match is None:
        return None
    several = len(set(_ELEMENT.findall(match[1]))) > 1
    return match[1] + (f"^{match[2]}" if match[2] else "") if several or _GASES.fullmatch(match[1]) else None


def same_formula(reference: str, prediction: str) -> bool | None:
    """Whether two answers are the same formula; None unless both are formulas, one of them at least with a number."""
    gold = formula(reference)
    if gold is None or (ours := formula(prediction)) is None:
        return None
    numbered = any(sign.isdigit() for sign in gold + ours)
    return gold == ours if numbered or gold == ours else None


def stated_formula(sentence: str) -> str | None:
    """The formula that a sentence ends on, behind a verb, a colon or a comma; None without one."""
    found = _STATED.search(sentence)
    if found is None or not re.search(r"\d|[A-Z][a-z]", (name := formula(found[1])) or ""):
        return None
    return None if _NO.search(sentence, 0, found.start()) else name


_STATED = re.compile(
    r"(?:\b(?:is|are|formula)|[:,=])\s*[*_$(]{0,3}(?:\\(?:mathrm|text|ce)\{)?((?=[A-Z(])[A-Za-z\d₀-₉()_{}]{2,40})[*_$)]{0,3}(?:\s*\([^()]{1,60}\))?[\s.*!]*\Z"
)
_NO = re.compile(r"n't\b|\b(?:not|if|whether|suppose|maybe|perhaps|might|could)\b", re.IGNORECASE)
