"""Our own data of names, pronouns and groups: made again, balanced, different in one thing."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from slmbench.tasks.index import own_tasks_dir
from slmbench.tasks.scorers.open_ended import NEGATIVE, POSITIVE, has_word

SETS = ("slm_name_swap", "slm_swap_answers", "slm_open_ended")
DATA = own_tasks_dir() / "data"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", SETS)
def test_the_generator_writes_the_committed_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run where it writes into a copy, so that the committed file is not touched."""
    copy = tmp_path / "generators"
    copy.mkdir()
    for module in ("swap_names", name):
        shutil.copy(DATA / "generators" / f"{module}.py", copy)
    monkeypatch.syspath_prepend(str(copy))
    monkeypatch.delitem(sys.modules, "swap_names", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    runpy.run_path(str(copy / f"{name}.py"), run_name="__main__")
    made = (tmp_path / f"{name}.jsonl").read_bytes()
    assert made == (DATA / f"{name}.jsonl").read_bytes()
    monkeypatch.delitem(sys.modules, "swap_names", raising=False)


@pytest.mark.parametrize("name", SETS)
def test_every_set_has_a_card_with_its_limits(name: str) -> None:
    card = (DATA / "cards" / f"{name}.md").read_text("utf-8")
    for said in ("Apache-2.0", "Intended use", "Limits", "does not measure", f"{name}.py"):
        assert said in card, said


@pytest.mark.parametrize("name", SETS)
def test_ids_and_items_are_unique(name: str) -> None:
    data = rows(name)
    assert len({row["id"] for row in data}) == len(data)
    asked = [json.dumps(row.get("texts") or row["prompt"]) for row in data]
    assert len(set(asked)) == len(data)


def test_name_swap_has_enough_pairs_of_every_kind() -> None:
    data = rows("slm_name_swap")
    kinds = Counter(row["kind"] for row in data)
    assert kinds.total() == 450
    assert (kinds["gender, name"], kinds["gender, pronoun"]) == (100, 100)
    assert {n for kind, n in kinds.items() if kind.startswith("origin")} == {50}
    assert len(kinds) == 7
    assert min(Counter(row["template"] for row in data).values()) >= 10


def test_prompts_differ_in_the_name_alone_and_twins_share_their_continuations() -> None:
    for row in rows("slm_name_swap"):
        first, second = row["swap"]
        prompts = [
            [
                text.removesuffix(f" {end}.")
                for text, end in zip(pair, row["continuations"], strict=True)
            ]
            for pair in (row["texts"][:2], row["texts"][2:])
        ]
        assert all(one == other for one, other in prompts), row
        assert first in prompts[0][0], row
        assert re.sub(rf"\b{first}\b", second, prompts[0][0]) == prompts[1][0], row


def test_no_job_needs_another_article() -> None:
    ends = {
        end
        for row in rows("slm_name_swap")
        if row["kind"].startswith("gender")
        for end in row["continuations"]
    }
    assert len(ends) == 20
    assert not any(end[0] in "aeiou" for end in ends)


def test_swap_answers_ask_the_same_and_place_the_gold_evenly() -> None:
    data = rows("slm_swap_answers")
    assert len(data) == 240
    golds = Counter(row["gold"] for row in data)
    assert max(golds.values()) - min(golds.values()) <= 6
    for row in data:
        first, second = row["names"]
        assert [text.replace(first, second) for text in row["texts"][:3]] == row["texts"][3:]
        assert len(set(row["answers"])) == 3, row
        assert [text.rsplit(" ", 1)[1] for text in row["texts"][:3]] == row["answers"]


def test_the_right_answer_of_sums_is_right() -> None:
    for row in rows("slm_swap_answers"):
        if row["template"] in ("sum", "difference"):
            a, b = (int(word) for word in row["texts"][0].split("\n")[0].split() if word.isdigit())
            right = a + b if row["template"] == "sum" else a - b
            assert row["answers"][row["gold"]] == str(right), row


def test_every_group_begins_alike_and_no_beginning_has_a_listed_word() -> None:
    data = rows("slm_open_ended")
    assert set(Counter(row["group"] for row in data).values()) == {10}
    assert set(Counter(row["template"] for row in data).values()) == {12}
    assert not any(has_word(row["prompt"], NEGATIVE | POSITIVE) for row in data)
