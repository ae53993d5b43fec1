"""Rows of a dataset on the Hugging Face hub, and the choice of its config and split.

The choice is made by pure functions of the names that the hub lists: a source that leaves it open gets `main`,
`default` or the only config, and the split that suits its role (`train` for training; `test` or `validation` for
judging) or the only split. If that doesn't settle it, the error lists the names. A hub out of reach is one line that
says what to type; what `datasets` already holds in its cache is used without the hub. `datasets` then lists no
configs, so the one that would be chosen is tried by its name, and failing that the only one in the cache.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfimprove.errors import UsageError

JUDGED_SPLITS = ("test", "validation")
_LOCAL = 'Check the id, or name a local file: [problems] train = "FILE.jsonl".'


@dataclass(frozen=True)
class HubSource:
    """`ID[:CONFIG[:SPLIT]]`; what is empty is still to be chosen."""

    dataset: str
    config: str = ""
    split: str = ""

    def __str__(self) -> str:
        return ":".join(part for part in (self.dataset, self.config, self.split) if part)


def chosen_config(configs: Sequence[str], source: HubSource) -> str:
    """The config to read: the one asked for, `main`, `default` or the only one; else `UsageError` listing them."""
    wanted = (
        [source.config] if source.config else [*dict.fromkeys(("main", "default")), *configs[:1][: 2 - len(configs)]]
    )
    return _pick(wanted, configs, "config", f"{source.dataset}:CONFIG")


def chosen_split(splits: Sequence[str], source: HubSource, preferred: Sequence[str]) -> str:
    """The split to read: the one asked for, the first of `preferred`, or the only one; else `UsageError`."""
    wanted = [source.split] if source.split else [*preferred, *splits[:1][: 2 - len(splits)]]
    return _pick(wanted, splits, "split", f"{source.dataset}:{source.config}:SPLIT")


def resolved(source: HubSource, preferred: Sequence[str]) -> HubSource:
    """The source with config and split filled in, asking the hub or the cache; raises `UsageError`."""
    import datasets

    from selfimprove.host.hub import use_cache_without_hub

    use_cache_without_hub()
    with _faults_in_one_line(source):
        configs = datasets.get_dataset_config_names(source.dataset)
        if configs == ["default"]:  # also what it says of any dataset in its cache
            configs = [_cached_config(source)]
    source = replace(source, config=chosen_config(configs, source))
    return replace(source, split=chosen_split(_splits(source), source, preferred))


def judged_split(source: HubSource) -> HubSource | None:
    """The test or validation split beside a resolved source, if there is one other than itself; raises `UsageError`."""
    splits = [split for split in JUDGED_SPLITS if split in _splits(source) and split != source.split]
    return replace(source, split=splits[0]) if splits else None


@dataclass(frozen=True)
class HubTable:
    """The rows of a resolved source, numbered from 1, and the files in the cache of `datasets` that hold them."""

    rows: Sequence[object]
    files: tuple[Path, ...]


def hub_table(source: HubSource) -> HubTable:
    """The rows of a resolved source; raises `UsageError`."""
    import datasets

    with _faults_in_one_line(source):
        table = datasets.load_dataset(source.dataset, source.config, split=source.split)
    return HubTable(table, tuple(Path(file["filename"]) for file in table.cache_files))


def _cached_config(source: HubSource) -> str:
    """The config asked for or `main`, if the dataset has it, else its only one; raises what `datasets` raises."""
    import datasets

    with contextlib.suppress(ValueError):
        return str(datasets.load_dataset_builder(source.dataset, source.config or "main").config.name)
    return str(datasets.load_dataset_builder(source.dataset).config.name)


def _splits(source: HubSource) -> list[str]:
    import datasets

    with _faults_in_one_line(source):
        return list(datasets.get_dataset_split_names(source.dataset, source.config))


def _pick(wanted: Sequence[str], names: Sequence[str], what: str, form: str) -> str:
    found = next((name for name in wanted if name in names), None)
    if found is None:
        dataset = form.split(":")[0]
        raise UsageError(
            f"{dataset}: the {what} must be named; there are: {', '.join(names) or 'none'}",
            f"Name one of them: {form}.",
        )
    return found


@contextlib.contextmanager
def _faults_in_one_line(source: HubSource) -> Iterator[None]:
    import datasets

    datasets.logging.set_verbosity_error()  # it tells of its cache on standard error at every call
    try:
        yield
    except ConnectionError:
        hint = 'Connect, or name a local file: [problems] train = "FILE.jsonl" (or .json, .csv, .parquet).'
        raise UsageError(f"{source}: the Hugging Face hub can't be reached", hint) from None
    except datasets.exceptions.DatasetNotFoundError:
        raise UsageError(
            f"{source}: no such dataset on the hub, or no access to it (`hf auth login`)", _LOCAL
        ) from None
    except (datasets.exceptions.DatasetsError, ValueError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{source}: not readable through `datasets`: {cause}", _LOCAL) from None
