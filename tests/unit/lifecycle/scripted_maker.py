"""A maker that does what $MAKER says, in place of ``slmbench.lifecycle.make``.

Each start adds a line to $MAKER_LOG, so that tests can count what was made.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from gguf_bytes import small_gguf

from slmbench.lifecycle.energy import unknown
from slmbench.lifecycle.job import Done, Failed, MakeJob, Progress
from slmbench.lifecycle.make import Spent, _seal
from slmbench.lifecycle.workbench import Product
from slmbench.made import GgufQuantizeFacts
from slmbench.process import enter_child


def _save(job: MakeJob) -> None:
    """A checkpoint, and the end: what a training does on SIGTERM."""
    assert job.checkpoints is not None
    (Path(job.checkpoints) / "step-1").mkdir(parents=True)
    os._exit(1)


def main() -> int:
    """Follow the script; returns the exit code."""
    pipe = enter_child(sys.argv)
    job = MakeJob.model_validate_json(sys.stdin.read())
    script = os.environ["MAKER"]
    with Path(os.environ["MAKER_LOG"]).open("a") as log:
        log.write(f"{os.getpid()}\n")
    path = Path(job.out) / "model.gguf"
    path.write_bytes(b"half")
    pipe.write(Progress(text="half done").model_dump_json() + "\n")
    if script in ("SIGILL", "SIGKILL"):
        sys.stderr.write("the engine said something last\n")
        os.kill(os.getpid(), signal.Signals[script])
    elif script == "hang":
        time.sleep(600)
    elif script == "train":
        signal.signal(signal.SIGTERM, lambda *_: _save(job))
        pipe.write(Progress(text="training").model_dump_json() + "\n")
        while job.checkpoints is None or not (Path(job.checkpoints) / "step-1").exists():
            time.sleep(0.02)
    elif script == "silent":
        return 0
    elif script == "crash":
        raise RuntimeError("a bug")
    elif script != "good":
        line = Failed(error=script, message="it cannot be", hint="do this")
        pipe.write(line.model_dump_json() + "\n")
        return 1
    if "MAKER_SLEEP" in os.environ:
        time.sleep(float(os.environ["MAKER_SLEEP"]))
    path.write_bytes(small_gguf())
    facts = GgufQuantizeFacts(note="n", from_types=(), to_types=(), bits_per_weight=8.5)
    spent = Spent(datetime.now(UTC).isoformat(timespec="seconds"), 1.5, 10**8, unknown("scripted"))
    _seal(job, Product(path, facts, ("pydantic", "no-such-library")), spent)
    pipe.write(Done().model_dump_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
