"""Choices by letter: in prose ("so option C is correct"), and as an answer ("B) salt and water").

A sentence names a choice if it has a cue ("option C", "C is correct", "it must be C") and one letter that it does not
deny. A sentence that affirms two letters is hedging: there is no answer.
"""

from __future__ import annotations

import re

from selfimprove.answer.unfinished import straight

LEAD = re.compile(
    r"[\s*_$\\{]*(?:(?:[Oo]ption|[Cc]hoice)\s+)?(?:\(([A-J])\)|([A-J])(?:\)|:|\.(?=\s)))(?=[\s*_$}\\]*\S)"
)
_LONE = re.compile(
    r"[\s*_#>$∴→⇒=-]{0,8}(?:(?:definitely|certainly|clearly|obviously|by\s(?:(?:the\s)?process\sof\s)?elimination[,:]?)"
    r"\s+)?(?:option\s+|"
    r"choice\s+)?\(?([A-J])\)?[\s*_$]{0,6}[.:!]?[\s*_$]{0,6}\Z",
    re.IGNORECASE,
)
_LETTER = re.compile(r"(?<![\w\\'-])\(?([A-J])\)?(?![\w'^=+/]|\s?[=+<>/^]|-\w)")
_NOUN = r"(?:option|choice|alternative|selection|answer|letter|statement|solution)"
_BEFORE = re.compile(
    rf"(?:\b{_NOUN}(?:\s\d{{1,2}})?(?:\s+is|\s*=|\s*:)?(?:\s+{_NOUN})?|"
    rf"\b(?:it|that|this|they)(?:'s|\s+is|\s+must be|\s+has to be|\s+should be|\s+would be|"
    rf"\s+will be)(?:\s+{_NOUN})?|\b(?:choose|chose|choosing|pick|picked|picking|select|selected|"
    rf"selecting|go with|go for|opt for|vote for|settle on|"
    rf"going with|leav(?:es|ing)(?: us with)?|left with|"
    rf"shows|indicates|suggests|looks like|points to|yields|gives|means|say|"
    rf"(?:correct|right|best|true) (?:one|letter|choice|"
    rf"answer) is)(?:\s+{_NOUN})?"
    r"|\b(?:option|choice|answer|statement|one)\s[a-z ]{1,60}\sis|"
    r"\b(?:must|has to|should|would|can only)(?:\s[a-z]+)?\sbe|\b(?:accurate|correct|true|right|valid|left)\s?:|"
    r"(?:^|\W)(?:so|thus|therefore|hence|then|"
    r"but)\s*[,:]?)[\s*_$({\\]*$",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"[)\]*_$}.\s]{0,6}(?:it is\b[.!]?\Z|(?:is|must be|would be|(?:seems|appears|looks)(?: to be)?|has to be|"
    r"should be)\s+(?:(?:also|exactly|clearly|completely)\s+)?(?:the\s+)?(?:only\s+)?(?:one\s+)?(?:that is\s+)?"
    r"(?:correct|right|true|best|better|answer)\b|is\s+(?:the|my|our)\s+(?:(?:final\s+)?(?:answer|choice)|"
    r"most (?:accurate|appropriate|suitable|reasonable|logical|relevant|consistent|correct))\b|"
    r"(?:best\s+)?(?:describes|fits|matches|explains|answers|represents|"
    r"captures|completes|summari[sz]es)\s+(?:the\s+)?(?:best\b|passage\b|question\b)|best\s+(?:describes|fits|"
    r"matches|explains|answers|"
    r"represents|captures|completes|summari[sz]es)\b)",
    re.IGNORECASE,
)
_CLOSES = re.compile(
    r"[)\]*_$}\s]{0,6}(?:[.,;:!—–]|-\s|\Z|\s(?:because|since|as|over|rather than|instead of|"
    r"is (?:the )?(?:correct|right|best|true|answer|only)))"
)
_DENIED_BEFORE = re.compile(
    rf"(?:\b(?:everything|all|anything|every (?:one|option|choice|answer)|each) (?:of them )?(?:but|except)|\bover|"
    rf"\bnot|n't|\bnever|\bneither|\bnor|\bthan|\bof|\beliminat\w{{1,4}}|\brul\w{{1,3}} out|\bexcept|"
    rf"\bexclud\w{{1,4}}|\breject\w{{0,4}}|\bunlike|\bcan(?:'t|not| not) be)\s+(?:{_NOUN}s?\s+)?"
    r"(?:\(?[A-J]\)?(?:\s*,\s*(?:and |or |nor )?|\s+(?:and|or|nor)\s+)){0,6}[*_$(]*$"
    r"|\bbetween\s+(?:\(?[A-J]\)?\s*(?:,|and|or)\s*){0,3}[*_$(]*$",
    re.IGNORECASE,
)
_ONLY = re.compile(rf"\bonly\s+(?:{_NOUN}\s+)?[*_$(]*$", re.IGNORECASE)
_FITS = re.compile(
    r"[)\]*_$}\s]{0,6}\s(?:satisf(?:y|ies)|works?|fits?|matches|match|holds?|meets?|remains?|makes?)\b", re.IGNORECASE
)
_ALL_DENIED = re.compile(
    r"(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)\(?[A-J]\)?){1,5}\s+are\s+(?:all\s+)?(?:not|wrong|incorrect|"
    r"false)\b",
    re.IGNORECASE,
)
_DENIED_BEHIND = re.compile(
    r"[)\]*_$}.\s]{0,6}(?:(?:is|are|was|seems|looks)(?:n't| not)?\s+(?:also\s+)?(?:not\b|wrong|incorrect|false|"
    r"impossible|ruled|eliminated|out\b|correct|right|true|the\b|tempting|plausible|attractive|partly|partially|"
    r"irrelevant|off\b|too\b|almost\b|nearly\b|my (?:first|initial) (?:thought|guess|choice|idea))|can(?:'t|not|"
    r" not)\b|fails?\b|does(?:n't| not)\b)",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(
    r"n't|\bnot\b|wrong|incorrect|false|impossible|ruled|eliminated|\bout\b|\bcan|\bfail|tempting|plausible|"
    r"almost|nearly|my first|my initial|"
    r"attractive|partly|partially|irrelevant|\boff\b|\btoo\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"[\s*_$}\\]*(?:or|and|/|&|,|\?)\s*[\s*_${\\(]*(?:text\w{0,2}\{)?\(?[A-J]\b|.*\b(?:wait|actually)\b|.*\bno,|"
    r".*\bnot [A-J]\b|.*\([A-J]\)|.*\b[A-J]\)|.*\bor \(?[A-J]\)|.*\b[A-J] is (?:wrong|right|correct|incorrect)|.*\?",
    re.IGNORECASE,
)
_LEAVES = re.compile(
    r"[,;]\s+(?:and\s+)?(?:so|thus|therefore|hence|which means|which leaves|leaving)\s+(?:it|that|the answer)?\s?"
    r"(?:(?:can|must|has to|could)\s+(?:only\s+)?be\s+|is\s+|only\s+)[*_$(]{0,3}[A-J]\b[)*_$]{0,3}[\s.!]*\Z"
)
_DECIDES = re.compile(
    r"[,;.]\s+(?:but|yet|so|thus|therefore|hence|and so)\s+(?:in the end,?\s+|finally,?\s+)?I"
    r"(?:'ll|'d| will| would| must)?\s+"
    r"(?:choose|chose|pick|select|go with|opt for|settle on|answer)\s(?:(?:option|choice|answer)\s)?"
    r"[*_$(]{0,3}[A-J]\b[)*_$]{0,3}(?:\s\([a-z][^()]*\))?[\s.!]*\Z"
)
_SEEMS = re.compile(
    r"[^.;]*\b(?:seems?|looks?|appears?|tempting|plausible|at first)\b[^.;]*?,?\s(?:but|however|yet)\b,?(?=\s)",
    re.IGNORECASE,
)
_ONLY_IF = re.compile(r"\s+(?:only\s+)?(?:if|unless|provided|assuming|when)\b", re.IGNORECASE)
_AFFIRMS = re.compile(r"\b(?:right|correct|true|best|fits?|works?|possible|plausible|also)\b", re.IGNORECASE)
_WHOLE_TEXT = re.compile(r"neither|both|all|none|either|only|each", re.IGNORECASE)
_BEGINS = re.compile(r"\(?([A-J])\)?(?:\s*[,:;]|\s+[-–—]|\s+because\b|\s+since\b|[.)])\s+(?=[^\d=]*[A-Za-z]{3,})")


def lone_letter(line: str) -> str | None:
    """The letter of a line that is nothing but a choice: `C`, `(C)`, `**C.**`, `Option C`."""
    match = _LONE.match(line)
    return match[1] if match and match[1].isupper() and not line.rstrip(" *_").endswith(":") else None


def led_letter(text: str) -> str | None:
    """The letter of a choice with its text, `(B) salt and water`; None for `B or C` and `A: no, B`."""
    match = LEAD.match(text)
    if match is None:
        return None
    rest = text[match.end() :].lstrip(" *_$}\\{")
    if _HEDGE.match(rest) and not _WHOLE_TEXT.match(rest):
        return None
    if re.match(r"\(?[A-J](?:[\s).,]+\(?[A-J])*[\s).,]*\Z", rest):
        return None
    return match[1] or match[2]


def opening_letter(text: str) -> str | None:
    """The choice with which a text begins: alone in its first line, or before its reason."""
    first, _, more = text.strip().partition("\n")
    if more.strip() and (letter := lone_letter(first)):
        last = lone_letter(more.strip().rsplit("\n", 1)[-1])
        return letter if last in (None, letter) else None
    if not re.search(r"^[\s*_]*\(?[A-J][).:]", more, re.MULTILINE) and (letter := led_letter(first)):
        return letter
    begins = _BEGINS.match(first)
    if begins is None or len(_letters(first)) > 1:
        return None
    return begins[1] if begins[1] not in "AI" or first[begins.end(1) : begins.end(1) + 1] in "),:;.-–" else None


_SMALL = re.compile(
    r"(?<=\b(?:pick|take) )\([a-j]\)|(?<=\b(?:answer|option|choice|choose|select) )\([a-j]\)|"
    r"(?<=\b(?:answer|choice|option) is )\([a-j]\)"
)  # "so i pick (c)"


def named_letter(sentence: str) -> tuple[bool, str | None]:
    """Whether a sentence speaks of a choice as the answer, and the one letter it affirms (None: several, or none)."""
    text = _SMALL.sub(lambda found: found[0].upper(), straight(sentence))
    if (decided := _DECIDES.search(text)) is not None:
        return True, _letters(text[decided.start() :])[0][1]
    if (concluded := _LEAVES.search(text)) is not None and not _AFFIRMS.search(text, 0, concluded.start()):
        text = text[concluded.start() :]
    if (seeming := _SEEMS.match(text)) is not None and _letters(text[seeming.end() :]):
        text = text[seeming.end() :]
    cued = False
    affirmed: set[str] = set()
    for match in _letters(text):
        before, behind = text[max(0, match.start() - 60) : match.start()], text[match.end() : match.end() + 60]
        denial = _DENIED_BEHIND.match(behind)
        if _DENIED_BEFORE.search(before) or _ALL_DENIED.match(behind) or (denial and _NEGATIVE.search(denial[0])):
            continue
        if (said := _BEHIND.match(behind)) is not None and _ONLY_IF.match(behind, said.end()):
            cued = True
            continue
        affirmed.add(match[1])
        only = _ONLY.search(before) and _FITS.match(behind)
        cued = cued or bool(_BEHIND.match(behind) or (_BEFORE.search(before) and _CLOSES.match(behind)) or only)
    if not cued:
        return False, None
    return True, affirmed.pop() if len(affirmed) == 1 else None


def sentence_letter(sentence: str) -> str | None:
    """The choice that a sentence behind a marker names, "I'll go with C"; None for a letter alone."""
    if len(sentence.split()) < 3:
        return None
    speaks, letter = named_letter(sentence)
    return letter if speaks else None


def _letters(text: str) -> list[re.Match[str]]:
    """The capital letters that may name a choice: no pronoun, no article."""
    found = []
    for match in _LETTER.finditer(text[:2_000]):
        bare = not match[0].startswith("(")
        if bare and match[1] in "AI" and re.match(r"\s+[a-z]{2,}", text[match.end() : match.end() + 20]):
            behind = text[match.end() : match.end() + 60]
            if (
                not _BEHIND.match(behind)
                and not _DENIED_BEHIND.match(behind)
                and not re.match(r"\s+(?:and|or|but|because|since)\b", behind)
            ):
                continue
        found.append(match)
    return found
