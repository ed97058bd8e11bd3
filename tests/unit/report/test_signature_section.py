"""Signatures on the page: a badge beside the name, the numbers in the section, and no silence."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import signature_store as s
from slmbench.analysis.results import load_results
from slmbench.report.page import make_page, render


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    root: Path = tmp_path_factory.mktemp("signatures")
    shelf = b.Shelf(root)
    s.choice(shelf, b.variant("base"), s.both(0.55))
    s.choice(shelf, b.variant("child", parent="base", note="<b>"), s.both(0.25))
    return render(make_page(load_results(root), "t"))


def test_the_badge_links_to_the_section_and_bears_its_reason(html: str) -> None:
    badge = html.index('class="pill sign bad" href="#signatures"')
    assert html.rindex(">child<", 0, badge) > html.rindex("<tr>", 0, badge)
    said = html[badge : html.index("</a>", badge)]
    assert "holds guessing (25.0 %)" in said
    assert said.endswith(">collapse")
    assert html.count('class="pill sign bad" href') == 1
    assert html.count('class="pill sign warn" href') == 0


def test_the_section_tells_what_decided_and_what_nothing_decides(html: str) -> None:
    section = html[html.index('<section id="signatures"') :]
    section = section[: section.index("</section>")]
    assert "Failure signatures (1)" in html
    assert "-30.0 points" in section
    assert "rules cannot be decided of anything here" in section
    assert "it takes the suite long_context" in section
    assert "not decidable: no results of suite long_context" in section


def test_without_any_signature_it_says_so(tmp_path: Path) -> None:
    s.choice(b.Shelf(tmp_path), b.variant("base"), s.both(0.55))
    page = make_page(load_results(tmp_path), "t")
    assert "<p>None was found.</p>" in render(page)
    assert all(not page.signatures.of(row) for row in page.rows)
