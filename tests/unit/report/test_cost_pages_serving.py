"""The page about servers: a table a load, sweeps, failures, and curves over the rate."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import cost_store as c
from slmbench.report.costs.entries import Reading, Words
from slmbench.report.costs.serving import place_of
from slmbench.spec import Load, Slo


@pytest.fixture
def served(tmp_path: Path) -> Path:
    loads = (
        Load(scenario="closed", requests=40, concurrency=2),
        Load(scenario="sweep", requests=40, rate=1),
    )
    spec = c.timed(
        c.ROOT, "serving", ("pp48+tg16",), "serving", loads=loads, slo=Slo(ttft_s=0.5), processes=1
    )
    b.Shelf(tmp_path).load(
        spec,
        c.load_phase("closed×2", 0.1, 3.0, failed=2),
        c.load_phase("sweep@1/s at 2/s", 0.2, 1.5),
        c.load_phase("sweep@1/s at 1/s", 0.1, 0.9),
        b.phase("total", b.measurement("saturation_rate", 1.4, point="sweep@1/s", scope="to 9 %")),
    )
    return tmp_path


@pytest.mark.parametrize(
    ("label", "scenario", "point", "rate", "tried"),
    [
        ("single_stream", "single_stream", "", None, False),
        ("closed×2", "closed", "", None, False),
        ("poisson@0.5/s", "poisson", "", 0.5, False),
        ("pp128+tg32 constant@2/s", "constant", "pp128+tg32", 2.0, False),
        ("sweep@0.25/s", "sweep", "", None, False),
        ("pp128+tg32 sweep@0.25/s at 1.41/s", "sweep", "pp128+tg32", 1.41, True),
        ("words that no load has", "words that no load has", "", None, False),
    ],
)
def test_loads_are_read_from_their_labels(
    label: str, scenario: str, point: str, rate: float | None, tried: bool
) -> None:
    place = place_of(label)
    found = (place.scenario, place.point, place.rate, place.tried)
    assert found == (scenario, point, rate, tried)


def test_a_table_a_load_with_its_failures(served: Path) -> None:
    page = c.cost_pages_of(served)["serving"]
    table = c.tables(page)["load-serving-closed-2"]
    titles = [h.title for h in table.heads]
    failed = table.rows[0].cells[titles.index("Failed requests ↓")]
    assert isinstance(failed, Words)
    assert (failed.text, failed.tone, failed.below) == ("2", "bad", ("2 timeout",))
    (part,) = [p for p in page.parts if p.anchor == "serving-serving"]
    assert any("TTFT ≤ 500 ms" in text for text in part.lead)


def test_a_sweep_is_one_table_rising(served: Path) -> None:
    table = c.tables(c.cost_pages_of(served)["serving"])["load-serving-sweep-1-s"]
    assert [row.name for row in table.rows] == [
        "m-root", "At 1 requests/s", "m-root", "At 2 requests/s", "m-root",
    ]  # fmt: skip
    saturation = table.rows[0].cells[0]
    assert isinstance(saturation, Reading)
    assert saturation.cell.shown == "1.40 req/s"
    assert all(len(r.cells) in (0, len(table.heads)) for r in table.rows)


def test_latency_and_goodput_stand_against_the_rate(served: Path) -> None:
    figures = {f.name: f for f in c.cost_pages_of(served)["serving"].figures}
    marks = figures["serving-serving-all-ttft"].spec["data"][-1]
    assert list(marks["x"]) == [1.0, 2.0]
    assert marks["y"][1] == pytest.approx(2 * marks["y"][0])
    equal, good = figures["serving-serving-all-goodput"].spec["data"]
    assert list(equal["x"]) == [0.0, 2.0]
    assert list(good["y"]) == [0.9, 1.5]


def test_tails_count_requests_that_were_never_answered(served: Path) -> None:
    table = c.tables(c.cost_pages_of(served)["serving"])["tail-serving-ttft-closed-2"]
    p90 = table.rows[0].cells[1]
    assert isinstance(p90, Reading)
    assert p90.extra == ("2 failed",)
    assert p90.cell.value is None
    assert "2 of 42 requests that were not answered" in p90.cell.reason
