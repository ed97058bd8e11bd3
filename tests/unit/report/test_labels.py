"""Names beside marks."""

from __future__ import annotations

from slmbench.report.labels import Spot, place, short_names


def test_close_marks_get_different_places() -> None:
    spots = [Spot(0.50, 0.5, "first name"), Spot(0.53, 0.5, "second name")]
    places = place(spots)
    assert places[0] != places[1]


def test_a_name_at_the_edge_goes_inwards() -> None:
    assert "left" in place([Spot(0.99, 0.5, "a long name")])[0]
    assert "right" in place([Spot(0.01, 0.5, "a long name")])[0]


def test_shared_prefixes_go_at_a_separator() -> None:
    assert short_names(["smol-q4", "smol-q8"]) == ("q4", "q8")
    assert short_names(["alpha", "alps"]) == ("alpha", "alps")
    assert short_names(["m-q4", "m-q4"]) == ("m-q4", "m-q4")
    assert short_names([]) == ()
    assert short_names(["m-a", "m-a-b"]) == ("a", "a-b")
