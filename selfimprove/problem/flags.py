"""What a row says of itself: that it has no sound answer, that its options are gone, that it needs a picture."""

from __future__ import annotations

import re

from selfimprove.problem.likeness import words_of
from selfimprove.problem.names import ANSWERS, FAULTS, SOUND, UNSOUND, Names, Row
from selfimprove.problem.numbering import as_number
from selfimprove.problem.options import options_shown

_MEDIA = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".bmp",
    ".mp4",
    ".avi",
    ".mov",
    ".webm",
    ".mkv",
    ".wav",
    ".mp3",
    ".flac",
)
_LETTERED = re.compile(r"\bA\s*[).:\]]")
_OFFERS = re.compile(
    r"\bwhich (?:one )?of (?:the following|these|the (?:options|choices|answers))\b|\bamong A through [B-J]\b|"
    r"\banswer choices\b",
    re.IGNORECASE,
)


_SPELT = {"true": ("true", "yes", "1"), "false": ("false", "no", "0")}


def says(value: object, truth: str) -> bool:
    """Whether the value is this truth value, or spells it as a CSV does."""
    return isinstance(value, (bool, str, int)) and str(value).strip().casefold() in _SPELT[truth]


def disowned(row: Row, names: Names) -> str:
    """Why the row's answer is none, where the row says so itself; empty where it doesn't."""
    for name in names.among(SOUND):
        if says(row[name], "false"):
            return f"`{name}` says that there is no sound answer"
    for name in names.among(UNSOUND):
        if says(row[name], "true"):
            return f"`{name}` says that there is no answer"
    for name in names.among(FAULTS):
        fault = row[name]
        if isinstance(fault, str) and fault.strip().casefold() not in ("", "ok", "none", "no error"):
            return f"`{name}` says that the question is at fault: {fault!r:.60}"
    return ""


_SHOWS = re.compile(r"<image(?:[ _]?\d+)?>|<img\s[^<>]{0,300}\bsrc=|!\[[^\[\]]{0,300}\]\([^()\s]{1,500}\)")
"""Where a question shows a picture, which its text doesn't hold."""
_ATTACHED = re.compile(
    r"\battached (?:\w+ ){0,2}(?:file|spreadsheet|sheet|workbook|image|picture|photo|pdf|document|table|csv|excel|"
    r"audio|recording|video|presentation|code|script)\b|\battachments?\b",
    re.IGNORECASE,
)


def not_in_text(text: str) -> str:
    """What the question shows or speaks of that no text holds, in words; empty without any."""
    if ("<im" in text or "![" in text) and (found := _SHOWS.search(text)):
        return f"the question shows a picture, which the model would not see: {found[0]:.40}"
    if "ttach" in text and (found := _ATTACHED.search(text)):
        return f"the question speaks of a file that the model would not see: “{found[0]:.40}”"
    return ""


_SCALES = re.compile(r"\b(?:thousand|million|billion|trillion|percent)s?\b|\b10\s*(?:\^|\*\*)", re.IGNORECASE)


def scaled_by(row: Row, names: Names, answer: str) -> str:
    """The field with a power of ten that a number is to be taken by and that it doesn't have; empty without one."""
    for bare in ("scale", "unit", "units"):
        if bare in names and isinstance(scale := row[names[bare]], str) and (found := _SCALES.search(scale)):
            return "" if found[0].casefold() in answer.casefold() or not answer[-1:].isdigit() else names[bare]
    return ""


def puzzle_target(row: Row, names: Names) -> str:
    """The field with the number that is to be reached with the row's numbers, where it is the only answer; or empty."""
    if "target" not in names or names.among(ANSWERS) != (names["target"],):
        return ""
    given = next((row[names[bare]] for bare in ("numbers", "nums") if bare in names), None)
    whole = isinstance(given, (list, tuple)) or (isinstance(given, str) and given[:1] == "[")
    return names["target"] if whole and as_number(row[names["target"]]) is not None else ""


def kind_of_picture(name: str) -> str:
    """What a field holds that a model of texts doesn't see, by its name."""
    words = words_of(name)
    return "sound" if "audio" in words else "a film" if not {"video", "videos"}.isdisjoint(words) else "a picture"


def picture_in(row: Row, names: Names) -> str:
    """The field that holds a picture; empty without one."""
    for name in names.pictures:
        value = row[name]
        if value not in (None, "", [], {}, False) and str(value).casefold() not in ("none", "null", "nan"):
            return name
    for name in names.paths:
        if isinstance(value := row[name], str) and value.lower().endswith(_MEDIA):
            return name
    return ""


def lost_options(question: str, answer: str) -> str:
    """Why the answer can only be the number of an option that the question doesn't count so; empty where it needn't."""
    if len(answer) != 1 or not answer.isdecimal():
        return ""
    if _OFFERS.search(question) and not re.search(rf"(?<!\d){answer}(?!\d)", question):
        return f"the answer is the number {answer} of an option, and none are shown"
    shown = options_shown(question) if _LETTERED.search(question) else None
    if shown is None or int(answer) > len(shown.texts) or any(re.search(r"\d", text) for text in shown.texts):
        return ""
    return f"the options have letters, and the answer is the number {answer}"
