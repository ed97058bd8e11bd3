"""A real training that is interrupted, killed, and in the end whole, through the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("peft", reason="needs peft")

from slmbench.lifecycle.attempts import Attempts
from slmbench.made import MadeRecord

pytestmark = pytest.mark.engine
STEPS = 400
MODELS = """\
variants:
  - {{name: base, format: hf, stage: base, technique: none, licence: MIT, source: {{file: {0}}}}}
targets:
  - {{name: cpu, backend: transformers}}
"""
RECIPE = f"""\
name: tuned
title: t
parent: base
models: models.yaml
budget: {{minutes: 1, memory_mb: 4000}}
steps:
  - recipe:
      technique: train
      update: {{kind: full}}
      text: {{passages: [boolq], held_out: 0.2, validation_bytes: 400}}
      tokens: {STEPS * 4 * 32}
      sequence: 32
      batch: 4
      validations: {STEPS // 10}
"""


@pytest.fixture
def here(tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of some seconds, and a cache of its own."""
    (tmp_path / "models.yaml").write_text(MODELS.format(parent))
    (tmp_path / "tuned.yaml").write_text(RECIPE)
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def started(here: Path) -> subprocess.Popen[str]:
    """The command, when its training has made some steps."""
    process = subprocess.Popen(
        [sys.executable, "-m", "slmbench.cli.main", "derive", str(here / "tuned.yaml")],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env={**os.environ},
    )  # fmt: skip
    assert process.stderr is not None
    for line in iter(process.stderr.readline, ""):
        if " of 400" in line and "step 0 " not in line:
            return process
    raise AssertionError("the training took no step")


def records(here: Path) -> list[Path]:
    return list((here / "cache/models").glob("[!.]*/variant.json"))


def running_makers() -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode().split("\0")
            environment = (place / "environ").read_bytes().decode()
        except OSError:
            continue
        if "slmbench.lifecycle.make" in words:
            found.append(environment)
    return found


def test_ctrl_c_then_kill_then_whole(here: Path) -> None:
    process = started(here)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "its checkpoint is kept" in told
    assert records(here) == []
    process = started(here)
    process.kill()
    process.communicate(timeout=60)
    assert records(here) == []
    until = time.monotonic() + 10
    mine = f"SLMBENCH_CACHE={here / 'cache'}"
    while any(mine in found for found in running_makers()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(mine in found for found in running_makers())
    (note,) = (here / "cache/models/.checkpoints").glob("*/spent.json")
    assert Attempts.before(note.parent).seconds > 0
    Attempts(seconds=1000.0).note(note.parent)
    done = subprocess.run(
        [sys.executable, "-m", "slmbench.cli.main", "derive", str(here / "tuned.yaml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = records(here)
    made = MadeRecord.model_validate_json(path.read_bytes())
    training = made.training
    assert training is not None
    assert made.duration_s > 1000
    assert training.interruptions >= 1
    assert training.steps == STEPS
    assert training.curve[-1].tokens == STEPS * 4 * 32
    assert not list((here / "cache/models").glob(".partial-*"))
    assert not list((here / "cache/models").glob(".checkpoints/*"))
