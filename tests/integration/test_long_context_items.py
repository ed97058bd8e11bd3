"""The suite of long texts through the bridge and a backend, to its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="needs lm-eval")

import builders as b
from slmbench.analysis import load_results
from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import LoadJob
from slmbench.requests import ItemSet
from slmbench.runner.answering import answers
from slmbench.spec import Target, TaskSpec
from slmbench.spec.load import load_suite
from slmbench.store import FinishedRun, save_items, seal
from slmbench.tasks.lm_eval_bridge import build_items
from slmbench.tasks.scorers import score

pytestmark = pytest.mark.engine

TASKS = load_suite("long_context").tasks


def spec(name: str, count: int) -> TaskSpec:
    primary = next(t.primary for t in TASKS if t.task == name)
    return b.task(name, primary=primary, items=count)


@pytest.mark.parametrize("name", [t.task for t in TASKS])
def test_items_carry_their_text_cell_and_key(name: str) -> None:
    items = build_items(spec(name, 6), None)
    assert len(items.items) == 6
    assert items.scorer == ("position" if "long_text" in name else "retrieval")
    for item in items.items:
        if items.scorer == "position":
            assert item.requests[0].details  # type: ignore[union-attr]
            continue
        assert item.group.endswith("% deep")
        assert f'"key": "{_key(item.target)}"' in item.target
        first = item.requests[0]
        if item.choices:
            assert len(item.requests) == 4
            assert item.choices[item.gold or 0] == _key(item.target)
            assert f" {_key(item.target)}." in str(first.context)  # type: ignore[union-attr]
        else:
            assert str(first.prompt).endswith(" is")  # type: ignore[union-attr]
            assert first.max_tokens == 12  # type: ignore[union-attr]


def _key(target: str) -> str:
    return target.split('"key": "', 1)[1][:5]


def _sealed(root: Path, work: TaskSpec, items: ItemSet, context: int) -> None:
    """Answers of the fake backend, judged and stored."""
    target = Target(name="fake-cpu", backend="fake", context=context)
    backend = FakeBackend()
    backend.load(LoadJob(path=root, artefact_sha256="0" * 64, target=target))
    outputs = list(answers(backend, items.items, share=True))
    cell = b.cell(b.variant("fake"), work, suite="long_context", on=target)
    record = b.record(cell, item_set=save_items(root, items), items_total=len(items.items))
    rows = tuple(score(items, outputs))
    seal(root, FinishedRun(cell, b.environment(), record, tuple(outputs), rows, items.scorer))


def test_a_model_that_knows_nothing_and_texts_that_do_not_fit(tmp_path: Path) -> None:
    """The fake's tokens are bytes: 2,048 of them hold no more than the texts of 200 words."""
    for name in ("slm_passkey", "slm_multikey_choice"):
        work = spec(name, 50)
        _sealed(tmp_path, work, build_items(work, None), 2048)
    results = load_results(tmp_path)
    grid = results.retrieval()
    by_length = grid[grid["depth"].isna()].set_index(["task", "words"])
    for name in ("slm_passkey", "slm_multikey_choice"):
        assert by_length.loc[(name, 100), "failed"] == 0
        assert by_length.loc[(name, 1600), "truncated"] == by_length.loc[(name, 1600), "failed"] > 0
        assert by_length.loc[(name, 1600), "n"] == 0
    assert by_length.loc[("slm_passkey", 100), "value"] == 0.0
    symptoms = results.long_sequences()
    assert set(symptoms["symptom"]) == {"unknown"}
    assert symptoms["reason"].str.contains("too rarely").any()


def test_a_model_without_memory_is_level_at_every_position(tmp_path: Path) -> None:
    work = spec("slm_long_text", 2)
    _sealed(tmp_path, work, build_items(work, None), 4096)
    results = load_results(tmp_path)
    rows = [r for r in results.construct_rows if r.metric == "position_nll"]
    assert {r.scope for r in rows} == {
        "0 to 63", "64 to 127", "128 to 255", "256 to 511", "512 to 1023", "1024 to 2047",
        "2048 to 4095",
    }  # fmt: skip
    levels = [r.estimate.value for r in rows if r.estimate.value is not None]
    assert max(levels) - min(levels) < 1.0
    (rise,) = [r for r in results.construct_rows if r.metric == "position_rise"]
    assert rise.estimate.value is None
    assert "windows" in rise.reason


def test_the_suites_load_at_every_size() -> None:
    for name in ("scaling", "long_context"):
        suite = load_suite(name)
        assert set(suite.sizes) == {"demo", "standard", "full"}
        assert len(suite.description) > 200
