from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from slmbench.prefix_tree import LEAST_PREAMBLE, SMALL_TREE, Pair, common, plan

SHOTS = tuple(range(1000, 1000 + SMALL_TREE))


def choices(context: tuple[int, ...], *continuations: tuple[int, ...]) -> list[Pair]:
    return [Pair(context, continuation) for continuation in continuations]


def test_choices_share_their_context_and_how_they_begin() -> None:
    pairs = choices((1, 2, 3), (7, 8, 9), (7, 8, 5), (4,))
    (pack,) = plan(pairs, 100)
    (tree,) = pack.trees
    assert pack.preamble == ()
    assert tree.ids == (1, 2, 3, 7, 8)
    assert tree.parents == (-1, 0, 1, 2, 3)
    assert tree.trunk == 3
    assert [g.rows for g in tree.goals] == [(2, 3, 4), (2, 3, 4), (2,)]
    assert tree.depths() == [0, 1, 2, 3, 4]


def test_branches_hang_on_the_trunk() -> None:
    (pack,) = plan(choices((1, 2), (5, 6, 7), (8, 9)), 100)
    (tree,) = pack.trees
    assert tree.ids == (1, 2, 5, 6, 8)
    assert tree.parents == (-1, 0, 1, 2, 1)
    assert tree.depths() == [0, 1, 2, 3, 2]


def test_documents_share_their_shots() -> None:
    pairs = [
        pair
        for question in (tuple(range(300)), tuple(range(500, 900)), (5,))
        for pair in choices(SHOTS + question, (10,), (11,))
    ]
    packs = list(plan(pairs, 450))
    assert [p.preamble for p in packs] == [SHOTS, SHOTS]
    assert [len(p.trees) for p in packs] == [1, 2]
    assert packs[0].trees[0].ids == tuple(range(300))
    assert [p for pack in packs for p in pack.pairs()] == pairs


def test_a_preamble_never_takes_the_last_context_token() -> None:
    pairs = [Pair(SHOTS, (1,)), Pair((*SHOTS, 9), (1,)), Pair((*SHOTS, *range(300)), (2,))]
    packs = list(plan(pairs, 100))
    assert packs[0].preamble == SHOTS[:-1]
    assert all(len(tree.ids) >= 1 for pack in packs for tree in pack.trees)
    assert [p for pack in packs for p in pack.pairs()] == pairs


def test_short_common_beginnings_are_left_alone() -> None:
    start = tuple(range(LEAST_PREAMBLE - 1))
    rest = [tuple(range(50 + 40 * i, 90 + 40 * i)) for i in range(3)]
    packs = list(plan([Pair(start + r, (1,)) for r in rest], 1000))
    assert [p.preamble for p in packs] == [()]
    assert len(packs[0].trees) == 3


def test_contexts_that_part_early_share_up_to_there() -> None:
    """WinoGrande: the choices stand in the contexts, the continuation is the same."""
    pairs = [Pair((1, 2, 3, 10, 5), (8, 9)), Pair((1, 2, 3, 11, 5), (8, 9))]
    (pack,) = plan(pairs, 100)
    (tree,) = pack.trees
    assert tree.trunk == 3
    assert tree.ids == (1, 2, 3, 10, 5, 8, 11, 5, 8)
    assert list(pack.pairs()) == pairs


def test_neighbours_of_another_subject_do_not_shorten_the_shots() -> None:
    other = (*SHOTS[:20], *range(5000, 5300))
    pairs = [Pair((*s, i, i), (1, 2)) for s in (SHOTS, other) for i in range(60)]
    packs = list(plan(pairs, 1000))
    assert [p.preamble for p in packs] == [SHOTS, other]


def test_a_pack_holds_its_budget_or_one_tree() -> None:
    pairs = [Pair(tuple(range(i * 100, i * 100 + 30)), (1,)) for i in range(5)]
    assert [len(p.trees) for p in plan(pairs, 60)] == [2, 2, 1]
    assert [len(p.trees) for p in plan(pairs, 1)] == [1] * 5


def test_common_beginnings() -> None:
    assert common((), (1,)) == 0
    assert common((1, 2), (1, 2)) == 2
    assert common((1, 3), (1, 2)) == 1


TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), TOKENS, st.lists(TOKENS, min_size=1, max_size=3)),
             min_size=1, max_size=5),
    st.integers(1, 40),
    st.sampled_from([None, 1, 2]),
)  # fmt: skip
def test_every_pair_comes_back_in_order(
    documents: list[tuple[bool, tuple[int, ...], list[tuple[int, ...]]]],
    budget: int,
    largest: int | None,
) -> None:
    pairs = [
        Pair((SHOTS if shots else ()) + context, continuation)
        for shots, context, continuations in documents
        for continuation in continuations
    ]
    packs = list(plan(pairs, budget, largest))
    assert [p for pack in packs for p in pack.pairs()] == pairs
    for pack in packs:
        for tree in pack.trees:
            assert all(parent < node for node, parent in enumerate(tree.parents))
            assert tree.parents[: tree.trunk] == tuple(range(-1, tree.trunk - 1))
            assert all(len(g.rows) == len(g.tokens) for g in tree.goals)
