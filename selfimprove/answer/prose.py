"""The answer in free text: the last formula, number, point, word or choice of the last sentence that states one.

A text that breaks off (it ends on a word or sign that can't end a sentence), gives up ("no solution"), or whose last
statement is a promise, a supposition, a question or a denial has no answer in free text.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re

from selfimprove.answer.alternatives import beside_another, says_also
from selfimprove.answer.checks import is_check, without_key_points
from selfimprove.answer.choices import led_letter, lone_letter, named_letter, opening_letter
from selfimprove.answer.clauses import main_clause, total_of_list, without_reason
from selfimprove.answer.clock import stated_date
from selfimprove.answer.delimited import MATH, inner
from selfimprove.answer.displays import in_one_line, opens_display
from selfimprove.answer.failures import is_failure, refuses
from selfimprove.answer.forms import SHORT, by_form
from selfimprove.answer.formulas import stated_formula
from selfimprove.answer.halves import half_in_words
from selfimprove.answer.hedges import OR_ELSE, UNDECIDED, asks_back, is_aside, undecided
from selfimprove.answer.phrases import is_set_in_words, set_in_signs
from selfimprove.answer.replies import replied
from selfimprove.answer.sentences import SENTENCE, tidy
from selfimprove.answer.tails import without_asides
from selfimprove.answer.ticks import letters_said, ticked
from selfimprove.answer.tongues import DENIED_BEHIND, DENIED_VALUE, unconcluded, without_label
from selfimprove.answer.unfinished import denies, in_condition, promises, straight, supposes, taken_back
from selfimprove.answer.values import in_words, last_formula
from selfimprove.answer.verdict import Candidate
from selfimprove.answer.whole import is_whole
from selfimprove.answer.wordings import bold_word, labelled_choice, numbered_choice, word_of

PROMISE = "the text promises to go on"
FAILURE = "an error message is no answer"
GIVES_UP = "the text gives up"
_DENIED = re.compile(
    r"(?:\bnot|n't|\bnever)\s+(?:(?:be|equal|equals|to|exactly|just|the|at|a|an|is|point)\s+){0,4}[$\\(\[*]*$",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:do|does|did|is|are|was|were|can|could|will|would|has|have|had)(?:n't|\s+not)\s"
    r"(?:(?!\b(?:but|so|and|because|since|which|that|then)\b)[^,;:=])*$",
    re.IGNORECASE,
)
_OF_THOSE = re.compile(
    r"\b(?:probability|chance|number|fraction|percentage|share|proportion|total|sum|amount)\b[^.;=,]{0,60}"
    r"\b(?:that|who|which|whom)\b[^.;=,]{0,60}(?:n't|\bnot)\b[^.;=,]{0,60}\b(?:is|are|was|equals)\s*[$\\(*]{0,3}\Z",
    re.IGNORECASE,
)
"""The subject of a sentence that has a denial in it: "The number of people who didn't vote is"."""
_GIVE_UP = re.compile(
    r"\b(?:no (?:solution|idea|answer)|not sure|(?:can ?not|can't|could not|couldn't|unable to|don't know how to) "
    r"(?:be )?(?:answer|solve|determine|know|say|do|tell|find|"
    r"(?:give|provide|offer) (?:you )?(?:an?|the|any) answer)|\bno idea\b|don't know|do not know|idea how)",
    re.IGNORECASE,
)
_DANGLING = frozenset(
    (
        "a an the and or but of to in on at by for from with as is are was were be been must should would could "
        "can will shall may might that which if then when so because than into about maybe perhaps let we i you "
        "our their its his her this these those have has had get gets now next also not plus minus equals how "
        "much many what where there"
    ).split()
)
_CODE = re.compile(
    r"__\w{1,30}__|\w\s?\(\s?['\"]|\w\.[A-Za-z_]\w{0,40}\(|\w\([^()\n]{0,80}(?<!\([A-Z])['\"]\s?\)|\bdef \w+\(|"
    r"^[ \t]{0,40}(?:return|assert|raise)\s|\b(?:\w+Error|ERROR):|\berror:(?!\s*[-−]?\d)|\bprint\(|```\w+\n",
    re.MULTILINE,
)  # program text has no answer in words
_POWER = re.compile(r"(?<=[a-z)\d])\*\*(?=\d)")  # `3*s**2`, and no bold number
_UNOPENED = re.compile(r"\A[^`]*\n```\n(?=```output)")  # a program whose fence the prompt had opened
_OUTPUT = re.compile(r"```(?:output|text|plaintext|result)\n([^`]*)```")
_PROGRAM = re.compile(r"```[a-z]+\n[^`]*```")
_PRINTS = re.compile(r"```[a-z]+\n[^`]*(?:#|//)\s?(?:[Oo]utput|[Pp]rints|[Rr]esult)\s?:\s?([^\n`]+)\n\s*```")
_PRINTED = re.compile(r"\n[ \t]*(?:#|//)\s?(?:[Oo]utput|[Pp]rints|[Rr]esult)\s?:\s?(-?[\d.,/]*\d)\s*\Z")
_LISTED = re.compile(
    r"\s*(?:\(?\d{1,2}[.)]|[-*•])\s+(?=\S)|\s*\**\s*(?:step|part|case)\s+\d{1,2}\b\s*[:.)]?\**\s*", re.IGNORECASE
)
_ONLY_NUMBERS = re.compile(r"(?<=[.!?])\s+1\.\s+2\.\s+3\.(?:\s+\d{1,2}\.?)*\Z")  # of a list that says nothing
_HEADING = re.compile(r"(?<![\w{}\\|])\[[A-Za-z][^\[\]]{0,60}\](?!\s?[=}_^|])")
_POINTS = re.compile(
    r"(?<=[\w.)])\s{0,2}(?:\[\d{1,2}\]|[\[(]\d{1,2}\s(?:marks?|points?|pts)\.?[\])]|\(confidence:?[^()]{1,20}\))\W*\Z",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"\W*(?:(?:please )?let me know|i hope|hope this|feel free|(?:is|are) there any|(?:do|would|can|could|"
    r"should) (?:you|i)\b|"
    r"if you (?:have|need|want|would like|get stuck)\b[^.!?]*\b(?:questions?|ask|help|let me know|practice|"
    r"explain\w*)\b|"
    r"any (?:other )?questions|thank|does (?:this|that|it) (?:make sense|help|look))",
    re.IGNORECASE,
)
_WRONG = re.compile(r"\(\s?(?:wrong|incorrect|false|no|nope)\b", re.IGNORECASE)
_REPLY = re.compile(
    r"\W*(?:(?:so|therefore|thus|hence|then|indeed|of course|certainly|true or false|yes or no)[,:?]?\s+)?"
    r"(yes|no|true|false)\b"
    r"(?:\W*(?:it|they|he|she|that|this|there)\s+(?:is|does|do|are|can|was|has|will)(?:n't|"
    r"\s+not)?)?\W*\Z",
    re.IGNORECASE,
)
_BOLD_REPLY = re.compile(r"\s*\*\*(yes|no|true|false)\*\*,\s(?!but\b|wait\b|if\b)[^\d?]*\Z", re.IGNORECASE)
_LOOKS = re.compile(r"\blet(?:'s|s| us| me)\s+(?!go with|choose|pick|select)", re.IGNORECASE)


def last_statement(text: str) -> Candidate | None:
    """The answer that a text without a marker states last, or None."""
    stripped = _ONLY_NUMBERS.sub("", without_key_points(text.strip()))
    listed = _LISTED.match(stripped)
    if listed is not None and "\n" not in stripped and listed.end() < len(stripped):
        stripped = stripped[listed.end() :]
    if (formed := by_form(stripped)) is not None:
        return formed
    stripped = stripped.removeprefix("∴").removeprefix("→").strip() if len(stripped) < SHORT else stripped
    if not stripped.isascii():
        stripped = without_label(_BOLD_IN_SCRIPT.sub(r"\1", stripped))
    if "**" in stripped and len(_POWER.findall(stripped)) == stripped.count("**"):
        stripped = _POWER.sub("^", stripped)
    if is_whole(stripped):
        return Candidate(tidy(stripped).removeprefix("# ").lstrip("=> "), "whole")
    if "```" in stripped:
        stripped = _without_programs(stripped)
    elif (printed := _PRINTED.search(stripped)) is not None and _CODE.search(stripped):
        return Candidate(printed[1], "last")
    stripped = in_one_line(stripped)
    if _CODE.search(stripped):
        return Candidate(None, "extract", "program text is no answer")
    if _breaks_off(stripped):
        return Candidate(None, "extract", "the text breaks off")
    if (letters := ticked(stripped)) is not None:
        return Candidate(letters, "last")
    if refuses(stripped):
        return Candidate(None, "extract", GIVES_UP)
    letter = opening_letter(stripped)
    if letter is not None and not taken_back(stripped[2:]):
        return Candidate(letter, "first line")
    if (first := replied(stripped) or _answered_first(stripped)) is not None:
        return first
    if (choice := labelled_choice(stripped.rpartition("\n")[2])) is not None:
        return Candidate(choice, "last")
    if (letter := _concluding_letter(stripped)) is not None:
        return Candidate(letter, "last")
    if (numbered := numbered_choice(stripped)) is not None:
        return Candidate(numbered, "last")
    stripped = total_of_list(stripped) or stripped
    sentences = [part for part in SENTENCE.split("\n" + stripped) if part and part.strip()]
    for place, sentence in enumerate(reversed(sentences[-40:])):
        found = _stated(sentence, last=place == 0)
        if found is not None:
            return found
    math = list(MATH.finditer(stripped))  # a formula over several lines, which the sentences cut apart
    if math:
        return Candidate(inner(math[-1]), "last")
    names = set(_BOLD_NAME.findall(stripped))
    return Candidate(names.pop(), "last") if len(names) == 1 and stripped.count("**") == 2 else None


_BOLD_IN_SCRIPT = re.compile(r"(?<=[\u3040-\u9fff])\s?\*\*\s?(\d[^*\n]{0,20})\*\*\s?")
"""A number in bold within a sentence of a script without spaces between words."""
_BOLD_NAME = re.compile(r"(?<=\b(?:is|to)\s)\*\*([A-Z][a-z]+(?: [A-Z][a-z]+)?)\*\*(?=\.)")
"""The one name in bold of a text, which a sentence ends on: "the largest ratio belongs to **Evelyn**."."""


def _without_programs(text: str) -> str:
    """The text with each program in it replaced by what the program printed."""
    if "```output" in text:
        text = _UNOPENED.sub("", text)
    return _PROGRAM.sub("\n", _PRINTS.sub(r"\n\1\n", _OUTPUT.sub(r"\n\1\n", text))).strip()


def _answered_first(text: str) -> Candidate | None:
    """The number that a text states before its explanation, unless the explanation comes to another one."""
    explained = _EXPLAINED.search(text)
    if explained is None:
        return None
    head, why = text[: explained.start()].strip(), text[explained.end() :]
    if len(SENTENCE.split(head)) > 2 or taken_back(why):
        return None
    found = last_statement(head)
    if found is None or found.text is None or not re.search(r"\d", found.text):
        return None
    conclusions = _CONCLUSION.findall(why)
    results = [*_RESULT.findall(why), *(last_formula(part) for part in conclusions)]
    digits = _digits(found.text)
    if (
        conclusions
        and not _NOT.search(conclusions[-1])
        and digits in {_digits(number) for number in re.findall(r"\d[\d.,/]*", conclusions[-1])}
    ):
        return found
    return found if all(_digits(result) == digits for result in results[-1:] if result) else None


def _digits(text: str) -> str:
    return re.sub(r"[^\d./]", "", text).rstrip(".")


_EXPLAINED = re.compile(
    r"\n\s*[\[*_#]*(?:explanation|reasoning|rationale|justification|reason|why)(?:[*_]*:[*_]*|\])(?=\s)", re.IGNORECASE
)
_CONCLUSION = re.compile(
    r"\b(?:so|thus|therefore|hence|in total|altogether|leaves|leaving|gives|giving|makes)\b([^\n.?!]*\d[^\n?!]*)",
    re.IGNORECASE,
)
_NOT = re.compile(r"\bnot\b|n['’]t\b", re.IGNORECASE)
_RESULT = re.compile(r"=\s*([$€£]?\d[\d,./]*)")
_BECAUSE = re.compile(r"\b(?:because|since|as)\b", re.IGNORECASE)


def _concluding_letter(text: str) -> str | None:
    """The choice with its text in the last line, "A) Heat is released", behind a line that announces it."""
    before, _, line = text.rpartition("\n")
    return led_letter(line) if _ANNOUNCES.search(before[-200:]) else None


_ANNOUNCES = re.compile(
    r"\b(?:therefore|thus|hence|so|answer|conclude|choose|select)\b[^.\n?]{0,80}:\s*\Z", re.IGNORECASE
)


def _stated(sentence: str, *, last: bool) -> Candidate | None:
    """What a sentence states: an answer, that there is none, or nothing to the point (None)."""
    if (absent := _NONE_EXISTS.search(straight(sentence.replace("*", "")))) is not None and not denies(sentence):
        return Candidate(absent[1] or "DNE", "last")
    if _NONE_LEFT.search(straight(sentence)) and not supposes(sentence):
        return Candidate("0", "last")
    if _EMPTY.search(sentence) and not supposes(sentence):
        return Candidate("\\emptyset", "last")
    if _GIVE_UP.search(sentence):
        return Candidate(None, "extract", GIVES_UP)
    if _COURTESY.match(sentence) or is_aside(sentence) or is_check(sentence):
        return None
    if last and OR_ELSE.match(sentence):
        return Candidate(None, "extract", UNDECIDED)
    listed = _LISTED.match(sentence)
    if listed is not None and listed.end() < len(sentence):
        sentence = sentence[listed.end() :]
    if "[" in sentence and is_failure(sentence):
        return Candidate(None, "extract", FAILURE)
    return _claimed(without_asides(without_reason(_HEADING.sub(" ", _POINTS.sub("", sentence)))), last=last)


def _claimed(sentence: str, *, last: bool) -> Candidate | None:
    """What a sentence without numbers of lists, headings and reasons states; None for nothing to the point."""
    sentence = _SPACED.sub(lambda number: re.sub(r"\s", "", number[0]), sentence)
    letter = lone_letter(sentence) if last else None
    if letter is not None:
        return Candidate(letter, "last")
    answered = _REPLY.match(straight(sentence))
    if answered is not None:
        return Candidate(answered[1], "last")
    if last and (opened := _BOLD_REPLY.match(sentence)) is not None:
        return Candidate(opened[1], "last")
    if taken_back(sentence):
        return Candidate(None, "extract", "the answer is taken back")
    if asks_back(sentence) or says_also(sentence):
        return Candidate(None, "extract", UNDECIDED)
    if (labelled := _LABELLED.fullmatch(sentence.strip())) is not None and not _NO_LABEL.search(labelled[1]):
        return Candidate(labelled[1], "last")
    if (compound := stated_formula(sentence) or stated_date(sentence)) is not None:
        return Candidate(compound, "last")
    if (several := letters_said(sentence)) is not None:
        return Candidate(several, "last")
    speaks, letter = named_letter(sentence)
    if speaks and letter is not None and not _weighs(sentence) and not _conditional(sentence, letter):
        return Candidate(letter, "last")
    if speaks:
        return Candidate(None, "extract", "no one choice is stated")
    if (reals := set_in_signs(sentence)) is not None and not supposes(sentence) and not denies(sentence):
        return Candidate(reals, "last")
    if is_set_in_words(sentence):
        return Candidate(None, "extract", "a set in words")
    if promises(sentence) or unconcluded(sentence):
        return Candidate(None, "extract", PROMISE)
    if last and "**" in sentence and (bold := bold_word(sentence)) is not None:
        return Candidate(bold, "last")
    if (last or _CONCLUDING.match(sentence)) and (numeral := in_words(sentence)) is not None:
        return _counted(sentence, numeral[0], written=numeral[1])
    if last and (halves := half_in_words(sentence)) is not None:
        return Candidate(halves, "last")
    sentence = main_clause(sentence)
    found, word = last_formula(sentence), word_of(sentence, tidy(sentence))
    claim = _BECAUSE.split(sentence, maxsplit=1)[0].rstrip(" ,")
    if word is None and claim != sentence and not re.search(r"\d", claim):
        word = word_of(claim, tidy(claim))
        found = None if word is not None else found
    if word is not None and (word[1] or found is None or re.fullmatch(r"[A-Za-z]", found)):
        return Candidate(word[0], "last")
    return None if found is None else _counted(sentence, found)


_SPACED = re.compile(
    r"(?:(?<=[a-z]{2}\s)|(?<=\*\*))(?<!step\s)(?<!page\s)(?<!day\s)(?<!row\s)(?<!case\s)(?<!part\s)[1-9]\d{0,2}(?:[ "
    r"\u00a0\u202f]\d{3})+"
    r"(?=\s(?:[a-z]{3}|[A-Z][a-z])|[.!?]?\W*\Z)"
)
"""A number with spaces between its thousands, behind and before words: "sold 1 000 tickets"."""
_NONE_EXISTS = re.compile(
    r"^(?!.*\b(?:if|whether|suppose|check|unless)\b).*\b(?:(?:has|have|there\s(?:is|are))\s(no\s(?:real\s|"
    r"integer\s)?solutions?)|"
    r"limit\s((?:does\snot|doesn't)\sexist))\W*\Z",
    re.IGNORECASE,
)
_NONE_LEFT = re.compile(
    r"\b(?:none(?: of (?:them|the \w+))?|nothing|no (?:[a-z]+ ){1,2}?)\s?(?:(?:is|are|was|were|will be) )?"
    r"(?:left(?: over)?|remains?|remaining)\W*\Z",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"\bset is (?:therefore |thus )?(?:the )?empty(?: set)?\W*\Z", re.IGNORECASE)
_GOES_ON = re.compile(
    r"[*_$\s]{0,4}\s(?:plus|minus|multiplied by|divided by|added to|to the power)\s+(?:the|an?|some|what|its|his|"
    r"her|their|[a-z])\b",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"[\W_]*(?:conclusion|verdict|label|judge?ment|classification|category|class|sentiment|prediction|"
    r"status)[\s*_]*:[\s*_]*"
    r"([A-Za-z]+(?:[ -][A-Za-z]+)?)[\s*_.!]*",
    re.IGNORECASE,
)
_NO_LABEL = re.compile(r"\b(?:not|no|let|we|it|the|maybe|perhaps|if|still|either|or|see|check)\b", re.IGNORECASE)
_CONCLUDING = re.compile(r"\W*(?:so|thus|therefore|hence|in total|altogether|in all)\b", re.IGNORECASE)


def _conditional(sentence: str, letter: str) -> bool:
    """Whether a sentence names a choice in a condition, or for a case that isn't so."""
    return in_condition(sentence, sentence.find(letter)) or _UNREAL.search(straight(sentence)) is not None


_UNREAL = re.compile(r"\bif\b.*\bwould\b|\bwould\b.*\bif\b", re.IGNORECASE)


def _weighs(sentence: str) -> bool:
    """Whether a sentence about a choice only looks at it: "Let's evaluate option C."."""
    return supposes(sentence) or bool(_LOOKS.search(straight(sentence)))


def _counted(sentence: str, found: str, written: str | None = None) -> Candidate:
    """The last formula of a sentence as its answer, unless the sentence denies or only supposes it.

    `written`: the answer, if the sentence has it in other words (`found`).
    """
    head = re.split(r"[/:]|\s?\\text\{", found)[0]
    at = max(sentence.rfind(found), sentence.rfind(head), 0)
    before = straight(sentence[:at])
    if (
        _DENIED.search(before[-60:])
        or DENIED_VALUE.search(before[-60:])
        or DENIED_BEHIND.match(straight(sentence[at + len(found) :][:40]))
        or (_NEGATED.search(before[-120:]) and not _OF_THOSE.search(before[-160:]))
        or denies(sentence)
        or _WRONG.search(sentence, at)
    ):
        return Candidate(None, "extract", "the answer is denied")
    if _GOES_ON.match(sentence, at + len(found)):
        return Candidate(None, "extract", "its arithmetic is not done")
    if is_failure(sentence):
        return Candidate(None, "extract", FAILURE)
    if undecided(sentence, written or found) or beside_another(sentence[at + len(found) :], written or found):
        return Candidate(None, "extract", UNDECIDED)
    if in_condition(sentence, at):
        return Candidate(None, "extract", "the answer is only supposed")
    return Candidate(written or found, "last")


def _breaks_off(text: str) -> bool:
    """Whether the text ends in the middle of a sentence or a formula."""
    text = text.rstrip("*_") if re.search(r"[.!?][*_]{1,3}\Z|(?:\A|\n)([*_])[^*_\n]+\1\Z", text) else text
    if not text or opens_display(text):
        return True
    if _open_brackets(text[-400:].rsplit("\n", 1)[-1]):
        return True
    word = re.search(r"([A-Za-z']+)$", text[-40:])
    if word is not None:
        return word[1] != "A" and word[1].lower() in _DANGLING and not _ENDS_SO.search(text[-40:])
    return (
        _opens_formula(text.rsplit("\n", 1)[-1]) or text[-1] in "+-*/=<>,({\\^_" or text.endswith(("\\cdot", "\\times"))
    ) and not text.endswith("**")


_ENDS_SO = re.compile(r"\b[A-J] (?:is|are) not\Z|\d [a-z]{2,} now\Z")


def _open_brackets(line: str) -> bool:
    """Whether braces of a TeX command are left open at the end of the line."""
    tail = re.sub(r"\\[{}]", "", line)
    return "\\" in tail and tail.count("{") > tail.count("}")


_OPENING = re.compile(r"(?:\$(?![\d\s.,;:!?*]|\Z)|(?<!\d)(?<!\d )\$\Z)[^$]*$")  # and not 120$


def _opens_formula(line: str) -> bool:
    """Whether the line ends inside a formula: an odd dollar sign that opens one."""
    bare = line.replace("\\$", "")
    return bare.count("$") % 2 == 1 and _OPENING.search(bare) is not None
