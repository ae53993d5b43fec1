"""Answers behind a marker: `#### 5`, `<answer>`, "the answer is", "**Answer:**", "Answer – B".

The last marker that states something counts. A supposition ("if the answer is 5"), a question, and a denial without
another answer ("the answer is not 5") state nothing; "not B, it is D" states D. What follows "not" or "because" is no
part of an answer.
"""

from __future__ import annotations

import re

from selfimprove.answer.alternatives import beside_another
from selfimprove.answer.choices import LEAD, sentence_letter
from selfimprove.answer.clauses import main_clause
from selfimprove.answer.delimited import MATH, inner
from selfimprove.answer.headed import worked_out
from selfimprove.answer.hedges import UNDECIDED, asks_back, depends, enumerates, undecided
from selfimprove.answer.prose import last_statement
from selfimprove.answer.retracted import (
    NOBODYS,
    RATHER,
    denied_later,
    is_others,
    is_unreal,
    of_a_case,
    of_another_case,
    reconsidered,
)
from selfimprove.answer.sentences import SENTENCE, tidy
from selfimprove.answer.tongues import (
    AROUND,
    CONDITION,
    DENIAL,
    DENIED_BEFORE,
    DENIED_BEHIND,
    DENIED_VALUE,
    INSTEAD,
    LETTERS,
    MARK,
    NAMELY,
    OPTION,
    STARTS_WORDS,
    SUPPOSED,
)
from selfimprove.answer.unfinished import DENIED, TAKEN_BACK, in_condition, is_supposed, straight, supposes, taken_back
from selfimprove.answer.values import emphasised, in_words, last_formula, measured
from selfimprove.answer.verdict import Statement
from selfimprove.answer.whole import is_list, is_short

MAX_MARKS = 40
NOTHING_FOLLOWS = "nothing follows the marker"
_MARK = re.compile(
    rf"\#{{4}}\s*|<(?:final_?)?(?:answer|ans|result|solution)>\s*|\[answer\]\s*|{MARK}"
    r"|\b(?:final\s+)?answers?\b[^\n.?!:=$\\+*/<>]{0,60}?(?:\bis\b|\bare\b|\bequals\b|\bbe\b|\bcomes to\b|:|"
    r"=>?)(?:[\s*:：_]|\}(?!\s?[\])}>]))*"
    r"|\bans\b\.?\s{0,2}[:=]\s*|\b(?:final\s+)?(?:answers?|results?|choice|option|selection)\b(?:\s+(?:selected|chosen))?\s{0,4}[\*_]{0,3}\s{0,4}"
    r"(?::|=>?|(?:[-–—]>?|→)(?=\s)|(?=\$|\\\(|\\\[)|\n+(?=\S))[\s*_]*"
    r"|(?:(?m:^)|(?<=[.!?]\s))[ *_#]{0,4}(?:final|correct|best)(?:\s(?:options?|choices?|statements?|ones?|"
    r"letters?))?\s?:"
    r"[ \t*_]*(?=[*_$(]{0,3}[A-J]\b)"
    r"|\b(?:final\s+)?answers?\s+(?=\(?[A-J]\)?\s{0,3}(?:[.\n]|\Z))"
    r"|\b(?:the|our|my|correct|right|best)\s+(?:correct\s+|right\s+|best\s+|final\s+)?(?:choice|option|result|"
    r"selection|letter)\s+is\b:?\s*|\b(?:correct|right|true|best)\s+(?:choices|options|statements|ones|letters)\s+are\b:?\s*",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"#{4}|<answer>|answer|correct (?:choice|option)|[^\x00-\x7f]|antwort|respuesta|resposta|risposta", re.IGNORECASE
)
_CUT = re.compile(
    r",?\s+(?:(?:and\s+)?not|rather than|instead of|because|since|so that|but|although|even though|which|when|where|"
    r"as (?:the|we|it)|if|after|for the|"
    r"in total|altogether)\b|(?<=[\d)}%$*])\s+\((?![A-J]\)|-?\d+\s?[-+*/])|(?<![-+*/=×÷·^∈∪∩])\s+\((?![A-J]\)|"
    r"-?[\w./]{1,12}\s?,)|"
    r";\s+(?=[a-z]{3})|,\s+(?:leaving|giving|making|meaning|while|whereas|compared)\b|,\s+(?:so|and) (?:we|it|the|I)\b|"
    r"(?<=\d),\s+for\s|</(?:final_?)?(?:answer|ans|result|solution)>|\[/answer\]|<\||\s—\s|"
    r"(?<![\d)])\s-\s(?!\$?\d[^\n=]{0,40}=)|"
    r"\s-\s(?![\d(])|" + STARTS_WORDS,
    re.IGNORECASE,
)
_DENIAL = re.compile(
    rf"\s*(?:definitely |certainly |probably )?(?:(?:not|unknown|unclear|nothing|see (?:above|below)|tbd|pending|"
    rf"\(?to be|(?:said|supposed|expected|believed|meant) to)\b|{DENIAL})",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"(?:[,;:.—–]|\s-)\s*(?:but\s+)?(?:rather\s+|instead\s+)?(?:it(?:'s|\s+is)|the answer is|that(?:'s|"
    r"\s+is))\s+(?!not\b)|"
    r"[,;]?\s+but\s+(?:rather\s+|instead\s+)?(?=[\\$(]{0,3}[\dA-J-])|" + INSTEAD,
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"\b(?:could|might|may)\s+(?:(?:also|well|just|very well)\s+)?be\b|\b(?:supposed|expected|meant|believed|thought|"
    r"said) to\b|\bshould have been\b|"
    r"\bcannot\b|\bcan't\b|\bn't\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\s(?:if|unless|assuming|provided)\b", re.IGNORECASE)
_WITH_TEXT = re.compile(r"\(?([A-J])\)?,\s+(?!and\b|or\b|(?:also|maybe|perhaps|possibly|but|then)\b)[a-z]")
_OTHERS = re.compile(
    r"\b(?:each|every|all|which|following|any|another|others?|common|wrong|incorrect|previous|initial|alternat(?:iv)?e|naive|tempting|"
    r"expected|proposed|suggested|claimed|supposed)\s+(?:\w+\s+)?$|\bno\s+$|\bone of (?:the|all)\s+(?:possible\s+)?$|"
    r"\b(?:presumably|supposedly|apparently|probably|likely),?\s+(?:the\s+)?(?:final\s+|correct\s+)?$|"
    r"\b(?:some|people|many|others|students|you|one) (?:(?:might|would|could|may) )?(?:say|think|argue|claim|"
    r"believe)s? (?:that )?(?:the )?$|"
    r"(?:n['’]t|\bnot) (?:think|believe)s? (?:that )?(?:the |my )?(?:final |correct )?$",
    re.I,
)
_BREAKS_OFF = re.compile(r"(?:\b(?:or|and|but|minus|plus|times|to)|[-+=*/<>^])\s*\Z", re.IGNORECASE)
_REASONED = re.compile(r"\b(?:because|since|so that|which|where)\b", re.IGNORECASE)
_TURNED = re.compile(r"\d,\s(?:but|yet|so)\s", re.IGNORECASE)  # "I was tempted to answer 12, but 14 is"
_POINTED = re.compile(r"\b(?:this|that|which)\s+\Z", re.IGNORECASE)
_REMARK = re.compile(
    r"(?:the\s+)?(?:final|correct|right|complete|consistent|reasonable|verified|confirmed|exact|unique|valid|"
    r"reached|checked|seen|expressed|written|"
    r"found|derived|obtained|based|given|supported|close|same|also)\b",
    re.IGNORECASE,
)  # what may be said of "this answer", which states none
_DEFINITE = re.compile(r"[^A-Za-z]*\d|[\s$*\\({\[]*[A-J][)}\]$*.:\s]*\Z|[\s$*]*\\[A-Za-z]")
_SPELLED = re.compile(r"[a-z]+(?:[ -][a-z]+){0,4}\s\((\d[\d,.]*)\)", re.IGNORECASE)  # "twenty-four (24)"
_FULL_STOP = re.compile(r"(?<=\d)\.\s+(?=\d)")  # "The answer is 17. 11 + 6 = 17."
_ENDS_SENTENCE = re.compile(r"[.!?]\s")


def last_mark(text: str, after: int | None) -> Statement | None:
    """The statement behind the last marker that makes one, else the one behind the last marker with its fault.

    `after`: where a box ends; only markers behind it count, and what they give must be an answer by its look.
    """
    faulty: Statement | None = None
    denied: set[str] = set()
    marks = list(_MARK.finditer(text, max(0, after or 0)))[-MAX_MARKS:]
    if enumerates(text, marks):
        return _faulty(marks[-1], "", len(text), UNDECIDED)
    supposed: Statement | None = None
    for mark in reversed(marks):
        if _REASONED.search(mark[0]) or _TURNED.search(mark[0]):
            continue  # "C is the answer because it is ...", which choices read
        found = _stated(text, mark, over_box=after is not None)
        if not found.fault and of_a_case(_head(text, mark), mark[0]):
            supposed = supposed or found
            continue
        if not found.fault or found.fault in (TAKEN_BACK, UNDECIDED):
            return faulty if found.text in denied else found
        if found.fault == DENIED:
            denied.add(found.text)
        faulty = faulty or found
    return supposed if after is None and faulty is None else faulty


def _stated(text: str, mark: re.Match[str], *, over_box: bool) -> Statement:
    """What the text states behind a marker, with its fault if it is no statement."""
    rest = text[mark.end() :]
    line = _line(rest.lstrip())
    shift = mark.end() + len(rest) - len(rest.lstrip())
    if not line.strip(" *_$:.#") or "___" in mark[0] or (mark[0].startswith("####") and _HEADING.match(line)):
        return _faulty(mark, "", shift, NOTHING_FOLLOWS)
    if mark[0].startswith("<") and (tagged := _in_tag(text, mark)) is not None:
        return tagged
    if (worked := worked_out(text, mark.end(), mark[0])) is not None:
        end, said = len(text), worked.text or ""
        return Statement(at=mark.start(), end=end, text=said, how="marked", fault=worked.reason, firm=True)
    if (adverb := _ADVERB.match(line)) is not None:
        line, shift = line[adverb.end() :], shift + adverb.end()
    first = SENTENCE.split(line, maxsplit=1)[0]
    if _POINTED.search(text, max(0, mark.start() - 12), mark.start()) and _REMARK.match(line):
        return _faulty(mark, "", shift + len(first), "a remark about the answer")
    if _is_supposed(text, mark, first):
        turn = _TURNS.search(first)
        end = shift + (len(first) if turn is None else turn.end())
        return _faulty(mark, "", end, "the answer is only supposed")
    if (beside := _APPOSED.search(mark[0])) is not None and (_REMARK.match(line) or _WRONG.match(line)):
        return (
            _faulty(mark, beside[1] or beside[2], mark.end(), DENIED)
            if _WRONG.match(line)
            else _beside(text, mark, beside)
        )
    if (denial := _DENIAL.match(line)) is not None:
        instead = _INSTEAD.search(straight(line))
        if instead is None:
            return _faulty(mark, _answer(line[denial.end() :].lstrip())[0], shift + len(first), DENIED)
        line, shift = line[instead.end() :], shift + instead.end()
    if not line.isascii() and (denied := DENIED_BEFORE.match(line)) is not None:
        if not _DEFINITE.match(line[denied.end() :]):
            return _faulty(mark, "", shift + len(first), DENIED)
        line, shift = line[denied.end() :], shift + denied.end()
    if (rather := RATHER.search(first)) is not None:
        line, shift = line[rather.end() :], shift + rather.end()
    answer, end = _answer(line)
    after = text[shift + end :]
    fault = _fault(answer, line[:end], line[end:], after)
    if mark[0].startswith("选") and "不" in SENTENCE.split(line[end:], maxsplit=1)[0]:
        fault = DENIED
    if _leaves_open(first, answer, after) or depends(_before(text, mark), mark[0] + first):
        fault = UNDECIDED
    elif not fault and over_box and not (_STRONG.search(mark[0]) and _DEFINITE.match(answer)):
        fault = "no answer by its look"
    elif not fault and (taken_back(after, answer) or reconsidered(after, answer)):
        fault = TAKEN_BACK
    firm = fault not in ("", TAKEN_BACK) or _is_firm(text, shift + end, line[:end])
    return Statement(at=mark.start(), end=shift + end, text=answer, how="marked", fault=fault, firm=firm)


def _leaves_open(first: str, answer: str, after: str) -> bool:
    """Whether the sentence of an answer, or what follows, names several to choose from or asks which is meant."""
    return undecided(first, answer) or asks_back(first + after[:400]) or beside_another(after, answer)


def _before(text: str, mark: re.Match[str]) -> str:
    return text[max(0, mark.start() - 1_000) : mark.start()]


def _fault(answer: str, said: str, beside: str, after: str) -> str:
    """Why an answer isn't stated, by the words that end on it, the rest of its line and of the text; empty if none."""
    if re.fullmatch(r"\(?[A-J]\)?|(?i:yes|no|true|false)", answer) and _ONLY_IF.match(beside):
        return "the answer is only supposed"
    if _FOR_EXAMPLE.search(said[: max(0, said.rfind(answer))]):
        return "the answer is only supposed"
    if (
        _CALLED_WRONG.match(beside)
        or DENIED_BEHIND.match(beside)
        or DENIED_VALUE.search(said[: max(0, said.rfind(answer))])
    ):
        return DENIED
    if of_another_case(after):
        return "the answer is that of another case"
    if denied_later(after, answer):
        return DENIED
    return "the text breaks off" if _BREAKS_OFF.search(answer) and not _ONLY_BRACKETS.fullmatch(answer) else ""


_ADVERB = re.compile(
    r"\s*(?:actually|for sure|really|indeed|in fact|of course|clearly|obviously|definitely|certainly|therefore|"
    r"thus|hence|"
    r"in the end|finally|after all),?\s+(?=[\w$\\(*-])",
    re.IGNORECASE,
)
"""What stands before an answer and says nothing of it: "the answer is actually 42"."""
_TURNS = re.compile(r";\s|,\s(?:but|yet|however|though)\s")
_CALLED_WRONG = re.compile(r"[\s*_$.]{0,6}\(\s?(?:wrong|incorrect|false|rejected|not correct|no)\b", re.IGNORECASE)
_FOR_EXAMPLE = re.compile(r"\b(?:such as|for example,?|for instance,?|e\.g\.,?)\s+[$\\(]{0,3}\Z", re.IGNORECASE)
_OPTION_WITH_VALUE = re.compile(r"(?:option|choice)\s\(?([A-J])\)?[,:]\s(?=[$\\\d-])", re.IGNORECASE)
_APPOSED = re.compile(
    r"(?:answer|result)(?:\s?(?:,\s|\()([^,()]{1,40}?)(?:,|\))|\sof\s(\d[^,()]{0,40}?))\s(?:is|was|follows|"
    r"comes|can (?:\w+ )?be)\s*\Z",
    re.IGNORECASE,
)
_WRONG = re.compile(r"\s*(?:not\b|wrong|incorrect|false|only|a guess|impossible|too )", re.IGNORECASE)


def _beside(text: str, mark: re.Match[str], beside: re.Match[str]) -> Statement:
    """The answer that stands beside its name: "The answer, 4, is obtained by subtracting"."""
    end, value = mark.start() + beside.end(), beside[1] or beside[2]
    back = TAKEN_BACK if taken_back(text[mark.end() :], value) else ""
    return Statement(at=mark.start(), end=end, text=value.strip(), how="marked", fault=back, firm=True)


_ONLY_IF = re.compile(r"[*_$)\s,]*(?:but )?(?:only )?(?:if|unless|when|provided)\b", re.IGNORECASE)


def _in_tag(text: str, mark: re.Match[str]) -> Statement | None:
    """What several sentences between tags of an answer state at last; None for anything shorter."""
    close = text.find("</", mark.end())
    end = len(text) if close < 0 else close
    inner = text[mark.end() : end].strip()
    if close >= 0 and _EXPRESSION.fullmatch(inner):
        return Statement(at=mark.start(), end=end, text=inner, how="marked", fault="", firm=True)
    sentences = [part for part in SENTENCE.split(inner) if part and part.strip()]
    if len(sentences) < 2 or is_short(tidy(sentences[0])):
        return None
    found = last_statement(inner)
    if found is None or found.text is None:
        return _faulty(mark, "", end, NOTHING_FOLLOWS if found is None else found.reason)
    back = TAKEN_BACK if taken_back(text[end:]) else ""
    return Statement(at=mark.start(), end=end, text=found.text, how="marked", fault=back, firm=close >= 0)


_EXPRESSION = re.compile(r"[\d\s.,()\[\]+*/^×÷−–=-]*[-+*/^×÷−–][\d\s.,()\[\]+*/^×÷−–=-]*")


def _faulty(mark: re.Match[str], answer: str, end: int, fault: str) -> Statement:
    return Statement(at=mark.start(), end=end, text=answer, how="marked", fault=fault)


def _is_supposed(text: str, mark: re.Match[str], first: str) -> bool:
    """Whether the sentence around a marker supposes, asks or guesses; `first` is the sentence behind it."""
    head = _head(text, mark)
    if (
        is_supposed(head)
        or CONDITION.search(head)
        or SUPPOSED.search(head[-12:] + first)
        or _OTHERS.search(head)
        or is_others(head)
        or NOBODYS.search(first)
        or is_unreal(head, mark[0])
        or _HEDGED.search(straight(mark[0]))
        or first.rstrip(" *_").endswith("?")
    ):
        return True
    return bool(_CONDITION.search(first) and re.search(r"\b(?:would|should)\b", mark[0], re.IGNORECASE))


def _head(text: str, mark: re.Match[str]) -> str:
    """What of its sentence stands before a marker."""
    return re.split(r"[.!?\n]", text[max(0, mark.start() - 160) : mark.start()])[-1]


def _is_firm(text: str, end: int, answer: str) -> bool:
    """Whether the text ends the statement: by a line's or sentence's end with more behind it, or by closing signs."""
    after = text[end:]
    return (
        after.startswith("\n")
        or "\n" in answer.strip()
        or after[:1] == "<"
        or answer.endswith(("$", "**", "\\]", "\\)"))
        or after.lstrip(" ")[:2] == "**"
        or bool(_ENDS_SENTENCE.match(after))
    )


def _line(rest: str) -> str:
    """The first line; a line that ends with a colon is continued by what follows it."""
    if rest.startswith(("$$", "\\[")):
        return rest.split("\n\n", 1)[0]
    line, _, more = rest.partition("\n")
    if line.rstrip("* ").endswith(":") and more.strip():
        return rest.split("\n\n", 1)[0] if more[:1].strip() else line + more.strip().split("\n\n", 1)[0]
    if _unclosed(line) and more:
        return rest.split("\n\n", 1)[0]
    return line


def _unclosed(line: str) -> bool:
    return line.count("$") % 2 == 1 or line.count("\\[") > line.count("\\]") or line.count("\\(") > line.count("\\)")


def _answer(line: str) -> tuple[str, int]:
    """The answer in the sentence behind a marker, and where it ends in the line."""
    if (brackets := _BRACKETS.match(line)) is not None:
        return brackets[1], brackets.end()
    math = MATH.match(line)
    if math is not None and not re.match(r"\s*(?:,|or\b|and\b)\s*(?:or\b|and\b)?\s*[$\\\d]", line[math.end() :]):
        unit = re.match(r"\s*(?:%|percent\b|pct\b|°|degrees\b)", line[math.end() :])
        if unit is None:
            return measured(inner(math), line, math.end()), math.end()
        return inner(math) + unit[0], math.end() + unit.end()
    sentence = _FULL_STOP.split(SENTENCE.split(line, maxsplit=1)[0], maxsplit=1)[0]
    cut = _CUT.search(sentence)
    written = sentence[: cut.start()] if cut and cut.start() else sentence
    answer = OPTION.sub("", tidy(written), count=1)
    answer = _SPACED_COLON.sub(r"\1: ", LETTERS.get(answer, answer))
    if (spelled := _SPELLED.match(sentence.lstrip(" *"))) is not None:
        return spelled[1], len(sentence)
    end = len(written.rstrip().rstrip(".!"))
    named_value = re.sub(r"\A(?:la|el|le|il|die|das|de|a|o)\s+(?=\(?[A-J]\)?,)", "", answer)
    if (option := _OPTION_WITH_VALUE.match(answer)) is not None:
        return f"({option[1]}) {answer[option.end() :]}", end
    if NAMELY.match(named_value):
        return named_value, end
    if (letter := _WITH_TEXT.match(answer)) is not None:
        return letter[1], end
    answer = _NUMBERED.sub("", _ARTICLE.sub("", answer))
    if (letter := _LETTER_WITH.fullmatch(answer)) is not None:
        return letter[1], end
    if LEAD.match(answer) or _LETTERS.fullmatch(answer):
        return answer, end
    named = None if supposes(sentence) else sentence_letter(sentence)
    if named is not None and not in_condition(sentence, sentence.find(named)):
        return named, len(sentence)
    if not AROUND.search(answer) and (is_short(answer) or is_list(answer)):
        return answer, end
    if (named_bold := _BOLD_NAME.match(written)) is not None:
        return named_bold[1], end
    numeral = in_words(sentence)
    found = emphasised(written) or (numeral[1] if numeral else None) or last_formula(main_clause(answer))
    return (answer if found is None else found), end


_BRACKETS = re.compile(
    r"[`$*]{0,2}((?=\S{0,2}\s?\S{0,2}[\])}>])[\[\](){}<> ]{1,79}[\])}>])[`$*]{0,2}\s*(?:\.\s*)?(?:\n|\Z)"
)
_ONLY_BRACKETS = re.compile(r"[\[\](){}<> ]+")
"""Brackets that close others, the answer of a task of Dyck words."""
_LETTERS = re.compile(r"\(?[A-J]\)?(?:[,\s]+\(?[A-J]\)?)*")
_ARTICLE = re.compile(r"\A(?:la|el|le|il|die|das|a|o)\s+(?=\(?[A-J]\)?\s?[:.)]\s)")
_NUMBERED = re.compile(r"\A(?:option|choice)\s\d{1,2}\s(?=\([A-J]\))", re.IGNORECASE)  # "option 2 (B)"
_SPACED_COLON = re.compile(r"\A\(?([A-J])\)?\s:\s")
_LETTER_WITH = re.compile(r"\(?([A-J])\)?\s?[(（][^()]*[^\x00-\x7f][^()]*[)）]")
"""The letter of a choice with its text in another script in brackets: `D(東京)`."""
_HEADING = re.compile(
    r"(?:step|part|case) \d|(?:explanation|verification|check|note|notes|solution|reasoning|conclusion)\b", re.I
)
_BOLD_NAME = re.compile(
    r"\s*(?:\*\*)?([A-Z][a-z]+(?: [A-Z][a-z]+)?)\*\* (?:is|has|was|had|will|wins|won|can|did|does)\b[^\d*]*\Z"
)
"""A name in bold of which an answer says something: "**Evelyn** has the greatest average speed"."""
