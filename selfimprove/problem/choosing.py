"""The options of a row and the letter of the right one, by what all rows of the source say of their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from selfimprove.errors import UsageError
from selfimprove.problem.asking import Asked
from selfimprove.problem.finals import NOTHING, Final, final_of
from selfimprove.problem.lookup import Lookup, SetAside, containers, value_of
from selfimprove.problem.names import CHOSEN, OPTIONS, Names, Row, bare_name, find, listed, opened
from selfimprove.problem.numbering import INDEXES, Numbering, as_number, is_index, is_label, order_of, place_of
from selfimprove.problem.option_fields import may_offer, option_fields, options_in, other_families
from selfimprove.problem.options import Options, options_shown, read_flagged, read_options

UNREAD = "holds options in a form that isn't read"
"""Why a row with options that can't be read is set aside, behind the name of their field."""
_NO_OPTION = frozenset((*NOTHING, "", -1, "-1"))
"""What stands where no option is named."""
_FREE_TEXT = frozenset(("label", "target", "gold", "output", "response", "solution"))
"""Names of those whose text, if it isn't an option, says nothing against the row."""
_FREE = frozenset(
    ("answer", "target", "output", "response", "solution", "groundtruth", "finalanswer", "expectedanswer")
)
"""Names of those that may as well hold the answer itself: a number in them need not be that of an option."""


def _names_option(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool) and value not in _NO_OPTION


def _inner(value: Row) -> object:
    """What an object says of the right option: its text, or else its label."""
    inner = {bare_name(name): opened(one) for name, one in value.items()}
    for name in ("text", "content", "option", "answer", "value", "label", "key", "letter", "id"):
        if isinstance(inner.get(name), (str, int)):
            return inner[name]
    return value


def _fits(options: Options, name: str, value: object) -> bool:
    """Whether the value names one of the options, whichever way numbers count."""
    if as_number(value) is None:
        return place_of(options, value, "") is not None
    return bare_name(name) not in _FREE and any(place_of(options, value, way) is not None for way in ("zero", "one"))


def _whole(options: Options, value: object) -> object:
    """The whole number that pandas has written as `1.0` beside empty cells, if no option is written so."""
    written = isinstance(value, str) and value[-2:] == ".0" and value[:-2].isdecimal()
    if not isinstance(value, str) or not written or any(text.endswith(".0") for text in options.texts):
        return value
    return int(value[:-2]) if len(value) < len("100.0") else value


class Choices:
    """Finds the options of each row and which of them is right."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def learn(self, row: Row, names: Names, question: Callable[[], Asked | None]) -> None:
        """Look at how the row numbers its options; `question` is asked where they may stand in it."""
        try:
            options = self.options(row, names)
            if options is None and names.among(INDEXES) and (asked := question()) is not None:
                options = self.shown_in(row, names, asked.text)
        except (SetAside, UsageError):
            return
        if options is None or options.right is not None:
            return
        for name, value in self._chosen(row, names):
            value = _whole(options, value)
            number = as_number(value)
            if number is not None and number >= 0 and not is_label(options, value):
                written = isinstance(value, str)
                self._lookup.learnt.numbering.setdefault(name, Numbering()).learn(options, number, written=written)

    def offered(self, row: Row, names: Names) -> frozenset[str]:
        """The fields that hold the row's options."""
        try:
            options = self.options(row, names)
        except SetAside:
            return frozenset(names.values())
        return frozenset(options.fields) if options else frozenset()

    def options(self, row: Row, names: Names) -> Options | None:
        """The row's options, None without any; raises `SetAside` for some that can't be read."""
        own = self._lookup.named.options
        if own and (found := find(row, own))[0]:
            named = options_in(row, names, own, found[1])
            if named is None and found[1] not in (None, "", [], {}):
                raise SetAside("options", f"`{own}` {UNREAD}")
            return named
        inner = opened(value_of(row, names, "question"))
        if not may_offer(names) and not isinstance(inner, dict):
            return None
        unread = ""
        for bare in option_fields(names):
            name = names[bare]
            if row[name] in (None, "", [], {}):
                continue
            options = options_in(row, names, name, row[name])
            if options is not None:
                return options
            unread = unread or ("" if bare == "answers" or isinstance(row[name], (int, float)) else name)
        if isinstance(inner, dict):
            for key, value in inner.items():
                if bare_name(key) in OPTIONS and read_options(value) is not None:
                    return options_in(inner, Names(()), str(key), value)
        if (flagged := read_flagged(value_of(row, names, "answers"))) is not None:
            return replace(flagged, fields=(names["answers"],))
        if (lettered := self._lettered_answers(row, names)) is not None:
            return lettered
        several = options_in(row, names, "", None)
        if several is None and unread:
            raise SetAside("options", f"`{unread}` {UNREAD}")
        return several or self._of_other_families(row, names) or self._of_other_objects(row, names)

    def _lettered_answers(self, row: Row, names: Names) -> Options | None:
        """The options in an object called `answers`, by their letters, one of which another field names."""
        answers = opened(value_of(row, names, "answers"))
        options = read_options(answers) if isinstance(answers, dict) else None
        if options is None or not options.labels or not options.labels[0].isalpha():
            return None
        found = replace(options, fields=(names["answers"],))
        others = [value for name, value in self._chosen(row, names) if name.split(".")[0] != names["answers"]]
        return found if any(str(value).strip("(). ").upper() in found.letters() for value in others) else None

    def _of_other_families(self, row: Row, names: Names) -> Options | None:
        """Options in numbered fields whose name says nothing of options, if something names one of them."""
        families = other_families(row, names)
        if not families:
            return None
        chosen = [(name, value) for name, value in self._chosen(row, names) if _names_option(value)]
        fitting = [one for one in families if chosen and all(_fits(one, name, value) for name, value in chosen)]
        if len(fitting) > 1:
            told = " and ".join(listed(one.fields) for one in fitting)
            raise SetAside("options", f"either of {told} may be the options")
        return fitting[0] if fitting else None

    def _of_other_objects(self, row: Row, names: Names) -> Options | None:
        """Options by their letters, or a list that an index goes into, in a field whose name says nothing of them."""
        if not names.others:
            return None
        offered = [name for name, role in self._lookup.roles.items() if role == "options" and name in row]
        if len(offered) == 1:
            return options_in(row, names, offered[0], row[offered[0]])
        chosen = [(name, value) for name, value in self._chosen(row, names) if _names_option(value)]
        index = [one for one in chosen if is_index(one[0])]
        found: list[Options] = []
        for name in names.others if chosen else ():
            value = opened(row[name])
            if not isinstance(value, (dict, list)) or (options := read_options(value)) is None:
                continue
            lettered = bool(options.labels) and all(place_of(options, value, "") is not None for _, value in chosen)
            if lettered or (index and isinstance(value, list) and all(_fits(options, *one) for one in index)):
                found.append(replace(options, fields=(name,)))
        if len(found) > 1:
            told = " and ".join(listed(one.fields) for one in found)
            raise SetAside("options", f"either of {told} may be the options")
        return found[0] if found else None

    def shown_in(self, row: Row, names: Names, question: str) -> Options | None:
        """The options that a question ends on, if the row says by an index which is right."""
        chosen = any(as_number(row[name]) is not None for name in names.among(INDEXES))
        return options_shown(question) if chosen else None

    def _chosen(self, row: Row, names: Names) -> Iterator[tuple[str, object]]:
        """The fields that may say which option is right, with what they hold."""
        named = self._lookup.named.answer
        if named and (found := find(row, named))[0]:
            yield named, opened(found[1])
            return
        for name in names.chosen:
            yield name, opened(row[name])
        for name, inner in containers(row, names):
            for bare, key in self._lookup.names(inner).items():
                if bare in CHOSEN:
                    yield f"{name}.{key}", opened(inner[key])

    def choice(self, row: Row, names: Names, options: Options) -> Final:
        """The letter of the right option; a row in which it can't be told is set aside."""
        places: dict[str, int] = {}
        unread: list[str] = []
        for name, value in self._chosen(row, names):
            if name.split(".")[0] in options.fields:
                continue
            value = _whole(options, _inner(value) if isinstance(value, dict) else value)
            if isinstance(value, (list, tuple)) and self._several(options, name, value):
                return Final(text=None, kind="several answers", why=f"`{name}` names several options")
            if not isinstance(value, (str, int, float)) or isinstance(value, bool) or value in _NO_OPTION:
                continue
            if order := order_of(options, value):
                self._lookup.used["answer"][name] += 1
                return Final(text=order)
            place = self._place(options, name, value)
            if place is not None:
                places[name] = place
            elif bare_name(name) not in _FREE_TEXT or as_number(value) is not None:
                unread.append(f"`{name}` {value!r:.60}")
        if len(set(places.values())) > 1:
            raise SetAside("options", f"{listed(places)} name different options")
        if places:
            self._lookup.used["answer"][next(iter(places))] += 1
            return Final(text=options.letters()[next(iter(places.values()))])
        if unread:
            raise SetAside("options", f"{unread[0]} can't be mapped to one of {len(options.texts)} options")
        return Final(text=None, why=f"options in {listed(options.fields)} and nothing that says which is right")

    def _several(self, options: Options, name: str, values: Sequence[object]) -> bool:
        """Whether the values name options that are not all the same."""
        plain = [value for value in values if isinstance(value, (str, int)) and not isinstance(value, bool)]
        places = {self._place(options, name, value) for value in plain}
        return len(plain) == len(values) and len(places) > 1 and None not in places

    def _place(self, options: Options, name: str, value: object) -> int | None:
        counts = ""
        numbering = self._lookup.learnt.numbering
        if as_number(value) is not None and name in numbering:
            counts = numbering[name].first(options, name, written=isinstance(value, str))
        place = place_of(options, value, counts)
        if place is None and isinstance(value, str):
            final = final_of(value, name, "")
            place = place_of(options, final.text, "text") if final.text else None
        return place
