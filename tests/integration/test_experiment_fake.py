"""An experiment through the command line, on fakes: made, run, told; and again without running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakeworld import World
from slmbench.cli.main import main


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    made.request()  # writes the suites
    return made


def _experiment(world: World, **changes: object) -> Path:
    document = {
        "name": "toy",
        "title": "A toy experiment",
        "question": "Is small as good as base?",
        "models": "./models.yaml",
        "section": "co_adaptation",
        "suites": [{"suite": "./quality.yaml"}, {"suite": "./perf.yaml", "variants": ["small"]}],
        "arms": [
            {"name": "new", "variants": ["small"]},
            {"name": "old", "role": "control", "variants": ["base"]},
        ],
        "budget": {"minutes": 1, "memory_mb": 100},
        **changes,
    }
    path = world.root / "toy.yaml"
    path.write_text(json.dumps(document), "utf-8")
    return path


def _run(world: World, path: Path, *flags: str) -> int:
    out = str(world.root / "out")
    return main(["experiment", str(path), "--results", str(world.results), "--out", out, *flags])


def test_it_runs_tells_and_goes_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    path = _experiment(world)
    assert _run(world, path) == 0
    first = capsys.readouterr()
    assert "Is small as good as base?" in first.out
    assert "Accuracy, slm_counterfactual_context" in first.out
    assert "2 cells: 0 done before, 2 to run" in first.err
    assert "1 cells: 0 done before, 1 to run" in first.err
    page = (world.root / "out" / "experiment-toy.html").read_text("utf-8")
    assert "A toy experiment" in page
    assert _run(world, path, "--format", "json") == 0
    second = capsys.readouterr()
    assert "2 cells: 2 done before, 0 to run" in second.err
    rows = json.loads(second.out)
    assert {row["verdict"] for row in rows} <= {"not resolved", "better", "worse", "cannot be said"}


def test_a_dry_run_makes_and_runs_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(world, _experiment(world), "--dry-run", "--format", "json") == 0
    told = capsys.readouterr()
    rows = [(r["what"], r["name"], r["state"]) for r in json.loads(told.out)]
    assert rows == [
        ("make", "base", "found"),
        ("make", "small", "found"),
        ("run", "quality", "0 of 2 cells done"),
        ("run", "perf", "0 of 1 cells done"),
    ]
    assert "1 min and 100 MB" in told.err
    assert not world.results.exists()


def test_two_experiments_share_a_folder(world: World) -> None:
    assert _run(world, _experiment(world)) == 0
    assert _run(world, _experiment(world, name="second", section="quantization")) == 0
    out = world.root / "out"
    assert (out / "experiment-toy.html").exists()
    assert "experiment-toy.html" in (out / "experiment-second.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": [{"name": "new", "variants": ["smal"]}]}, "there is no variant 'smal'"),
        ({"arms": [{"name": "a", "variants": ["base"], "against": "b"}]}, "there is no arm 'b'"),
        ({"section": "nonsense"}, "initialization"),
        ({"suites": [{"suite": "./quality.yaml", "variants": ["x"]}]}, "no variant 'x'"),
        ({"models": "./nowhere.yaml"}, "nowhere.yaml"),
        (
            {"suites": [{"suite": "./quality.yaml", "overrides": ["sizes.demo.itms=1"]}]},
            "suites../quality.yaml: --set sizes.demo.itms=1",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    world: World, capsys: pytest.CaptureFixture[str], changes: dict[str, object], words: str
) -> None:
    assert _run(world, _experiment(world, **changes)) == 2
    assert words in capsys.readouterr().err
    assert not world.results.exists()


def test_overrides_reach_the_experiment_and_its_models(world: World) -> None:
    path = _experiment(world)
    assert _run(world, path, "--set", "title=Another", "--set", "targets.*.threads=2") == 0
    page = (world.root / "out" / "experiment-toy.html").read_text("utf-8")
    assert "Another" in page


def test_a_variant_that_cannot_be_made_is_a_result(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    models = json.loads((world.root / "models.yaml").read_text("utf-8"))
    models["variants"].append(
        {"name": "gone", "format": "hf", "stage": "base", "technique": "none",
         "licence": "Apache-2.0", "source": {"file": "gone", "sha256": "0" * 64}}
    )  # fmt: skip
    (world.root / "models.yaml").write_text(json.dumps(models), "utf-8")
    arms = [
        {"name": "new", "variants": ["gone"]},
        {"name": "old", "role": "control", "variants": ["base"]},
    ]
    assert _run(world, _experiment(world, arms=arms)) == 3
    told = capsys.readouterr()
    assert "not made    gone" in told.err
    assert "cannot be said" in told.out
