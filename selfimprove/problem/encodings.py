"""The encoding that a file which isn't UTF-8 is likely in, for the command that converts it."""

from __future__ import annotations

_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"""What a file is written in by its first bytes."""
_USUAL = "CP1252"
_OTHERS = ("cp1252", "cp1251", "gb18030", "cp932", "cp949", "big5", "euc_jp", "koi8_r", "cp1250")
"""What spreadsheets write, by the names of Python, which are those of iconv."""
_CENTRAL = frozenset("ąćčďęěľłńňőřśťůűźż")
"""Letters of CP1250 that CP1252 lacks; German, which has none of them, is written alike in both."""
_LOOKED_AT = 2**18
"""Bytes that are looked at."""
_TELLING = 16
"""Bytes beyond ASCII with which a language begins to show; of fewer the usual encoding is assumed."""


def likely_encoding(data: bytes) -> str:
    """The name, as iconv knows it, of the encoding that these bytes are likely in; they are no UTF-8."""
    import charset_normalizer

    if data[:2] in _MARKS:
        return _MARKS[data[:2]]
    start = data[:_LOOKED_AT]
    if sum(byte > 127 for byte in start) < _TELLING:
        return _USUAL
    best = charset_normalizer.from_bytes(start, cp_isolation=list(_OTHERS)).best()
    if best is None or (best.encoding == "cp1250" and _CENTRAL.isdisjoint(str(best).lower())):
        return _USUAL
    return best.encoding.upper()
