"""Old records are lifted step by step; newer and shapeless ones are refused."""

from __future__ import annotations

import json

import pytest

from slmbench.store import migrations
from slmbench.store.migrations import TooNewError, upgraded


def test_the_newest_format_passes_unchanged() -> None:
    text = json.dumps({"schema_version": migrations.CURRENT, "x": 1})
    assert upgraded(text) is text


def test_steps_are_taken_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "CURRENT", 3)
    steps = {
        1: lambda d: {**d, "trail": "1", "schema_version": 2},
        2: lambda d: {**d, "trail": d["trail"] + "2", "schema_version": 3},
    }
    monkeypatch.setattr(migrations, "_STEPS", steps)
    lifted = json.loads(upgraded(json.dumps({"schema_version": 1})))
    assert lifted == {"schema_version": 3, "trail": "12"}


@pytest.mark.parametrize(
    "text", ["[]", '{"schema_version": "one"}', "{", '{"schema_version": null}']
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        upgraded(text)


def test_a_newer_format_says_so() -> None:
    with pytest.raises(TooNewError, match="format version 99"):
        upgraded('{"schema_version": 99}')
