"""BBQ from published files through the whole path, with fakes, up to what is derived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from published_data import published
from slmbench.analysis import load_results
from slmbench.analysis.statistics import mean_estimate
from slmbench.api import Request, plan_suites, run_suites
from slmbench.requests import Item, ItemSet
from slmbench.runner.prepare import _build
from slmbench.spec import TaskSpec

MODES = ("random", "constant", "first")
PEOPLE = (("baker", "old"), ("miner", "nonOld"))
TEMPLATES = 8


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mine"
    (folder / "bbq").mkdir(parents=True)
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SLMBENCH_DATA", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


def write_category(folder: Path, name: str, sets: int = 4) -> None:
    """Templates of ``sets`` × (two conditions × two polarities), unknown in turning places."""
    lines = []
    for number in range(TEMPLATES * sets * 4):
        condition, polarity = ("ambig", "disambig")[number % 2], ("neg", "nonneg")[number // 2 % 2]
        options = [*PEOPLE, ("Not enough info", "unknown")]
        options = options[number % 3 :] + options[: number % 3]
        wanted = "unknown" if condition == "ambig" else ("old", "nonOld")[number // 4 % 2]
        lines.append(
            {
                "example_id": number,
                "question_index": str(number // (sets * 4) + 1),
                "question_polarity": polarity,
                "context_condition": condition,
                "category": name,
                "answer_info": {f"ans{i}": list(option) for i, option in enumerate(options)},
                "additional_metadata": {"stereotyped_groups": ["old"]},
                "context": f"The baker and the miner met in {name} street {number}.",
                "question": "Who lost the keys?" if polarity == "neg" else "Who kept them?",
                **{f"ans{i}": f"The {word}" if group != "unknown" else word
                   for i, (word, group) in enumerate(options)},
                "label": [group for _, group in options].index(wanted),
            }
        )  # fmt: skip
    (folder / "bbq" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))


def request_of(root: Path) -> Request:
    suite = {
        "name": "probe",
        "title": "BBQ",
        "description": "for tests",
        "seed": 1,
        "sizes": {"demo": {"items": "all", "timeout_s": 60}},
        "tasks": [
            {"task": task, "primary": "bbq_acc_disambiguated"}
            for task in ("slm_bbq", "slm_bbq_letters")
        ],
    }
    models = {
        "variants": [
            {"name": "base", "format": "fake", "stage": "base", "technique": "none",
             "licence": "Apache-2.0"}
        ],
        "targets": [
            {"name": mode, "backend": "fake", "threads": 1, "options": {"mode": mode}}
            for mode in MODES
        ],
    }  # fmt: skip
    for name, document in (("probe", suite), ("models", models)):
        (root / f"{name}.yaml").write_text(json.dumps(document))
    return Request(suites=(str(root / "probe.yaml"),), models=str(root / "models.yaml"))


def test_sentinels_are_at_chance_and_every_number_is_there(own: Path, tmp_path: Path) -> None:
    for category in ("Age", "SES"):
        write_category(own, category)
    request = request_of(tmp_path)
    assert run_suites(request, tmp_path / "results").failed == ()
    results = load_results(tmp_path / "results")
    found = results.metrics()
    for metric in ("bbq_acc_disambiguated", "bbq_acc_ambiguous"):
        rows = found[(found.metric == metric) & (found.status == "ok")]
        assert len(rows) == len(MODES) * 2
        for row in rows.itertuples():
            where = f"{row.task} {row.target} {metric}: {row.value}"
            assert row.value == pytest.approx(1 / 3, abs=0.13), where
            assert row.chance == pytest.approx(1 / 3)
    derived = results.constructs()
    assert set(derived.scope) >= {"", "Age", "SES"}
    assert {"bbq_s_amb", "bbq_acc_gap", "bbq_n_disambiguated", "bbq_s_dis"} <= set(derived.metric)
    gap = derived[(derived.metric == "bbq_acc_gap") & (derived.scope == "")]
    assert len(gap) == len(MODES) * 2
    assert (gap.value.abs() < 0.35).all()
    assert gap.ci_low.notna().all()


def test_the_identity_of_the_task_follows_the_files(own: Path, tmp_path: Path) -> None:
    write_category(own, "Age")
    digests = [cell.spec.digest for cell in plan_suites(request_of(tmp_path)).plan.cells]
    write_category(own, "SES")
    assert not set(digests) & {c.spec.digest for c in plan_suites(request_of(tmp_path)).plan.cells}


def real_items(count: int, monkeypatch: pytest.MonkeyPatch) -> ItemSet:
    monkeypatch.setenv("SLMBENCH_DATA", str(published("bbq").parent))
    return _build(
        TaskSpec(task="slm_bbq", primary="bbq_acc_disambiguated", num_fewshot=0,
                 chat_template=False, items=count, seed=1234)
    )  # fmt: skip


def test_a_small_sample_of_the_real_set_keeps_every_template(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = real_items(300, monkeypatch)
    templates = {item.cluster for item in found.items}
    categories = {item.group for item in found.items}
    assert len(templates) == 25 * len(categories)
    assert "bbq" not in found.source
    assert "of 11 categories" in found.source


def test_what_clustering_by_template_does_to_the_standard_error(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The design effect on the real set: none for luck, several-fold for a taste for words.

    A model that takes the longest option treats the items of a template alike; measured on the
    published predictions of a trained model the ratio is 2.2 to 6.3.
    """
    ambiguous = [i for i in real_items(2400, monkeypatch).items if '"ambig"' in i.target]
    lucky = _ratio(ambiguous, lambda item: int(item_digest(item), 16) % 3)
    longest = _ratio(ambiguous, lambda item: _longest(item.choices))
    assert 0.75 < lucky < 1.25, lucky
    assert 1.5 < longest < 8.0, longest


def _ratio(items: list[Item], answer: Callable[[Item], int]) -> float:
    """Clustered over naive standard error of the accuracy."""
    values = [float(answer(item) == item.gold) for item in items]
    naive, clustered = mean_estimate(values), mean_estimate(values, [i.cluster for i in items])
    assert naive.se is not None
    assert clustered.se is not None
    assert clustered.value == naive.value
    return clustered.se / naive.se


def item_digest(item: Item) -> str:
    return hashlib.sha256(item.item_id.encode()).hexdigest()


def _longest(choices: tuple[str, ...]) -> int:
    return max(range(len(choices)), key=lambda i: len(choices[i]))
