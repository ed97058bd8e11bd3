"""What earlier attempts took is added to the last one's, where there is something to go on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.lifecycle.attempts import Attempts


def test_times_add_up_and_the_higher_peak_counts(tmp_path: Path) -> None:
    Attempts.before(tmp_path).and_now(40.0, 900).note(tmp_path)
    Attempts.before(tmp_path).and_now(20.0, 700).note(tmp_path)
    found = Attempts.before(tmp_path).and_now(5.0, None)
    assert (found.seconds, found.peak_memory_bytes) == (65.0, 900)
    assert [f.name for f in tmp_path.iterdir()] == ["spent.json"]


def test_an_attempt_notes_all_of_itself_each_time(tmp_path: Path) -> None:
    before = Attempts.before(tmp_path)
    for seconds in (1.0, 2.0, 3.0):
        before.and_now(seconds, None).note(tmp_path)
    assert Attempts.before(tmp_path).seconds == 3.0


def test_without_a_checkpoint_nothing_is_noted(tmp_path: Path) -> None:
    place = tmp_path / "none"
    Attempts(seconds=1.0).note(place)
    Attempts(seconds=1.0).note(None)
    assert not place.exists()
    assert Attempts.before(place) == Attempts.before(None) == Attempts()


@pytest.mark.parametrize("text", ["", "{", '{"seconds": "many"}'])
def test_a_damaged_note_counts_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "spent.json").write_text(text)
    assert Attempts.before(tmp_path) == Attempts()


def test_a_note_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "spent.json").mkdir()
    Attempts(seconds=1.0).note(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["spent.json"]
