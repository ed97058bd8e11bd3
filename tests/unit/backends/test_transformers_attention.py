"""Attention over packs: each node attends to its ancestors, nothing else."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from slmbench.backends import transformers_attention as attention
from slmbench.backends.transformers_attention import Layout, TreeAttention
from slmbench.prefix_tree import Pack, Pair, Tree, grow

pytestmark = pytest.mark.engine

HEADS, KEY_HEADS, SIZE = 6, 2, 8
MODEL: Any = SimpleNamespace(dtype=torch.float32, device=torch.device("cpu"))


def tree(trunk: int, branches: list[int]) -> Tree:
    """A trunk with branches of these lengths; the ids play no part."""
    pairs = [
        Pair(tuple(range(trunk)), tuple(10_000 * (n + 1) + i for i in range(size + 1)))
        for n, size in enumerate(branches)
    ]
    return grow(pairs)


def states(tokens: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    return tuple(  # type: ignore[return-value]
        torch.randn(1, heads, tokens, SIZE, generator=numbers)
        for heads in (HEADS, KEY_HEADS, KEY_HEADS)
    )


def by_hand(pack: Pack, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Any:
    """Row by row, in float64: softmax over the preamble and the path to the node."""
    past = len(pack.preamble)
    out = torch.empty(query.shape[2], HEADS, SIZE)
    start = 0
    for grown in pack.trees:
        for node in range(len(grown.ids)):
            seen = [*range(past), *(past + start + at for at in grown.path(node))]
            for head in range(HEADS):
                own = head // (HEADS // KEY_HEADS)
                scores = key[0, own, seen].double() @ query[0, head, start + node].double()
                weights = torch.softmax(scores / math.sqrt(SIZE), -1)
                out[start + node, head] = (weights @ value[0, own, seen].double()).float()
        start += len(grown.ids)
    return out[None]


def attend(pack: Pack, query: Any, key: Any, value: Any) -> torch.Tensor:
    """The function as a model calls it, after a preamble where the pack has one."""
    ours, module, past = TreeAttention(), SimpleNamespace(layer_idx=0), len(pack.preamble)
    ours.past = {0: (key[:, :, :past], value[:, :, :past])} if past else {}
    ours.layout = Layout.of(pack, MODEL)
    return ours(module, query, key[:, :, past:], value[:, :, past:], None)[0]


@pytest.mark.parametrize("past", [0, 3])
@pytest.mark.parametrize("causal", [512, 20])
@pytest.mark.parametrize(
    "shapes",
    [
        [(5, [3, 4])],
        [(1, [1])],
        [(60, [35, 35, 47, 50]), (3, []), (100, [1, 1, 1, 1])],
        [(7, [2, 130, 1])],
    ],
)
def test_each_node_attends_to_its_path(
    monkeypatch: pytest.MonkeyPatch, shapes: list[tuple[int, list[int]]], causal: int, past: int
) -> None:
    monkeypatch.setattr(attention, "CAUSAL", causal)
    monkeypatch.setattr(attention, "SCORES", 5_000)  # several groups of one shape
    pack = Pack(tuple(range(past)), tuple(tree(*shape) for shape in shapes if shape[1]))
    query = states(pack.tokens)[0]
    _, key, value = states(past + pack.tokens, seed=1)
    found = attend(pack, query, key, value)
    assert torch.allclose(found, by_hand(pack, query, key, value), atol=1e-5)


def test_neighbours_change_nothing_to_the_last_bit() -> None:
    first, other = tree(50, [30, 20]), tree(70, [10, 60, 33])
    query, key, value = states(len(first.ids) + len(other.ids))
    alone = len(first.ids)
    apart = attend(Pack((), (first,)), query[:, :, :alone], key[:, :, :alone], value[:, :, :alone])
    together = attend(Pack((), (first, other)), query, key, value)
    assert torch.equal(together[:, :alone], apart)


@pytest.mark.parametrize("length", [1, 47, 48, 49, 97, 2_353, 5_000])
def test_cuts_cover_every_row_once_and_stay_short(length: int) -> None:
    chain = Tree(tuple(range(length)), tuple(range(-1, length - 1)), length, ())
    cuts = list(attention._cuts(chain, 0))
    assert [begin for begin, _ in cuts] == [0, *(end for _, end in cuts[:-1])]
    assert cuts[-1][1] == length
    assert all(0 < end - begin <= attention.CHUNK for begin, end in cuts)
