"""Event streams, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmbench.loadgen.sse import SseError, SseParser

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)


def pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[a:b] for a, b in pairwise(edges)]


@given(
    events=st.lists(st.lists(TEXT, min_size=1, max_size=3), max_size=5),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
)
def test_events_do_not_depend_on_where_the_network_cuts(
    events: list[list[str]], newline: str, cuts: list[int]
) -> None:
    said = [
        ": comment" + newline + "".join(f"data: {line}{newline}" for line in lines) + newline
        for lines in events
    ]
    parser = SseParser()
    found = [data for piece in pieces("".join(said).encode(), cuts) for data in parser.feed(piece)]
    assert found == ["\n".join(lines) for lines in events]


def test_crlf_in_two_chunks_ends_one_line() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"\ndata: b\r\n\r") == ["a\nb"]
    assert parser.feed(b"\ndata: c\n\n") == ["c"]


def test_an_event_is_handed_out_with_its_blank_line_not_before() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n") == []
    assert parser.incomplete
    assert parser.feed(b"\n") == ["a"]
    assert not parser.incomplete


def test_only_data_is_data() -> None:
    parser = SseParser()
    raw = (
        "\ufeffid: 7\nevent: delta\nretry: 10\n\n: ping\n\ndata:no blank\ndata:  two\nother: x\n\n"
    )
    assert parser.feed(raw.encode()) == ["no blank\n two"]


def test_split_characters_are_joined_and_broken_ones_refused() -> None:
    parser, raw = SseParser(), "data: é€😀\n\n".encode()
    assert [d for byte in raw for d in parser.feed(bytes([byte]))] == ["é€😀"]
    with pytest.raises(SseError, match="not UTF-8"):
        SseParser().feed(b"data: \xff\n\n")
