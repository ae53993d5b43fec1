"""Rows packed as branches of one prefix tree: a token that rows share is computed once, and nothing is padded.

The rows of a micro-batch are sorted by their ids, so that each begins with what it shares with the row before it. The
tokens that are new in each row, one row after the other, are the *packed* tokens: one sequence without padding, on
which every layer but attention runs unchanged. Position ids are those within the row. A shared prompt gets the
gradients of all rows that follow it, because they all read its keys and values: sharing is exact, whatever is adapted.

    packed   <chat head>What is 3 + 4?<template> 5 + 6?<template> 12?<template>      three rows, the head once
    row 2    <chat head>What is  5 + 6?<template>                                    the path it attends to

Attention works on rows (`attention.py`): a row's new tokens are its queries, its whole path its keys, and rows with
similar numbers of queries are padded together in a *bucket*. So padding is in attention alone, a few per cent of the
work at the lengths of interest; one dense mask over the packed tokens would cost their square.

This file computes the layout, which token is where, and nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

Ids = tuple[int, ...]

_NARROWEST = 0.6
"""A row with fewer queries than this share of the most in its bucket goes to the next bucket."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A run of packed tokens between two forks: rows `first` up to `end` have it, at position `place` of each."""

    tokens: slice
    first: int
    end: int
    place: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Rows padded together in attention: their numbers, ascending, and the padded number of queries and of keys."""

    members: tuple[int, ...]
    queries: int
    keys: int
    visible: Tensor
    """The attention mask [rows, 1, queries, keys]; a padding query sees some keys too, or its softmax would be NaN."""


@dataclass(frozen=True, kw_only=True)
class Sum:
    """A slice of a bucket's gradients to add to those of these packed tokens, which the tree's first such row has."""

    tokens: slice
    bucket: int
    rows: slice
    places: slice


@dataclass(frozen=True, kw_only=True)
class Branches:
    """Packed rows: ids and positions [1, tokens], and the index maps between packed tokens and padded buckets.

    `paths` has each row's packed tokens. `queries` and `keys` hold the packed token at each place, bucket after bucket;
    `query_places` and `key_places` the place of each packed token in the first row that has it. `padding` are the query
    places without a token.
    """

    ids: Tensor
    positions: Tensor
    paths: tuple[Ids, ...]
    buckets: tuple[Bucket, ...]
    queries: Tensor
    query_places: Tensor
    padding: Tensor
    keys: Tensor
    key_places: Tensor
    sums: tuple[Sum, ...]
    added: tuple[Tensor, Tensor] | None
    """All `sums` as one, for a GPU: key places, and the packed token to which each place's gradient is added."""


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of two rows' common prefix."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


def grow(rows: Sequence[Ids], device: torch.device) -> Branches:
    """The tree of these rows, which must be sorted and not empty."""
    shares = [0, *(shared_length(a, b) for a, b in pairwise(rows))]
    paths = _paths(rows, shares)
    order = [token for row, share in zip(rows, shares, strict=True) for token in row[share:]]
    places = [place for row, share in zip(rows, shares, strict=True) for place in range(share, len(row))]
    buckets = _buckets(rows, shares, device)
    queries = _layout([[paths[row][shares[row] :] for row in b.members] for b in buckets], [b.queries for b in buckets])
    keys = _layout([[paths[row] for row in bucket.members] for bucket in buckets], [b.keys for b in buckets])
    nodes = _nodes(rows, shares, paths)
    sums = tuple(part for node in nodes for part in _sums(node, buckets))

    def tensor(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    return Branches(
        ids=tensor(order)[None],
        positions=tensor(places)[None],
        paths=tuple(paths),
        buckets=tuple(buckets),
        queries=tensor([max(token, 0) for token in queries]),
        query_places=tensor(_first_places(queries, len(order))),
        padding=tensor([place for place, token in enumerate(queries) if token < 0]),
        keys=tensor([max(token, 0) for token in keys]),
        key_places=tensor(_first_places_of_keys(nodes, buckets, len(order))),
        sums=sums,
        added=added_places(sums, buckets, device) if device.type != "cpu" else None,
    )


def _paths(rows: Sequence[Ids], shares: Sequence[int]) -> list[Ids]:
    """The packed tokens of each row: those it shares with the row before it, then its own."""
    paths: list[Ids] = []
    size = 0
    for row, share in zip(rows, shares, strict=True):
        fresh = len(row) - share
        paths.append((*(paths[-1][:share] if paths else ()), *range(size, size + fresh)))
        size += fresh
    return paths


def _buckets(rows: Sequence[Ids], shares: Sequence[int], device: torch.device) -> list[Bucket]:
    """Buckets of the rows that have new tokens, most first; a new bucket begins where padding would be too much."""
    fresh = [len(row) - share for row, share in zip(rows, shares, strict=True)]
    groups: list[list[int]] = []
    for row in sorted((row for row in range(len(rows)) if fresh[row]), key=lambda row: (-fresh[row], row)):
        if not groups or fresh[row] < _NARROWEST * fresh[groups[-1][0]]:
            groups.append([])
        groups[-1].append(row)
    buckets = []
    for group in map(sorted, groups):
        queries, keys = max(fresh[row] for row in group), max(len(rows[row]) for row in group)
        starts = torch.tensor([shares[row] for row in group], device=device)
        last = starts[:, None] + torch.arange(queries, device=device)
        visible = torch.arange(keys, device=device) <= last[..., None]
        buckets.append(Bucket(members=tuple(group), queries=queries, keys=keys, visible=visible[:, None]))
    return buckets


def _layout(groups: Sequence[Sequence[Ids]], widths: Sequence[int]) -> list[int]:
    """The packed token at each place, bucket after bucket; −1 at padding."""
    return [
        token
        for group, width in zip(groups, widths, strict=True)
        for path in group
        for token in (*path, *(-1,) * (width - len(path)))
    ]


def _first_places(layout: Sequence[int], tokens: int) -> list[int]:
    places = [0] * tokens
    for place, token in enumerate(layout):
        if token >= 0:
            places[token] = place
    return places


def _first_places_of_keys(nodes: Sequence[Node], buckets: Sequence[Bucket], tokens: int) -> list[int]:
    """The key place of each packed token in the first row that has it."""
    starts: dict[int, int] = {}
    at = 0
    for bucket in buckets:
        for member in bucket.members:
            starts[member] = at
            at += bucket.keys
    places = [0] * tokens
    for node in nodes:
        for step, token in enumerate(range(node.tokens.start, node.tokens.stop)):
            places[token] = starts[node.first] + node.place + step
    return places


def _nodes(rows: Sequence[Ids], shares: Sequence[int], paths: Sequence[Ids]) -> list[Node]:
    """The tree's runs of tokens between forks, each with the rows that pass through it."""
    nodes: list[Node] = []
    owed = [(0, len(rows), 0)]
    while owed:
        first, end, place = owed.pop()
        inner = range(first + 1, end)
        common = min([len(rows[first]), *(shares[row] for row in inner)])
        if common > place:
            token = paths[first][place]
            nodes.append(Node(tokens=slice(token, token + common - place), first=first, end=end, place=place))
        forks = [first, *(row for row in inner if shares[row] == common), end]
        if end - first > 1 or len(rows[first]) > common:
            owed += [(a, b, common) for a, b in pairwise(forks) if len(rows[b - 1]) > common]
    return nodes


def _sums(node: Node, buckets: Sequence[Bucket]) -> list[Sum]:
    found = []
    for number, bucket in enumerate(buckets):
        start, stop = bisect_left(bucket.members, node.first + 1), bisect_left(bucket.members, node.end)
        if start < stop:
            places = slice(node.place, node.place + node.tokens.stop - node.tokens.start)
            found.append(Sum(tokens=node.tokens, bucket=number, rows=slice(start, stop), places=places))
    return found


def added_places(sums: Sequence[Sum], buckets: Sequence[Bucket], device: torch.device) -> tuple[Tensor, Tensor]:
    """The sums as `Branches.added`: a launch for each of thousands takes a GPU longer than the sums themselves."""
    starts = [0, *accumulate(len(bucket.members) * bucket.keys for bucket in buckets)]
    places, tokens = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, dtype=torch.int64)]
    for part in sums:
        rows = torch.arange(part.rows.start, part.rows.stop)
        firsts = starts[part.bucket] + rows * buckets[part.bucket].keys
        places.append((firsts[:, None] + torch.arange(part.places.start, part.places.stop)).flatten())
        tokens.append(torch.arange(part.tokens.start, part.tokens.stop).repeat(len(rows)))
    return torch.cat(places).to(device), torch.cat(tokens).to(device)
