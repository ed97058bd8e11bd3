"""The section on fidelity: what it shows, what it leaves out, and that it ranks nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.fidelity import measure_fidelity
from slmbench.records import PhaseRecord, Provenance
from slmbench.report import write_report
from slmbench.report.fidelity import FidelityPart, fidelity_part
from slmbench.requests import ItemOutput, LoglikelihoodOutput
from slmbench.spec import Reference, RunSpec, VariantRef
from slmbench.store import FinishedRun, save_items, seal

BASE = b.variant("base")
CHILDREN = [b.variant(n, parent="base") for n in ("far", "near")]


def text_cell(what: VariantRef) -> RunSpec:
    work = b.workload("fidelity", (16, 112)).model_copy(
        update={"text": b.sha("text"), "reference": Reference(variant=BASE, target=b.target())}
    )
    return b.cell(what, work, suite="fidelity")


def window(level: float) -> PhaseRecord:
    readings = {
        "kld": (level, 2 * level), "top1_agreement": (1.0, 0.0), "text_bpb_delta": (level / 10,),
        "logprob_true_delta": (-level, level), "prob_true_delta": (0.1, -0.1),
    }  # fmt: skip
    return b.phase("window", *(b.measurement(m, *v) for m, v in readings.items()))


def answers(root: Path, what: VariantRef, changed: int) -> None:
    items = b.choice_items("arc_easy", 20, choices=2)
    logprobs = [(-2.0, -1.0) if i < changed else (-1.0, -2.0) for i in range(20)]
    outputs = tuple(
        ItemOutput(
            item_id=item.item_id,
            outputs=tuple(LoglikelihoodOutput(logprob=x, tokens=1, context_tokens=1) for x in row),
        )
        for item, row in zip(items.items, logprobs, strict=True)
    )
    shelf = b.Shelf(root)
    spec = b.cell(what, b.task("arc_easy"))
    shelf.task(spec, items, {"acc": [float(a > c) for a, c in logprobs]})
    stored = load_results(root).stored
    run = next(r for r in stored if r.spec.digest == spec.digest)
    again = b.record(spec, item_set=save_items(root, items), items_total=20)
    made = FinishedRun(
        spec, run.environment, again, outputs, tuple(run.scores()), "multiple_choice"
    )
    seal(root, made)


@pytest.fixture
def part(tmp_path: Path) -> FidelityPart:
    shelf = b.Shelf(tmp_path)
    for what, level in zip((BASE, *CHILDREN), (0.0, 0.5, 0.01), strict=True):
        shelf.load(text_cell(what), *[window(level)] * 8)
        answers(tmp_path, what, round(10 * level))
    return fidelity_part(measure_fidelity(load_results(tmp_path)))


def test_the_floor_comes_first_and_the_rest_by_name(part: FidelityPart) -> None:
    assert [line.variant for line in part.lines] == ["base", "far", "near"]
    assert [line.is_floor for line in part.lines] == [True, False, False]
    assert part.suites == ("accuracy",)


def test_cells_have_interval_count_flips_and_floor(part: FidelityPart) -> None:
    far = dict(zip(part.heads, part.lines[1].cells, strict=True))
    assert far["KL divergence, mean"].text == "0.750 nats"
    assert far["KL divergence, mean"].below == "n 16 · floor 0 nats"
    assert far["Flips"].text == "25.0 %"
    assert far["Flips"].range
    assert far["Flips"].below == "n 20 · ▲0 ▼5 · floor 0.0 %"  # the base ran twice
    assert far["Change in bits per byte"].text == "+0.0500 bits/byte"
    floor = dict(zip(part.heads, part.lines[0].cells, strict=True))
    assert (floor["Flips"].text, floor["Flips"].below) == ("–", "")


def test_both_figures_say_what_they_show(part: FidelityPart) -> None:
    kld, margins = part.figures
    assert [list(trace["y"]) for trace in kld.spec["data"]] == [["far"], ["near"]]
    assert kld.spec["layout"]["xaxis"]["type"] == "log"
    assert "do not order variants by quality" in kld.caption
    assert {trace["name"] for trace in margins.spec["data"]} == {"far", "near"}


def test_a_refusal_is_no_value_with_its_reason(tmp_path: Path) -> None:
    refused = b.measurement("kld", reason="vocabulary mismatch: from token 3 on")
    assert refused.provenance is Provenance.UNAVAILABLE
    phases = [b.phase("window", refused, b.measurement("text_bpb_delta", 0.1))] * 8
    b.Shelf(tmp_path).load(text_cell(CHILDREN[0]), *phases)
    page = write_report(load_results(tmp_path), tmp_path / "page", title="t").read_text("utf-8")
    section = page[page.index('id="fidelity"') :]
    assert "+0.100 bits/byte" in section
    assert "vocabulary mismatch: from token 3 on" in page
    assert "from base" in section


def test_without_pairs_there_is_no_section(tmp_path: Path) -> None:
    answers(tmp_path, BASE, 1)
    page = write_report(load_results(tmp_path), tmp_path / "page", title="t").read_text("utf-8")
    assert "Fidelity to the parent" not in page
