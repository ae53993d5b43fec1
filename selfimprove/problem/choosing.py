"""The options of a row and the letter of the right one, by what all rows of the source say of their numbers."""

from __future__ import annotations

from collections.abc import Iterator

from selfimprove.problem.finals import Final, final_of
from selfimprove.problem.lookup import Lookup, SetAside, containers, value_of
from selfimprove.problem.names import CHOSEN, OPTIONS, Names, Row, bare_name, find, listed, opened
from selfimprove.problem.numbering import Numbering, as_number, is_label, place_of
from selfimprove.problem.option_fields import option_fields, options_in
from selfimprove.problem.options import Options, read_options


class Choices:
    """Finds the options of each row and which of them is right."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def learn(self, row: Row, names: Names) -> None:
        """Look at how the row numbers its options."""
        try:
            options = self.options(row, names)
        except SetAside:
            return
        if options is None or options.right is not None:
            return
        for name, value in self._chosen(row, names):
            number = as_number(value)
            if number is not None and number >= 0 and not is_label(options, value):
                written = isinstance(value, str)
                self._lookup.learnt.numbering.setdefault(name, Numbering()).learn(options, number, written=written)

    def options(self, row: Row, names: Names) -> Options | None:
        """The row's options, None without any; raises `SetAside` for some that can't be read."""
        own = self._lookup.named.options
        if own and (found := find(row, own))[0]:
            named = options_in(row, names, own, found[1])
            if named is None and found[1] not in (None, "", [], {}):
                raise SetAside("options", f"`{own}` holds options in a form that isn't read")
            return named
        unread = ""
        for bare in option_fields(tuple(names)):
            name = names[bare]
            if row[name] in (None, "", [], {}):
                continue
            options = options_in(row, names, name, row[name])
            if options is not None:
                return options
            unread = unread or ("" if bare == "answers" or isinstance(row[name], (int, float)) else name)
        if isinstance(inner := opened(value_of(row, names, "question")), dict):
            for key, value in inner.items():
                if bare_name(key) in OPTIONS and read_options(value) is not None:
                    return options_in(inner, Names(()), str(key), value)
        several = options_in(row, names, "", None)
        if several is None and unread:
            raise SetAside("options", f"`{unread}` holds options in a form that isn't read")
        return several

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
            if value in (None, "", [], -1, "-1") or isinstance(value, (dict, list, bool)):
                continue
            place = self._place(options, name, value)
            if place is not None:
                places[name] = place
            elif bare_name(name) not in ("label", "target", "gold", "output", "response", "solution"):
                unread.append(f"`{name}` {value!r:.60}")
        if len(set(places.values())) > 1:
            raise SetAside("options", f"{listed(places)} name different options")
        if places:
            self._lookup.used["answer"][next(iter(places))] += 1
            return Final(text=options.letters()[next(iter(places.values()))])
        if unread:
            raise SetAside("options", f"{unread[0]} can't be mapped to one of {len(options.texts)} options")
        return Final(text=None, why=f"options in {listed(options.fields)} and nothing that says which is right")

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
