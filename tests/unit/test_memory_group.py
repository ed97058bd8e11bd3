"""Groups with a hard limit: made below the own group, obeyed, counted and removed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slmbench.memory_group import MemoryGroup, NoGroup, memory_group
from slmbench.process import Child, Ending

MIB = 1 << 20
TESTS = str(Path(__file__).parents[1])


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    """A real group of 128 MiB."""
    with memory_group(128 * MIB) as made:
        if isinstance(made, NoGroup):
            pytest.skip(made.reason)
        yield made


def run(group: MemoryGroup, job: dict[str, object]) -> tuple[list[str], Ending]:
    deadline = time.monotonic() + 20
    with Child("children", env={"PYTHONPATH": TESTS}, group=group.folder) as child:
        child.send(json.dumps(job))
        lines = list(child.lines(lambda: deadline))
        return lines, child.finish()


def test_a_child_that_takes_more_is_killed_and_the_group_says_so(group: MemoryGroup) -> None:
    _, ending = run(group, {"then": "touch", "bytes": 300 * MIB})
    assert ending.oom_killed
    assert ending.signal == "SIGKILL"
    peak = group.peak()
    assert peak is not None
    assert 100 * MIB < peak <= 129 * MIB


def test_a_child_that_takes_less_lives(group: MemoryGroup) -> None:
    lines, ending = run(group, {"then": "touch", "bytes": 64 * MIB})
    assert lines == ["touched"]
    assert ending.clean
    assert not ending.oom_killed
    peak = group.peak()
    assert peak is not None
    assert peak > 64 * MIB


def test_a_group_is_gone_afterwards() -> None:
    with memory_group(64 * MIB) as made:
        if isinstance(made, NoGroup):
            pytest.skip(made.reason)
        assert made.folder.is_dir()
    assert not made.folder.exists()


def _v1(root: Path) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("4:memory:/own\n")
    own = root / "sys/fs/cgroup/memory/own"
    own.mkdir(parents=True)
    return own


def test_a_folder_that_is_no_group_gives_a_reason(tmp_path: Path) -> None:
    own = _v1(tmp_path)
    with memory_group(64 * MIB, tmp_path) as made:
        assert isinstance(made, NoGroup)
        assert "not passed on" in made.reason
    assert list(own.iterdir()) == []


def test_what_a_dead_campaign_left_is_removed(tmp_path: Path) -> None:
    own = _v1(tmp_path)
    left = own / "slmbench-999999999-0"
    left.mkdir()
    with memory_group(64 * MIB, tmp_path):
        assert not left.exists()


def test_without_control_groups_there_is_a_reason(tmp_path: Path) -> None:
    with memory_group(64 * MIB, tmp_path) as made:
        assert isinstance(made, NoGroup)
        assert "no memory control groups" in made.reason
