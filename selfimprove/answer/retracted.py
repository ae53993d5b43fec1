"""Statements of an answer that the text behind them replaces, or that are somebody else's.

"Edit: I misread the question. The volume is 27." and "Scratch that, it's 13." replace what stands before them: what
follows is then the text that answers. "The usual answer is 43, but that is for other packs", "my friend says the answer
is 30", "at first glance the answer is 5" and "suppose, for contradiction, that the answer is 16" state nothing.
"""

from __future__ import annotations

import re

from selfimprove.answer.unfinished import straight

_CORRECTS = re.compile(
    r"(?:\A|[.!?\n*)\"]\s|\n)[\s*_>~#(\[-]{0,6}"
    r"(?:(?:oh|ah|oops|whoops|sorry|apologies|hmm+|wait|actually|no|but|and|please|so|i think|update|"
    r"edit)\b[\s,.!:—-]{1,3}){0,3}(?:"
    r"(?P<label>edit(?:ed)?|update|correction|corrigendum|erratum|p\.?\s?s\.?)\s?\d?[*_]{0,2}\s?[:—–-]|"
    r"(?:scratch|strike|forget|ignore|disregard|discard) (?:that\b(?! the\b)|the (?:above|previous|last|earlier|"
    r"first)\b|my (?:previous|last|earlier|"
    r"first)\b|what i (?:said|wrote)|everything above)|"
    r"on (?:(?:second|further) )?(?:thoughts?|reflection)\b|"
    r"never\s?mind\b(?!\s(?:the (?!above|previous|last)|about|how|if)\b)|"
    r"i (?:must |have to )?(?:stand corrected|"
    r"take (?:that|it|this) back|retract)|"
    r"my (?:first|previous|earlier|initial|last) (?:answer|result|calculation|attempt) (?:was|is) (?:wrong|"
    r"incorrect)\b|"
    r"my (?:bad|mistake|apologies)\b|no,? wait\b|make (?:that|it)\b(?= [$\\\d])|(?:i (?:have|need|want|"
    r"must)(?: to)?|let me) correct (?:myself|that|this)\b|i mean\b(?=[ ,])|"
    r"i (?:misspoke|misread|misunderstood|miscounted|miscalculated)\b|"
    r"(?:that|this|it) was (?:a mistake|a typo|an error|my mistake)\b)",
    re.IGNORECASE,
)
_RETRACTS = re.compile(
    r"\A\s*(?:it(?:'s| is)|the answer is|now)\b|"
    r"\b(?:mis\w+|wrong\w*|incorrect\w*|mistake\w*|error|disregard|ignore|forgot\w*|overlooked|swapped|instead|"
    r"actually|"
    r"should (?:be|have been|read)|must be|correct(?:ed)? (?:answer|value|result))\b",
    re.IGNORECASE,
)
_STAYS = re.compile(
    r"\b(?:answer|result|value|conclusion)s? (?:stays?|remains?|is|are) (?:the same|unchanged|still|unaffected|"
    r"correct)\b|"
    r"\bdoes(?:n't| not) (?:change|affect)\b",
    re.IGNORECASE,
)
_LOOKED_AT = 20_000  # characters at the end of a text
_REACH = 300  # characters behind "Edit:" in which it must say that something was wrong


def correction(text: str) -> int | None:
    """Where the part begins with which a text replaces what it said before; None if it doesn't."""
    low = text.lower()
    found = None if text.isascii() else _corrected_elsewhere(text)
    for cue in _CUES:
        if cue in low:
            break
    else:
        return found
    for match in _CORRECTS.finditer(text, max(0, len(text) - _LOOKED_AT)):
        told = straight(text[match.end() : match.end() + _REACH])
        label = (match["label"] or "").lower()
        edited = label and not label.startswith(("corr", "err"))
        if match.start() and not (edited and not _RETRACTS.search(told)) and not _STAYS.search(told):
            found = match.start() + 1 if edited else len(text) - len(text[match.end() :].lstrip(" ,.;:–—-"))
    return found


def _corrected_elsewhere(text: str) -> int | None:
    """Where a correction in Chinese or Japanese begins: "100，不对，是 7"."""
    found = None
    for match in _SAYS_NO.finditer(text, max(0, len(text) - _LOOKED_AT)):
        found = match.end()
    return found


_SAYS_NO = re.compile(
    r"(?:(?<=[，,。；;！!\n ])(?:不对|不，|错了|写错了|算错了|等等，?不对|更正|いや|違う|違います|訂正)|"
    r"間違(?:え|い)(?:ました|た|です)|ミスでした)"
    r"[，,、。：:！! ]{1,2}"
    r"(?:应该|其实|正しくは|答案|答え)?(?:是|は|：|:)?(?=\s?[$\\(]{0,3}-?[\d\\A-J])"
)
_CUES = (
    "edit", "update", "correction", "corrigendum", "erratum", "p.s", "ps:", "p. s", "scratch", "strike", "forget",
    "ignore", "disregard", "discard", "second thought", "reflection", "never", "stand corrected", "back", "retract",
    "my bad", "my mist", "my first", "my previous", "my earlier", "my initial",
    "my last", "my apol", "i mis", " was a", "no, wait", "no wait", "make that", "make it", "correct "
    "myself",
    "correct that", "correct this", "i mean",
)  # fmt: skip
_ELSEWHERE = re.compile(
    r"[\s*_$).]{0,6}?(?:\s*[,;.—–(-]\s*|\s+)(?:but|however|yet|although|though|"
    r"except that)\b,?\s+(?:only\s+)?(?:that|this|it|which)(?:'s|\b)\s*(?:"
    r"(?:(?:is|was|were|would be|holds?|applies|counts?|works?)\s+)?(?:only\s+|just\s+|still\s+|really\s+)?"
    r"(?:for|in|with|without|when|if|before|under|the (?:answer|result|value|number) (?:for|to|of|with|without))\b|"
    r"(?:wrongly |silently |only )?(?:ignores?|ignored|assumes?|assumed|forgets?|forgot|neglects?|omits?|"
    r"overlooks?|misses|leaves out|excludes|"
    r"counts?|counted|double-counts?)\b|does(?:n't| not) (?:yet )?(?:count|include|consider|account|"
    r"take)\b)[^\n.?!]*",
    re.IGNORECASE,
)


def of_another_case(after: str) -> bool:
    """Whether a text goes on to say that its answer was that of another case, and then comes to another number."""
    text = straight(after[:1_000])
    if _NOT_SO_HERE.match(text):
        return True
    other = _ELSEWHERE.match(text)
    if other is None:
        return False
    rest = after[other.end() :]
    return re.search(r"\d", rest) is not None or _BUT_HERE.search(other[0]) is not None


_BUT_HERE = re.compile(
    r"[;,]\s(?:but |and |so )?(?:here|in (?:our|this) case|ours?|for this one)\b[^.?!]*\d", re.IGNORECASE
)
_NOT_SO_HERE = re.compile(
    r"[*_$)]{0,4}\s+(?:only )?(?:if|when|provided(?: that)?|assuming(?: that)?)\s[^.?!]{3,80}[.;]\s+"
    r"(?:but |however,? )?(?:they|it|this|that|these|those|we|the \w+)\s[^.?!]{0,40}(?:n't|\bnot)\b[^.?!]{0,40}"
    r"\b(?:here|in this (?:case|problem|question))\b",
    re.IGNORECASE,
)  # "is 36 if the cards are replaced. They are not replaced here."
RATHER = re.compile(
    r"(?<=\b[A-J]),?\s+but\s+(?=\(?[A-J]\)?\s+is\s+(?:the\s+)?(?:correct|right|best)\b)|"
    r"\s?[,;—–-]{1,2}\s*(?:or rather|or better|i mean|i meant|no,? wait|wait,? no|make that|(?:no|"
    r"sorry)(?=,))(?:,|\b)\s*(?:it's |it is )?"
    r"(?=[$\\(]{0,3}-?\d|\(?[A-J]\b)",
    re.IGNORECASE,
)
"""Where a sentence puts another answer in the place of the one it gave: "24, I mean 42"."""
NOBODYS = re.compile(
    r"\baccording to (?:you|him|her|them|some|many|most|the (?:book|key|textbook|author|teacher))\b|"
    r"\bor so (?:i|we|it|they) (?:thought|think|seem\w*)\b|"
    r"\bis what (?:most|many|some|people|everyone|everybody|one|you|they|students)\b",
    re.IGNORECASE,
)
"""What is said of an answer that others give: "is what most people would say"."""
_WHO = (
    r"(?:student|pupil|friend|textbook|book|key|classmate|model|teacher|reader|assistant|ai|chatgpt|gpt-?\d?|"
    r"brother|sister|"
    r"colleague|user|calculator|internet|author|solution manual|sheet|candidate|child|boy|girl|mother|father)"
)
_SAY = (
    r"(?:says?|said|claims?|claimed|thinks?|thought|wrote|writes|answer(?:ed|s)|believes?|believed|argues?|"
    r"argued|insists?|"
    r"replied|states?|stated|suggests?|suggested|gave|gives|got|told (?:me|us)|guessed)"
)
_THE = r"(?:\sthat)?:?\s(?:the\s)?(?:\w+\s)?\Z"
_OTHERS = re.compile(
    rf"\b{_WHO}s?(?:'s?|’s?)\s(?:\w+\s)?\Z|\b(?:{_WHO}s?|he|she|they|someone|somebody|everyone|everybody|intuition|"
    rf"instinct|i (?:first|initially|originally)|people)\s(?:\w+\s)?{_SAY}{_THE}|"
    rf"\b(?!this\b|that\b|it\b|which\b|theorem\b|rule\b|what\b)(?-i:[A-Z][a-z]+)\s(?:says|said|thinks|thought|"
    rf"claims|claimed|believes|believed|answered|"
    rf"insists|guessed){_THE}|"
    r"\b(?:mistake|error|misconception|trap|pitfall|fallacy|tempting|tempted|easy|natural|"
    r"wrong)\s(?:\w+\s){0,4}?(?:to|that)\s"
    rf"(?:\w+ly\s)?(?:say|think|answer|conclude|believe|claim|assume|guess|write|reply){_THE}|"
    r"\bat first(?: (?:glance|sight|look))?,?\s(?:(?!but\b|yet\b)\w+\s){0,4}\Z|\b(?:naively|"
    r"intuitively),?\s(?:\w+\s){0,2}\Z|"
    r"\b(?:well[- ]known|usual|classic(?:al)?|textbook|conventional|popular|intuitive|original|old|"
    r"student(?:'s)?|reference|gold|ground[- ]truth)\s(?:\w+\s)?\Z",
    re.IGNORECASE,
)
_FOR_ARGUMENT = re.compile(
    r"\b(?:suppos(?:e|ing)|assum(?:e|ing)|imagin(?:e|ing)|pretend|presume|hypothesi[sz]e|say|let's say)\b,?\s"
    rf"(?:for|to|towards?|by way of|just)\b[^.;]{{0,60}}?,?{_THE}|\bpretend(?:ing)?{_THE}|\A\W*(?:let's\s)?say{_THE}|"
    r"\A\W*let\s(?:(?:the|our|my|this)\s)?(?:\w+\s)?\Z",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"\A\W*(?:(?:but|so|and|now|for example),?\s)?if\b.*\b(?:were|was|had|weren't|wasn't)\b", re.IGNORECASE
)


_IF_SO = re.compile(r"\W*(?:(?:but|and|then|so),?\s)?if (?:it|this|that|so|true)\b", re.IGNORECASE)


def is_others(head: str) -> bool:
    """Whether the words before "the answer is" in its sentence make it somebody else's, or a supposition to refute."""
    head = straight(head)
    return _OTHERS.search(head) is not None or _FOR_ARGUMENT.search(head) is not None


def is_unreal(head: str, mark: str) -> bool:
    """Whether the answer is that of a case which isn't so: "if the radius were 5, the answer would be"."""
    return "would" in mark and (_UNREAL.match(head) or _IF_SO.match(head)) is not None


def denied_later(after: str, answer: str) -> bool:
    """Whether a text says further on that it isn't this answer: "So it isn't 16"."""
    core = answer.strip("$*() .")
    if not 0 < len(core) <= _LONGEST or core not in after:
        return False
    said = (
        r"\b(?:it|answer|that|this|result|value)(?:'s|\s(?:is|was))?(?:n't|\snot|\scan(?:'t|"
        r"\s?not)\sbe)\s(?:be\s|equal\s(?:to\s)?)?"
        rf"[$*(]{{0,3}}{re.escape(core)}(?![\w/]|[.,]\d)|"
        rf"(?<![\w.]){re.escape(core)}[$*)]{{0,3}}\s(?:fails|does(?:n't|\snot)\s(?:work|satisfy|fit)|"
        rf"is\s(?:wrong|incorrect))\b"
    )
    return re.search(said, straight(after[:_FAR]), re.IGNORECASE) is not None


_LONGEST, _FAR = 24, 600  # characters of an answer that is looked for, and behind it


def reconsidered(after: str, answer: str) -> bool:
    """Whether the text goes on with "wait" or "actually" and comes to another number than the answer."""
    startled = _STARTLED.search(straight(after[:2_000]))
    if startled is None or not re.search(r"\d", answer):
        return False
    rest = after[startled.end() : 2_000]
    if len(rest) > _MOST_RECONSIDERED or re.search(r"[✓✔✅]|\b(?:check|verify|correct|confirm)", rest, re.IGNORECASE):
        return False
    numbers = re.findall(r"\d[\d.,]*", rest)
    return bool(numbers) and _digits(numbers[-1]) not in {_digits(one) for one in re.findall(r"\d[\d.,]*", answer)}


def _digits(text: str) -> str:
    return text.replace(",", "").rstrip(".")


_MOST_RECONSIDERED = 400  # characters behind a "wait" that are looked at
_STARTLED = re.compile(
    r"(?:^|[.!?\n])[ \t*_)]{0,6}(?:but |oh,? |hmm+,? )?(?:wait|hold on|actually|oops|"
    r"hmm+)\b[,.!:—-]*\s",
    re.IGNORECASE,
)


def of_a_case(head: str, mark: str) -> bool:
    """Whether a marker says what the answer would be in a case: "(If it is about all, then the answer would be 8.)"."""
    return " would" in mark and _IN_A_CASE.match(head) is not None


_IN_A_CASE = re.compile(r"\W*(?:note:?\s)?(?:(?:but|and|however),?\s)?if\b", re.IGNORECASE)
