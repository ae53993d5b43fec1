"""Names under which the fields of problem files go, and how a name in the recipe finds its field.

A field is recognised whatever its case and marks (`Correct Answer`, `correct_answer`): names are compared by their
letters and digits alone. A dotted name goes into objects (`reward_model.ground_truth`), through JSON that is written
inside a text and through lists of one.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import ast
import contextlib
import json
import re
from collections.abc import Iterable
from functools import cached_property, lru_cache

from selfimprove.problem.likeness import (
    ANSWERING,
    GIVEN,
    SUREST,
    is_answer,
    is_beside,
    is_choice,
    is_of,
    is_solution,
    may_be_given,
    may_be_needed,
    words_of,
)

Row = dict[str, object]


class Group(tuple[str, ...]):
    """Names of one role, the surest first; equal to itself alone, as it is looked up for each row."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__


def _surest(names: list[str]) -> tuple[str, ...]:
    """The one of several like names that says that it is the right one, else all of them."""
    surest = [name for name in names if is_of(name, SUREST)]
    return tuple(surest if len(surest) == 1 else names)


class Names(dict[str, str]):
    """The fields of a row by their bare names.

    All rows with the same fields share one: which of the many names of a role they have is looked up once.
    """

    def __init__(self, fields: Iterable[object]) -> None:
        super().__init__()
        for name in fields:  # of two that are alike the first counts
            if isinstance(name, str):
                self.setdefault(bare_name(name), name)
        for bare, name in list(self.items()):  # beside token ids
            if (stem := bare.removesuffix("pretokenized").removesuffix("plaintext")) != bare and stem:
                self[stem] = name
        for short, beside, full in (("q", "a", "question"), ("a", "q", "answer"), ("user", "assistant", "question")):
            if short in self and beside in self and "b" not in self:
                self.setdefault(full, self[short])
        self._groups: dict[Group, tuple[str, ...]] = {}

    __hash__ = object.__hash__  # type: ignore[assignment]  # what follows from the fields is kept by the object

    def among(self, group: Group) -> tuple[str, ...]:
        """The fields whose bare names are among these, in the order of these."""
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = tuple(self[bare] for bare in group if bare in self)
        return found

    @cached_property
    def questions(self) -> tuple[str, ...]:
        """The fields with a usual name for a question, the surest first."""
        return self.among(QUESTIONS)

    @cached_property
    def loose(self) -> str:
        """The one field with a usual name for a question, if that name means other things too; else empty."""
        return self.questions[0] if len(self.questions) == 1 and bare_name(self.questions[0]) in _LOOSE else ""

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        """The fields that hold pictures, films or sound, by a usual name or one with a number."""
        return tuple(name for bare, name in self.items() if bare.rstrip("0123456789") in PICTURES)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The fields that may hold the path of a picture, a film or a recording."""
        return tuple(name for name in self.values() if is_of(name, _FILES))

    @cached_property
    def chosen(self) -> tuple[str, ...]:
        """The fields that may say which option is right, by their usual names or else by ones like them."""
        usual = self.among(CHOSEN) or tuple(name for bare, name in self.items() if _LIKE_CHOSEN.fullmatch(bare))
        return usual or _surest([name for name in self.values() if is_choice(name)]) or self.among(_KEY)

    @cached_property
    def like_answers(self) -> tuple[str, ...]:
        """The fields with a name like that of an answer; the surest alone, if one is."""
        return _surest([name for name in self.values() if is_answer(name)])

    @cached_property
    def references(self) -> tuple[str, ...]:
        """The solutions that are called the right ones; a `reference` alone only beside what a model said."""
        found = [name for name in self.values() if is_solution(name) and is_of(name, SUREST)]
        said = any(is_of(name, _SAID) for name in self.values() if name not in found)
        return tuple(name for name in found if said or set(words_of(name)) - _MEANING_MORE)

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The fields of two responses of models, between which a label decides."""
        found: dict[str, list[str]] = {}
        for bare, name in self.items():
            if match := _ONE_OF_TWO.fullmatch(bare):
                found.setdefault(match[1] + match[3], []).append(name)
        return next((tuple(both) for both in found.values() if len(both) > 1), ())

    @cached_property
    def answer_family(self) -> tuple[str, ...]:
        """The fields with an answer each that are numbered from 0 or 1; none where another says which is right."""
        parts = {name: match for name in self.values() if (match := _NUMBERED_ANSWER.fullmatch(bare_name(name)))}
        stems = {match[1] for match in parts.values()}
        family = sorted(parts, key=lambda name: int(parts[name][2]))
        first = int(parts[family[0]][2]) if family else 0
        run = [int(parts[name][2]) for name in family] == list(range(first, first + len(family)))
        chosen = self.among(CHOSEN) or [name for name in self.values() if is_choice(name) and name not in parts]
        alone = len(stems) == 1 and not chosen and not self.among(_CLASSES)
        return tuple(family) if alone and run and first < 2 and len(family) > 1 else ()

    @cached_property
    def like_solutions(self) -> tuple[str, ...]:
        """The one field with a name like that of a solution or a label; none where there are several."""
        like = _surest([name for name in self.values() if is_solution(name)])
        return like if len(like) == 1 else ()

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The fields of which no name says what they are to a question."""
        return tuple(name for name in self.doubtful if not is_beside(name))

    @cached_property
    def doubtful(self) -> tuple[str, ...]:
        """Those, and others that stand beside a question by their names and may hold what it needs all the same."""
        told = self.among(_PASSAGES) or self.like_contexts
        return tuple(
            name
            for bare, name in self.items()
            if bare not in _ROLES
            and bare not in CONTAINERS
            and bare not in NESTED
            and bare not in LABELS
            and name not in self.contexts
            and (not is_beside(name) or (not told and (may_be_given(name) or may_be_needed(name))))
            and not is_of(name, ANSWERING)
        )

    @cached_property
    def holders(self) -> tuple[str, ...]:
        """The fields that may hold an object with a passage in it."""
        return tuple(
            name for bare, name in self.items() if bare in CONTAINERS and (bare == "metadata" or not is_beside(name))
        )

    @cached_property
    def contexts(self) -> tuple[str, ...]:
        """The fields of what a question can't be answered without; those named much like one where none is named so."""
        return self.among(CONTEXTS) or self.like_contexts

    @cached_property
    def told(self) -> tuple[str, ...]:
        """The fields with a usual name for an answer or a solution."""
        return self.among(TOLD)

    @cached_property
    def wholes(self) -> tuple[str, ...]:
        """The fields of what may belong to a question, and may as well be another form of all of it."""
        return tuple(name for name in self.contexts if name in self.questions[1:])

    @cached_property
    def like_contexts(self) -> tuple[str, ...]:
        """The fields with a name like that of what a question can't be answered without."""
        return tuple(
            name
            for bare, name in self.items()
            if _LIKE_CONTEXT.fullmatch(bare)
            or (is_of(name, GIVEN) and not is_beside(name) and bare not in _ROLES and bare not in CONTAINERS)
        )


QUESTIONS = Group(
    (
        "question problem prompt query questionstem stem problemstatement questiontext questionconcat "
        "mathproblem squestion instruction ctx goal startphrase sentence originaltext problemtext qtext "
        "turns messages conversations conversation puzzle riddle inputs input newquestion userprompt "
        "userquery userquestion userinput usermessage pregunta enunciado frage aufgabe domanda pergunta énoncé "
        "soru vraag pytanie fråga вопрос "
        "题目 题目内容 题干 试题 試題 問題 问题 題目 질문 문제 السؤال प्रश्न content"
    ).split()
)
"""Names of the question, the surest first."""
ANSWERS = Group(
    (
        "expectedanswer expectedresponse expectedoutput expectedresult expected gt gts "
        "goldanswer goldenanswer referenceanswer correctanswer answer finalanswer "
        "groundtruthanswer groundtruth ideal answernumber numericalanswer numericanswer answervalue "
        "shortanswer respuestacorrecta respuesta antwort réponse risposta respostacorreta resposta "
        "gabarito ответ "
        "正确答案 参考答案 标准答案 答案 正解 정답 الإجابة उत्तर richtigeantwort korrekteantwort bonneréponse "
        "réponsecorrecte réponseattendue rispostacorretta правильныйответ верныйответ antwoord juisteantwoord "
        "odpowiedź poprawnaodpowiedź cevap doğrucevap svar lösung ergebnis finaldecision exeans finalans qans "
        "possibleanswers acceptableanswers acceptedanswers validanswers answers answersspans "
        "goldenanswers ans gold golden lsolutions outputanswer gtanswer answertext targettext bestanswer "
        "result final targets target"
    ).split()
)
"""Names of a final answer, the surest first."""
SOLUTIONS = Group(
    "groundtruthsolution goldstandardsolution referencesolution solution response output completion assistant".split()
)
"""Names of a solution that ends on the answer, or of the bare answer itself."""
TOLD = Group((*ANSWERS, *SOLUTIONS))
CONTEXTS = Group(
    (
        "instruction body context passage article abstract scenario sentence premises story paragraph "
        "ctxs para document dialogue dialog transcript support supports background situation "
        "backgrounddescription text pretext tabletitle table posttext paragraphs premise theory "
        "narrative puzzle contexts plot given excerpt vignette problem input snippet sentences history "
        "definition taskprefix tables giveninfo knowledge prompt contexto kontext contesto texto 文章 材料 본문 "
        "지문 текст контекст"
    ).split()
)
"""Names of what a question can't be answered without."""
OPTIONS = Group(
    (
        "choices options option endings answerchoices answeroptions answeroptionlist candidates "
        "multiplechoicetargets mcoptions mc1targets targetscores choice candidateanswers alternatives opciones "
        "optionen opções opcoes alternativas opzioni 选项 選項 선택지 보기 варианты answers"
    ).split()
)
CHOSEN = Group(
    (
        "answerkey answerchoice answeridx answerindex answerletter correctoption correctanswer "
        "correctchoice correctidx correctindex correctanswerindex correctoptionindex correctansweridx "
        "correctanswerid correctresponse ra correct correctlabel answer answervalue label goldlabel gold goldindex cop "
        "answerid rightanswer target groundtruth gt expectedanswer expected finalanswer qans solution output "
        "response answers correctanswers correctoptions targets respuestacorrecta respuesta antwort "
        "réponse risposta respostacorreta resposta gabarito ответ "
        "正确答案 参考答案 标准答案 答案 正解 정답 الإجابة उत्तर "
        "richtigeantwort korrekteantwort bonneréponse réponsecorrecte rispostacorretta правильныйответ верныйответ "
        "antwoord juisteantwoord odpowiedź poprawnaodpowiedź cevap doğrucevap svar lösung"
    ).split()
)
"""Names of what says which option is right."""
ALIASED = frozenset("possibleanswers acceptableanswers acceptedanswers validanswers".split())
"""Names of lists of which each entry is right, the usual one first."""
WORDED = frozenset("goldenanswers shortanswers aliases answeraliases normalizedaliases".split())
"""Names of lists of wordings of one answer, the usual one first, where its entries are words."""
READ = Group(
    "context contexts passage passages paragraph paragraphs article document documents story plot narrative "
    "transcript supports ctxs supportingfacts".split()
)
"""Names of a text beside which a list of `answers` holds wordings of one."""
RATINGS = Group("helpfulness correctness coherence complexity verbosity".split())
"""Names of the grades that people gave a model's response."""
SCORES = Group("score scores reward rewards rating ratings".split())
"""Names of what a model's response was given."""
SOUND = Group("answerable isanswerable hasanswer problemisvalid questionisvalid solutionisvalid".split())
UNSOUND = Group("unanswerable isunanswerable isimpossible falsepremise".split())
"""Names of a truth value that says whether what the question comes with answers it, and that it does not."""
FAULTS = Group("errortype".split())
"""Names of what reviewers found wrong with a row; `ok` where they found nothing."""
NESTED = Group("questions qas qapairs questionanswerpairs paragraphs".split())
"""Names of a list of questions about what stands beside them, or of passages with such a list in each."""
GRADES = Group("correct iscorrect iscorrectanswer verified".split())
"""Names of a truth value that says whether a model's solution is right."""
SYSTEMS = Group("system systemprompt systeminstruction".split())
PICTURES = Group("image images picture pictures figure figures img imagepath decodedimage video videos audio".split())
LABELS = Group("label goldlabel labeltext labelname labelstr correctlabel".split())
"""Names of the class that a row belongs to, which is its answer if it is told in words."""
TESTS = Group("test tests testlist testcases unittests entrypoint inputoutput publictestcases".split())
CONTAINERS = Group("question rewardmodel verificationinfo qa info extrainfo row doc label reward metadata".split())
"""Names of objects that hold question or answer, the surest first."""

LONGEST_JSON = 1_000_000
"""Characters of a text that is opened as JSON, at most."""

PRINTED = re.compile(r"\s*[\[{]\s*(?:\{\s*)?'")
"""How a list of texts or objects, or an object, begins as Python prints it."""
_UNPARTED = re.compile(r"['\"][ \n]+['\"]")
"""Between the texts of an array as numpy prints it, which no comma parts."""
_UNPARTED_OBJECTS = re.compile(r"(?<=['\"\d])\}\s*\n\s*\{(?=')")
"""The same between objects."""
_ARRAYS = re.compile(r"\barray\((\[[^\[\]]*\])(?:,\s*dtype=\w+)?\)")
"""A list as numpy prints it inside an object."""
_LONGEST_PRINTED = 20_000
_BYTES = re.compile(r"b(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_OTHER = re.compile(r"[\W_]+")
_LIKE_CHOSEN = re.compile(
    r"(?:correct|right|gold|true)(?:answer|option|choice)?(?:num|number|no|idx|index|id|key|letter|position|label)"
)
_LOOSE = frozenset("goal ctx sentence content inputs input startphrase turns conversation".split())
_MEANING_MORE = frozenset("reference references ref refs".split())
_SAID = frozenset("response output completion prediction generation generated".split())
_ONE_OF_TWO = re.compile(
    r"((?:model)?(?:response|completion|output|generation|conversation|reply|assistant))([ab012])()"
)
_NUMBERED_ANSWER = re.compile(r"((?:[a-z]+)?answers?|gold|ans)(\d{1,2})")
_FILES = frozenset("path file filename image img picture video audio media".split())
_ROLES = frozenset((*ANSWERS, *SOLUTIONS, *OPTIONS, *CHOSEN))
_KEY = Group(("key",))
_CLASSES = Group((*LABELS, *OPTIONS))
_PASSAGES = Group(name for name in CONTEXTS if name not in QUESTIONS)
_LIKE_CONTEXT = re.compile(r"\w+(?:passage|context|paragraph|article|scenario)|(?:patient|clinical|medical|case)notes?")


def bare_name(name: object) -> str:
    """A field's name by its letters and digits alone, in lower case."""
    return _bare(str(name))


@lru_cache(maxsize=4096)
def _bare(name: str) -> str:
    return _OTHER.sub("", name).lower()


def find(row: Row, name: str) -> tuple[bool, object]:
    """Whether the row has the field of this (perhaps dotted) name, and what it holds."""
    if name in row:
        return True, row[name]
    first, dot, rest = name.partition(".")
    while dot:
        if first in row:
            inner = opened(row[first])
            if isinstance(inner, dict):
                return find(inner, rest)
        more, dot, rest = rest.partition(".")
        first = f"{first}.{more}"
    return False, None


def opened(value: object) -> object:
    """What stands inside a list of one, or inside a text that is a JSON object, a list of texts, or either of them or
    bytes as Python prints them; else the value."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        return opened(value[0]) if isinstance(value[0], (list, tuple, dict)) else value[0]
    if not isinstance(value, str) or (value[:1].isalnum() and value[:2] not in ("b'", 'b"')):
        return value
    if 1 < len(value) < LONGEST_JSON and value.lstrip()[:1] in ("{", "[") and value.rstrip()[-1:] in ("}", "]"):
        if PRINTED.match(value):
            return _printed(value)
        if not re.match(r'\s*(?:\{\s*"|\[\s*["{])', value):
            return value
        try:
            inner: object = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return opened(inner) if isinstance(inner, list) else inner
    if value[:2] in ("b'", 'b"') and len(value) < LONGEST_JSON and _BYTES.fullmatch(value):
        with contextlib.suppress(ValueError, SyntaxError):
            return str(ast.literal_eval(value).decode()).strip()
    return value


def _printed(text: str) -> object:
    """The list of texts, or the object, that the text is as Python prints it; else the text."""
    if len(text) > _LONGEST_PRINTED or _UNPARTED.search(text):
        return text
    try:
        inner: object = ast.literal_eval(_ARRAYS.sub(r"\1", _UNPARTED_OBJECTS.sub("}, {", text.strip())))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return opened(inner) if isinstance(inner, list) else inner if isinstance(inner, dict) else text


def listed(names: Iterable[object]) -> str:
    """Field names for a message."""
    return ", ".join(f"`{name}`" for name in names) or "none"
