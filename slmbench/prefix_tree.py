"""Scoring plans: requests as a prefix tree over token ids, so that nothing is evaluated twice.

A few-shot preamble is shared by the documents of a task, a document's context by its choices,
and choices share how they begin. :func:`plan` turns pairs of token ids into packs of trees that a
backend evaluates in one pass; the numbers stay those of the requests, in their order. No engine
and no tokenizer is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Ids = tuple[int, ...]

LEAST_PREAMBLE = 16
"""Shorter common beginnings of documents are not worth keeping [tokens]."""
SMALL_TREE = 256
"""Contexts that differ share a tree up to this size: attention inside a tree is dense [tokens]."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Token ids of one thing to score: log p(continuation | context)."""

    context: Ids
    """Never empty."""
    continuation: Ids
    """Empty when nothing is left to score: a failure, never planned."""

    @property
    def fed(self) -> Ids:
        """What the model must read: the last token is scored but never fed."""
        return self.context + self.continuation[:-1]


@dataclass(frozen=True, slots=True)
class Goals:
    """Where the tokens of one pair are predicted."""

    rows: tuple[int, ...]
    """Node of its tree whose logits predict each token."""
    tokens: Ids


@dataclass(frozen=True, slots=True)
class Tree:
    """Sequences with a common beginning, every shared token once."""

    ids: Ids
    """Token of each node; a node comes after its parent."""
    parents: tuple[int, ...]
    """Node before each node; -1: the pack's preamble, or nothing."""
    trunk: int
    """The first ``trunk`` nodes are a chain that all others descend from."""
    goals: tuple[Goals, ...]
    """One per pair, in order."""

    def path(self, node: int) -> list[int]:
        """Nodes from the root to this one."""
        found: list[int] = []
        while node >= 0:
            found.append(node)
            node = self.parents[node]
        return found[::-1]

    def depths(self) -> list[int]:
        """Position of each node after the preamble."""
        found: list[int] = []
        for parent in self.parents:
            found.append(0 if parent < 0 else found[parent] + 1)
        return found


@dataclass(frozen=True, slots=True)
class Pack:
    """What is evaluated in one pass."""

    preamble: Ids
    """Stands before every tree; evaluated once for all packs in a row that have it."""
    trees: tuple[Tree, ...]

    @property
    def tokens(self) -> int:
        """Nodes of all trees."""
        return sum(len(tree.ids) for tree in self.trees)

    def pairs(self) -> Iterator[Pair]:
        """The pairs that it was made from, in order."""
        for tree in self.trees:
            for goals in tree.goals:
                context = tuple(tree.ids[node] for node in tree.path(goals.rows[0]))
                yield Pair(self.preamble + context, goals.tokens)


def plan(pairs: Sequence[Pair], budget: int, most: int | None = None) -> Iterator[Pack]:
    """Packs that answer the pairs in their order.

    Pairs with the same context make one tree, and so do neighbours that begin alike while the
    tree stays small; where it would not, the common beginning becomes a preamble. A pack holds
    as many trees as ``budget`` new tokens allow, and at least one. Every pair keeps at least one
    context token of its own, because its first logits are read there. ``most``: pairs of a
    pack; None: no limit.
    """
    for preamble, trees in _forest(pairs, most):
        pack: list[Tree] = []
        size = asked = 0
        for tree in trees:
            full = most is not None and asked + len(tree.goals) > most
            if pack and (full or size + len(tree.ids) > budget):
                yield Pack(preamble, tuple(pack))
                pack, size, asked = [], 0, 0
            pack.append(tree)
            size += len(tree.ids)
            asked += len(tree.goals)
        yield Pack(preamble, tuple(pack))


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common beginning.

    >>> common((1, 2, 3), (1, 2, 4, 5))
    2
    """
    length = min(len(left), len(right))
    if left[:length] == right[:length]:
        return length
    return next(i for i in range(length) if left[i] != right[i])


_Group = list[Pair]
"""Neighbours with the same context."""


def _forest(pairs: Sequence[Pair], most: int | None) -> Iterator[tuple[Ids, list[Tree]]]:
    """Trees in order, those in a row without a preamble together."""
    plain: list[Tree] = []
    for beginning, groups in _alike(_groups(pairs, most)):
        members = [pair for group in groups for pair in group]
        small = _nodes(beginning, members) <= SMALL_TREE
        if len(groups) == 1 or (small and (most is None or len(members) <= most)):
            plain.append(grow(members))
        elif len(beginning) < LEAST_PREAMBLE:
            plain += [grow(group) for group in groups]
        else:
            if plain:
                yield (), plain
                plain = []
            cut = [[_without(p, len(beginning)) for p in group] for group in groups]
            rest = [pair for group in cut for pair in group]
            yield beginning, [tree for _, trees in _flat(rest, most) for tree in trees]
    if plain:
        yield (), plain


def _flat(pairs: Sequence[Pair], most: int | None) -> Iterator[tuple[Ids, list[Tree]]]:
    """Trees after a preamble: what begins alike is joined while it is small."""
    for beginning, groups in _alike(_groups(pairs, most)):
        members = [pair for group in groups for pair in group]
        small = _nodes(beginning, members) <= SMALL_TREE
        if small and (most is None or len(members) <= most):
            yield (), [grow(members)]
        else:
            yield (), [grow(group) for group in groups]


def _groups(pairs: Sequence[Pair], most: int | None) -> Iterator[_Group]:
    group: _Group = []
    for pair in pairs:
        if group and (len(group) == most or group[0].context != pair.context):
            yield group
            group = []
        group.append(pair)
    if group:
        yield group


def _alike(groups: Iterator[_Group]) -> Iterator[tuple[Ids, list[_Group]]]:
    """Runs of groups with what all their contexts begin with (their last tokens left out).

    A group joins if it shares :data:`LEAST_PREAMBLE` tokens or half of its context, and does
    not cost the run more than a quarter of what it shares already.
    """
    run: list[_Group] = []
    shared: Ids = ()
    for group in groups:
        context = group[0].context[:-1]
        length = common(shared, context)
        enough = length >= LEAST_PREAMBLE or (length and 2 * length >= len(context))
        if run and enough and (len(run) == 1 or 4 * length >= 3 * len(shared)):
            run.append(group)
            shared = shared[:length]
            continue
        if run:
            yield shared, run
        run, shared = [group], context
    if run:
        yield shared, run


def _nodes(beginning: Ids, members: Sequence[Pair]) -> int:
    """Tokens of the tree that these pairs would make, at most."""
    return len(beginning) + sum(len(pair.fed) - len(beginning) for pair in members)


def _without(pair: Pair, length: int) -> Pair:
    return Pair(pair.context[length:], pair.continuation)


def grow(pairs: Sequence[Pair]) -> Tree:
    """The tree of pairs; what their contexts have in common becomes its trunk."""
    trunk = min(common(pairs[0].context, pair.context) for pair in pairs)
    ids: list[int] = list(pairs[0].context[:trunk])
    parents = list(range(-1, trunk - 1))
    children: dict[tuple[int, int], int] = {}
    goals: list[Goals] = []
    for pair in pairs:
        path = list(range(trunk))
        for token in pair.fed[trunk:]:
            node = path[-1] if path else -1
            found = children.get((node, token))
            if found is None:
                found = children[(node, token)] = len(ids)
                ids.append(token)
                parents.append(node)
            path.append(found)
        goals.append(Goals(tuple(path[-len(pair.continuation) :]), pair.continuation))
    return Tree(tuple(ids), tuple(parents), trunk, tuple(goals))
