"""The whole path of a serving suite: a mock server per process, loads, sealed numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slmbench.api import Request, run_suites
from slmbench.records import Provenance, RunRecord, Status
from slmbench.store import read_store

PLAN = json.dumps({"ttft_s": 0.05, "itl_s": 0.002, "slots": 4, "cached_tokens": 0})
MOCK = f"{{python}} -m slmbench.loadgen.mock_server --port {{port}} --plan '{PLAN}'"


def _files(root: Path, backend: str, **options: object) -> Request:
    models = {
        "variants": [
            {"name": "base", "format": "fake", "stage": "base", "technique": "none",
             "licence": "Apache-2.0"}
        ],
        "targets": [{"name": "server", "backend": backend, "threads": 1, "options": options}],
    }  # fmt: skip
    suite = {
        "name": "served",
        "title": "toy loads",
        "description": "for tests",
        "seed": 1,
        "sizes": {
            "demo": {
                "points": ["pp12+tg8"],
                "slo": {"ttft_s": 0.25},
                "timeout_s": 60,
                "loads": [
                    {"scenario": "single_stream", "requests": 4, "warmup": 1},
                    {"scenario": "poisson", "rate": 20, "requests": 20, "warmup": 0},
                    {"scenario": "sweep", "rate": 20, "requests": 30, "warmup": 0},
                ],
            }
        },
        "workloads": [{"workload": "serving"}],
    }
    for name, document in (("models", models), ("suite", suite)):
        (root / f"{name}.yaml").write_text(json.dumps(document))
    return Request(suites=(str(root / "suite.yaml"),), models=str(root / "models.yaml"))


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "results"


def _record(request: Request, results: Path) -> RunRecord:
    run_suites(request, results)
    (run,) = read_store(results).runs
    return run.record


def test_loads_are_carried_out_on_a_server_of_the_run_s_own(tmp_path: Path, results: Path) -> None:
    record = _record(_files(tmp_path, "openai", command=MOCK, health="/health"), results)
    assert record.status is Status.OK, record.reason
    found = {
        (m.point, m.metric): m
        for phase in record.phases
        if phase.phase in ("timed", "total")
        for m in phase.measurements
    }
    assert len(found["single_stream", "ttft"].samples) == 4
    assert min(found["single_stream", "ttft"].samples) >= 0.05
    assert len(found["poisson@20/s", "e2e"].samples) == 20
    assert set(found["poisson@20/s", "served_output_tokens"].samples) == {8.0}
    assert set(found["poisson@20/s", "served_prompt_tokens"].samples) == {12.0}
    assert found["poisson@20/s", "cached_prompt_tokens"].samples == (0.0,) * 20
    assert found["poisson@20/s", "goodput"].provenance is Provenance.MEASURED
    saturation = found["sweep@20/s", "saturation_rate"]
    assert saturation.samples or saturation.reason
    assert any(point.startswith("sweep@20/s at ") for point, _ in found)
    assert record.phases[0].phase == "load"


def test_a_server_that_cannot_start_is_the_cell_s_ending(tmp_path: Path, results: Path) -> None:
    command = "{python} -c \"raise SystemExit('out of luck')\""
    record = _record(_files(tmp_path, "openai", command=command), results)
    assert record.status is Status.CRASHED
    assert "out of luck" in record.reason


def test_a_server_that_refuses_everything_is_not_measured(tmp_path: Path, results: Path) -> None:
    refusing = MOCK.replace('"slots"', '"fault": "http", "slots"')
    record = _record(_files(tmp_path, "openai", command=refusing, health="/health"), results)
    assert record.status is Status.INVALID
    assert "no warm-up request was answered: http, status 500" in record.reason


def test_a_backend_that_serves_nobody_is_left_out_with_the_way_out(
    tmp_path: Path, results: Path
) -> None:
    with pytest.raises(Exception, match="nothing to run") as caught:
        run_suites(_files(tmp_path, "fake"), results)
    assert "--models serving" in str(caught.value)
