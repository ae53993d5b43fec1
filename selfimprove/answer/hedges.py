"""Sentences that leave the answer open, or speak of something else than the case that was asked about.

"Either 5 or 6", "5 (if the first counts) or 6 (if it doesn't)" and "please say which one is meant" state no answer; "if
he had bought two more, he would have paid $21", "which agrees with the accepted value" and a check of the result are
asides, which leave the answer before them as it is.
"""

from __future__ import annotations

import itertools
import re

from selfimprove.answer.unfinished import straight

UNDECIDED = "no one answer is stated"
_OR = re.compile(r"\bor\b|\bit (?:could|might|may)\b", re.IGNORECASE)
_NUMBER = r"[$€£\\(]{0,3}-?\d[\w.,/%]*"
_EITHER = re.compile(r"\beither\b[^.;]*?\d[^.;]*?\bor\b[^.;]*?\d|\beither\s+\(?[A-J]\)?\s+or\b", re.IGNORECASE)
_GUESSED = re.compile(
    r",\s(?:although|though)\s[^.]*\b(?:possible|plausible|likely|could|might|may)\b|"
    r"\bif i (?:had|have) to guess\b|,\s(?:i (?:guess|suppose)|maybe|perhaps|possibly|i'm not sure)\W*\Z",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?<![\w.,/:])(\d[\d.,]*)\s+to\s+[$€£]?(\d[\d.,]*)(?:\s+[a-z]+){0,2}(?:,?\sdepending on "
    r"[^.]*)?\W*\Z"
)
_BETWEEN = re.compile(
    r"\b(?:between|about|around|approximately|roughly)\s\d[\d.,]*\s?[-–]\s?\d[\d.,]*\s(?!=)[a-z]+\W*\Z", re.IGNORECASE
)
_OTHERWISE = re.compile(r"\bif\b[^.;]*\d[^.;]*\b(?:otherwise|if not|else)\b[^.;]*\d", re.IGNORECASE)
_NEARLY = re.compile(
    r"\b(?:almost|nearly|close to|(?:just|slightly|a (?:bit|little)) (?:under|over|below|above|less than|more than))\s+"
    r"[$€£]?(\d[\d,]*)(?![\w.]\d)[^\d]*\Z",
    re.IGNORECASE,
)
_NO_RANGE = re.compile(
    r"\b(?:from|ratio|odds|scores?|scored|won|win|lost|beat|scale|compared?|add(?:s|ed|ing)?|reduc\w+|chang\w+|rais\w+|"
    r"\w*creas\w+|round\w*|map\w*|proportion|probability|drops?|dropped|rises?|rose|went|goes)\b",
    re.IGNORECASE,
)
_ALTERNATIVES = re.compile(
    rf"{_NUMBER}[^.;]{{0,24}}\([^()]+\),?\s+or\s+(?:\w+\s){{0,2}}{_NUMBER}[^.;]{{0,24}}\([^()]+\)|"
    rf"\d[^.;]{{0,24}},?\s+or\s+(?:possibly|perhaps|maybe)\s+(?:even\s+)?{_NUMBER}|"
    r"\b(?:although|though|but|and)\s+it\s+(?:could|might|may)\s+(?:also\s+)?be\b",
    re.IGNORECASE,
)
_ASKS_BACK = re.compile(
    r"\bplease (?:specify|clarify|tell me|say|let me know) (?:which|what|whether|how)\b|"
    r"\bplease (?:specify|clarify)\b|\b(?:i'm|i am) (?:\w+ )?not (?:\w+ )?(?:sure|certain)\b|"
    r"\b(?:disregard|ignore) (?:the above|(?:this|that|my) answer)\b|\btreat (?:this|it) as un(?:answered|solved)\b|"
    r"(?:^|[.!?]\s)or (?:is|was|could|should|maybe|perhaps)\b[^.?]{1,60}\?|"
    r"\b(?:both|either|all) (?:interpretations?|conventions?|readings?|answers?|conclusions?) (?:is|are|can|could|may|"
    r"might) (?:be )?(?:possible|valid|correct|right|acceptable|found|defended|justified)\b|"
    r"\bboth (?:of them )?(?:are|could be|can be) (?:acceptable|plausible|defensible|(?:possible|valid|correct|right),?"
    r" depending)\b|"
    r"\bi can(?:'t|not| not) (?:say|tell|determine|decide) (?:which|what|whether)\b|"
    r"\b(?:could|can) you (?:please )?(?:clarify|specify|tell me (?:which|what|whether))\b|"
    r"\b(?:i need|we need|there is not enough|there isn't enough|not enough|without) (?:more |further )?(?:information|"
    r"context|data)\b|"
    r"\b(?:i|we)(?: therefore| thus| still| simply| so)? (?:can(?:'t|not| not)|could(?:n't| not)|(?:am|are|was|were)"
    r"(?: not|n't| un) ?able to|won't)(?: therefore| simply| really| confidently| yet)? (?:give|provide|state|offer|"
    r"determine|name|commit to|reach|find|settle on|decide on|arrive at|come up with) (?:you )?(?:an?|any|the|its?|one)"
    r"(?: (?:single|final|definite|definitive|exact|unique|numerical|certain|reliable|correct|clear)){0,2} "
    r"(?:answer|result|solution|conclusion|value)\b|"
    r"\b(?:can(?:'t|not| not)|could(?:n't| not)|(?:am|was)(?: not|n't) able to) (?:confirm|verify|justify) "
    r"(?:it|this|that)\b[^.?!]{0,60}(?:n't|\bnot\b)[^.?!]{0,30}\banswer\b",
    re.IGNORECASE,
)
_DEPENDS = re.compile(
    r"(?:^|[.!?\n])\W{0,6}(?:[\w ]+! )?(?:well, )?(?:before (?:i|we) (?:can )?answer\b|(?:it|this|that|"
    r"the answer) depends on (?:how|what|whether|which|your|the "
    r"(?:definition|interpretation|convention|meaning|context))\b)",
    re.IGNORECASE,
)
_WOULD = re.compile(r"(?:\bwould|[a-z]'d) (?:then )?(?:be|pass|give|need|have|hold)\b", re.IGNORECASE)
_COUNTERFACTUAL = re.compile(
    r"\W*(?:(?:note|remember|observe|notice|keep in mind|by the way)\b[^.,]{0,24}\b(?:if|had|without)\b.*\bwould\b|"
    r"at (?:this|that) rate\b.*\bwould\b|"
    r"(?:remark[.:]?[*_]*\s)?had (?:we|it|he|she|they|the|you)\b[^.]*\bwould\b|"
    r"(?:but |and )?if\b[^.]*\b(?:had|hadn't)\b[^.]*\bwould(?:n't)? (?:only |then )?have (?:\w+ed|paid|cost|been|had|"
    r"made|sold|spent|got|gotten|eaten|left|needed|run|taken|given|won|lost|bought|read)\b|"
    r"(?:but |and )?if\b[^.]*\b(?:were|was|weren't) (?:\d[\w.,]* |only |not |instead |also |\w+er\b)[^.]*\bwould\b|"
    r"(?:but |and )?without (?:the|this|that|any|a)\b[^.]*\bwould(?:n't)? have\b)",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\W*(?:which|(?:this|that|it|the (?:result|value|measured value|answer))(?:'s)?)(?: is)?"
    r"(?: very| quite| also| in)?\s(?:agrees?|close|matches|consistent|compares?|good agreement|(?:excellent )?"
    r"agreement|within|differs?|coincides?|corresponds?)\b[^.]*\b(?:accepted|expected|true|actual|literature|known|theoretical|reference|textbook|published|"
    r"tabulated|standard|exact|given)\s(?:value|result|constant|figure|speed|number)\b",
    re.IGNORECASE,
)
_IN_BRACKETS = re.compile(
    r"\s*\((?!so\b|answer|the answer|thus|therefore)[A-Z][a-z]+\s[^()=]{3,200}\.\)\s*", re.IGNORECASE
)
_WHOLE_ASIDE = re.compile(r"\s*\((?:[^()]|\([^()]{0,60}\)){3,240}\)\s*")
_BESIDE_IT = re.compile(
    r"\bwould (?:then )?be\b|n't (?:matter|count|needed)\b|\bnot (?:matter|count|needed|relevant)\b|\birrelevant\b",
    re.IGNORECASE,
)
_MISTAKE = re.compile(
    r"\W*(?:an?|one|another|the) (?:very )?(?:common|typical|frequent|usual|tempting|easy|classic) "
    r"(?:mistake|error|trap|pitfall|slip|misconception)\b",
    re.IGNORECASE,
)
_DISCARDS = re.compile(
    r"\W*(?:(?:so|thus|therefore),?\s)?(?:the (?:other )?)?(?:options?|choices?|"
    r"answers?)\s(?:\(?[A-J]\)?(?:,\s(?:and\s)?|\sand\s|(?=\s))){1,8}"
    r"\s?(?:can|may|must|should|are|is)\s(?:all\s|both\s)?(?:thus\s|therefore\s)?(?:be\s)?(?:discarded|"
    r"eliminated|ruled out|rejected|excluded|"
    r"dismissed)\b[^.]*\Z",
    re.IGNORECASE,
)
_ABOUT_TEXT = re.compile(
    r"[^\w\[(©]*(?:i am (?:fully |very )?confident in (?:my|this) answer\b|(?:my )?confidence"
    r"(?: level| score)?\s?[:=]|word count\s?:|tokens? (?:used|generated)\s?:|difficulty\s?:|"
    r"(?:source|references?|see also)\s?:|©|copyright\b|"
    r"[\[(]\d{1,2} (?:marks?|points?|pts)[\])]\W*\Z|last updated\b|rate me\b)",
    re.IGNORECASE,
)  # what a line says of the text and not of its problem
_NOTE = re.compile(
    r"\W*(?:(?:note|disclaimer|remark|caveat|tip|assumptions?|fun fact|p\.\s?s\.?|ps)\s?[:.]|this assumes\b|"
    r"(?:please )?(?:note|remember|"
    r"recall) that\b|\(?note\b)",
    re.IGNORECASE,
)
_SO = re.compile(
    r"\b(?:so|thus|therefore|hence|which means|gives|answer|still|need|must|have to|should|ask(?:s|ed)|only the|first|"
    r"remain\w*|however|wrong|incorrect|mistake|counts?|twice|half|double|instead|yet|later|next|may|might|could|guess|"
    r"estimate)\b|n't\b",
    re.IGNORECASE,
)  # what makes a note a part of the reasoning
_CHECK = re.compile(
    r"\W*(?:quick |sanity |double[- ])?(?:check|verification|proof|probe|test|prüfung|comprobación|vérification)\s?"
    r"[*_]*\s?:|\W*(?:let(?:'s| me| us)|we can|to) (?:\w+ )?(?:verify|check|double-check|confirm)\b[^:.?=\d]{0,40}:",
    re.IGNORECASE,
)
_HOLDS = re.compile(
    r"[✓✔☑✅][\s.*)]*\Z|\b(?:matches|checks out|which (?:is|equals|agrees|holds)|is (?:true|correct|satisfied)|holds|"
    r"as (?:required|expected|given|desired)|works|both sides (?:agree|are equal|match))\b",
    re.IGNORECASE,
)
_FAILS = re.compile(
    r"[✗✘❌✕]|\?|n't\b|\b(?:not|but|instead|wrong|fails?|let|see (?:if|whether)|should|need)\b|≠|\\ne", re.IGNORECASE
)


OR_ELSE = re.compile(
    r"\W*(?:or|unless|maybe|perhaps|possibly)\s(?:(?:maybe|perhaps|possibly|even|it's|it is|else)\s){0,2}[$\\(*]{0,3}"
    r"(?:[A-J]\b|\d)[^.]{0,20}\W*\Z",
    re.IGNORECASE,
)
"""A last sentence that names another answer: "Or C."."""


def undecided(sentence: str, found: str) -> bool:
    """Whether a sentence gives several answers to choose from, of which `found` is only one."""
    text = straight(sentence)[-600:]
    if (ranged := _RANGE.search(text)) is not None and not _NO_RANGE.search(text):
        low, high = ranged[1], ranged[2].rstrip(".,")
        return found != f"{low} to {high}" and found.strip("$€£ ").startswith((low, high))
    if _GUESSED.search(text) or _BETWEEN.search(text) or _OTHERWISE.search(text):
        return True
    if (near := _NEARLY.search(text)) is not None and near[1] == found.strip("$€£ "):
        return True
    if not _OR.search(text):
        return False
    if _EITHER.search(text):
        return not re.search(r"\bor\b|,", found)
    return _ALTERNATIVES.search(text) is not None


def asks_back(text: str) -> bool:
    """Whether a text asks which answer is meant, or says that several are possible."""
    return _ASKS_BACK.search(straight(text)) is not None


def depends(before: str, sentence: str) -> bool:
    """Whether a sentence says what the answer would be, behind a text that says what it depends on."""
    return _WOULD.search(sentence) is not None and _DEPENDS.search(straight(before)) is not None


_CONFIRMED = re.compile(
    r"\W*(?:(?:this|it|the (?:result|answer|value)) (?:can|may|could) (?:easily |also )?be "
    r"(?:verified|checked|confirmed)|"
    r"(?:we|you) (?:can|may|could) (?:easily |also )?(?:verify|check|confirm) (?:this|that|it))\b",
    re.IGNORECASE,
)  # "This can be verified by adding 4 + 4 + 4."


def is_aside(sentence: str) -> bool:
    """Whether a sentence speaks of another case than the one asked about, compares the result or confirms it."""
    text = straight(sentence)
    if (
        _COUNTERFACTUAL.match(text)
        or _ABOUT_TEXT.match(text)
        or _MISTAKE.match(text)
        or _DISCARDS.match(text)
        or (_IN_BRACKETS.fullmatch(text) and (_BESIDE_IT.search(text) or not _SO.search(text)))
        or (_WHOLE_ASIDE.fullmatch(text) and _WOULD.search(text) and not _SO.search(text))
        or (_COMPARES.match(text) and not _FAILS.search(text))
        or (_CONFIRMED.match(text) and not _FAILS.search(text))
        or (_NOTE.match(text) and not _SO.search(text))
    ):
        return True
    check = _CHECK.match(text)
    return check is not None and _HOLDS.search(text) is not None and not _FAILS.search(text, check.end())


def enumerates(text: str, marks: list[re.Match[str]]) -> bool:
    """Whether a text ends on statements close together, each of another answer: five, or two lines of `####`."""
    if len(marks) > 1 and marks[-1][0][:4] == marks[-2][0][:4] == "####":
        one, other = (text[mark.end() :].partition("\n")[0].strip() for mark in marks[-2:])
        if not one.startswith(other) and text[marks[-2].end() : marks[-1].start()].strip() == one:
            return True
    last = marks[-_MANY:]
    if len(last) < _MANY:
        return False
    gaps = [text[one.end() : other.start()] for one, other in itertools.pairwise(last)]
    different = {gap.strip(" .,;*$\n").removesuffix("The").removesuffix("the").strip(" .,;\n") for gap in gaps}
    return max(map(len, gaps)) <= _CLOSE and len(different) == len(gaps)


_MANY, _CLOSE = 5, 24  # statements, and characters from one to the next
