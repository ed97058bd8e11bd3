"""Long texts with keys in them: repeatable, of the length that was asked for, unambiguous."""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from slmbench.tasks.haystack import COLOURS, KEYS, LOCKS, long_text, question
from slmbench.tasks.index import own_tasks_dir

DATA = own_tasks_dir() / "data"
SETS = {
    "slm_retrieval": 500,
    "slm_retrieval_long": 400,
    "slm_long_text": 64,
    "slm_long_text_8k": 32,
}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", SETS)
def test_the_generator_makes_the_committed_bytes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DATA / "generators"))
    text: Callable[[], str] = importlib.import_module(name).text
    assert text() == (DATA / f"{name}.jsonl").read_text("utf-8")
    assert len(rows(name)) == SETS[name]
    card = (DATA / "cards" / f"{name.removesuffix('_long').removesuffix('_8k')}.md").read_text()
    assert "Apache-2.0" in card
    assert f"{SETS[name]} items" in card or f"({SETS[name]} in the longer set)" in card


@pytest.mark.parametrize("name", ["slm_retrieval", "slm_retrieval_long"])
def test_every_cell_has_twenty_seeds(name: str) -> None:
    cells = Counter((row["words"], row["depth"]) for row in rows(name))
    assert set(cells.values()) == {20}
    assert len({depth for _, depth in cells}) == 5


@pytest.mark.parametrize("several", [False, True])
def test_the_key_stands_once_where_it_should_and_the_others_as_declared(several: bool) -> None:
    for row in rows("slm_retrieval")[::37]:
        doc = question(row, several=several)
        labels = json.loads(doc["labels"])
        assert doc == question(row, several=several)
        assert doc["text"].count(doc["key"]) == 1
        assert doc["choices"][doc["gold"]] == doc["key"] == labels["key"]
        assert len(set(doc["choices"])) == KEYS
        written = set(re.findall(r"\d+", doc["text"]))
        assert written == ({*doc["choices"]} if several else {doc["key"]})
        assert set(labels["others"]) == written - {doc["key"]}
        assert f"{doc['stem']} {doc['key']}." in doc["text"]
        assert (labels["words"], labels["depth"]) == (row["words"], row["depth"])
        if not several:
            body = doc["text"].split("\n\n", 1)[1]
            before = body.split(doc["stem"])[0].count(".")
            assert before == round((body.count(".") - 1) * row["depth"] / 100)


def test_filler_keeps_to_its_length_and_has_no_words_of_the_keys() -> None:
    for words in (100, 400, 1600):
        text = long_text(words, 3)
        assert words - 16 < len(text.split()) <= words
        assert not re.search(r"\d", text)
        assert not set(re.findall(r"[a-z]+", text.lower())) & {*COLOURS, *LOCKS, "code"}
    assert long_text(200, 1) != long_text(200, 2)


def test_right_choices_stand_in_every_place() -> None:
    places = Counter(question(row, several=True)["gold"] for row in rows("slm_retrieval"))
    assert all(90 < places[k] < 160 for k in range(KEYS))
