"""``slmbench compare``: arguments, forms, gates and exit codes."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import builders as b
from slmbench.cli.main import main

Capture = pytest.CaptureFixture[str]
BASE, DAMAGED = b.variant("base"), b.variant("damaged", parent="base")
BACK = b.variant("back", parent="damaged")
ODD = 'hella<&">\x07swag'
"""A workload point with what XML cannot hold."""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Three variants: 1,000 items, 60 lost, 50 of them regained; an odd workload point."""
    shelf = b.Shelf(tmp_path)
    items = b.choice_items("arc_easy", 1000)
    for ref, right in ((BASE, 600), (DAMAGED, 540), (BACK, 590)):
        scores = {"acc": [float(i < right) for i in range(1000)]}
        shelf.task(b.cell(ref, b.task()), items, scores)
        times = b.measurement("ttft", *[0.01, 0.011] * 4, point=ODD)
        shelf.load(b.cell(ref, b.workload(), suite="latency"), b.phase("timed", times))
    return str(tmp_path)


def compare(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    code = main(["compare", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        (["acc:-9pp"], 0),
        (["acc:-2pp"], 4),
        (["acc:-6pp"], 6),
        (["acc:-9pp", "acc:-6pp"], 6),
        (["acc:-6pp", "acc:-2pp"], 4),
        (["flips:<9%", "ttft:+20%"], 0),
    ],
)
def test_exit_codes(folder: str, capsys: Capture, gates: list[str], code: int) -> None:
    flags = [f for gate in gates for f in ("--gate", gate)]
    found, out, _ = compare(capsys, folder, "base", "damaged", *flags)
    assert found == code
    word = {0: "pass", 4: "fail", 6: "inconclusive"}[code]
    assert out.strip().endswith(f"gates: {word}")


@pytest.mark.parametrize(("word", "code"), [("pass", 0), ("fail", 4)])
def test_undecided_gates_can_be_mapped(folder: str, capsys: Capture, word: str, code: int) -> None:
    gate = ("--gate", "acc:-6pp", "--inconclusive", word)
    assert compare(capsys, folder, "base", "damaged", *gate)[0] == code


def test_without_names_every_variant_meets_its_parent(folder: str, capsys: Capture) -> None:
    code, out, _ = compare(capsys, folder, "--format", "json")
    document = json.loads(out)
    rows = [r for r in document["differences"] if r["metric"] == "acc"]
    assert code == 0
    assert {(r["variant"], r["parent"], r["reference"]) for r in rows} == {
        ("damaged", "base", "parent"), ("back", "damaged", "parent"),
    }  # fmt: skip
    assert (document["gates"], document["outcome"], document["refused"]) == ([], None, [])
    back = next(r for r in rows if r["variant"] == "back")
    assert back["recovered"] == pytest.approx(50 / 60)
    assert back["flips_up"] == 50


def test_against_the_base_or_a_name(folder: str, capsys: Capture) -> None:
    for against, pairs in (
        ("base", {("damaged", "base"), ("back", "base")}),
        ("back", {("base", "back"), ("damaged", "back")}),
    ):
        _, out, _ = compare(capsys, "--results", folder, "--against", against, "--format", "json")
        rows = json.loads(out)["differences"]
        assert {(r["variant"], r["parent"]) for r in rows} == pairs


def test_json_holds_the_verdicts(folder: str, capsys: Capture) -> None:
    arguments = ("--gate", "acc:-2pp", "--gate", "flips:<20%", "--format", "json", "--explain")
    code, out, _ = compare(capsys, folder, "base", "damaged", *arguments)
    document = json.loads(out)
    assert (code, document["outcome"]) == (4, "fail")
    lost, flips = document["gates"]
    assert (lost["metric"], lost["bound"], lost["outcome"]) == ("acc", -0.02, "fail")
    assert lost["value"] == pytest.approx(-0.06)
    assert lost["ci_low"] < -0.06 < lost["ci_high"] < -0.02
    assert (flips["outcome"], flips["value"]) == ("pass", 0.06)
    assert [p["part"] for p in document["attribution"]] == ["total", "compression"]


def test_junit_is_valid_whatever_the_names_hold(folder: str, capsys: Capture) -> None:
    gates = [f for g in ("acc:-9pp", "acc:-6pp", "flips:<3%", "ttft:<1ms") for f in ("--gate", g)]
    code, out, _ = compare(capsys, folder, "base", "damaged", *gates, "--format", "junit")
    suite = ET.fromstring(out).find("testsuite")
    assert code == 4
    assert suite is not None
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "2", "errors": "0", "skipped": "1",
    }  # fmt: skip
    good, open_, flips, slow = suite.findall("testcase")
    assert list(good) == []
    skipped = open_.find("skipped")
    assert skipped is not None
    assert (skipped.get("message") or "").startswith("inconclusive: -6.00 pp (")
    failure = flips.find("failure")
    assert failure is not None
    assert failure.get("message") == "6.00 % (4.69 to 7.65 %)"
    assert flips.get("name") == "flips:<3% on accuracy arc_easy fake-cpu"
    assert flips.get("classname") == "damaged vs base"
    assert 'hella<&">\ufffdswag' in (slow.get("name") or "")


def test_markdown_and_csv(folder: str, capsys: Capture) -> None:
    arguments = (folder, "base", "damaged", "--gate", "acc:-2pp", "--format")
    _, out, _ = compare(capsys, *arguments, "markdown")
    assert out.startswith("| variant")
    assert "| -6.00 pp" in out
    assert "| acc:-2pp" in out
    assert "gates: fail" in out
    _, out, err = compare(capsys, *arguments, "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {r["metric"] for r in rows} == {"acc"}, "no primary latency metric was measured"
    assert "fail: acc:-2pp, damaged against base, arc_easy fake-cpu: -6.00 pp" in err


def test_explain_shows_the_parts(folder: str, capsys: Capture) -> None:
    code, out, _ = compare(capsys, folder, "base", "back", "--explain")
    assert code == 0
    assert "compression" in out
    assert "base on fake-cpu" in out


def test_the_margin_of_the_flag_is_used(folder: str, capsys: Capture) -> None:
    _, out, _ = compare(capsys, folder, "base", "back", "--margin", "9pp")
    assert "lossless within 9 pt: yes" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{}", "a", "b", "c"], "4 names given"),
        (["{}", "--results", "{}"], "given twice"),
        (["{}", "base", "back", "--against", "base"], "--against"),
        (["{}", "base", "bakc"], "no results of variant 'bakc'"),
        (["{}", "--gate", "acc-1pp"], "column 4: expected ':'"),
        (["{}", "--gate", "exact_match:-1pp"], "no result here can be judged"),
        (["{}", "--margin", "1pt"], "--margin '1pt'"),
        (["{}", "--format", "junit"], "shows gates"),
    ],
)
def test_bad_arguments(folder: str, capsys: Capture, arguments: list[str], words: str) -> None:
    code, out, err = compare(capsys, *[a.format(folder) for a in arguments])
    assert (code, out) == (2, "")
    assert words in err


def test_what_was_not_compared_is_said(folder: str, capsys: Capture) -> None:
    shelf = b.Shelf(Path(folder))
    orphan = b.variant("orphan", parent="nobody")
    shelf.task(b.cell(orphan, b.task()), b.choice_items("x", 4), {"acc": [1.0] * 4})
    code, _, err = compare(capsys, folder)
    assert code == 0
    assert "with nobody: the parent has no such result" in err
