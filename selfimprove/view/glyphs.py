"""The signs that a view draws with, and what stands for them where they can't be shown.

A terminal that isn't in UTF-8 (a Windows code page, a serial line in ASCII) can't take `→` or `█`, and the fonts of an
old Windows console lack most of them. Each sign has a substitute of the same width, so that a drawing keeps its
layout: `drawable` changes all of them or none, since bars made half of one kind and half of the other can't be read.
In plain lines, where nothing has to fit, `writable` changes only what the encoding lacks, and shows what else it
lacks as `\\u7b54`.
"""

from __future__ import annotations

from rich.text import Text

SUBSTITUTES = str.maketrans("…⏎→−–·≤━─✓↺▶▁▂▃▄▅▆▇█", "~/>--.<=-+@>_.,-~+*#")


def drawable(line: Text, encoding: str) -> Text:
    """The line with signs that the encoding has, of equal width: substitutes for the view's own, `?` for any other."""
    plain = line.plain.translate(SUBSTITUTES)
    line.plain = plain.encode(encoding, "replace").decode(encoding)
    return line


def writable(line: str, encoding: str) -> str:
    """The line in what the encoding has: substitutes for the view's own signs, `\\\\u7b54` for any other."""
    missing = {code: sign for code, sign in SUBSTITUTES.items() if not can_encode(chr(code), encoding)}
    return line.translate(missing).encode(encoding, "backslashreplace").decode(encoding)


def can_draw(encoding: str) -> bool:
    """Whether the encoding has every sign of the views."""
    return can_encode("".join(map(chr, SUBSTITUTES)), encoding)


def can_encode(text: str, encoding: str) -> bool:
    """Whether the encoding has every character of the text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
