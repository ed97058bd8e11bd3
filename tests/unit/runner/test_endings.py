"""How a worker died becomes a status with a reason and a next step."""

from __future__ import annotations

import pytest

from samples import cell
from slmbench.process import Ending
from slmbench.records import Status
from slmbench.runner.endings import verdict


def ending(**changes: object) -> Ending:
    usual: dict[str, object] = {
        "exit_code": None,
        "signal": None,
        "timed_out": False,
        "oom_killed": False,
        "stderr_tail": (),
    }
    return Ending(**(usual | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        (ending(signal="SIGILL"), Status.CRASHED, "SIGILL"),
        (ending(signal="SIGSEGV"), Status.CRASHED, "SIGSEGV"),
        (ending(signal="SIGKILL"), Status.CRASHED, "from outside"),
        (ending(signal="SIGKILL", oom_killed=True), Status.OOM, "out-of-memory killer"),
        (ending(timed_out=True), Status.TIMEOUT, "30 s"),
        (ending(exit_code=7), Status.CRASHED, "exit code 7"),
        (
            ending(signal="SIGABRT", stderr_tail=("what(): std::bad_alloc",)),
            Status.OOM,
            "allocation",
        ),
        (ending(exit_code=1, stderr_tail=("MemoryError",)), Status.OOM, "allocation"),
    ],
)
def test_each_ending_has_its_status(how: Ending, status: Status, words: str) -> None:
    judged = verdict(how, cell("piqa"))
    assert judged.status is status
    assert words in judged.reason
    assert judged.hint


def test_the_limit_is_named() -> None:
    spec = cell("piqa")
    limited = spec.target.model_copy(update={"memory_limit_bytes": 512_000_000})
    spec = spec.model_copy(update={"target": limited})
    judged = verdict(ending(exit_code=1, stderr_tail=("MemoryError",)), spec)
    assert "512 MB" in judged.reason


def test_a_memory_message_of_a_clean_exit_is_no_oom() -> None:
    judged = verdict(ending(exit_code=0, stderr_tail=("tried: out of memory, went on",)), cell("x"))
    assert judged.status is Status.CRASHED
