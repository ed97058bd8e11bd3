"""The experiments that ship: files that fit together, within an hour, with their limits stated."""

from __future__ import annotations

import pytest

from slmbench.experiments import resolve
from slmbench.spec.load import experiment_names


@pytest.mark.parametrize("name", experiment_names())
def test_it_resolves_and_fits_an_hour(name: str) -> None:
    found = resolve(name)
    experiment = found.experiment
    assert experiment.name == name
    assert experiment.question.endswith("?")
    assert experiment.budget.minutes <= 60
    assert experiment.limitations
    assert found.cells > 0


def test_every_section_has_an_experiment() -> None:
    sections = {resolve(name).experiment.section for name in experiment_names()}
    assert {"initialization", "quantization", "plasticity", "which_to_ship"} <= sections
