"""Where the sentences of a text end: at a full stop before a capital letter, and at the end of a line."""

from __future__ import annotations

import re

SENTENCE = re.compile(
    r"(?<!\n\d\.)(?<!\n\d\d\.)(?:(?<=[.?!])|(?<=\.\$)|(?<=\.\$\$)|(?<=\.\\[\])]))\s+(?=[A-Z\"'(*])|"
    r"(?<=[a-z]{3}[.?!])\s+(?=\d)|(?<=[。！？।])|\n\s*\n|\n"
)


def tidy(sentence: str) -> str:
    """A sentence without emphasis and its full stop."""
    text = re.sub(r"\s+", " ", sentence.replace("**", "").replace("__", "")).strip()
    text = text.strip("*_`").rstrip("✓✔✅☑ ")
    text = text if text.endswith((",...", ", ...")) else text.rstrip(".!").strip()
    if text.endswith((")", "]")) and text.count(")") + text.count("]") > text.count("(") + text.count("["):
        text = text[:-1].rstrip(".! ")
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text
