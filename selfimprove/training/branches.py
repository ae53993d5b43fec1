"""Rows that begin alike as branches of one tree: every token that rows share is computed once, and nothing is padded.

The rows of a micro-batch are sorted by their ids, so that each begins with what it shares with the row before it. The
tokens that are new in each row, one row after the other, are the *packed* tokens: one sequence without padding, through
which every layer but attention passes as it is. Positions are those of the row. A shared prompt gets the gradients of
all rows that follow it, because they all read its keys and values: sharing is exact, whatever is adapted.

    packed   <chat head>What is 3 + 4?<template> 5 + 6?<template> 12?<template>      three rows, the head once
    row 2    <chat head>What is  5 + 6?<template>                                    the path it attends to

Attention sees rows again (`attention.py`): a row's new tokens are its queries, its whole path its keys, and rows with
alike numbers of queries are padded together in a *bucket*. So padding is in attention alone, a few per cent of the work
at the lengths of interest; one dense mask over the packed tokens would cost their square.

This file is the layout: which token stands where. It computes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

Ids = tuple[int, ...]

_NARROWEST = 0.6
"""A row with fewer queries than this share of the widest one in its bucket goes to the next bucket."""


@dataclass(frozen=True)
class Node:
    """A run of packed tokens between two forks: the rows that have it (`first` up to `end`), from `place` on."""

    tokens: slice
    first: int
    end: int
    place: int


@dataclass(frozen=True)
class Bucket:
    """Rows padded together in attention, by number: `members`, ascending; places for each row's queries and keys."""

    members: tuple[int, ...]
    queries: int
    keys: int
    visible: Tensor
    """Which keys a query sees, [rows, 1, queries, keys]; one that only pads sees some, so that none sees nothing."""


@dataclass(frozen=True)
class Sum:
    """Rows of a bucket, beyond the first that has these tokens, whose gradients for them are to be added up."""

    tokens: slice
    bucket: int
    rows: slice
    places: slice


@dataclass(frozen=True)
class Branches:
    """Rows as a tree: packed ids and positions [1, tokens], and the way of the tokens into attention and back.

    `queries` and `keys` name the packed token of each place, bucket after bucket; `query_places` and `key_places` the
    place of each packed token in the first row that has it. `idle` are the query places that only pad.
    """

    ids: Tensor
    positions: Tensor
    paths: tuple[Ids, ...]
    buckets: tuple[Bucket, ...]
    queries: Tensor
    query_places: Tensor
    idle: Tensor
    keys: Tensor
    key_places: Tensor
    sums: tuple[Sum, ...]


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two rows have in common from the start."""
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

    def tensor(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    return Branches(
        ids=tensor(order)[None],
        positions=tensor(places)[None],
        paths=tuple(paths),
        buckets=tuple(buckets),
        queries=tensor([max(token, 0) for token in queries]),
        query_places=tensor(_first_places(queries, len(order))),
        idle=tensor([place for place, token in enumerate(queries) if token < 0]),
        keys=tensor([max(token, 0) for token in keys]),
        key_places=tensor(_first_places_of_keys(nodes, buckets, len(order))),
        sums=tuple(part for node in nodes for part in _sums(node, buckets)),
    )


def _paths(rows: Sequence[Ids], shares: Sequence[int]) -> list[Ids]:
    """The packed tokens of each row: what it shares with the row before it, then its own."""
    paths: list[Ids] = []
    size = 0
    for row, share in zip(rows, shares, strict=True):
        fresh = len(row) - share
        paths.append((*(paths[-1][:share] if paths else ()), *range(size, size + fresh)))
        size += fresh
    return paths


def _buckets(rows: Sequence[Ids], shares: Sequence[int], device: torch.device) -> list[Bucket]:
    """Rows with tokens of their own, widest first, cut where a row is much narrower than its bucket."""
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
        buckets.append(Bucket(tuple(group), queries, keys, visible[:, None]))
    return buckets


def _layout(groups: Sequence[Sequence[Ids]], widths: Sequence[int]) -> list[int]:
    """The packed token at each place of all buckets in turn; −1 where a row is padded to its bucket's width."""
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
    """Where, in the layout of keys, each packed token stands in the first row that has it."""
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
    """The tree as runs of tokens, each with the rows that pass through it."""
    nodes: list[Node] = []
    owed = [(0, len(rows), 0)]
    while owed:
        first, end, place = owed.pop()
        inner = range(first + 1, end)
        common = min([len(rows[first]), *(shares[row] for row in inner)])
        if common > place:
            token = paths[first][place]
            nodes.append(Node(slice(token, token + common - place), first, end, place))
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
            found.append(Sum(node.tokens, number, slice(start, stop), places))
    return found
