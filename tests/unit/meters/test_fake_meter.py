"""The public fake: configurable and the same each time."""

from __future__ import annotations

from slmbench.meters.fake import FakeMeter
from slmbench.meters.protocol import Reading
from slmbench.records import Observation


def test_windows_are_numbered_and_journalled() -> None:
    meter = FakeMeter.create("cuda:3")
    values = []
    for _ in range(3):
        meter.start()
        values.append(meter.stop().measurements[0].samples)
    assert values == [(1.0,), (2.0,), (3.0,)]
    assert meter.journal == ["start", "stop"] * 3


def test_answers_can_be_given() -> None:
    seen = Observation(kind="steal", value=0.5, unit="fraction", message="half was taken")
    meter = FakeMeter(lambda window: Reading(observations=(seen,) * window))
    meter.start()
    meter.stop()
    meter.start()
    assert meter.stop().observations == (seen, seen)
