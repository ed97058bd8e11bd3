"""The lineage figure: what every step did, cost and changed, and what is wrong with a variant."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import signature_store as s
from slmbench.analysis.results import load_results
from slmbench.made import Energy, GridFacts, Measured
from slmbench.records import Provenance
from slmbench.report.leaderboard import leaderboard_rows
from slmbench.report.lineage import Edge, Lineage, Node, lineage
from slmbench.report.page import make_page, render
from slmbench.spec.recipe import RoundToNearest
from slmbench.store import save_variant
from slmbench.store.variants import VariantRecord


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, its rounding to two bits (simulated, collapsed), and one that could not be made."""
    root: Path = tmp_path_factory.mktemp("lineage")
    shelf = b.Shelf(root)
    base, rtn = b.variant("base"), b.variant("rtn-w2", parent="base", technique="rtn_w2")
    s.choice(shelf, base, s.both(0.55), bits=32)
    s.choice(shelf, rtn, s.both(0.25), bits=32)
    facts = GridFacts(technique="rtn", matrices=2, kept_float=(), bits_per_weight=2.3,
                      mean_squared_error=0.1)  # fmt: skip
    grid = "at most 4 levels in groups of 32"
    record = s.made(rtn, RoundToNearest(technique="rtn", bits=2), facts, None).model_copy(
        update={
            "duration_s": 42.0,
            "energy": Energy(joules=310.0, provenance=Provenance.ESTIMATED, scope="TDP x load"),
            "measured": Measured(parameters=10, weight_bytes=40, bits_per_weight=32, zero_share=0,
                                 kernel="simulated", kernel_reason=grid),
        }
    )  # fmt: skip
    save_variant(root, VariantRecord(variant=base, artefact_bytes=1000))
    save_variant(root, VariantRecord(variant=rtn, made=record, artefact_bytes=270))
    lost = b.variant("lost", parent="rtn-w2", technique="gguf_export")
    save_variant(root, VariantRecord(variant=lost, failure="no room left on the disk"))
    return root


@pytest.fixture(scope="module")
def graph(root: Path) -> Lineage:
    results = load_results(root)
    return lineage(results, leaderboard_rows(results))


def node(graph: Lineage, name: str) -> Node:
    return next(n for n in graph.nodes if n.name == name)


def edge(graph: Lineage, technique: str) -> Edge:
    return next(e for e in graph.edges if e.technique == technique)


def test_a_step_bears_what_it_changed_and_what_it_cost(graph: Lineage) -> None:
    step = edge(graph, "rtn_w2")
    assert step.quality.startswith("−30.0 pp (−3")
    assert step.tone == "bad"
    assert step.cost == "size ×0.27 · 42 s · 310 J est."
    assert "2 tasks, n 200, on fake-cpu" in step.told


def test_a_step_of_which_nothing_is_known_says_why(graph: Lineage) -> None:
    step = edge(graph, "gguf_export")
    assert (step.quality, step.cost, step.tone) == ("", "", "")
    assert "no accuracy results" in step.told


def test_boxes_bear_signatures_simulated_kernels_and_failures(graph: Lineage) -> None:
    marks = {m.text: m for m in node(graph, "rtn-w2").marks}
    assert list(marks) == ["collapse", "simulated"]
    assert marks["collapse"].tone == "bad"
    assert "at most 4 levels in groups of 32" in marks["simulated"].why
    assert [m.why for m in node(graph, "lost").marks] == ["no room left on the disk"]
    assert node(graph, "base").marks == ()
    assert "not run" in node(graph, "lost").detail
    assert graph.box_height > 50


def test_the_table_follows_the_lineage(graph: Lineage) -> None:
    assert [(x.variant, x.parent) for x in graph.steps] == [
        ("rtn-w2", "base"), ("lost", "rtn-w2"),
    ]  # fmt: skip
    first = graph.steps[0]
    assert first.size == "270 B (−730 B)"
    assert (first.seconds, first.energy) == ("42 s", "310 J, estimated: TDP x load")
    assert graph.steps[1].basis == "no accuracy results"


def test_the_page_draws_it(root: Path) -> None:
    html = render(make_page(load_results(root), "t"))
    assert '<tspan class="bad">collapse<title>accuracy collapse: mean of 2' in html
    assert '<text class="small bad"' in html
    assert "size ×0.27 · 42 s · 310 J est." in html


def test_columns_and_rows_leave_room(graph: Lineage) -> None:
    boxes = sorted((n.x, n.y) for n in graph.nodes)
    assert len({x for x, _ in boxes}) == 3
    assert max(n.y for n in graph.nodes) + graph.box_height < graph.height
