"""Where the sentences of a text end: at a full stop before a capital letter, and at the end of a line."""

from __future__ import annotations

import re

SENTENCE = re.compile(
    r"(?<!\n\d\.)(?<!\n\d\d\.)(?:(?<=[.?!])|(?<=\.\$)|(?<=\.\$\$)|(?<=\.\\[\])]))\s+(?=[A-Z\"'(*])|"
    r"(?<=[a-z]{3}[.?!])\s+(?=\d)|(?<=[。！？])|\n\s*\n|\n"
)
