"""The answer in running text: behind a marker, or the last formula or number of the last sentence that has one.

A text that breaks off (it ends on a word or sign that can't end a sentence) or gives up ("no solution", "I am not
sure") has no answer in free text. A denial ("is not 5") is no answer either, and what follows "not" or "because" is
no part of one.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re

from selfimprove.answer.verdict import Candidate

MARK = re.compile(
    r"\#{4}\s*|<answer>\s*|(?:最终答案|最后答案|答案|故答案)\s*(?:是|为|：|:)*\s*"
    r"|\b(?:final\s+)?answers?\b[^\n.?!:=$\\+*/<>]{0,60}?(?:\bis\b|\bare\b|\bequals\b|\bbe\b|\bcomes to\b|:|=)[\s*:]*"
    r"|\b(?:final\s+)?(?:answers?|results?|choice|option)\b\s*\**\s*(?::|=|(?=\$|\\\(|\\\[)|\n+(?=\S))[\s*]*"
    r"|\bthe\s+(?:correct\s+)?(?:choice|option|result)\s+is\b:?\s*",
    re.IGNORECASE,
)
_CUT = re.compile(
    r",?\s+(?:not|rather than|instead of|because|since|so that|but|which|when|where|as (?:the|we|it)|if|after|for the|"
    r"in total|altogether)\b|\s+\(|,\s+(?:so|and) (?:we|it|the|I)\b|</answer>|<\||\s[-—]\s",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\s*(?:definitely |certainly |probably )?(?:not|unknown|unclear|nothing)\b", re.IGNORECASE)
_DENIED = re.compile(r"(?:\bnot|n't|\bnever)\s+(?:be\s+)?\$*$", re.IGNORECASE)
_GIVE_UP = re.compile(
    r"\b(?:no (?:solution|idea|answer)|not sure|(?:can ?not|can't|could not|couldn't|unable to|don't know how to) "
    r"(?:be )?(?:answer|solve|determine|know|say|do|tell|find)|\bno idea\b|don't know|do not know|idea how|fails\b)",
    re.IGNORECASE,
)
_DANGLING = frozenset(
    (
        "a an the and or but of to in on at by for from with as is are was were be been must should would could "
        "can will shall may might that which if then when so because than into about maybe perhaps let we i you "
        "our their its his her this these those have has had get gets now next also not plus minus equals"
    ).split()
)
_MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$]{1,600})\$(?!\d)|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_NUMBER = re.compile(
    r"(?<![\w.\\/])[-−–+]?\s?[$€£]?\s?(?:\d{1,3}(?:,\d{3})++(?!\d)(?:\.\d++)?|\d++,\d++(?![\d,])|\d++\.\d++|\.\d++|\d++(?!(?:st|nd|rd|th)\b))"
    r"(?:\s?/\s?\d+(?!\d|\.\d))?(?:\s?%)?"
)
_CODE = re.compile(r"__\w|\w\s?\(\s?['\"]|\w\.\w+\(|['\"]\s?\)")  # program text, which has no answer in words
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z\"'(])|\n\s*\n|\n")
_MODIFIER = re.compile(r"\b(?:in|for|after|over|per|within|every|each|from|than|with|on|at|by|before|during|until)\s+$")
_RELATION = re.compile(r"(?<![\w\\])[A-Za-z]\d?\s*(?:<=|>=|!=|==|=|<|>|≤|≥|≠|\\[a-z]+)\s*[-+]?[\w./\\{}^]+")


def marked(text: str) -> Candidate | None:
    """The answer behind the last marker, or None if there is no marker."""
    last = None
    for last in MARK.finditer(text):  # noqa: B007 - the last match is what is wanted
        pass
    if last is None:
        return None
    rest = text[last.end() :].strip()
    if not rest:
        return Candidate(None, "extract", "nothing follows the marker")
    if _DENIAL.match(rest):
        return Candidate(None, "extract", "the answer is denied")
    line = rest.split("\n\n", 1)[0] if rest.startswith(("$$", "\\[")) else _first_line(rest)
    return _statement(line, "marked")


def _first_line(rest: str) -> str:
    """The first line; a line that ends with a colon is continued by what follows it."""
    line, _, more = rest.partition("\n")
    if line.rstrip("* ").endswith(":") and more.strip():
        return more.strip().split("\n\n", 1)[0]
    if _unclosed(line) and more:
        return rest.split("\n\n", 1)[0]
    return line


def _unclosed(line: str) -> bool:
    return line.count("$") % 2 == 1 or line.count("\\[") > line.count("\\]") or line.count("\\(") > line.count("\\)")


def _statement(line: str, how: str) -> Candidate:
    """The answer in the sentence behind a marker."""
    math = _MATH.match(line)
    if math is not None and not re.match(r"\s*(?:,|or\b|and\b)\s*(?:or\b|and\b)?\s*[$\\\d]", line[math.end() :]):
        unit = re.match(r"\s*(?:%|percent\b|pct\b|°|degrees\b)", line[math.end() :])
        return Candidate(_inner(math) + (unit[0] if unit else ""), how)
    sentence = SENTENCE.split(line, maxsplit=1)[0]
    cut = _CUT.search(sentence)
    answer = _clean(sentence[: cut.start()] if cut and cut.start() else sentence)
    if _is_short(answer):
        return Candidate(answer, how) if answer else Candidate(None, "extract", "nothing follows the marker")
    found = _last_formula(answer)
    return Candidate(found, how) if found is not None else Candidate(answer, how)


def _clean(sentence: str) -> str:
    return re.sub(r"\s+", " ", sentence.replace("**", "")).strip().strip("*_`").rstrip(".!").strip()


def _is_short(answer: str) -> bool:
    """Whether what follows a marker is an answer by itself and not a sentence around one."""
    words = re.findall(r"(?<!\\)\b[A-Za-z]{2,}\b", re.sub(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?", " ", answer))
    return len(words) <= 2 or (len(words) <= 4 and not re.search(r"[\d$\\]", answer))


def _inner(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None).strip()


def last_statement(text: str) -> Candidate | None:
    """The last formula or number of a text without a marker, or None."""
    stripped = text.strip()
    if _is_whole(stripped):
        return Candidate(_clean(stripped), "whole")
    if _CODE.search(stripped):
        return Candidate(None, "extract", "program text is no answer")
    if _breaks_off(stripped):
        return Candidate(None, "extract", "the text breaks off")
    sentences = [part for part in SENTENCE.split(stripped) if part and part.strip()]
    for sentence in reversed(sentences[-40:]):
        if _GIVE_UP.search(sentence):
            return Candidate(None, "extract", "the text gives up")
        found = _last_formula(sentence)
        if found is not None and _DENIED.search(sentence[: max(0, sentence.rfind(found))][-12:]):
            return Candidate(None, "extract", "the answer is denied")
        if found is not None:
            return Candidate(found, "last")
    found = _last_formula(stripped)  # a formula over several lines, which the sentences cut apart
    return None if found is None else Candidate(found, "last")


def _is_whole(text: str) -> bool:
    """Whether the text is nothing but an answer: one line without a sentence in it."""
    if not text or "\n" in text or len(text) > 200 or " is " in text:
        return False
    return (
        not re.search(r"(?<!\\)\b[A-Za-z]{3,}\b", re.sub(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?", " ", text))
        or len(text.split()) == 1
    )


def _breaks_off(text: str) -> bool:
    """Whether the text ends in the middle of a sentence."""
    if not text:
        return True
    word = re.search(r"([A-Za-z']+)$", text)
    if word is not None:
        return word[1].lower() in _DANGLING
    return (
        _opens_formula(text.rsplit("\n", 1)[-1]) or text[-1] in "+-*/=<>,({\\^_" or text.endswith(("\\cdot", "\\times"))
    )


def _last_formula(sentence: str) -> str | None:
    """The last formula or number of a sentence, whichever stands later."""
    math = None
    for math in _MATH.finditer(sentence):  # noqa: B007 - the last match is what is wanted
        pass
    prose = _MATH.sub(lambda m: " " * len(m[0]), sentence)
    number = None
    result = prose.rfind("=")
    for pattern in (_NUMBER, _RELATION):
        for match in pattern.finditer(prose):
            if number is not None and _MODIFIER.search(prose[max(0, match.start() - 12) : match.start()]):
                continue
            if pattern is _NUMBER and 0 <= result < (number.end() if number is not None else 0):
                continue
            if (
                number is None
                or match.end() > number.end()
                or (match.end() == number.end() and match.start() < number.start())
            ):
                number = match
    if math is not None and (number is None or math.start() > number.start()):
        return _inner(math)
    return number[0].strip().strip("+") if number is not None else None


def _opens_formula(line: str) -> bool:
    """Whether the line ends inside a formula: an odd dollar sign that opens one."""
    return line.count("$") % 2 == 1 and re.search(r"\$(?![\d\s])[^$]*$", line) is not None
