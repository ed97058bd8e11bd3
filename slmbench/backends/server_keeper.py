"""Keeps a server and ends it for certain: ``python server_keeper.py COMMAND ...``.

It leads a process group that the server and all its children are born into, and waits for one of
two things: the server ends, or its own stdin is closed, which the kernel does when whoever started
it dies of anything. Then nobody of the group is left. Standard library only, run as a file.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

_GRACE_S = 3.0
"""Between asking the group to end and killing it."""


def main() -> None:
    """Start, wait, end the group (this process is in it)."""
    try:
        server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
    ended = os.pidfd_open(server.pid)
    ready, _, _ = select.select([sys.stdin.fileno(), ended], [], [])
    if ended in ready:
        code = server.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        print(f"the server ended: {how}", file=sys.stderr, flush=True)  # noqa: T201 - to its log
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
