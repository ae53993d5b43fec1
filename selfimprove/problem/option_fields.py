"""The fields of a row that hold its options: one with all of them, or one for each.

Options in a field each are numbered or lettered (`A` … `D`, `option1` …, `ending0` …), or a right answer has its wrong
ones beside it (`Correct Answer` with `Incorrect Answer 1` …, `distractor1` …).
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from selfimprove.problem.likeness import is_beside, is_of
from selfimprove.problem.names import ANSWERS, OPTIONS, Names, Row, bare_name, opened
from selfimprove.problem.options import LETTERS, Options, consecutive, is_plain, read_options

_NUMBERED = re.compile(
    r"(q?(?:option|opt|op)|opci[oó]n|opção|opcao|alternativa|alternative|alt|选项|選項|選択肢|보기|choice|(?:mc)?answer|ans|"
    r"antwort(?:möglichkeit)?|r[ée]ponse|proposition|respuesta|resposta|risposta|вариант|ответ|sol|ending|candidate|)"
    r"([a-j]|\d)"
)
_FAMILY = re.compile(r"(.*?[^\W\d_])[\W_]*(\d{1,2}|(?<=[^\W\d_A-Z])[A-J]|(?<=[\W_])[A-Ja-j])\]?")
"""A field's name that ends in a number or a letter by itself."""
_LETTER_FIRST = re.compile(r"\A([a-j])(选项|選項)\Z")
_TAIL = re.compile(r"(?<=.)\s*(?:\((?!(?:[A-Ja-j]|\d{1,2})\))[^()]*\)|[-–]\s.*)\s*$", re.DOTALL)
"""What a form's heading says of a field behind its name: `Answer 1 - max 75 characters`, `Answer 3 (Optional)`."""
_OFFERED = frozenset(
    (
        "option opcion opción opção alternative alternativa alt antwort antwortmöglichkeit réponse proposition "
        "respuesta resposta risposta вариант ответ 選択肢 hypothesis holding candidate ending quiz choice opsi"
    ).split()
)
"""Words of fields that hold an option each."""
_GIVEN_STEMS = frozenset(
    (
        "ctx sentence text premise paragraph question fact passage document context observation response "
        "completion output turn conversation query prompt input instruction utterance message reference rule "
        "story event column feature variable answer solution article claim statement argument clue part "
        "section block note value speaker person"
    ).split()
)
"""Words of numbered fields that hold something else."""
_WRONG = re.compile(
    r"(?:incorrectanswers?|distractors?|wronganswers?|incorrectoptions?|falscheantwort(?:en)?|mauvaiseréponses?|"
    r"respuestas?incorrectas?|respostas?erradas?|rispost[ae]errat[ae]|неверныйответ)\d*|(?:wrong|incorrect)\d+"
)
_NAMED_SO = re.compile(
    r"(?!correct|right|gold|num|n)\w*(?:choices|options|candidates|alternatives|(?:choice|option|candidate|alternative)s?(?:text|list)s?)"
)
"""Bare names of fields that hold options, whatever stands before."""
_BESIDE_ANSWERS = frozenset(
    "label correct answerkey ra correctanswerid correctansweridx correctanswers correctoption correctoptions "
    "correctanswer correctindex correctidx answeridx answerindex correctanswerindex correctoptionindex "
    "correctoptionidx".split()
)
"""Names beside which `answers` are options."""
_RIGHT = ("correctanswer", "bestanswer", "rightanswer", "correctoption", "correctchoice")
_RIGHT_BESIDE_WRONG = ("key", "right", "correct")
"""Names of the right answer where wrong ones stand beside it."""


def options_in(row: Row, names: Names, named: str, value: object) -> Options | None:
    """The options of a row; `names` are its fields by their bare names, `value` is what the field `named` holds."""
    if named:
        found = read_options(value)
        return None if found is None else replace(found, fields=(named,))
    return _several_fields(row, names)


@lru_cache(maxsize=1000)
def option_fields(names: Names) -> tuple[str, ...]:
    """The names, of a row's bare ones, under which options may stand."""
    beside = _BESIDE_ANSWERS & set(names)
    found = [name for name in names if name in OPTIONS or _NAMED_SO.fullmatch(name)]
    return tuple(name for name in found if name != "answers" or beside)


@lru_cache(maxsize=1000)
def may_offer(names: Names) -> bool:
    """Whether options may stand in a field of these, or in several."""
    known = _known(names)
    several = bool(known.families or known.others or (known.wrong and known.right))
    return bool(option_fields(names) or several or "answers" in names or names.others)


def _several_fields(row: Row, names: Names) -> Options | None:
    known = _known(names)
    wordings = names.get("correctanswers", known.right)
    if known.wrong and wordings != known.right and isinstance(row[wordings], str):
        return None  # an answer in several wordings, in one text: so are the wrong ones, and no option stands for one
    if known.wrong and known.right:
        return _with_distractors(row, known.right, known.wrong)
    for family in known.families:
        if (found := _of_family(row, family)) is not None:
            return found
    return None


def other_families(row: Row, names: Names) -> list[Options]:
    """Options in fields that are numbered or lettered under a name that says nothing of options (`holding_0` …)."""
    known = _known(names)
    found = [_of_family(row, family) for family in known.others]
    return [one for one in found if one is not None and not any(as_cell_number(text) for text in one.texts)]


def as_cell_number(text: str) -> bool:
    """Whether the text is a number: those in fields of their own are rather given than offered."""
    return bool(re.fullmatch(r"[-+.,\d\s%$]+", text))


Family = tuple[tuple[str, str], ...]
"""The keys of fields that belong together, in order, and their names."""


@dataclass(frozen=True)
class _Known:
    """What the names of a row's fields say of options in fields of their own."""

    right: str
    wrong: tuple[str, ...]
    families: tuple[Family, ...]
    others: tuple[Family, ...]


@lru_cache(maxsize=1000)
def _known(fields: Names) -> _Known:
    """Where options may stand in fields of their own, by the row's bare names and its names."""
    wrong = tuple(name for one, name in sorted(fields.items()) if _WRONG.fullmatch(one))
    usual = (*_RIGHT, *ANSWERS, *(_RIGHT_BESIDE_WRONG if wrong else ()))
    right = next((fields[one] for one in usual if one in fields), "")
    known: dict[str, dict[str, str]] = {}
    others: dict[str, dict[str, str]] = {}
    for one, name in fields.items():
        if name in fields.answer_family:
            continue
        head = _TAIL.sub("", name)
        match = _NUMBERED.fullmatch(_LETTER_FIRST.sub(r"\2\1", one) if head == name else bare_name(head))
        if match and (match[1] or not match[2].isdigit()):
            known.setdefault(match[1], {})[match[2].upper()] = name
        elif (match := _FAMILY.fullmatch(head)) and (_may_offer(match[1]) or _has_right_one(match[1], fields)):
            group = known if is_of(match[1], _OFFERED) or _has_right_one(match[1], fields) else others
            group.setdefault(match[1], {})[match[2].upper()] = name
    for letters in (*_ALPHABETS, _DIGITS):
        if found := _lettered(fields, letters):
            known.setdefault(letters, found)
    return _Known(right, wrong, _run(known), _run(others))


_ALPHABETS = ("абвгде", "αβγδε", "أبجده", "甲乙丙丁戊")
"""The first letters of scripts in which exams letter their options."""
_DIGITS = "123456"


def _lettered(fields: Names, letters: str) -> dict[str, str]:
    """The fields that are called by the first of these letters, by the Latin letters in their places."""
    found = {bare: name for bare, name in fields.items() if len(bare) == 1 and bare in letters}
    whole = len(found) > 2 and set(found) == set(letters[: len(found)])
    return {LETTERS[letters.index(bare)]: name for bare, name in found.items()} if whole else {}


def _has_right_one(stem: str, fields: Names) -> bool:
    """Whether a field says which of those with this word is right: `Correct Response` beside `Response 1` …"""
    return any(right + bare_name(stem) in fields for right in ("correct", "right"))


def _may_offer(stem: str) -> bool:
    return is_of(stem, _OFFERED) or not (is_of(stem, _GIVEN_STEMS) or is_beside(stem))


def _run(groups: dict[str, dict[str, str]]) -> tuple[Family, ...]:
    """The groups whose keys are A, B, … or count from 0 or 1."""
    runs = (tuple(sorted(group.items(), key=lambda item: (len(item[0]), item[0]))) for group in groups.values())
    return tuple(run for run in runs if consecutive([key for key, _ in run]))


@lru_cache(maxsize=1000)
def own_fields(names: Names) -> frozenset[str]:
    """The fields, of these names, that may hold an option each."""
    known = _known(names)
    return frozenset((*known.wrong, *(name for family in (*known.families, *known.others) for _, name in family)))


@lru_cache(maxsize=1000)
def sure_fields(names: Names) -> frozenset[str]:
    """Those of them whose names say that they do."""
    known = _known(names)
    return frozenset((*known.wrong, *(name for family in known.families for _, name in family)))


def _of_family(row: Row, family: Family) -> Options | None:
    """The options of these fields, the last of which may be empty; between letters any may be."""
    filled = [(key, name) for key, name in family if is_plain(row[name]) and str(row[name]).strip() not in ("", "nan")]
    keys = tuple(key for key, _ in filled)
    if len(filled) < 2 or not (consecutive(keys) or (keys[0].isalpha() and len(filled) > 1)):
        return None
    texts = tuple(str(row[name]).strip() for _, name in filled)
    return Options(texts=texts, labels=keys, fields=tuple(name for _, name in filled), separate=True)


def _with_distractors(row: Row, right: str, wrong: Sequence[str]) -> Options | None:
    others: list[str] = []
    for name in wrong:
        value = row[name]
        cells = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(value, str) and name.rstrip(" _").endswith("s"):
            cells = value.split(";")
        others += [str(cell).strip() for cell in cells if is_plain(cell) and str(cell).strip()]
    correct = opened(row[right])
    bare = str(correct).strip()
    if not others or not is_plain(correct) or bare in others or len(bare) == 0 or bare in LETTERS:
        return None
    texts = (str(correct).strip(), *dict.fromkeys(others))
    return Options(texts=texts[: len(LETTERS)], right=0, fields=(right, *wrong), separate=True)
