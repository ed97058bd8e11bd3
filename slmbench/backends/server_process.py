"""A server that slmbench starts, waits for, and ends with everything that it started."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from slmbench.backends.protocol import BackendError
from slmbench.records import Status

_KEEPER = Path(__file__).with_name("server_keeper.py")
_POLL_S = 0.1
_ASK_S = 5.0
"""A health check that takes longer counts as a no."""
_CLOSE_S = 8.0
_TAIL_LINES = 12
_TAIL_BYTES = 16_384
_HOLE = re.compile(r"\{(model|port|threads|context|python)\}")

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""For requests on servers: a proxy of the environment is for other things."""


def command_of(template: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """The command's words; ``{model}``, ``{port}`` … are filled in after splitting, so that a
    path with blanks stays one word. No shell ever reads it. ValueError for unbalanced quotes.

    >>> command_of("serve {model} --port={port}", {"model": "a b.gguf", "port": "8000"})
    ('serve', 'a b.gguf', '--port=8000')
    """
    return tuple(_HOLE.sub(lambda hole: values[hole[1]], word) for word in shlex.split(template))


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A command in a process group of its own; gone after :meth:`close`, or with this process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._command = tuple(command)
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", str(_KEEPER), *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    @property
    def alive(self) -> bool:
        """Whether the server still runs."""
        return self._keeper.poll() is None

    @property
    def group(self) -> int:
        """Id of its process group."""
        return self._keeper.pid

    def wait_for(self, health: str, timeout_s: float) -> None:
        """Return when ``health`` answers 200; BackendError when it does not, or the server ends."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.alive:
                raise self.ended("before it could answer")
            if answers(health):
                return
            time.sleep(_POLL_S)
        raise BackendError(
            Status.TIMEOUT,
            f"the server did not answer {health} within {timeout_s:g} s; {self._said()}",
            "raise start_timeout_s of the target, or see that `health` names a path that it serves",
        )

    def ended(self, when: str) -> BackendError:
        """Why the server is gone, with the last lines that it wrote."""
        lines = self.tail()
        text = "\n".join(lines)
        missing = re.search(r"No module named '?([\w.]+)", text)
        hint = "run the command by hand: " + shlex.join(self._command)
        if missing is not None:
            hint = f"{missing[1]} is missing: pip install 'slmbench[serving]', or the engine's own"
        status = Status.OOM if "MemoryError" in text or "out of memory" in text else Status.CRASHED
        return BackendError(status, f"the server ended {when}; {self._said()}", hint)

    def tail(self) -> tuple[str, ...]:
        """Last lines of what it wrote to stdout and stderr."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_BYTES))
        text = self._log.read().decode(errors="replace")
        return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-_TAIL_LINES:]

    def _said(self) -> str:
        lines = self.tail()
        return "its last lines: " + " | ".join(lines) if lines else "it wrote nothing"

    def close(self) -> None:
        """End it and everything in its group; may be called again."""
        if self._log.closed:
            return
        assert self._keeper.stdin is not None
        with suppress(OSError):
            self._keeper.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(_CLOSE_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._keeper.pid, signal.SIGKILL)
        self._keeper.wait()
        self._log.close()


def answers(address: str) -> bool:
    """Whether a GET of the address gives 200."""
    try:
        with OPENER.open(address, timeout=_ASK_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):  # urllib's errors and time-outs are OSErrors
        return False
