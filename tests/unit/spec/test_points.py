"""Names of workload points."""

import pytest

from slmbench.spec import WorkloadPoint
from slmbench.spec.points import parse_point


@pytest.mark.parametrize(
    ("name", "prompt", "output", "depth", "batch"),
    [
        ("pp512", 512, 1, 0, 1),
        ("tg128", 1, 128, 0, 1),
        ("pp512+tg128", 512, 128, 0, 1),
        ("tg16@d2048", 1, 16, 2048, 1),
        ("pp128+tg32@d64xb4", 128, 32, 64, 4),
        ("pp7×b2", 7, 1, 0, 2),
    ],
)
def test_a_name_stands_for_a_point(
    name: str, prompt: int, output: int, depth: int, batch: int
) -> None:
    point = parse_point(name)
    assert point == WorkloadPoint(
        prompt_tokens=prompt, output_tokens=output, depth=depth, batch=batch
    )
    assert point.label == name.replace("xb", "×b")
    assert point.tokens == prompt + output + depth


@pytest.mark.parametrize("name", ["", "512", "pp0", "tg", "@d4", "pp5tg", "pp4 ", "xb2", "pp-1"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no workload point"):
        parse_point(name)


def test_a_point_of_depth_nought_is_written_as_before_it_had_one() -> None:
    plain = WorkloadPoint(prompt_tokens=32, output_tokens=24)
    assert plain.model_dump(mode="json") == {"prompt_tokens": 32, "output_tokens": 24, "batch": 1}
