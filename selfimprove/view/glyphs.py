"""The characters that a view draws with, and their substitutes where they can't be shown.

A terminal that isn't in UTF-8 (a Windows code page, a serial line in ASCII) can't take `→` or `█`, and the fonts of an
old Windows console lack most of them. Each has a substitute of the same width, so that a drawing keeps its layout:
`drawable` replaces all of them, since a bar that mixes both kinds can't be read. In plain lines, where nothing has to
fit, `writable` replaces only what the encoding lacks, and shows what else it lacks as `\\u7b54`.
"""

from __future__ import annotations

from rich.text import Text

SUBSTITUTES = str.maketrans("…⏎→−–·≤“”━─✓↺▶▁▂▃▄▅▆▇█", '~/>--.<""=-+@>_.,-~+*#')


def drawable(line: Text, encoding: str) -> Text:
    """The line with substitutes for all the view's own characters, and `?` for any other that the encoding lacks."""
    plain = line.plain.translate(SUBSTITUTES)
    line.plain = plain.encode(encoding, "replace").decode(encoding)
    return line


def writable(line: str, encoding: str) -> str:
    """The line in characters of the encoding: substitutes for the view's own it lacks, `\\\\u7b54` for any other."""
    missing = {code: substitute for code, substitute in SUBSTITUTES.items() if not can_encode(chr(code), encoding)}
    return line.translate(missing).encode(encoding, "backslashreplace").decode(encoding)


def can_draw(encoding: str) -> bool:
    """Whether the encoding has every character that the views draw with."""
    return can_encode("".join(map(chr, SUBSTITUTES)), encoding)


def can_encode(text: str, encoding: str) -> bool:
    """Whether the encoding has every character of the text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
