"""Grades, totals without double counting, grams: all by hand-made numbers."""

from __future__ import annotations

import pytest

import builders as b
from slmbench.errors import UsageError
from slmbench.meters.carbon import WORLD, grid_here
from slmbench.meters.grades import SOURCES, Grade, grade, weakest
from slmbench.meters.totals import REPEATED, same_parts, total_energy
from slmbench.records import Measurement, Provenance

WALL = "wall, whole machine"
PSYS = "platform (psys, includes the cpu packages)"
CPU0, CPU1, DRAM, GPU = "cpu package 0", "cpu package 1", "dram of cpu package 0", "gpu0 board"


def read(scope: str, *joules: float, **changes: object) -> Measurement:
    """Energy of one source."""
    method = "sampled" if scope == WALL else "counter"
    return b.measurement("energy_gross", *joules, **{"scope": scope, "method": method, **changes})


@pytest.mark.parametrize(
    ("method", "scope", "reason", "expected"),
    [
        ("sampled", WALL, "", "A"),
        ("counter", WALL, "", "A"),
        ("counter", GPU, "", "B"),
        ("counter", f"{CPU0} + {GPU}", "", "B"),
        ("sampled", GPU, "", "C"),
        ("modelled", "whole machine, modelled, cpu by machine load", "", "D"),
        ("modelled", "whole machine, modelled", "machine load scaling a TDP of 85 W", "D"),
        ("modelled", "whole machine, modelled", "CPU 5 W (from RAPL)", "D"),
        ("modelled", "whole machine, modelled, cpu constant", "", "E"),
        ("modelled", "whole machine, modelled", "constant: half a TDP of 85 W", "E"),
        ("modelled", WALL, "", "E"),
        ("derived", GPU, "", None),
    ],
)
def test_grades(method: str, scope: str, reason: str, expected: Grade | None) -> None:
    assert grade(method, scope, reason) == expected


def test_a_total_is_as_weak_as_its_weakest_part() -> None:
    assert weakest([]) is None
    assert weakest(["A", "C", "B"]) == "C"
    assert list(SOURCES) == ["A", "B", "C", "D", "E"]
    mixed = total_energy([read(CPU0, 3.0), read(GPU, 4.0, method="sampled")])
    assert mixed is not None
    assert (mixed.joules, mixed.grade, mixed.method) == (7.0, "C", "sampled")


@pytest.mark.parametrize(
    ("parts", "joules", "scope"),
    [
        ([read(WALL, 90.0), read(PSYS, 60.0), read(CPU0, 40.0), read(GPU, 9.0)], 90.0, WALL),
        ([read(PSYS, 60.0), read(CPU0, 40.0), read(DRAM, 5.0)], 60.0, PSYS),
        ([read(PSYS, 60.0), read(CPU0, 40.0), read(DRAM, 5.0), read(GPU, 9.0)], 54.0,
         f"{CPU0} + {DRAM} + {GPU}"),
        ([read(CPU0, 40.0), read(CPU1, 30.0), read(DRAM, 5.0)], 75.0, f"{CPU0} + {CPU1} + {DRAM}"),
        ([read(GPU, 9.0), read("")], 9.0, "gpu0 board only"),
        ([read(CPU0, 40.0), read(CPU1)], 40.0, f"{CPU0} (without {CPU1})"),
        ([read(CPU0, 40.0), read(CPU1, reason=f"{REPEATED} as {CPU0}")], 40.0, CPU0),
        ([read(PSYS, 60.0), read(CPU0)], 60.0, PSYS),
        ([read(PSYS), read(CPU0, 40.0)], 40.0, CPU0),
    ],
)  # fmt: skip
def test_no_joule_is_counted_twice(parts: list[Measurement], joules: float, scope: str) -> None:
    found = total_energy(parts)
    assert found is not None
    assert found.joules == pytest.approx(joules)
    assert found.scope == scope


def test_models_never_enter_a_total() -> None:
    estimate = read(
        "whole machine", 500.0, provenance=Provenance.ESTIMATED, method="modelled", reason="model"
    )
    assert total_energy([estimate]) is None
    found = total_energy([estimate, read(CPU0, 40.0)])
    assert found is not None
    assert found.joules == 40.0


def test_idle_counts_only_over_the_same_parts() -> None:
    window = total_energy([read(CPU0, 40.0), read(GPU, 9.0)])
    assert window is not None
    idle = same_parts(window, [read(CPU0, 4.0), read(GPU, 1.0), read(DRAM, 7.0)])
    assert idle is not None
    assert idle.joules == 5.0
    assert same_parts(window, [read(CPU0, 4.0), read(GPU)]) is None


def test_grams_name_zone_year_and_source() -> None:
    assert WORLD.grams(3.6e6) == 475.0
    assert "world 2018" in WORLD.told
    assert "assumed" in WORLD.told
    own = grid_here({"SLMBENCH_GRID": "DE; 2023; 380; UBA"})
    assert (own.zone, own.g_per_kwh, own.assumed) == ("DE", 380.0, False)
    assert "DE 2023, UBA" in own.told
    assert grid_here({}) is WORLD


@pytest.mark.parametrize("text", ["380", "DE;2023;many;UBA", "DE;2023;-1;UBA", ";2023;380;UBA"])
def test_a_grid_that_cannot_be_read_is_a_clear_error(text: str) -> None:
    with pytest.raises(UsageError, match="not a grid factor") as caught:
        grid_here({"SLMBENCH_GRID": text})
    assert "zone;year" in (caught.value.hint or "")
