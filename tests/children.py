"""Child processes for tests of :mod:`slmbench.process`; ``python -m children`` runs one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from slmbench.process import enter_child


def main() -> None:
    """Do what the job says."""
    job = json.loads(sys.stdin.read())
    with enter_child(sys.argv, memory_limit_bytes=job.get("limit")) as channel:
        for line in job.get("say", ()):
            channel.write(line + "\n")
        sys.stderr.write(job.get("stderr", "") + "\n")
        if job.get("then") == "touch":
            block = bytearray(job["bytes"])
            block[::4096] = b"1" * len(block[::4096])
            channel.write("touched\n")
            return
        act(job.get("then", "exit"), channel.fileno())


def act(what: str, descriptor: int) -> None:
    """One way to end."""
    if what in ("SIGILL", "SIGSEGV", "SIGKILL", "SIGABRT"):
        os.kill(os.getpid(), signal.Signals[what])
    elif what == "hang":
        time.sleep(600)
    elif what == "grandchild":
        grandchild = subprocess.Popen(["sleep", "600"])
        os.write(descriptor, f"{grandchild.pid}\n".encode())
        time.sleep(600)
    elif what == "allocate":
        blocks = []
        while True:
            blocks.append(bytearray(64 << 20))
    elif what == "environment":
        os.write(descriptor, f"SLMBENCH_CHILD={os.environ.get('SLMBENCH_CHILD')}\n".encode())
    elif what == "exit3":
        sys.exit(3)


if __name__ == "__main__":
    main()
