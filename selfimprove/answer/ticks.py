"""Choices judged one by one: "(A) ❌ (B) ✅", "A) incorrect … D) correct"; and several letters as one answer."""

from __future__ import annotations

import re

_RIGHT, _WRONG = "✅✔✓☑", "❌✗✘✕❎"
_SIGNED = re.compile(
    rf"[ \t>*_•|-]*(?P<before>[{_RIGHT}{_WRONG}]?)\ufe0f?[ \t>*_•|-]*(?:[Oo]ption |"
    rf"[Cc]hoice )?\(?(?P<letter>[A-J])\)?(?![A-Za-z'])[*_]{{0,2}}(?P<text>.*)"
)
_WORDS = r"(?P<word{0}>correct|right|true|yes|wrong|incorrect|false|no)"
_SAID = re.compile(
    rf"^[\s.):=*_–—|-]*(?P<no1>not )?{_WORDS.format(1)}(?=[\s*_]*(?:[.,;:)|—–-]|\Z|\s(?:because|since|as)\b))|"
    rf"[\s(–—:|-](?P<no2>not )?{_WORDS.format(2)}[\s.)*_!|]*$|"
    rf"\s[–—-]\s(?P<no3>not )?{_WORDS.format(3)}(?=[.,;:])",
    re.IGNORECASE,
)


def ticked(text: str) -> str | None:
    """The letters that a list at the end of a text ticks, "B" or "AC"; None unless it judges all, crossing some out."""
    signs = any(sign in text for sign in _WRONG)
    if not signs and not any(word in text for word in _CROSSED):
        return None
    judged: dict[str, bool | None] = {}
    for line in reversed([line for line in text[-_FAR:].split("\n") if line.strip()]):
        found = _SIGNED.fullmatch(line)
        if found is None or found["letter"] in judged:
            break
        judged[found["letter"]] = _judgement(found, signs=signs)
    right = sorted(letter for letter, is_right in judged.items() if is_right)
    if not right and signs:  # the ticks may have been taken for decoration
        right = [letter for letter, is_right in judged.items() if is_right is None]
        right = right if len(right) == 1 else []
    crossed = [letter for letter, is_right in judged.items() if is_right is False]
    return "".join(right) if right and crossed and len(right) + len(crossed) == len(judged) >= _FEWEST else None


_FAR, _FEWEST = 3_000, 3
_CROSSED = ("rong", "orrect", "alse", ": no", ": No")


def _judgement(line: re.Match[str], *, signs: bool) -> bool | None:
    """Whether a line ticks its letter or crosses it out; None if it does neither."""
    if signs:
        marks = [sign for sign in line["before"] + line["text"] if sign in _RIGHT or sign in _WRONG]
        return None if not marks else marks[-1] in _RIGHT
    said = _SAID.search(line["text"])
    if said is None:
        return None
    word = said["word1"] or said["word2"] or said["word3"]
    denied = said["no1"] or said["no2"] or said["no3"]
    return (word.lower() in ("correct", "right", "true", "yes")) is not (denied is not None)


def letters_said(sentence: str) -> str | None:
    """The letters, two at least, that a sentence gives as its answer: "Both B and C are correct", "false: A, B"."""
    said = _ARE_RIGHT.match(sentence) or _LISTED.search(sentence)
    return None if said is None else ", ".join(re.findall(r"\b[A-J]\b", said[1]))


_ARE_RIGHT = re.compile(
    r"\W*(?:(?:so|thus|therefore|hence)\b,?\s)?(?:(?:both|only|options?|choices?|statements?|answers?)\s){0,2}"
    r"(\(?[A-J]\)?(?:,?\sand\s|,\s)(?:\(?[A-J]\)?(?:,?\sand\s|,\s)){0,6}\(?[A-J]\)?)\s(?:are|"
    r"must be)\s(?:(?:all|both)\s)?(?:the\s)?(?:correct|true|right)\b"
    r"(?:\s(?:answers|options|choices|ones|statements))?(?:\W*\Z|[;,.]\s(?:and\s|but\s|"
    r"while\s)?\(?[A-J]\b[^?]*\b(?:false|incorrect|wrong|not)\b)",
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"\b(?:statements?|options?|choices?|answers?|ones|are)\b[^:A-J]{0,40}:\s?"
    r"(\(?[A-J]\)?(?:,?\sand\s|,\s)(?:\(?[A-J]\)?(?:,?\sand\s|,\s)){0,6}\(?[A-J]\)?)\W*\Z"
)
_SEVERAL = re.compile(r"\(?[A-J]\)?(?:\s?(?:,|;|&|and|,\s?and)\s?\(?[A-J]\)?)+|[A-J]{2,6}")


def same_letters(reference: str, prediction: str) -> bool | None:
    """Whether two answers of several letters, "AC" and "A and C", are of the same ones; None if they are none."""
    prediction = " ".join(prediction.split())
    if len(reference) > _LONGEST or len(prediction) > _LONGEST or not _SEVERAL.fullmatch(reference):
        return None
    if not _SEVERAL.fullmatch(prediction) or (reference.isalpha() and prediction.isalpha()):
        return None
    ours, theirs = (re.findall(r"[A-J]", side) for side in (prediction, reference))
    return None if len(set(theirs)) < len(theirs) or theirs != sorted(theirs) else sorted(ours) == theirs


_LONGEST = 40
