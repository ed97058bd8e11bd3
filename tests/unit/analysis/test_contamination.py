"""A variant that was trained on the data that it is asked about is not believed."""

from __future__ import annotations

from pathlib import Path

import builders as b
import signature_store as made
from slmbench.analysis.results import load_results

BASE = b.variant("base")
TUNED = b.variant("tuned", parent="base")
ROUNDED = b.variant("rounded", parent="tuned")
TASK = "arc_easy"


def source(digest: str) -> str:
    return f"arc_easy: wheel tests==1.0, sha256 {digest}"


def asked(root: Path, *refs: object) -> dict[str, tuple[bool, str]]:
    """Whether the accuracy of each is suspect, and why."""
    shelf = b.Shelf(root)
    for ref in refs:
        made.choice(shelf, ref, {TASK: 0.6})
    rows = [r for r in load_results(root).metric_rows if r.primary]
    return {r.run.spec.variant.name: (r.suspect, r.reason) for r in rows}


def test_trained_on_the_very_set_itself_or_above(tmp_path: Path) -> None:
    here = b.choice_items(TASK, 100).data_sha256
    made.trained(tmp_path, TUNED, 1.0, 0.8, source=source(here))
    made.on_grid(tmp_path, ROUNDED, 4.0)
    found = asked(tmp_path, BASE, TUNED, ROUNDED)
    assert found["base"] == (False, "")
    assert found["tuned"][0]
    assert "it was trained on arc_easy" in found["tuned"][1]
    assert found["rounded"][0]
    assert "its ancestor tuned was trained on arc_easy" in found["rounded"][1]


def test_other_text_of_the_same_name_is_no_reason(tmp_path: Path) -> None:
    made.trained(tmp_path, TUNED, 1.0, 0.8, source=source(b.sha("another revision")))
    assert asked(tmp_path, BASE, TUNED) == {"base": (False, ""), "tuned": (False, "")}


def test_it_gets_no_verdict(tmp_path: Path) -> None:
    here = b.choice_items(TASK, 100).data_sha256
    made.trained(tmp_path, TUNED, 1.0, 0.8, source=source(here))
    asked(tmp_path, BASE, TUNED)
    table = load_results(tmp_path).compare().table()
    assert table.lossless.isna().all()
    assert len(table) == 1
