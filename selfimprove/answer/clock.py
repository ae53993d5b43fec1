"""Times and dates: `2:30 PM` is `14:30`, `March 14` is `14 March`.

Without AM and PM on either side a colon is left to the grammar, and a date without the name of its month to words.
"""

from __future__ import annotations

import re

_TIME = re.compile(r"(\d{1,2}):([0-5]\d)\s*(?:([ap])\.?\s?m\.?)?", re.IGNORECASE)
_PART_OF_DAY = re.compile(r"\s?(?:in the (morning|afternoon|evening)|at (night))", re.IGNORECASE)


def same_time(one: str, two: str) -> bool | None:
    """Whether two times of day are the same; None if they are none, or neither says AM or PM."""
    if ":" not in one and ":" not in two:
        return None
    times = [
        _TIME.fullmatch(_with_half(_with_minutes(re.sub(r"\\(?:text|mathrm)\s?\{|[{}~\\]", "", text))))
        for text in (one, two)
    ]
    first, second = times
    if first is None or second is None or not (first[3] or second[3]):
        return None
    (hour, half), (other, other_half) = _hour(first), _hour(second)
    if half and other_half:
        return hour == other and first[2] == second[2]
    return hour % 12 == other % 12 and first[2] == second[2]


def _with_minutes(text: str) -> str:
    """A full hour with its minutes: `5 pm` as `5:00 pm`, noon as `12:00 pm`."""
    named = _NAMED_HOURS.get(text.strip().lower())
    return named or _FULL_HOUR.sub(r"\1:00 \2m", text.strip())


_NAMED_HOURS = {"noon": "12:00 pm", "12 noon": "12:00 pm", "midnight": "12:00 am", "12 midnight": "12:00 am"}
_FULL_HOUR = re.compile(r"\A(\d{1,2})\s?([ap])\.?\s?m\.?\Z", re.IGNORECASE)


def _with_half(text: str) -> str:
    """A time with the part of the day as AM or PM: `4:30 in the morning` as `4:30 am`."""
    return _PART_OF_DAY.sub(lambda part: " am" if (part[1] or "").lower() == "morning" else " pm", text).strip()


def _hour(match: re.Match[str]) -> tuple[int, bool]:
    """The hour of the day, and whether it says which half of the day."""
    hour, half = int(match[1]), (match[3] or "").lower()
    return (hour % 12 + 12 * (half == "p"), True) if half else (hour, hour > 12 or hour == 0)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES_MONTH = re.compile("|".join(_MONTHS), re.IGNORECASE)
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?:the\s)?(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s(\d{4}))?"
_MONTH_FIRST = re.compile(rf"{_MONTH}\s{_DAY}{_YEAR}", re.IGNORECASE)
_DAY_FIRST = re.compile(rf"{_DAY}\s(?:of\s)?{_MONTH}{_YEAR}", re.IGNORECASE)


_ISO = re.compile(r"(\d{4})-(0\d|1[0-2])-([0-3]\d)")
_NUMBERED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_MONTHS_OF_YEAR = 12
_WEEKDAY = re.compile(r"\A(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s", re.IGNORECASE)


def same_date(one: str, two: str, *, month_first: bool = False) -> bool | None:
    """Whether two dates are the same, with or without a year; None if they are none.

    `month_first`: 06/02/1943 is June 2; else a date in numbers counts only if it can be read in one way.
    """
    if (
        one[4:5] != "-"
        and two[4:5] != "-"
        and "/" not in one + two
        and not (_NAMES_MONTH.search(one) and _NAMES_MONTH.search(two))
    ):
        return None
    dates = _date(one, month_first=month_first), _date(two, month_first=month_first)
    return None if None in dates else dates[0] == dates[1]


def stated_date(sentence: str) -> str | None:
    """The date on which a sentence ends, "The date is May 1, 2021."; None without one or if it denies it."""
    if not _NAMES_MONTH.search(sentence):
        return None
    found = _ENDS_ON_DATE.search(sentence)
    return None if found is None or _NO_DATE.search(sentence) else found[1]


_NO_DATE = re.compile(r"n't\b|\b(?:not|if|or|none|no|neither|nor|wrong|incorrect)\b", re.IGNORECASE)
_ENDS_ON_DATE = re.compile(
    rf"(?:\b(?:is|was|on|be)\s|[:=]\s|\A\W{{0,8}})[*_]*(?:\w+day,?\s)?((?:{_MONTH_FIRST.pattern}|"
    rf"{_DAY_FIRST.pattern}))[\s.*_!]*\Z",
    re.IGNORECASE,
)


def _date(text: str, *, month_first: bool) -> tuple[int, int, str] | None:
    """The month, the day and the year, if it is written."""
    plain = re.sub(r"\\(?:text|mathrm)\s?\{|[{}~\\]", "", text).strip()
    plain = _WEEKDAY.sub("", plain)
    if (found := _ISO.fullmatch(plain)) is not None:
        return int(found[2]) - 1, int(found[3]), found[1]
    if (found := _NUMBERED.fullmatch(plain)) is not None:
        if month_first and int(found[1]) <= _MONTHS_OF_YEAR:
            return int(found[1]) - 1, int(found[2]), found[3]
        low, high = sorted((int(found[1]), int(found[2])))
        return (low - 1, high, found[3]) if high > _MONTHS_OF_YEAR >= low or low == high else None
    if (found := _MONTH_FIRST.fullmatch(plain)) is not None:
        month, day, year = found.groups()
    elif (found := _DAY_FIRST.fullmatch(plain)) is not None:
        day, month, year = found.groups()
    else:
        return None
    return _MONTHS.index(month[:3].lower()), int(day), year or ""
