"""Where a completion stops answering its own question: another turn or question, an offer of one, a line said again.

Base models run on into a question of their own and chat models offer another exercise, with its answer. What follows
counts for nothing, once the text before it has said something to the question that was asked.
"""

from __future__ import annotations

import re

TURN = re.compile(
    r"<\|(?:im_end|im_start|eot_id|end|return|user|assistant|endoftext|start_header_id)\|>|</s>|<end_of_turn>|"
    r"<start_of_turn>|\[/?INST\]|\n\#{2,4}\s?(?:human|user)\b",
    re.IGNORECASE,
)
SPEAKER = re.compile(r"\n[ \t#*>]{0,8}(?:human|user)[*_]{0,2}\s?:", re.IGNORECASE)
_EXERCISE = r"(?:problem|question|exercise|example|puzzle|sequence|one|riddle|challenge|equation|task)"
_IN_OTHER_TONGUES = (
    "题目|问题|例题|問題|問|질문|문제|pregunta|problema|ejercicio|frage|aufgabe|question|domanda|pergunta|вопрос|задача"
)
QUESTION = re.compile(
    r"\n[ \t#*>]{0,8}(?:(?:new |next )?(?:question|problem|exercise|example|instruction|task|passage|context|"
    r"story|article|paragraph|(?:follow-up|bonus|practice|similar) (?:exercise|problem|question))(?: \d{1,3})?"
    r"[*_]{0,2}\s?:|(?:question|problem|exercise|example) \d{1,3}\.[*_]{2}\s|#{1,4} {0,4}(?:question|problem|"
    r"exercise|example) {0,4}\d{0,3} {0,4}\n|(?:question|problem|exercise|example) \d{1,3}[*_]{0,2}[ \t]*(?=\n)|"
    r"input\s?:(?=[^\n?]{0,600}\?[^\n]{0,300}\n{1,3}output\s?:)|(?:bonus|variation|extension|challenge)[*_]{0,2}\s?:(?=[^\n?]{0,600}\?)|"
    rf"(?:{_IN_OTHER_TONGUES})\s?[:：]|q\s?:|(?:human|user)\s?:|"
    r"(?:now,? |next,? )?(?:let's|let us) (?:try|do|solve|look at|take) (?:another|the next|a new|a different) "
    r"(?:problem|question|example|exercise)|(?:here is|here's) (?:another|a new|the next) (?:problem|question))|"
    r"(?:\n|[.!?)*]\s)[^A-Za-z\d\n$\\]{0,8}(?:"
    r"(?:would you like|do you want|want)(?: me)? to (?:try|do|solve|practi[cs]e|see|work)\b[^\n.!?]{0,30}\b"
    rf"(?:another|similar|more|next|other|harder|new)\b|(?:would you|do you) (?:also )?(?:like|want)(?: me)? to "
    r"(?:also )?(?:know|find|compute|calculate|see) (?:the|what|how)\b[^\n.!?]{0,80}\?|"
    rf"would you like (?:an?|another|some|more) (?:[a-z]+ ){{0,2}}{_EXERCISE}s?\b|"
    r"(?:shall|should|can) we (?:try|do|solve) (?:another|a similar) "
    rf"{_EXERCISE}|(?:are you )?ready (?:for|to try) (?:another|the next|a (?:similar|harder|new))\b|"
    r"(?:now,? )?it(?:'s| is) your turn\b|your turn\s?[!:.]|now,? you try\b|"
    rf"(?:practice|bonus|follow-up|challenge) {_EXERCISE}s?\s?:|"
    rf"(?:here is|here's) (?:another|a similar|a new|a practice) {_EXERCISE}|"
    rf"here (?:are|is) (?:some|a few|several|an?) (?:\w+ )?(?:tips?|hints?|suggestions?|takeaways?|similar|"
    rf"related|follow-up)\b|"
    r"let me know if you(?:'d| would|’d)? (?:like|want|need|have)\b|if you (?:want|like|need|wish),? i can\b|"
    rf"try (?:this|another|a similar|this similar) {_EXERCISE}\b)",
    re.IGNORECASE,
)
STORY = re.compile(
    r"\n\s*\n(?:what|how many|how much|find|calculate)\b[^\n?]{6,200}\?[ \t]*\n\s*(?=the answer is|a:|answer:)|"
    r"\n\s*\n(?:([2-9]|1\d)[.)]\s)?(?!(?:wait|but|so|hmm|now|however|okay|let)\b)[A-Z][^\n?]{20,500}[.,]\s"
    r"(?:how (?:many|much|long|old|far)|what|which|"
    r"find)\b[^\n?]{4,200}\?[ \t]*\n",
    re.IGNORECASE,
)
"""A problem of its own that the text goes on with: a story with a question at its end; its number, if it has one."""
FIRST = re.compile(r"(?:\A|\n)\s*1[.)]\s")
"""The first part of a list of questions."""
WHY_NOT = re.compile(
    r"\n\W{0,6}why (?:not |are )?(?:the )?other(?:s| options| choices| answers)\b[^\n]{0,40}\n", re.IGNORECASE
)
"""A heading behind which a text says what speaks against the other choices."""
ASKED = re.compile(
    r"\n[^\n?]{0,400}\?[ \t*_]{0,8}\n\s{0,8}[*_]{0,2}\(?A[.):][^\n]{1,200}\n\s{0,8}[*_]{0,2}\(?B[.):][^\n]{1,200}\n"
)
"""A question with its own list of choices."""
SAYS = re.compile(r"\d|\\boxed|\banswer\b|^\W*\(?[A-J]\b|[a-z]{3,} is [a-z]", re.IGNORECASE)
_REPLY = re.compile(r"\s*[^\n?:.!]{1,60}[.!]?\s*")
_WORDS = 5  # of an answer without a figure


def is_short_reply(text: str, question: re.Match[str]) -> bool:
    """Whether the text is a few words before this label of a question, and goes on with such questions or answers."""
    head = text[: question.start()]
    if _REPLY.fullmatch(head) is None or len(head.split()) > _WORDS:
        return False
    rest = text[question.start() :].lower()
    return rest.count(question[0].strip().lower()) > 1 or "\nanswer:" in rest


def without_torn_repeat(text: str) -> str:
    """The text without its last line or box if that is a torn copy of one before it: a loop that was cut off.

    A copy is torn where it ends in a word, a command or an open brace. One that ends inside a number is dropped only if
    the whole line was said several times: a single line may have been about to change. So is a torn box.
    """
    if (torn := _TORN_BOX.search(text[-_LINE:])) is not None:
        start = len(text[:-_LINE]) + torn.start()
        return text[:start] if text.count(torn[0], 0, start) > torn[0][-1].isdigit() else text
    before, _, last = text.rstrip().rpartition("\n")
    whole = before.rstrip()[-_LINE:].rpartition("\n")[2].strip()
    last = last.strip()
    if not 0 < len(last) < len(whole) or not whole.startswith(last):
        return text
    if len(last) < _SHORTEST and before.count(whole) <= _LOOPED:
        return text
    open_brace = last.count("{") > last.count("}")
    if last[-1].isdigit():
        return before if before.count(whole) > (1 if open_brace else _LOOPED) else text
    return before if open_brace or last[-1].isalpha() or last[-1] in ":$*\\" else text


_TORN_BOX = re.compile(r"\\boxed\{[^{}]+(?:\{[^{}]*\}[^{}]*){0,4}(?:\{[^{}]*)?\Z")
_LOOPED = 2  # times that a line was said before a copy of it is taken for one of a loop, although it ends in a number
_LINE, _SHORTEST = 400, 8  # characters of a line that is compared, at most and at least
