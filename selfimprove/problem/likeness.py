"""Field names that no list has: the words in them, and whether a word is a usual one, written out or with one slip.

`citing_prompt`, `questionPropmt` and `input-text` say what they hold although nobody has listed them. A name is cut at
its marks, digits and capitals; a word counts where it is one of those wanted, in the plural, or with one letter too
many, too few, wrong or changed about.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from functools import lru_cache

ASKING = frozenset("question query problem prompt stem statement instruction input puzzle riddle claim quiz".split())
"""Words of fields that hold a question."""
ANSWERING = frozenset("answer target gold truth".split())
"""Words of fields that hold a final answer."""
SUREST = frozenset("final exact gold golden correct right true short reference ref truth ground expected".split())
"""Words that set one of several fields of answers above the others."""
TRUE = frozenset(
    (
        "gold golden truth reference ref expected correct true right gt gts groundtruth goldanswer goldenanswer "
        "referenceanswer expectedanswer correctanswer gtanswer official corrected key musterlösung musterloesung "
        "musterantwort expectation expectations"
    ).split()
)
"""Words that say of one of two answers that it is the reference."""
GIVEN = frozenset(
    (
        "context knowledge passage paragraph para article scenario snippet document doc story dialogue dialog "
        "conversation transcript background situation body excerpt vignette narrative premise contract clause "
        "table report"
    ).split()
)
"""Words of fields that hold what a question can't be answered without."""
BESIDE = frozenset(
    (
        "gpt llm baseline id idx index uid guid qid no num number count len length type kind category cat "
        "topic subject field concept keyword source url uri link lang language level difficulty grade score "
        "rating date time year author user annotator worker hash md5 tag image picture img figure template "
        "version split name title format group domain entity meta metadata parse parsed sql sparql logical fol "
        "formula equation expression embedding system token tokenized tokenised pos loc offset start end span "
        "file path license model explanation rationale reason reasoning justification analysis comment "
        "feedback hint step cot thought decomposition choice option candidate distractor wrong incorrect "
        "predicted prediction generated generation condition position status proof derivation canary original "
        "rephrased paraphrase paraphrased translated translation english native raw clean cleaned normalized "
        "segmented trajectory attempt thinking student chosen rejected negative evidence polarity style "
        "solution response output completion formatted seed old revision revised draft supporting "
        "en zh cn es fr de hi vi ja ko ar ru pt exp remark 解析 分析 详解 解説 説明 해설 풀이 "
        "explicación explicacion erklärung explication "
        "explicação resolución resolução solución lösung пояснение rubric sub prefix suffix"
    ).split()
)
"""Words of fields that stand beside a question and its answer and are neither, whatever else is in their names."""
FORMED = frozenset(
    (
        "step original raw clean cleaned normalized formatted native source supporting evidence condition field domain "
        "english en zh cn es fr de hi vi ja ko ar ru pt"
    ).split()
)
"""Those of them that may tell of the form of a passage, in a name that says that it is one."""
RECORDED = frozenset(
    (
        "id idx index uid guid qid no num number count len length hash md5 url uri link lang language file path date "
        "time year version license split source author user annotator worker model seed embedding token tokenized "
        "tokenised loc offset start end span position score rating grade level difficulty"
    ).split()
)
"""Those of them under which no text stands that the question needs."""
NEEDED = frozenset("evidence supporting source condition original".split())
"""Those of them under which a text may stand that the question needs."""
CODING = frozenset("code program".split())
"""Words of fields with a program: what a question before which it stands is about, or else a way to the answer."""

_NAMING = frozenset("entity name span".split())
"""Words of those that the name of an answer may have all the same."""
_SOLVING = frozenset("solution response output completion label ans reply reference ref".split())
_MEASURED = frozenset("page pages max min maximum minimum limit".split())
"""Words of fields that tell where an answer stands, or how long it may be."""
LABELLED = frozenset(("label",))
"""Words of fields with the number of a class, which is no answer."""
_CHOOSING = frozenset("answer correct gold label right truth target".split())
_PLACING = frozenset("idx index num number id pos position option choice entity name".split())
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+")


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words in a field's name, in lower case and without digits."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def is_of(name: str, wanted: frozenset[str]) -> bool:
    """Whether a word of the name is one of those wanted, or as good as one."""
    return any(_is_one(word, wanted) for word in words_of(name))


def is_beside(name: str) -> bool:
    """Whether the name says that the field is neither question nor answer."""
    return any(word in BESIDE or _singular(word) in BESIDE for word in words_of(name))


def may_be_given(name: str) -> bool:
    """Whether the name says of a text beside the question that it is a passage, in some form (`passage_en`)."""
    beside = [one for word in words_of(name) for one in (word, _singular(word)) if one in BESIDE]
    return is_of(name, GIVEN) and FORMED.issuperset(beside)


def may_be_needed(name: str) -> bool:
    """Whether the name says of a text beside the question that it may be needed, and may as well explain the answer."""
    return NEEDED.issuperset(one for word in words_of(name) for one in (word, _singular(word)) if one in BESIDE)


def is_recorded(name: str) -> bool:
    """Whether the name says that the field holds no text that belongs to the question, but something about the row."""
    return any(word in RECORDED or _singular(word) in RECORDED for word in words_of(name))


def is_answer(name: str) -> bool:
    """Whether the name is like that of a field with final answers."""
    told = is_of(name, ANSWERING) and not is_of(name, CODING) and _MEASURED.isdisjoint(words_of(name))
    return told and not _is_beside_without(name, _NAMING)


def is_solution(name: str) -> bool:
    """Whether the name is like that of a field with solutions or labels."""
    return is_of(name, _SOLVING) and not is_of(name, CODING) and not _is_beside_without(name, _SOLVING)


def is_reference(name: str) -> bool:
    """Whether the name says that the field holds the right answer, and not what somebody answered."""
    return is_of(name, TRUE) and not _is_beside_without(name, _SOLVING)


def is_choice(name: str) -> bool:
    """Whether the name is like that of a field that says which option is right."""
    return is_of(name, _CHOOSING) and not _is_beside_without(name, _PLACING)


def _is_beside_without(name: str, words: frozenset[str]) -> bool:
    """Whether the name says that the field stands beside, these words left out."""
    return is_beside("_".join(word for word in words_of(name) if word not in words and _singular(word) not in words))


@lru_cache(maxsize=4096)
def _is_one(word: str, wanted: frozenset[str]) -> bool:
    singular = _singular(word)
    if word in wanted or singular in wanted:
        return True
    return len(singular) >= 5 and any(len(one) >= 5 and _one_slip(singular, one) for one in wanted)


def _singular(word: str) -> str:
    return word.removesuffix("ies") + "y" if word.endswith("ies") else word.removesuffix("s")


def _one_slip(one: str, other: str) -> bool:
    """Whether a single letter too many, too few or wrong, or two changed about, make one word the other."""
    start = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if start is None:
        return abs(len(one) - len(other)) == 1
    rest, wanted = one[start:], other[start:]
    return (
        rest[1:] in (wanted, wanted[1:]) or rest == wanted[1:] or (rest[1::-1] == wanted[:2] and rest[2:] == wanted[2:])
    )
