"""Child processes: what they say arrives, and each way to end is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slmbench.process import Child, Ending

TESTS = str(Path(__file__).parents[1])


def run(job: dict[str, object], seconds: float = 20.0) -> tuple[list[str], Ending]:
    deadline = time.monotonic() + seconds
    with Child("children", env={"PYTHONPATH": TESTS}) as child:
        child.send(json.dumps(job))
        lines = list(child.lines(lambda: deadline))
        return lines, child.finish()


def test_lines_arrive_whole_and_in_order() -> None:
    said = [f"line {i} " + "x" * 9000 for i in range(50)]
    lines, ending = run({"say": said})
    assert lines == said
    assert ending.clean


@pytest.mark.parametrize("name", ["SIGILL", "SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_signal_is_named_and_stderr_is_kept(name: str) -> None:
    lines, ending = run({"say": ["one"], "stderr": "last words", "then": name})
    assert lines == ["one"]
    assert ending.signal == name
    assert ending.exit_code is None
    assert not ending.clean
    assert "last words" in ending.stderr_tail


def test_a_hanging_child_is_killed_at_its_deadline() -> None:
    lines, ending = run({"say": ["alive"], "then": "hang"}, seconds=1.5)
    assert lines == ["alive"]
    assert ending.timed_out
    assert ending.signal is None


def test_the_whole_group_dies_with_the_child() -> None:
    lines, ending = run({"then": "grandchild"}, seconds=2.0)
    assert ending.timed_out
    pid = int(lines[0])
    for _ in range(50):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail(f"grandchild {pid} outlived its group")


def test_an_exit_code_is_told() -> None:
    _, ending = run({"then": "exit3"})
    assert ending.exit_code == 3
    assert not ending.clean


def test_memory_beyond_the_limit_fails_in_the_child() -> None:
    _, ending = run({"limit": 512 << 20, "then": "allocate"})
    assert ending.exit_code == 1
    assert any("MemoryError" in line for line in ending.stderr_tail)


def test_a_child_dies_with_its_parent() -> None:
    script = (
        "import json, os, time\n"
        "from slmbench.process import Child\n"
        "child = Child('children')\n"
        "child.send(json.dumps({'say': ['up'], 'then': 'hang'}))\n"
        "next(child.lines(lambda: time.monotonic() + 20))\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": TESTS},
        check=False,
        timeout=60,
    )
    pid = int(done.stdout)
    for _ in range(50):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail(f"child {pid} outlived its parent")


def test_waiting_costs_no_processor_time() -> None:
    """Blocked in select: far below the 1 % of a core that watching may cost."""
    before = time.process_time()
    begin = time.monotonic()
    run({"then": "hang"}, seconds=3.0)
    used, waited = time.process_time() - before, time.monotonic() - begin
    assert waited >= 3.0
    assert used / waited < 0.05  # starting the child is the greater part of it


def test_children_read_no_docstrings_of_fields() -> None:
    """The variable that ``Child`` sets is the one that spec/base.py looks at."""
    text = "from slmbench.spec.base import CHILD, Frozen; import os; print(CHILD in os.environ, "
    text += "Frozen.model_config['use_attribute_docstrings'])"
    for environ, expected in (({}, "False True"), ({"SLMBENCH_CHILD": "1"}, "True False")):
        done = subprocess.run(
            [sys.executable, "-c", text],
            env={k: v for k, v in os.environ.items() if k != "SLMBENCH_CHILD"} | environ,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected
    lines, _ = run({"then": "environment"})
    assert lines == ["SLMBENCH_CHILD=1"]
