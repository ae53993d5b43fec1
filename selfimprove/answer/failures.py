"""Texts that hold numbers and no answer: error messages and log lines, and a refusal to answer.

"CUDA out of memory (tried to allocate 2 GiB)" doesn't answer 2, and "I can't solve this without the figure. If "
"the side
were 10, the area would be 100." doesn't answer 100.
"""

from __future__ import annotations

import re

from selfimprove.answer.unfinished import straight

_FAILURE = re.compile(
    r"\A\W*(?:\d{4}-\d\d-\d\d[T ][\d:.,]{5,15}\S{0,6}\W{1,3})?(?:\w{1,20}\W{1,3})??(?:fatal|critical|error|"
    r"errno|warn(?:ing)?|"
    r"info|debug|failure|exception|traceback|panic|aborted|killed|failed)\b"
    r"(?:\s?\]|\s?:(?!\s*[-−$]?\d)|\s(?:generated|in worker)|[.!]\s*\Z|\sto\s(?:load|parse|generate|connect|"
    r"allocate|open|read|fetch|import|decode|"
    r"complete|start|compile|execute|run|respond|process)\b)|"
    r"\A\W*\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*\s\W?(?:INFO|WARN|WARNING|ERROR|DEBUG)\b|"
    r"\bout of memory\b|\bCUDA\b|\btried to allocate\b|\bsegmentation fault\b|\bcore dumped\b|"
    r"\b(?:request|connection|operation|call|server|generation|process|job|it) timed out\b|\btimeout (?:error|"
    r"after|of|expired|reached)\b|"
    r"\btime limit exceeded\b|\brate limit\b|\btoo many requests\b|\bHTTP(?:/\d\.\d)?(?: error)?:? [45]\d\d\b|"
    r"\b(?:status|exit|error|return) code\b|\binternal server error\b|\bservice unavailable\b|\bbad gateway\b|"
    r"\bconnection (?:refused|reset|aborted|closed)\b|\bcontext (?:length|window)\b|"
    r"\bmax(?:imum)?\s(?:number\sof\s)?(?:new\s)?(?:tokens|retries)\b|\btoken limit\b|\bretry(?:ing)? (?:in|after)\b|"
    r"\bpermission denied\b|\bprocess (?:was )?killed\b|\byour quota\b|\bapi key\b|\battempts? left\b|"
    r"\A\W*code \d+\W*\Z|"
    r"\bexited with\b|\bexceed(?:s|ed) \d+ tokens\b|\btokens(?:/s|\s?per second)\b|"
    r"\bfinished with \d+ errors?\b|\A\W*(?:down|up)?loading\b|\bno such file\b|\bstack trace\b|"
    r"\bprocess (?:finished|exited)\b|"
    r"\bsignal \d+\b(?=.{0,20}\bdumped|\W*\Z)",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"\b(?:can(?:'t|not| not)|could(?:n't| not)|(?:am|are|is)(?: not|n't| un) ?able to|'m(?: not| un) ?able to|"
    r"unable to|"
    r"impossible to|no way to|not possible to)\s(?:\w+ly\s)?(?:be\s)?"
    r"(?:solved?|answer(?:ed)?|determined?|help|see|view|computed?|calculated?|find|found|open|access|read|give|"
    r"tell|provide|say)\b",
    re.IGNORECASE,
)
_LACKS = re.compile(
    r"\b(?:figure|diagram|image|picture|table|graph|chart|attachment|drawing|photo|passage)s?\b|"
    r"\b(?:is|are|was|were)(?:n't| not) (?:given|provided|shown|included|known|stated|specified|visible|attached)\b|"
    r"\bmissing\b|\bwithout (?:more|further|additional|knowing|seeing|any)\b|\bas an? (?:ai|"
    r"(?:large )?language model)\b|"
    r"\b(?:enough|more|further|additional) (?:information|context|data|details)\b",
    re.IGNORECASE,
)
_TOO_LITTLE = re.compile(
    r"\b(?:don't|do not|doesn't|does not) (?:have|give|provide|contain|include) (?:us )?(?:enough|sufficient)\b|"
    r"\b(?:not enough|insufficient) (?:information|context|data|details)\b|"
    r"\bplease (?:provide|upload|share|attach|send)\b|\bi can only (?:help|assist|guess)\b|"
    r"\b(?:won't|will not) be able to (?:answer|solve|help)\b|"
    r"\b(?:question|problem) can(?:'t|not| not) be (?:answered|solved|determined)\b(?! (?:by|with|using|"
    r"directly|easily|in)\b)",
    re.IGNORECASE,
)
_HEAD = 400  # characters at the beginning of a text, where a refusal stands


def is_failure(sentence: str) -> bool:
    """Whether a sentence is an error message or a line of a log."""
    return _FAILURE.search(sentence) is not None


def refuses(text: str) -> bool:
    """Whether a text begins by saying that it can't answer because a figure or information is missing."""
    head = text[:_HEAD]
    if (
        "n't" not in head
        and "n’t" not in head
        and "not" not in head
        and "unable" not in head
        and "only" not in head
        and "lease" not in head
    ):
        return False
    head = straight(head)
    if _TOO_LITTLE.search(head):
        return True
    return _REFUSES.search(head) is not None and _LACKS.search(head) is not None
