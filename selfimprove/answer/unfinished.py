"""Whether a sentence states something, or promises, supposes, asks, denies or takes back.

A policy learns to end on a number if every last number counts, so in free text only a statement does: not "Let's
check if 17 works.", "Suppose the answer were 42" or "We need to factor 383.". What the sentence computes counts even
so ("Let's add: 3 + 4 = 7."), unless it is a trial. All patterns are anchored or search for fixed words, so that each
pass is linear.
"""

from __future__ import annotations

import re

_OPENERS = (
    r"\W*(?:(?:so|now|then|next|okay|ok|well|but|and|also|first|second|third|finally|alright|hmm+|wait|hold on|here|"
    r"in this (?:step|case|part)|"
    r"actually|however|therefore|thus|hence|again|instead|alternatively|similarly|great|good|right|yes|no|"
    r"step \d{1,3}|i (?:guess|think|believe)|to (?:find|get|solve|compute|calculate|determine|answer|begin|"
    r"start)[^,.]{0,80},"
    r"|in order to[^,.]{0,80},)(?![A-Za-z])\W*){0,6}"
)
_ADVERBS = (
    r"(?:(?:now|next|first|then|also|still|just|simply|only|instead|quickly|again|double|carefully|try to|start by|"
    r"begin by|go on to)[\s-]+){0,3}"
)
_WORK = (
    r"(?<!\\)(?:re-?)?(?:add|subtract|multiply|divide|compute|calculate|determine|solve|plug|substitute|use|apply|factor|"
    r"simplify|double|halve|triple|"
    r"evaluate|continue|correct|fix|start|begin|go|proceed|list|write|set|take|show|prove|do|convert|combine|expand|"
    r"compare|estimate|rewrite|minimi[sz]e|maximi[sz]e|reach|arrange|adding|subtracting|multiplying|dividing|"
    r"computing|calculating|solving|plugging|"
    r"substituting|using|applying|factoring|simplifying|continuing|starting|taking|writing|setting)\b"
)
_MORE_WORK = r"(?:turn|work|move|figure|think|analy[sz]e|split|run|sum|square|round|handle|deal|account|organi[sz]e)\b"
_TRIAL = (
    r"(?:re-?)?(?:check|verify|test|try|suppose|assume|guess|consider|imagine|say|see (?:if|whether|what|why|how)|"
    r"look|examine|"
    r"explore|confirm|redo|repeat|search|wonder|re-?read|review|revisit|re-?examine|go (?:through|over|back)|"
    r"checking|verifying|testing|trying|considering)\b"
)
_SEEK = r"(?:find|know|see|count|get|identify|recall|note)\b"
_WE = r"(?:we|i|you|one|let(?:'s|s| us| me))"
_MODAL = (
    r"(?:(?:'ll|'d|'m|'re| will| would| should| could| can| must| may| might| shall| am| are)?"
    r"(?:\s+(?:now|next|first|then|also|still|just))?"
    r"(?:\s+(?:need|have|want|going|ought|like|try)\s+to)?)"
)
_SET_OUT = (
    r"(?:given\s?:|given (?:that )?[^.?]{1,80},\s*(?:find|determine|compute|calculate|what|how)|remember|recall|"
    r"don't forget|keep in mind|make sure|be careful|(?:it is|we are|we're) given|"
    r"(?:the|this) (?:problem|question|exercise|task|"
    r"equation(?! of [^.?]{1,60} (?:is|yields|gives|becomes)\b| has (?:exactly |only )?(?:\d+|[a-z]+) "
    r"(?:(?:distinct|different|real|complex|integer|rational|positive|negative) ){0,3}(?:solutions?|roots?)\W*\Z))|"
    r"we (?:already )?know|"
    r"(?:our|the) (?:goal|aim|task|(?:first |next |second |third |main |key )?(?:step|idea|formula|plan|strategy|"
    r"approach|method|trick))|next up|please|(?:it|what) remains (?:is )?to|(?:one|another|a) (?:option|possibility|"
    r"candidate|guess)|"
    r"(?:one|another|a) possible|the (?:candidates|options|possibilities)|(?:this|that|which) (?:leads|brings) us to)"
)
_SUPPOSED = re.compile(
    rf"{_OPENERS}(?:let\s+\$?\\?\w{{1,8}}\$?\s*(?:=|be\b|denote|represent)|(?:what if|what about|how about|maybe|"
    rf"perhaps|"
    rf"possibly|for (?:example|instance)|e\.g\.|(?:the )?next (?:step|candidate|number|case|value|possibility)|"
    rf"step:|next:|"
    rf"to (?:verify|check|confirm|test|see)|going on)(?![A-Za-z])|"
    rf"(?:{_WE}{_MODAL}\s+)?{_ADVERBS}{_TRIAL})",
    re.IGNORECASE,
)
_NEXT_IS = re.compile(
    r"\W*(?:(?:so|therefore|thus|hence)\W+)?the next (?:number|value|term)s? (?:in|of) (?:the|this) (?:sequence|series|"
    r"pattern|list|row)\b[^.]{0,40}\b(?:is|will be|must be)\s[$*\\(]{0,3}-?\d|"
    r"\W*(?:so|therefore|thus|hence)\W+the next (?:number|value)(?! to )\b[^.]{0,40}\b(?:is|will be|must be)\b",
    re.IGNORECASE,
)
_LETS = re.compile(r"(?:^|[^A-Za-z])let(?:'s|s| us| me)\s+(?!know\b)", re.IGNORECASE)
_SETTING_OUT = re.compile(rf"{_OPENERS}{_SET_OUT}(?![A-Za-z])", re.IGNORECASE)
_WORKING = re.compile(
    rf"{_OPENERS}(?:(?:{_WE}{_MODAL}\s+)?{_ADVERBS}{_WORK}|{_WE}{_MODAL}\s+{_ADVERBS}{_MORE_WORK}|"
    rf"{_WE}(?:'ll|'d| will| would| should| could| must|{_MODAL}\s+(?:need|have|want|going) to)\s+{_ADVERBS}{_SEEK}|"
    rf"{_WE}\s+{_ADVERBS}(?:need|find|count|want|recall|note)\s+(?:the|a|an|all|out|that we|more|some|"
    rf"further)\s+[a-z]|(?:find|recall|"
    rf"note|count|identify)\b)",
    re.IGNORECASE,
)
_CONCLUDED = re.compile(
    r",\s+(?:so|thus|therefore|hence)\s+(?:the|her|his|their|its|our)\s"
    r"(?!(?:first|next|second|main|key) )[^,;:?=]{1,60}"
    r"\b(?:is|are)\s+(?:(?:about|approximately|exactly|only|just)\s+)?[*$\\]{0,3}\d[\d.,]*\**(?:\s[a-z]+){0,2}[*.!]*\Z",
    re.IGNORECASE,
)
_INDIRECT = re.compile(
    r"\b(?:whether|how (?:many|much|long|far|old|often)|find out|figure out|such that)\b",
    re.IGNORECASE,
)
_SOLVES = re.compile(r"\bsolv(?:e|ing)\s*\Z", re.IGNORECASE)
_SOLVED = re.compile(
    r"\b(?:get|gives?|giving|obtain\w{0,3}|find|conclude|see that|yields?|so|thus|hence)\b|\\implies|⇒|=>|[=].*[=]",
    re.IGNORECASE,
)
_SETTING = re.compile(
    r"(?<=[A-Za-z])\s(?:in|set|use|using|take|with|for|when|at|substitute|let)\s+\$?[A-Za-z]\w{0,2}\s?=\s?\S{1,20}",
    re.IGNORECASE,
)
_PARTIAL = re.compile(
    r"\b(?:only|just) the (?:first|second) (?:part|step|half)\b|"
    r"\bnot (?:yet )?(?:the (?:final )?answer|done|finished)\b|"
    r",\s+(?:and\s+)?then\s+(?:we\s+)?(?:double|halve|add|subtract|multiply|divide|take|square|round)\b[^\d=]*\Z",
    re.IGNORECASE,
)
_GUESSED = re.compile(
    r"\b(?:first|initial|original|earlier|previous) (?:guess|thought|attempt|answer|try|idea)\b|"
    r"\bi (?:first|initially|originally|previously|earlier) (?:thought|guessed|said|got|wrote|answered)\b",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"\b(?i:my|an?|our|the) (?:(?:best|first|rough|initial|quick) )?(?:guess|estimate|approximation)\b|"
    r"\b(?:is|'s|are|was) (?:probably|likely|presumably|supposedly|perhaps|maybe)\b|"
    r"\bsomewhere (?:around|near|between)\b|"
    r"\bremains to (?:be )?\w+|"
    r"\b(?:might (?:\w+ )?(?:be|get|have|equal)|may be|could (?:also )?be(?! \w+ed\b))\b"
)
_RESULT = re.compile(
    r"[=≈]\s*[^=\s]|\b(?:to (?:get|obtain|find that|see that)|getting|obtaining|gives?|giving|yields?|yielding|makes?|"
    r"equals?|which|leaves?|leaving|totals|results?(?:ing)? in|"
    r"(?:we|i|you) (?:get|obtain|find|have)\b(?! to\b)|"
    r"(?:arriv|end)(?:e|es|ing)?(?: up)? (?:at|with)|reach(?:es)?|total (?:of|is)|comes? to|that (?=[a-z$])|is|are|was|"
    r"were|so|as)\b",
    re.IGNORECASE,
)
_COMPUTED = re.compile(r"\d[^=\n]{0,40}[-+*/×÷·−–][^=\n]{0,30}=\s*[^=\s]")
_THEN = re.compile(r"\bthen\b", re.IGNORECASE)
_IF = re.compile(rf"{_OPENERS}(?:if|unless|assuming|supposing|provided|whether|should)\b", re.IGNORECASE)
_REFUSED = re.compile(
    r"\b(?:(?:does|do|did)(?:n't| not) (?:work|satisfy|fit|divide|match|hold|make sense)|"
    r"(?:is|are|was)(?:n't| not) (?:a |an |the )?(?:solution|answer|prime|valid|possible|correct|right|true|equal|"
    r"enough|an? option)|fails(?! (?:after|every|once|at|in|on)\b)|is out(?= ?[.,;!]|\Z)|absurd|(?:is|are|was|"
    r"be) (?:wrong|incorrect|impossible|invalid|too (?:big|small|large|low|"
    r"high|many|much|few|little|long|short))"
    r"|can(?:'t|not| not) be|contradict\w{0,5}|ruled out|"
    r"but (?:the (?:problem|question)|we (?:need|want|were asked|must)|that is not|this is not))\b",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:(?:that|this|it|which|(?:the|this|that|my) (?:answer|result))(?:'s| is| was| seems| looks| sounds| must be) "
    r"(?:wrong|incorrect|not (?:right|correct|true|possible|valid)|impossible|a mistake|an error|"
    r"too (?:big|small|large|low|high|many|much|few)|off|odd|strange|suspicious|unlikely)\b|"
    r"is what i (?:first|initially|originally)\b|but (?:it|that|the answer) should (?:be|have been)\b|"
    r"(?:that|this|it|which) (?:contradicts|violates|exceeds)|"
    r"(?:that|this|it) (?:can(?:'t|not)|does(?:n't| not)) (?:be (?:right|correct|true)|seem right|look right|work))\b",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"\b(?:let(?:'s| me| us) (?:redo|retry|try (?:again|this again|that again|another)|start over|recompute|"
    r"recalculate|reconsider|rethink|re-do|re-?evaluate|fix|correct)|"
    r"i (?:therefore |hereby |must )?withdraw (?:it|that|this|my)|"
    r"(?:my|our|this|the above) (?:result|answer|solution|calculation|value) (?:is|was|must be) "
    r"(?:wrong|incorrect|mistaken)|"
    r"(?:found|noticed|spotted|discovered) (?:an?|my) (?:error|mistake|slip)|"
    r"i (?:made|see|have made) (?:a|an|my) (?:mistake|error))\b",
    re.IGNORECASE,
)
_OF_OPTION = re.compile(r"\W*(?:option |choice )?\(?[A-J]\)?\s?[:.)]", re.IGNORECASE)
_OTHER_OPTION = re.compile(r"\W*(?:[Oo]ption |[Cc]hoice )?\(?([A-J])\)?\s(?:is|was|seems|looks)\s")
_STARTLED = re.compile(r"\W*(?:but )?(?:wait|hmm+|oops|no|actually|hold on|sorry)\b", re.IGNORECASE)
_CORRECTED = re.compile(
    r"\W*correction\s?:|\W*(?:(?:hmm+|oh|ah|uh|um)\b\W*)?(?:but )?(?:no|oops|sorry|correction|actually|wait)\b"
    r"[\s,.!:;—-]+"
    r"(?:it(?:'s| is| should| must)|i (?:mean|miscounted|misread|miscalculated|forgot|overlooked|made)|"
    r"the (?:correct |right )?(?:answer|result)|that(?:'s| is) not)",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"(?<=[.?!])\s+|\n+")
_HYPOTHESIS = re.compile(
    r"\b(?:if|whether|suppose|supposing|assume|assuming|imagine|unless|wonder|maybe|perhaps|possibly|"
    r"let(?:'s| us| me) (?:say|guess|suppose|assume|check|verify|see|test|confirm|try)|"
    r"(?:check|verify|test|confirm)(?:ing)?)\s+(?:that\s+)?(?:if\s+|whether\s+|and\s+see\s+if\s+)?"
    r"(?:(?:the|your|our|my|this|an?)\s+)?(?:(?:final|correct|right|above)\s+)?$",
    re.IGNORECASE,
)


_SHORTEST = 8  # characters that can take back a statement, such as "oops, no"
DENIED = "the answer is denied"
TAKEN_BACK = "the answer is taken back"


def straight(text: str) -> str:
    """The text with straight apostrophes, as the patterns have them."""
    return text.replace("’", "'")


def is_supposed(before: str) -> bool:
    """Whether the words before "answer is" in its sentence make it a supposition or a check: "if the answer is"."""
    return bool(_HYPOTHESIS.search(straight(before[-120:])))


def supposes(sentence: str) -> bool:
    """Whether a sentence supposes, tries or asks, so that nothing in it is a result."""
    text = straight(sentence.strip().lstrip("*_#>- "))
    if text.endswith(("?", ":", "...", "…")) or (_SUPPOSED.match(text) and not _NEXT_IS.match(text)):
        return True
    lets = _LETS.search(text)
    return (
        lets is not None and re.match(_ADVERBS + _TRIAL, text[lets.end() : lets.end() + 80], re.IGNORECASE) is not None
    )


def promises(sentence: str) -> bool:
    """Whether a sentence announces work, or supposes, and states no result of it."""
    if supposes(sentence):
        return True
    text = straight(sentence.strip().lstrip("*_#>- "))
    if _PARTIAL.search(text) or _TASK.fullmatch(text):
        return True
    if _COMPUTED.search(text):
        return bool(_GUESSED.search(text))
    if (_SETTING_OUT.match(text) and not _CONCLUDED.search(text)) or _HEDGED.search(text) or _GUESSED.search(text):
        return True
    work = _LETS.search(text) or _WORKING.match(text)
    if work is None:
        return False
    rest = _SETTING.sub(" ", text[work.start() :])[work.end() - work.start() :]
    if _SOLVES.search(work[0]) and not _SOLVED.search(rest):
        return True
    return bool(_INDIRECT.search(rest)) or not _RESULT.search(rest)


_TASK = re.compile(
    r"(?:find|compute|calculate|determine|evaluate|simplify)\s(?:the|all|how)\s(?:(?!\b(?:is|are|gives?|equals?|so|then|get)\b)[^=:])*",
    re.IGNORECASE,
)
"""The question said again: "Find the number of edges of a cube."."""


def denies(sentence: str) -> bool:
    """Whether a sentence says of its value that it is none: "17 doesn't work"."""
    return bool(_REFUSED.search(straight(sentence)))


def in_condition(sentence: str, at: int) -> bool:
    """Whether the place lies in the condition with which the sentence begins: "If the answer is 17, then ..."."""
    if not _IF.match(straight(sentence)):
        return False
    if _COMPUTED.search(sentence, 0, at + 1) or _THEN.search(sentence, 0, at):
        return False
    comma = sentence.find(",")
    return comma < 0 or at < comma


def taken_back(after: str, said: str = "") -> bool:
    """Whether what follows a statement takes it back: "Wait, that is not right", "Let me redo this".

    `said`: the answer, so that what is said of another choice ("A is wrong") doesn't count.
    """
    if len(after) < _SHORTEST:
        return False
    text = straight(after[:4_000])
    if _AGAIN.search(text):
        return True
    sentences = [part for part in _SENTENCES.split(text) if part and part.strip(" .,;:!?*$)\\]}")]
    for place, sentence in enumerate(sentences[:12]):
        if _OF_OPTION.match(sentence):
            continue
        if said and (other := _OTHER_OPTION.match(sentence)) is not None and other[1] != said.strip("()*. ")[:1]:
            continue
        if place < 2 and _CORRECTED.match(sentence):
            return True
        if (place == 0 or _STARTLED.match(sentence)) and _TAKEN_BACK.search(sentence[:300]):
            return True
        if place == 0 and re.match(r"\W*(?:is|was) (?:wrong|incorrect|not (?:right|correct|true))\b", sentence, re.I):
            return True
    return False
