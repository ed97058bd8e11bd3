"""Child processes: started apart, read by blocking, ended for certain, and their ending named.

The parent sleeps in ``select`` until the child speaks or its deadline passes, so that watching
costs no processor time that a measurement would miss.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_GRACE_S = 10.0
"""A child that closed its pipe may take this long to exit before it is killed."""
_TAIL_LINES = 12
_TAIL_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child process ended."""

    exit_code: int | None
    """None when a signal ended it."""
    signal: str | None
    """``SIGILL``, ``SIGKILL`` …"""
    timed_out: bool
    """We killed it because its deadline had passed."""
    oom_killed: bool
    """The kernel's OOM killer was active while it ran and it died of SIGKILL."""
    stderr_tail: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Exited by itself with code 0."""
        return self.exit_code == 0 and not self.timed_out


class Child:
    """``python -m module`` in a process group of its own; JSON in on stdin, lines out on a pipe.

    The pipe's descriptor number is the child's last argument. What the child prints on stdout
    and stderr goes to a file, and its last lines come back in :class:`Ending`. With ``group`` it
    is put into that memory control group (a folder) before its interpreter starts, so that all
    of its memory is charged there, and the group's own counter says whether it was killed.

    >>> with Child("this") as child:      # doctest: +SKIP
    ...     child.send("{}")
    ...     lines = list(child.lines(lambda: time.monotonic() + 5))
    ...     child.finish().clean
    """

    def __init__(
        self,
        module: str,
        *,
        python: str | None = None,
        env: Mapping[str, str] | None = None,
        group: Path | None = None,
    ) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._group = group
        self._oom_before = _oom_kills(group)
        self._timed_out = False
        read, write = os.pipe()
        self._read = read
        try:
            self._popen = subprocess.Popen(
                [*_entering(group), python or sys.executable, "-m", module, str(write)],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(write,),
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "SLMBENCH_CHILD": "1", **(env or {})},
            )
        except OSError:
            os.close(read)
            self._log.close()
            raise
        finally:
            os.close(write)

    @property
    def pid(self) -> int:
        """Process id, also the id of its group."""
        return self._popen.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._popen.wait()
        if self._popen.stdin is not None:
            with suppress(BrokenPipeError):
                self._popen.stdin.close()
        os.close(self._read)
        self._log.close()

    def send(self, text: str) -> None:
        """Give the child its one input document; a child that died already is not an error."""
        stdin = self._popen.stdin
        assert stdin is not None
        try:
            stdin.write(text.encode())
            stdin.close()
        except BrokenPipeError:
            stdin.close()

    def tell(self, line: str) -> None:
        """Give the child one line and keep its input open; one that died is not an error."""
        stdin = self._popen.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):
            stdin.write(line.encode() + b"\n")
            stdin.flush()

    def lines(self, deadline: Callable[[], float]) -> Iterator[str]:
        """Lines as they come, until the child closes the pipe or ``deadline()`` passes.

        ``deadline`` gives a ``time.monotonic`` value and is asked again after each line; when it
        passes, the whole process group is killed.
        """
        rest = b""
        while True:
            wait = deadline() - time.monotonic()
            ready = select.select([self._read], [], [], max(0.0, wait))[0] if wait > 0 else []
            if not ready:
                self._timed_out = True
                self.kill()
                return
            chunk = os.read(self._read, 1 << 16)
            if not chunk:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line.decode()

    def kill(self) -> None:
        """SIGKILL to the whole group; harmless when it is gone."""
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def end(self, grace_s: float) -> None:
        """Ask it to end (SIGTERM), and give it time to save what it has; then it is killed."""
        with suppress(ProcessLookupError):
            os.kill(self._popen.pid, signal.SIGTERM)
        self._sleep_until_end(grace_s)
        self.kill()

    def finish(self) -> Ending:
        """Wait for the end (killed after a grace period) and name it."""
        killed_late = False
        until = time.monotonic() + _GRACE_S
        self._sleep_until_end(_GRACE_S)
        try:
            code = self._popen.wait(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            killed_late = True
            self.kill()
            code = self._popen.wait()
        name = _signal_name(-code) if code < 0 else None
        return Ending(
            exit_code=None if code < 0 else code,
            signal=None if (self._timed_out or killed_late) else name,
            timed_out=self._timed_out or killed_late,
            oom_killed=name == "SIGKILL" and _oom_kills(self._group) > self._oom_before,
            stderr_tail=self._tail(),
        )

    def _sleep_until_end(self, seconds: float) -> None:
        """At most so long; ``Popen.wait`` polls, which adds tens of milliseconds to every cell."""
        opener = getattr(os, "pidfd_open", None)
        if opener is None:
            return
        with suppress(OSError):
            descriptor = opener(self._popen.pid)
            try:
                select.select([descriptor], [], [], seconds)
            finally:
                os.close(descriptor)

    def _tail(self) -> tuple[str, ...]:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_BYTES))
        text = self._log.read().decode(errors="replace")
        return tuple(line for line in text.splitlines() if line.strip())[-_TAIL_LINES:]


def enter_child(arguments: Sequence[str], *, memory_limit_bytes: int | None = None) -> IO[str]:
    """First call of a child's ``main``: die with the parent, and open the pipe for writing.

    ``arguments`` is ``sys.argv``. ``memory_limit_bytes`` bounds the address space (RLIMIT_AS).
    """
    _die_with_parent()
    if memory_limit_bytes is not None:
        limit_memory(memory_limit_bytes)
    return os.fdopen(int(arguments[-1]), "w", encoding="utf-8", buffering=1)


def limit_memory(limit: int) -> None:
    """Bound this process's address space [bytes]; allocations beyond it fail."""
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent dies (Linux; elsewhere nothing)."""
    pr_set_pdeathsig = 1
    parent = os.getppid()
    try:
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:  # it died before the request was in place
        os.kill(os.getpid(), signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _entering(group: Path | None) -> tuple[str, ...]:
    """Words before a command that put it into a control group: a shell moves itself, then execs."""
    if group is None:
        return ()
    return ("/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', str(group / "cgroup.procs"))


def _oom_kills(group: Path | None) -> int:
    """How often the kernel killed for memory: in the group, or since boot; 0 where not counted."""
    if group is None:
        sources = [Path("/proc/vmstat")]
    else:
        sources = [group / "memory.events", group / "memory.oom_control"]  # version 2, 1
    for source in sources:
        with suppress(OSError):
            counts = dict(line.split() for line in source.read_text("ascii").splitlines())
            return int(counts.get("oom_kill", 0))
    return 0
