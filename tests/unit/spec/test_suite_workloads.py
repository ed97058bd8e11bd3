"""A workload may have knobs of its own, at the sizes that it names."""

from __future__ import annotations

from slmbench.spec import SizeKnobs, SuiteWorkload

SUITE = SizeKnobs(prompt_tokens=(128,), output_tokens=(16,), repeats=5, timeout_s=60)


def test_without_own_sizes_the_suite_decides() -> None:
    work = SuiteWorkload(workload="memory")
    assert work.asked_at("demo")
    assert work.knobs("demo", SUITE) == SUITE


def test_own_points_replace_the_grid_and_the_rest_stays() -> None:
    own = SizeKnobs(points=("pp240+tg16",), processes=3)
    work = SuiteWorkload(workload="memory_context", sizes={"standard": own})
    assert not work.asked_at("demo")
    knobs = work.knobs("standard", SUITE)
    assert (knobs.points, knobs.prompt_tokens, knobs.output_tokens) == (("pp240+tg16",), None, None)
    assert (knobs.processes, knobs.repeats, knobs.timeout_s) == (3, 5, 60)


def test_an_own_grid_replaces_points() -> None:
    work = SuiteWorkload(workload="memory", sizes={"demo": SUITE})
    assert work.knobs("demo", SizeKnobs(points=("pp8",))).points is None
