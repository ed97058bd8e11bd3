"""The data that we write: sizes, balance, pairs that differ in what they should."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from slmbench.spec.load import load_suite
from slmbench.tasks.index import own_tasks_dir

TOP = Path(__file__).resolve().parents[3]


def rows(name: str) -> list[dict[str, Any]]:
    text = (own_tasks_dir() / "data" / f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tasks", TOP / "scripts" / "make_tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_committed_data_are_what_the_script_makes(maker: ModuleType) -> None:
    assert rows("slm_occupation_pronoun") == maker.pronouns()


def test_ids_are_unique() -> None:
    ids = [row["id"] for row in rows("slm_occupation_pronoun")]
    assert len(set(ids)) == len(ids)


def test_pairs_differ_in_one_word_and_are_balanced() -> None:
    data = rows("slm_occupation_pronoun")
    assert len(data) >= 200
    female = {"she", "her"}
    for row in data:
        first, second = (sentence.split() for sentence in row["sentences"])
        differing = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
        assert len(differing) == 1, row
        assert (differing[0][0] in female) == (row["stereotype"] == "female"), row
    assert Counter(row["stereotype"] for row in data) == {"male": 120, "female": 120}
    assert set(Counter(row["template"] for row in data).values()) == {24}


@pytest.mark.parametrize(
    "name", ["accuracy", "hallucination", "bias", "latency", "memory", "energy"]
)
def test_suites_load_in_all_sizes(name: str) -> None:
    suite = load_suite(name)
    assert set(suite.sizes) == {"demo", "standard", "full"}
    assert suite.sizes["demo"].timeout_s == 300
    assert len(suite.description) > 200
