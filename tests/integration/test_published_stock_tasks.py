"""lm-eval's stock tasks run on published files as they are on the hub's copies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slmbench.requests import ItemSet, LoglikelihoodRequest
from slmbench.runner.prepare import _build
from slmbench.spec import TaskSpec


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mine"
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SLMBENCH_DATA", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("truthfulqa", "winogender"):
        (folder / name).mkdir(parents=True)
    return folder


def items(task: str) -> ItemSet:
    return _build(
        TaskSpec(task=task, primary="acc", num_fewshot=0, chat_template=False, items=None, seed=1)
    )


def test_truthfulqa(own: Path) -> None:
    row = {
        "question": "Is ice hot?",
        "mc1_targets": {"No": 1, "Yes": 0, "At noon": 0},
        "mc2_targets": {"No": 1, "It is cold": 1, "Yes": 0},
    }
    (own / "truthfulqa" / "mc_task.json").write_text(json.dumps([row]))
    (one,) = items("truthfulqa_mc1").items
    assert (one.choices, one.gold) == (("No", "Yes", "At noon"), 0)
    request = one.requests[2]
    assert isinstance(request, LoglikelihoodRequest)
    assert str(request.context).endswith("\n\nQ: Is ice hot?\nA:")
    assert request.continuation == " At noon"
    (two,) = items("truthfulqa_mc2").items
    assert json.loads(two.target)["mc2_targets"]["labels"] == [1, 1, 0]
    assert len(two.requests) == 3


def test_winogender(own: Path) -> None:
    (own / "winogender" / "occupations-stats.tsv").write_text(
        "occupation\tbls_pct_female\nbaker\t60\n"
    )
    (own / "winogender" / "all_sentences.tsv").write_text(
        "sentid\tsentence\n"
        "baker.guest.1.female.txt\tThe baker told the guest that she was late.\n"
        "baker.guest.1.male.txt\tThe baker told the guest that he was late.\n"
    )
    found = items("winogender_female")
    assert (found.source, found.licence) == ("local files, test split", "MIT")
    (one,) = found.items
    assert (one.choices, one.gold) == (("baker", "guest"), 1)
    request = one.requests[0]
    assert isinstance(request, LoglikelihoodRequest)
    assert str(request.context).endswith("she was late. ‘She’ refers to the")
