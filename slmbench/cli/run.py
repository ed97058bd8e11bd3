"""``slmbench run``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from slmbench.api import Request, cell_states, plan_suites, run_suites
from slmbench.campaign import Policy, Summary, wanted
from slmbench.cli.progress import Progress
from slmbench.cli.selection import request_of
from slmbench.errors import InterruptedRunError
from slmbench.estimates import estimates
from slmbench.meters import wall
from slmbench.records import Status

SOME_FAILED = 3


def execute(arguments: argparse.Namespace) -> int:
    """Run, report failures, and exit 3 when there are any."""
    policy = Policy(force=arguments.force, retry_failed=arguments.retry_failed)
    request = request_of(arguments)
    command = " ".join(["slmbench", *sys.argv[1:]])
    summary = run_with_progress(request, Path(arguments.results), policy, command)
    return conclude(summary)


def run_with_progress(request: Request, results: Path, policy: Policy, command: str) -> Summary:
    """Run a request under a progress bar; Ctrl-C and SIGTERM save what is done."""
    planned = plan_suites(request)
    todo = [s for s in cell_states(planned, results) if wanted(policy, s)]
    done = len(planned.plan.cells) - len(todo)
    kept = 0 if policy.force else sum(s.kept for s in todo)
    begun = f" ({kept} finished processes of theirs are kept)" if kept else ""
    print(
        f"{len(planned.plan.cells)} cells: {done} done before, {len(todo)} to run{begun}, "
        f"{len(planned.plan.skips)} combinations left out",
        file=sys.stderr,
    )
    if todo and (doubt := _meter_that_fails()):
        print(doubt, file=sys.stderr)
    guessed = estimates(results, [s.cell for s in todo])
    seconds = {
        s.cell.spec.digest: g.seconds * (1.0 if policy.force or not s.kept else s.left)
        for s, g in zip(todo, guessed, strict=True)
    }
    try:
        with terminable(), Progress(seconds) as progress:
            return run_suites(request, results, policy=policy, listener=progress)
    except InterruptedRunError as error:
        raise InterruptedRunError(error.message, hint=f"to go on: {command}") from None


def _meter_that_fails() -> str:
    """A warning where a wall meter is set up and cannot be read: a night's energy would be lost."""
    if not wall.configured():
        return ""
    state = wall.WallMeter.availability()
    if state.ok:
        return ""
    return (
        f"warning: {wall.SETTING} is set, and the meter cannot be read: {state.reason}. There will "
        f"be no measured energy\n  hint: {state.fix}"
    )


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def conclude(summary: Summary) -> int:
    """Name what failed on stderr; the exit code."""
    causes: dict[tuple[Status | None, str], list[str]] = {}
    for state in summary.failed:
        causes.setdefault((state.status, state.reason), []).append(state.cell.spec.label)
    for (status, reason), labels in causes.items():
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        print(f"{(status or Status.INVALID).value:11} {labels[0]}{more}: {reason}", file=sys.stderr)
    if summary.failed:
        print(
            f"{len(summary.failed)} of {len(summary.states)} cells failed; "
            "--retry-failed runs them again",
            file=sys.stderr,
        )
        return SOME_FAILED
    print(f"all {len(summary.states)} cells ok ({summary.ran} run now)", file=sys.stderr)
    return 0
