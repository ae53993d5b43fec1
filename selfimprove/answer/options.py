"""The lists of choices, "A) 60 B) 72 C) 90", that a question asks with and that a completion repeats.

A list counts if it begins with A, leaves no letter out, and gives each letter a text of its own; a text with two lists
that differ has none, because its author could choose which letter the answer stands for. What the list itself ends on
is no answer.

The question's own list decides where there is one (`options_asked`): what a completion repeats is then not looked at.
An answer may state a choice by its letter, by its text, or by a sentence that ends on its text (`text_stated`), and
must not state the letter of one choice with the text of another (`of_another`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from selfimprove.answer.sentences import SENTENCE
from selfimprove.answer.unfinished import denies, promises, straight

FEWEST = 3  # choices of a list
NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_LABEL = re.compile(r"(?:^|(?<=[\s\"'\[]))[*_]{0,2}\(?([A-J])(?:[).:][*_]{0,2}\s+(?=\S)|\)(?=[^\s)]))", re.MULTILINE)
_SMALL_LABEL = re.compile(r"(?:^|(?<=\n))[ \t]*\([a-j]\)(?=\s)")
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class Options:
    """The text of each choice by its letter, and where the list ends."""

    texts: dict[str, str]
    end: int


def options_of(text: str) -> Options | None:
    """The choices that a text lists; None if it has no list of choices, or several that differ."""
    found = list(_lists(text))
    if not found or not _distinct(found[-1].texts) or any(other.texts != found[-1].texts for other in found):
        return None
    return found[-1]


@lru_cache(maxsize=256)
def options_asked(question: str) -> Mapping[str, str]:
    """The text of each choice that a question lists, by its letter; none if it lists none, or two lists that differ.

    Two choices count as a list if each stands in a line of its own.
    """
    if "\\textbf" in question:
        question = _BOLD_LABEL.sub(r" (\1) ", question).replace("\\qquad", " ").replace("\\quad", " ").replace("$", " ")
    if (found := options_of(question)) is not None:
        return MappingProxyType(found.texts)
    if (small := options_of(_SMALL_LABEL.sub(lambda label: label[0].upper(), question))) is not None:
        return MappingProxyType(small.texts)
    pair = _PAIR.search(question)
    texts = {} if pair is None else {"A": pair[1].strip(_AROUND), "B": pair[2].strip(_AROUND)}
    return MappingProxyType(texts) if texts and _distinct(texts) else NO_OPTIONS


_BOLD_LABEL = re.compile(r"\\textbf\s?\{\s?\(?([A-J])\)?\s?\.?\s?\}(?:\\ |~|\\,)?")
"""The label of a choice as American competitions write it: `\\textbf{(A)}\\ 10 \\qquad \\textbf{(B)}\\ 11`."""
_AROUND = " \t*_,;.|"
_PAIR = re.compile(
    r"(?:^|\n)[ \t]*[*_]{0,2}\(?A[).:][*_]{0,2}[ \t]+([^\n]+)\n[ \t]*[*_]{0,2}\(?B[).:][*_]{0,2}[ \t]+([^\n]+)\s*\Z"
)


def text_stated(text: str, options: Mapping[str, str], *, whole_only: bool = False) -> str | None:
    """The letter of the one choice with whose text the last sentence ends, or is the answer; None without one.

    `whole_only`: only a text that is nothing but the text of a choice states one.
    """
    if (pair := _pair_stated(text, options)) is not None:
        return pair
    lines = [line for line in text[-2_000:].split("\n") if line.strip()]
    if not lines:
        return None
    sentence = straight([part for part in SENTENCE.split(lines[-1]) if part.strip()][-1].strip())
    sentence = _WOULD_BE.sub("It is", sentence)
    if (ordinal := _ORDINAL.match(sentence)) is not None and not UNSURE.search(sentence):
        place = _ORDINALS.index(ordinal[1].lower())
        return list(options)[place] if place < len(options) else None
    if (instead := _INSTEAD.match(sentence)) is not None:
        sentence = f"It is {sentence[instead.end() :]}"
    words = words_of(sentence)
    whole = [] if sentence.endswith("?") else [letter for letter, one in options.items() if words_of(one) == words]
    if (len(whole) == 1 and len(lines) == 1) or whole_only:
        return whole[0] if len(whole) == 1 and words_of(text) == words else None
    if (reply := _REPLY.match(text)) is not None and not _RECANTED.search(straight(text), reply.end()):
        replied = [letter for letter, one in options.items() if one.lower().strip(" .") == reply[1].lower()]
        return replied[0] if replied else None
    if (
        sentence.endswith("?")
        or UNSURE.search(sentence)
        or DESCRIBES.match(sentence)
        or promises(sentence)
        or denies(sentence)
    ):
        return None
    ends = {letter: length for letter, one in options.items() if (length := _stated(words, words_of(one)))}
    if not ends and (aside := _ASIDE.search(sentence)) is not None:
        words = words_of(sentence[: aside.start()])
        ends = {letter: length for letter, one in options.items() if (length := _stated(words, words_of(one)))}
    most = max(ends.values(), default=0)
    return next(letter for letter in ends if ends[letter] == most) if list(ends.values()).count(most) == 1 else None


def _pair_stated(text: str, options: Mapping[str, str]) -> str | None:
    """The letter of "True, False" where a text calls statement 1 true and statement 2 false; None for other choices."""
    pairs = {letter: tuple(_TRUTHS.findall(option.lower())) for letter, option in options.items()}
    if not all(len(pair) == len(words_of(options[letter])) == 2 for letter, pair in pairs.items()):
        return None
    found = _STATEMENT.findall(text)
    said = [{truth.lower() for name, truth in found if name.upper() in names} for names in (("1", "I"), ("2", "II"))]
    if any(len(truths) != 1 for truths in said):
        return None
    stated = tuple(truths.pop() for truths in said)
    return next((letter for letter, pair in pairs.items() if pair == stated), None)


_TRUTHS = re.compile(r"\b(true|false)\b")
_STATEMENT = re.compile(
    r"\bstatement (1|2|I{1,2})\b[*_]{0,2} is (?:therefore |thus |also )?[*_]{0,2}(true|false)\b", re.IGNORECASE
)


def _stated(words: list[str], option: list[str]) -> int:
    """The number of words of a choice's text, if the sentence is it, or says of its subject that it is, or is right."""
    size = len(option)
    if not option or len(words) < size:
        return 0
    whole = size >= _SENTENCE and not _VERBS.isdisjoint(option)
    if words == option or (words[-size:] == option and (whole or words[-size - 1] in _SAYS)):
        return size
    return size if words[:size] == option and _IS_RIGHT.match(" ".join(words[size:])) else 0


def words_of(text: str) -> list[str]:
    """The words and signs of a text in small letters, without articles."""
    words = _WORD.findall(text.lower().replace("\\text", " "))
    return [word for word in words if word not in ("a", "an", "the")]


_WORD = re.compile(r"[^\W_]+(?:['.,/-][^\W_]+)*|[%$+=^<>-]")
_REPLY = re.compile(r"\s*[*_]*(yes|no|true|false)[*_]*(?:[,.;:!][*_]*|\s[-–—])\s", re.IGNORECASE)
_RECANTED = re.compile(
    r"\b(?:yes|no|true|false|but|however|unless|if|wait|actually|maybe|unsure|hmm+|sorry|correction)\b", re.IGNORECASE
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_ORDINAL = re.compile(
    rf"\W*(?:so |thus |therefore,? )?the ({'|'.join(_ORDINALS)}) (?:option|choice|"
    rf"answer)\b[^.;]*\bis (?:the )?(?:correct|right|"
    r"best|answer)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(r",\s(?:from|which|because|since|as|also|often|called|i\.e\.|known|short for|named|with)\b")
_WOULD_BE = re.compile(
    r"\A\W*(?:(?:that|it|this)(?: would|'d) be\b|(?:(?:so|thus|therefore|"
    r"hence),? )?(?:by (?:(?:the )?process of )?elimination|"
    r"(?:that|this|which|it) leaves|leaving)\b,?(?: only)?)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"[^,;.]*\bnot\s[^,;.]{1,80}?(?:[,;]?\s+but(?:\s+rather)?|[,;]\s+(?:it(?:'s|\s+is)|rather))\s+", re.IGNORECASE
)
DESCRIBES = re.compile(
    r"\W*(?:the )?(?:option|choice|answer)?\s*\(?[A-J]\)?\s+(?:is|says|said|states|reads|claims|gives|equals|has|means|"
    r"describes)\b(?! (?:the )?(?:correct|right|best|answer|only))",
    re.IGNORECASE,
)


def describes(text: str) -> bool:
    """Whether the last sentence only tells what a choice says: "Option B is 36."."""
    lines = [line for line in text[-2_000:].split("\n") if line.strip()]
    return bool(lines) and DESCRIBES.match([part for part in SENTENCE.split(lines[-1]) if part.strip()][-1]) is not None


def letters_by_number(answer: str, options: Mapping[str, str]) -> list[str]:
    """The letter of the choice with the answer's number, where the choices are numbers in one unit; else none."""
    stated = _QUANTITY.fullmatch(answer)
    listed = {letter: _QUANTITY.fullmatch(text) for letter, text in options.items()}
    if stated is None or not all(listed.values()):
        return []
    units = {_unit_letters(match[2]) for match in listed.values() if match}
    numbers = [match[1].replace(",", "") for match in listed.values() if match]
    if len(units) != 1 or len(set(numbers)) < len(numbers):
        return []
    ours, unit = _unit_letters(stated[2]), units.pop()
    short, long = sorted((ours, unit), key=len)
    if not unit or not (short in ("", long) or (len(short) > 1 and long.isalpha() and long.startswith(short))):
        return []
    return [letter for letter, number in zip(listed, numbers, strict=True) if number == stated[1].replace(",", "")]


_QUANTITY = re.compile(r"\$?(-?\d[\d.,]*)((?:\s?(?:\\text\s?\{\s?)?[A-Za-z./²³]+\s?\}?){0,3})\.?")


def _unit_letters(text: str) -> str:
    return re.sub(r"\\text|[^a-z/²³]", "", text.lower())


def in_capitals(reference: str, options: Mapping[str, str]) -> str:
    """The reference, in capitals if it is the small letter of a choice that the question lists."""
    letter = reference.strip("() .")
    return letter.upper() if len(letter) == 1 and letter.islower() and letter.upper() in options else reference


def with_capital(answer: str, options: Mapping[str, str]) -> str:
    """An answer that is a choice in small letters with its text, "(a) 50 km", with the letter in capitals."""
    small = _SMALL_CHOICE.match(answer)
    if small is None or small[2].upper() not in options:
        return answer
    return f"{small[1] or ''}({small[2].upper()}) {answer[small.end() :]}"


_SMALL_CHOICE = re.compile(r"(\\text\s?\{\s?)?\(?([a-j])\)\s+(?=\S)")


def same_number(answer: str, options: Mapping[str, str]) -> bool:
    """Whether an answer is a number without a unit, with which several of the choices begin: 5 beside 5 km and 5 m."""
    if not re.fullmatch(r"[-$]?\d[\d.,]*", answer):
        return False
    numbers = [re.match(r"[-$]?\d[\d.,]*", text) for text in options.values()]
    return [match[0] for match in numbers if match].count(answer) > 1


_SENTENCE, _VERBS = 5, frozenset(("is", "are", "was", "were", "has", "have"))  # of a choice that is a sentence
_SAYS = frozenset(("it's", "by", "that's", "is", "are", "was", "were", "be", "called", "answer", "option", "choice"))
_IS_RIGHT = re.compile(r"(?:is|are) (?:correct|right|best|answer\Z|most (?:likely|probable|appropriate|accurate))\b")
UNSURE = re.compile(
    r"n't\b|\b(?:not|no|never|neither|nor|if|whether|unless|either|or|maybe|perhaps|might|may|could|would|should|"
    r"suppose|assum\w+|unclear|unsure|cannot|wrong|incorrect|false|think|guess|seems|except|than|but|some)\b",
    re.IGNORECASE,
)


def of_another(text: str, letter: str, options: Mapping[str, str]) -> bool:
    """Whether the text last states this letter together with the text of another choice: "D. 36" where D is 35."""
    known = {name: _plain(option) for name, option in options.items()}
    tail = text[-4_000:]
    beside = [match for match in _TEXT_BEFORE.finditer(tail) if match[1] == letter]
    if beside and (stated := [name for name, one in known.items() if _ends(_plain(tail[: beside[-1].start()]), one)]):
        return max(stated, key=lambda name: len(known[name])) != letter
    for label in reversed([match for match in _BEFORE_TEXT.finditer(tail) if match[1] == letter]):
        behind = _plain(tail[label.end() :].split("\n", 1)[0])
        stated = [name for name, option in known.items() if _begins(behind, option)]
        if stated:
            return max(stated, key=lambda name: len(known[name])) != letter
    return False


_BEFORE_TEXT = re.compile(r"(?<![\w'])\(?([A-J])[*_]*(?:[).:,]+|\s?[=–—(-])[\s*_$(\\{]*")


_TEXT_BEFORE = re.compile(
    r"\s*(?:,|\(|which is|[–—])\s*(?:option|choice|answer)?\s*\(?([A-J])\)?(?=[\s.,;:)*!]|\Z)(?! [a-z])"
)


def letter_beside(text: str, stated: str) -> str | None:
    """The letter that stands behind an answer where the text states it last: "35 (B)", "35, option B"; else None."""
    found = list(re.finditer(re.escape(stated.strip()) + _BESIDE, text[-2_000:])) if len(stated) < _MOST else []
    return found[-1][1] or found[-1][2] if found else None


_MOST = 200  # characters of an answer that a letter is looked for behind
_BESIDE = (
    r"[*_$\\)}]{0,4}(?:\s[a-z]+){0,2}\s?(?:\((?:[Oo]ption |[Cc]hoice )?([A-J])\)|(?:,|which is|so it is)\s*"
    r"(?:the )?(?:option|choice)\s\(?([A-J])\b)"
)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\\text\s*\{|[*_$\\{}]", "", text)).strip(" .,;").casefold()


def _ends(text: str, option: str) -> bool:
    """Whether the text ends on the option's, as a whole and not as a part of a formula."""
    return bool(option) and text.endswith(option) and not _GOES_BEFORE.search(text[: -len(option)])


_GOES_BEFORE = re.compile(r"[\w.,/]\Z|[-+*/^]\s*\Z")


def _begins(text: str, option: str) -> bool:
    """Whether the text begins with the option's, as a whole and not as a part of a formula."""
    if not option or not text.startswith(option):
        return False
    return re.match(r"\s*(?:\Z|[;:!)\]]|[.,](?!\d)|\s[a-z]|[–—])", text[len(option) :]) is not None


def _lists(text: str) -> Iterator[Options]:
    """Each run of labels A, B, C, ... with what stands between them, or behind the last up to the end of its line."""
    labels = list(_LABEL.finditer(text))
    run: dict[str, str] = {}
    end = 0
    for at, label in enumerate(labels):
        if label[1] != _LETTERS[len(run) : len(run) + 1]:
            if len(run) >= FEWEST:
                yield Options(run, end)
            run = {}
        if label[1] == _LETTERS[len(run)]:
            behind = text[label.end() : labels[at + 1].start() if at + 1 < len(labels) else len(text)]
            line = behind.split("\n", 1)[0]
            run[label[1]], end = line.strip(" \t*_,;.|\"'"), label.end() + len(line)
    if len(run) >= FEWEST:
        yield Options(run, end)


def _distinct(texts: dict[str, str]) -> bool:
    known = {text.casefold() for text in texts.values()}
    return len(known) == len(texts) and "" not in known
