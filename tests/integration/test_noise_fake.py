"""The A/A experiment through campaign, rounds and workers, with the fake backend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from slmbench.analysis import load_results
from slmbench.analysis.noise import timing_floor
from slmbench.api import Request, run_suites
from slmbench.cli.main import main
from slmbench.errors import SlmbenchError, UnknownNameError, UsageError
from slmbench.noise import Effort, Subject, measure_noise
from slmbench.spec import ModelsFile
from slmbench.spec.load import load_models
from slmbench.store.noise import read_noise

SHORT = Effort(minutes=1e-6, point="pp8+tg4", repeats=3, block=3, fewest=3)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelsFile:
    """A base and a quantized fake on a target that sleeps a little for every token."""
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    return write(tmp_path, {"ttft_s": 0.004, "itl_s": 0.002})


def write(folder: Path, options: dict[str, object]) -> ModelsFile:
    """A models file, read back."""
    path = folder / "models.yaml"
    fake = {"format": "fake", "technique": "none", "licence": "Apache-2.0"}
    document = {
        "variants": [
            {"name": "base", "stage": "base", **fake},
            {"name": "small", "stage": "quantized", "parent": "base", **fake},
        ],
        "targets": [
            {"name": "fake-cpu", "backend": "fake", "threads": 1, "options": options},
            {"name": "other-cpu", "backend": "fake", "threads": 2},
        ],
    }
    path.write_text(json.dumps(document))
    return load_models(str(path))


def test_a_variant_against_itself(models: ModelsFile, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    said: list[str] = []
    record = measure_noise(Subject(models), results, effort=SHORT, say=said.append)
    assert (record.variant, record.target, record.threads) == ("small", "fake-cpu", 1)
    assert record.processes == 6
    found = {r.metric: r for r in record.ratios}
    assert set(found) == {"ttft", "tpot"}
    assert {r.point for r in record.ratios} == {"pp8+tg4"}
    assert all(len(r.logs) == 3 for r in record.ratios)
    assert all(abs(log) < 1 for r in record.ratios for log in r.logs), "sleeps of equal length"
    assert len(said) == 1
    assert said[0].startswith("3 rounds, ")
    assert read_noise(results) == (record,)
    target = next(t for t in models.targets if t.name == "fake-cpu")
    floor = timing_floor(read_noise(results), record.machine, target, "tpot", 5)
    assert floor is not None
    assert floor > 0


def test_later_runs_on_the_machine_take_the_floor_along(models: ModelsFile, tmp_path: Path) -> None:
    record = measure_noise(Subject(models, "base", "fake-cpu"), effort=SHORT)
    assert record.variant == "base"
    suite = tmp_path / "perf.yaml"
    knobs = {"points": ["pp8+tg4"], "repeats": 3, "processes": 3}
    document = {
        "name": "perf",
        "title": "t",
        "description": "d",
        "sizes": {"demo": knobs},
        "workloads": [{"workload": "latency"}],
    }
    suite.write_text(json.dumps(document))
    results = tmp_path / "results"
    request = Request((str(suite),), str(tmp_path / "models.yaml"))
    run_suites(request, results)
    table = load_results(results).costs()
    tpot = table[(table["metric"] == "tpot") & (table["phase"] == "timed")]
    mine = tpot[tpot["target"] == "fake-cpu"]
    assert (mine["noise_floor"] > 0).all()
    assert tpot[tpot["target"] == "other-cpu"]["noise_floor"].isna().all()
    assert set(mine["rounds"]) == {3}
    differences = load_results(results).compare().table()
    assert differences[differences["target"] == "fake-cpu"]["rounds"].tolist() == [3]
    assert (differences[differences["target"] == "fake-cpu"]["noise_floor"] > 0).all()


@pytest.mark.parametrize(
    ("variant", "target", "error"),
    [("nobody", None, UnknownNameError), (None, "nowhere", UnknownNameError)],
)
def test_unknown_names(
    models: ModelsFile, variant: str | None, target: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        measure_noise(Subject(models, variant, target), effort=SHORT)


def test_a_target_that_loads_nothing_is_a_usage_error(models: ModelsFile) -> None:
    cuda = models.targets[0].model_copy(update={"name": "gpu", "device": "tpu"})
    other = models.model_copy(update={"targets": (cuda,)})
    with pytest.raises(UsageError, match="no variant"):
        measure_noise(Subject(other), effort=SHORT)


def test_a_process_that_dies_ends_the_experiment(models: ModelsFile, tmp_path: Path) -> None:
    broken = write(tmp_path, {"fault": "error"})
    with pytest.raises(SlmbenchError, match="noise/latency"):
        measure_noise(Subject(broken), effort=SHORT)


def run_cli(words: Sequence[str]) -> int:
    """The exit code of the command."""
    return main(list(words))


def test_the_command_prints_a_row_a_metric(
    models: ModelsFile, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("slmbench.cli.noise.Effort", lambda minutes: SHORT)
    where = ["--models", str(tmp_path / "models.yaml"), "--results", str(tmp_path / "none")]
    assert run_cli(["doctor", "--noise", "--format", "json", *where]) == 0
    out = capsys.readouterr()
    rows = json.loads(out.out)
    assert {r["metric"] for r in rows} == {"ttft", "tpot"}
    assert {r["rounds"] for r in rows} == {3}
    assert "inside the floor" in out.err
    assert not (tmp_path / "none").exists()
    assert len(list((tmp_path / "cache" / "noise").glob("*.json"))) == 1
    assert run_cli(["doctor", "--noise", "--minutes", "0", *where]) == 2
