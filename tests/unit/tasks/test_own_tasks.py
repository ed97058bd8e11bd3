"""The data that we write: sizes, balance, pairs that differ in what they should."""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from slmbench.spec.load import load_suite
from slmbench.tasks.index import own_tasks_dir
from slmbench.tasks.scorers.abstention import abstains

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
    assert rows("slm_nonexistent") == maker.nonexistent()
    assert rows("slm_counterfactual_context") == maker.counterfactual()
    assert rows("slm_occupation_pronoun") == maker.pronouns()


def test_ids_are_unique() -> None:
    for name in ("slm_nonexistent", "slm_counterfactual_context", "slm_occupation_pronoun"):
        ids = [row["id"] for row in rows(name)]
        assert len(set(ids)) == len(ids)


def test_nonexistent_has_equal_templates_for_invented_and_real() -> None:
    data = rows("slm_nonexistent")
    shares = {
        group: Counter(row["template"] for row in data if row["group"] == group)
        for group in ("fictional", "control")
    }
    assert (shares["fictional"].total(), shares["control"].total()) == (144, 72)
    assert {t: n // 2 for t, n in shares["fictional"].items()} == dict(shares["control"])
    assert all(row["entity"] in row["question"] for row in data)
    assert not any(abstains(row["question"]) for row in data)
    assert len({row["entity"] for row in data}) == len(data)


def test_counterfactual_context_says_its_answer_and_no_other() -> None:
    data = rows("slm_counterfactual_context")
    assert len(data) >= 120
    for row in data:
        told, true, other = row["choices"]
        assert len({told, true, other}) == 3, row
        assert told in row["context"], row
        assert not re.search(rf"\b{re.escape(true)}\b", row["context"].replace(told, "")), row
        assert told not in row["question"].split(), row


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
