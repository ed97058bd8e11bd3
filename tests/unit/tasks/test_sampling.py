"""Item ids and samples."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmbench.errors import UsageError
from slmbench.tasks.sampling import distinct, document_digest, draw, item_ids, named

IDS = [f"i{n}" for n in range(100)]
STRATA = ["a"] * 60 + ["b"] * 30 + ["c"] * 10


def test_own_id_column_is_used() -> None:
    assert item_ids([{"id": "x"}, {"id": "y"}]) == ["x", "y"]
    assert item_ids([{"ind": 7, "t": 1}, {"ind": 8, "t": 1}]) == ["7", "8"]


def test_repeated_ids_are_told_apart_by_content_not_by_place() -> None:
    docs = [{"ind": 7, "t": "a"}, {"ind": 7, "t": "b"}, {"ind": 8, "t": "c"}]
    ids = item_ids(docs)
    assert ids[0] == f"7-{document_digest(docs[0])[:8]}"
    assert ids[2] == "8"
    assert item_ids(docs[::-1]) == ids[::-1]


def test_without_an_id_column_the_content_is_the_id() -> None:
    docs = [{"q": "é", "n": 1}, {"n": 1, "q": "é"}, {"q": "f", "n": 1}]
    ids = item_ids(docs)
    assert ids[0] == document_digest(docs[0])[:16]
    assert ids[1] == f"{ids[0]}#2"
    assert len(set(ids)) == 3
    assert item_ids([]) == []


def test_sample_is_stratified_and_not_the_first_ones() -> None:
    chosen = draw(IDS, STRATA, 20, 1)
    assert Counter(STRATA[p] for p in chosen) == {"a": 12, "b": 6, "c": 2}
    assert sorted(chosen) != list(range(20))


def test_seed_changes_the_sample_and_repeats_it() -> None:
    assert draw(IDS, STRATA, 20, 1) == draw(IDS, STRATA, 20, 1)
    assert set(draw(IDS, STRATA, 20, 1)) != set(draw(IDS, STRATA, 20, 2))


def test_all_items_when_the_sample_is_larger_or_not_limited() -> None:
    assert sorted(draw(IDS, STRATA, None, 1)) == list(range(100))
    assert sorted(draw(IDS, STRATA, 1000, 1)) == list(range(100))


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=80),
    st.integers(0, 80),
    st.integers(0, 80),
    st.integers(0, 5),
)
def test_growing_keeps_what_was_drawn(strata: list[str], n: int, more: int, seed: int) -> None:
    ids = [str(i) for i in range(len(strata))]
    small, large = draw(ids, strata, n, seed), draw(ids, strata, n + more, seed)
    assert large[: len(small)] == small
    for stratum, size in Counter(strata).items():
        share = sum(strata[p] == stratum for p in small)
        bound = max(1, len(set(strata)) - 1)  # rounding of the stratum, and of the others
        assert abs(share - len(small) * size / len(strata)) <= bound


def test_order_of_the_data_does_not_matter() -> None:
    forward = {IDS[p] for p in draw(IDS, STRATA, 15, 3)}
    backward_ids, backward_strata = IDS[::-1], STRATA[::-1]
    assert {backward_ids[p] for p in draw(backward_ids, backward_strata, 15, 3)} == forward


def test_every_item_is_equally_likely() -> None:
    hits = Counter(p for seed in range(400) for p in draw(IDS, STRATA, 10, seed))
    by_stratum = Counter[str]()
    for position, count in hits.items():
        by_stratum[STRATA[position]] += count
    assert by_stratum["a"] / 60 == pytest.approx(40, rel=0.1)
    assert by_stratum["c"] / 10 == pytest.approx(40, rel=0.2)


def test_named_items_come_in_the_order_in_which_they_are_named() -> None:
    assert named("t", ["i7", "i3", "i99"], IDS) == [7, 3, 99]


def test_an_unknown_name_is_told_with_what_there_is() -> None:
    with pytest.raises(UsageError) as caught:
        named("arc", ["i7", "q1", "q2", "q3", "q4"], IDS)
    assert caught.value.message == (
        "task 'arc' has no item 'q1', 'q2', 'q3' and 1 more: it has 100 items, such as 'i0', 'i1'"
    )
    assert caught.value.hint


@pytest.mark.parametrize(
    ("wanted", "why"), [(["i1", "i2", "i1"], "named twice: 'i1'"), ([], "names no item")]
)
def test_duplicates_and_nothing_are_refused(wanted: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        named("arc", wanted, IDS)


def test_distinct_keeps_the_first_of_equal_documents_in_order() -> None:
    docs = [{"t": "a", "n": 1}, {"t": "b", "n": 2}, {"t": "a", "n": 3}]
    assert distinct(docs, "t") == docs[:2]
    assert distinct(docs, "") == docs
