"""Numbers as people read them."""

from __future__ import annotations

import pytest

from slmbench.report.format import scale_for, show, show_difference, show_p, show_range


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.41666, "fraction", "41.7 %"),
        (1.0, "fraction", "100.0 %"),
        (0.01234, "s", "12.3 ms"),
        (1.5, "s", "1.50 s"),
        (0.00002, "s", "20.0 µs"),
        (98362432, "bytes", "98.4 MB"),
        (1_234_000_000, "bytes", "1.23 GB"),
        (0.5, "J/token", "500 mJ/token"),
        (83.25, "tok/s", "83.2 tok/s"),
        (134_515_008, "count", "135 M"),
        (5.846, "bits", "5.85 bits"),
        (0.0, "s", "0 s"),
        (-0.25, "nats", "−0.250 nats"),
        (None, "s", "–"),
    ],
)
def test_show(value: float | None, unit: str, text: str) -> None:
    assert show(value, unit) == text


def test_an_interval_has_its_value_s_unit() -> None:
    assert show_range(0.0123, 0.0009, 1.2, "s") == "0.900–1200"
    assert show_range(0.1, -0.1, 0.3, "nats") == "−0.100 to 0.300"
    assert show_range(0.1, None, 0.3, "nats") == ""


def test_differences_carry_their_sign_and_points() -> None:
    assert show_difference(0.05, "fraction") == "+5.0 pp"
    assert show_difference(-0.002, "s") == "−2.00 ms"
    assert show_difference(0.0, "fraction") == "0.0 pp"


def test_p_is_never_zero() -> None:
    assert (show_p(0.00001), show_p(0.0421), show_p(None)) == ("< 0.001", "0.042", "–")


def test_one_scale_for_an_axis() -> None:
    assert scale_for("s", [0.002, 0.3]).label == "ms"
    assert scale_for("unknown unit", [3.0]).label == "unknown unit"
