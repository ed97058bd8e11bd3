"""The page: self-contained, escaped, honest about provenance, and right about directions."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import builders as b
import synthetic_store
from slmbench import metrics
from slmbench.analysis import load_results
from slmbench.report import write_report
from slmbench.report.figures import pareto_figure
from slmbench.report.leaderboard import leaderboard_rows
from slmbench.report.page import make_page

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'


class _Tags(HTMLParser):
    """Collects tags, number cells and the text of scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[tuple[dict[str, str | None], str]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in self.texts else self._inside
        if tag in self.texts:
            self.texts[tag].append("")
        if tag == "td" and "num" in (dict(attrs).get("class") or "").split():
            self.cells.append((dict(attrs), ""))
            self._inside = "td"

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside][-1] += data
        elif self._inside == "td" and self.cells:
            attrs, text = self.cells[-1]
            self.cells[-1] = (attrs, text + data)


def _policy(parsed: _Tags) -> dict[str, list[str]]:
    """The content security policy, by directive."""
    policy = next(a["content"] for t, a in parsed.tags if t == "meta" and "http-equiv" in a)
    return {words[0]: words[1:] for part in (policy or "").split(";") if (words := part.split())}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with every kind of cell, and a hostile note."""
    return synthetic_store.build(tmp_path_factory.mktemp("made") / "results", note=HOSTILE)


@pytest.fixture(scope="module")
def html(store: Path) -> str:
    """The page about it."""
    page = write_report(load_results(store), store.parent / "page", title="A & B <c>")
    assert page.name == "index.html"
    return page.read_text("utf-8")


@pytest.fixture(scope="module")
def parsed(html: str) -> _Tags:
    """The page, taken apart."""
    tags = _Tags()
    tags.feed(html)
    return tags


def test_what_a_run_wrote_is_escaped(html: str, parsed: _Tags) -> None:
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert not [t for t, _ in parsed.tags if t in ("img", "iframe", "object", "embed", "link")]
    assert not [a for _, attrs in parsed.tags for a in attrs if a.startswith("on")]
    assert "<title>A &amp; B &lt;c&gt;</title>" in html


def test_figures_carry_escaped_text(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    ref = b.variant("base")
    bad = b.target("cpu", backend="<b>bold</b>")
    shelf.task(b.cell(ref, b.task(), on=bad), b.choice_items("q", 8), {"acc": [1, 0] * 4})
    spec = b.cell(ref, b.workload("memory"), suite="memory", on=bad)
    shelf.load(spec, b.phase("total", b.measurement("peak_memory", 1e8)))
    other = b.cell(b.variant("next"), b.task(), on=bad)
    shelf.task(other, b.choice_items("q", 8), {"acc": [1, 0] * 4})
    page = make_page(load_results(tmp_path), "t")
    assert page.bits is not None
    assert "<b>bold" not in json.dumps(page.bits.spec)
    assert "&lt;b&gt;bold" in json.dumps(page.bits.spec)


def test_nothing_is_loaded_from_anywhere(parsed: _Tags) -> None:
    for tag, attrs in parsed.tags:
        for name in ("src", "srcset", "data", "action", "poster", "background"):
            assert name not in attrs, (tag, attrs)
        href = attrs.get("href") or "#"
        assert re.fullmatch(r"#.*|[a-z]+\.html", href), (tag, href)  # a page beside this one
    styles = " ".join(parsed.texts["style"])
    styles += " ".join(attrs.get("style") or "" for _, attrs in parsed.tags)
    assert "url(" not in styles
    assert "@import" not in styles
    assert _policy(parsed)["default-src"] == ["'none'"]
    assert not [v for values in _policy(parsed).values() for v in values if "http" in v]


def test_only_our_scripts_may_run(parsed: _Tags) -> None:
    """The policy holds the hashes of exactly the two scripts of the page."""
    kinds = [a.get("type") for t, a in parsed.tags if t == "script"]
    programs = [t for t, k in zip(parsed.texts["script"], kinds, strict=True) if k is None]
    digests = [base64.b64encode(hashlib.sha256(p.encode()).digest()).decode() for p in programs]
    assert len(programs) == 2
    assert _policy(parsed)["script-src"] == [f"'sha256-{d}'" for d in digests]


def test_every_number_has_provenance(parsed: _Tags) -> None:
    numbers = [(a, text) for a, text in parsed.cells if "data-provenance" in a]
    assert len(numbers) > 100
    known = {"measured", "derived", "estimated", "unavailable"}
    assert {a["data-provenance"] for a, _ in numbers} <= known
    for attrs, text in numbers:
        if re.search(r"\d", text):
            assert attrs["data-provenance"] != "unavailable", text
            assert re.search(r"\b[MDE]\b", text), text


def test_every_ending_is_listed_with_its_reason(html: str) -> None:
    for text in ("crashed", "SIGILL", "rebuild it without AMX", "timeout", "unsupported",
                 "skipped", "quarantined", "llama_cpp reads gguf, not hf"):  # fmt: skip
        assert text in html, text


def test_an_estimate_is_no_pareto_axis(store: Path, html: str) -> None:
    page = make_page(load_results(store), "t")
    assert [f.name for f in page.tradeoffs] == ["pareto-tpot", "pareto-peak_memory"]
    assert page.estimate is not None
    assert "is not drawn" in html
    assert "constant number of watts times wall time" in html
    assert pareto_figure(leaderboard_rows(load_results(store)), "energy_per_token") is None


def test_measured_energy_is_a_pareto_axis(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    for name, right, joules in (("thrifty", 5, 0.1), ("keen", 7, 0.2), ("waste", 4, 0.3)):
        ref = b.variant(name)
        scores = {"acc": [1.0] * right + [0.0] * (10 - right)}
        shelf.task(b.cell(ref, b.task()), b.choice_items("q", 10), scores)
        shelf.load(
            b.cell(ref, b.workload("energy"), suite="energy"),
            b.phase("window", b.measurement("energy_per_token", *[joules] * 6)),
        )
    rows = leaderboard_rows(load_results(tmp_path))
    figure = pareto_figure(rows, "energy_per_token")
    assert figure is not None
    assert figure.names == ("thrifty", "keen")


def test_the_front_follows_the_metrics_table(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = leaderboard_rows(load_results(store))
    straight = pareto_figure(rows, "peak_memory")
    assert straight is not None
    assert straight.names[0] == "smollm2-q2_k", "the smallest is on a front where less is better"
    assert "smollm2-f32" not in straight.names
    flipped = dataclasses.replace(metrics.METRICS["peak_memory"], direction="higher")
    monkeypatch.setitem(metrics.METRICS, "peak_memory", flipped)  # type: ignore[arg-type]
    other = pareto_figure(rows, "peak_memory")
    assert other is not None
    assert "smollm2-f32" in other.names
    assert "smollm2-q2_k" not in other.names


def test_the_lineage_holds_every_variant_and_edge(store: Path) -> None:
    graph = make_page(load_results(store), "t").lineage
    places = {n.name: (n.x, n.y) for n in graph.nodes}
    assert len(places) == len(set(places.values())) == 8
    assert len(graph.edges) == 7
    assert places["smollm2-q4_1"][0] < places["smollm2-f32"][0] < places["smollm2-int8"][0]
    assert max(y for _, y in places.values()) < graph.height


def test_a_parent_without_results_is_a_ghost(tmp_path: Path) -> None:
    spec = b.cell(b.variant("child", parent="unseen"), b.task())
    b.Shelf(tmp_path).task(spec, b.choice_items("q", 4), {"acc": [1] * 4})
    graph = make_page(load_results(tmp_path), "t").lineage
    assert {n.name: n.stage for n in graph.nodes} == {"child": "quantized", "unseen": ""}


def test_the_deltas_table_says_not_resolved(store: Path, html: str) -> None:
    table = make_page(load_results(store), "t").deltas
    assert {v for v, _ in table.verdicts} <= {"better", "worse", "higher", "lower", "not resolved"}
    assert any(c is not None and c.verdict == "worse" for r in table.rows for c in r.cells)
    assert any(r.parent_target != r.target for r in table.rows)
    assert "engine and variant are mixed" in html


def test_an_empty_store_makes_a_page(tmp_path: Path) -> None:
    page = write_report(load_results(tmp_path), tmp_path / "out.html", title="Nothing yet")
    text = page.read_text("utf-8")
    assert page == tmp_path / "out.html"
    assert "no runs in this results folder yet" in text
    parsed = _Tags()
    parsed.feed(text)
    assert _policy(parsed)["script-src"] == ["'none'"]


def test_the_page_names_no_path(html: str, store: Path) -> None:
    assert str(store.parent) not in html
    assert "results" in html


def test_a_missing_front_gives_the_cause_and_not_a_neighbours(tmp_path: Path) -> None:
    """Without any accuracy run, the reason is that, and not how one of the timings failed."""
    spec = b.cell(b.variant("only"), b.workload(), suite="latency")
    shelf = b.Shelf(tmp_path / "store")
    shelf.load(spec, b.phase("timed", b.measurement("tpot", *[0.01] * 7, point="pp128+tg32")))
    text = write_report(load_results(shelf.root), tmp_path / "p.html", title="t").read_text("utf-8")
    assert "is not drawn: no accuracy task was run." in text
    assert "1 variant ·" in text
