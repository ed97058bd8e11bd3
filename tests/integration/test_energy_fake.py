"""Energy and sustained work through a campaign: worker processes, a wall meter of 42 W, tables."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakeworld import World
from slmbench.analysis import load_results
from slmbench.api import Request, run_suites
from slmbench.meters.wall_sources import unix_now
from slmbench.plan import Selection

WATTS = 42.0


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A program that logs 42 W, 20 times a second."""
    file, over = tmp_path / "watts.csv", threading.Event()

    def log() -> None:
        with file.open("a") as out:
            while not over.is_set():
                out.write(f"{unix_now():.3f},{WATTS}\n")
                out.flush()
                over.wait(0.05)

    logger = threading.Thread(target=log)
    logger.start()
    monkeypatch.setenv("SLMBENCH_WALL_METER", f"csv:{file}")
    try:
        yield
    finally:
        over.set()
        logger.join()


def _suite(root: Path, name: str, **knobs: object) -> str:
    path = root / f"{name}.yaml"
    size = {"repeats": 1, "warmup": 1, "timeout_s": 60, **knobs}
    document = {
        "name": name, "title": "toy", "description": "for tests", "sizes": {"demo": size},
        "workloads": [{"workload": name}],
    }  # fmt: skip
    path.write_text(json.dumps(document))
    return str(path)


def test_forty_two_watts_through_worker_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plug: None
) -> None:
    world = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(world.cache))
    suites = (
        _suite(tmp_path, "energy", points=["pp16", "tg8"], window_s=1.0, idle_s=0.5, processes=2),
        _suite(tmp_path, "sustained", points=["pp8+tg4"], window_s=0.5),
    )
    request = Request(suites, models=str(world.models), selection=Selection(variants=("base",)))
    summary = run_suites(request, world.results)
    assert summary.failed == ()
    results = load_results(world.results)
    table = results.energy()
    power = table[table.metric == "mean_power"].set_index("point")
    for point in ("pp16", "tg8"):
        assert power.loc[point, "grade"] == "A"
        assert power.loc[point, "n"] == 2  # a window in each of two processes
        assert power.loc[point, "value"] == pytest.approx(WATTS, rel=0.25)
    assert set(table.phase) >= {"idle_unloaded", "load", "idle_before", "window", "idle_after"}
    units = set(table.metric)
    assert {"energy_per_prompt_token", "energy_per_token", "energy_net", "edp"} <= units
    per_token = table[table.primary & (table.metric == "energy_per_token")]
    assert list(per_token.point) == ["tg8"]
    (row,) = results.sustained().itertuples()
    assert row.requests > 0
    assert row.sustained_rate > 0
