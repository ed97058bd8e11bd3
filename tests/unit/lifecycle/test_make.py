"""The maker's own endings: what it says when the disk is full or a library is missing."""

from __future__ import annotations

import errno
import io
import json
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
from derivation import PARENT_DIGEST, child, ref_of

from slmbench import errors
from slmbench.lifecycle import cache as kept
from slmbench.lifecycle import make
from slmbench.lifecycle.attempts import Attempts
from slmbench.lifecycle.job import MakeJob, MakerLine
from slmbench.made import Energy
from slmbench.records import Provenance
from slmbench.spec import Recipe
from slmbench.spec.recipe import DepthPrune, Dequantize, GgufQuantize, TorchaoQuantize

Usage = namedtuple("Usage", "total used free")


def start(out: Path, monkeypatch: pytest.MonkeyPatch, technique: str) -> tuple[int, list[str]]:
    """Run ``main`` here with a technique that is the named module; returns code and lines."""
    variant = child(GgufQuantize(technique="gguf_quantize", type="Q8_0"))
    assert variant.recipe is not None
    job = MakeJob(
        variant="child",
        identity=ref_of(variant).digest,
        recipe=variant.recipe,
        format="gguf",
        parent="parent",
        parent_identity=PARENT_DIGEST,
        parent_sha256=PARENT_DIGEST,
        parent_path="/none",
        out=str(out),
        threads=1,
    )
    pipe = io.StringIO()
    monkeypatch.setattr(make, "enter_child", lambda _: pipe)
    monkeypatch.setattr(sys, "stdin", io.StringIO(job.model_dump_json()))
    monkeypatch.setitem(make.TECHNIQUES, "gguf_quantize", technique)
    return make.main(), pipe.getvalue().splitlines()


def technique(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str) -> str:
    (folder / f"{name}.py").write_text(f"def make(recipe, bench):\n    {body}\n")
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_energy_of_the_last_attempt_is_no_figure_of_all(tmp_path: Path) -> None:
    metered = Energy(joules=70.0, provenance=Provenance.ESTIMATED, scope="a model")
    job = MakeJob.model_validate(
        {
            "variant": "child", "identity": PARENT_DIGEST, "format": "hf", "parent": None,
            "recipe": {"technique": "cast", "dtype": "float16"}, "parent_identity": None,
            "parent_sha256": None, "parent_path": None, "out": str(tmp_path), "threads": 1,
            "checkpoints": str(tmp_path),
        }
    )  # fmt: skip
    now = time.perf_counter_ns()
    once = make._Spending(job, "", now).ended(metered)
    assert once.energy == metered
    assert once.seconds < 1000
    Attempts(seconds=1000.0, peak_memory_bytes=1 << 50).note(tmp_path)
    again = make._Spending(job, "", now).ended(metered)
    assert again.seconds > 1000
    assert again.peak_memory_bytes == 1 << 50
    assert (again.energy.joules, again.energy.provenance) == (None, Provenance.UNAVAILABLE)
    assert "interrupted: 70 J (estimated) are of the last" in again.energy.scope


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    name = technique(tmp_path, monkeypatch, "technique_missing", "import torchao")
    code, lines = start(tmp_path, monkeypatch, name)
    failed = json.loads(lines[-1])
    assert (code, failed["kind"], failed["error"]) == (1, "failed", "MissingEngineError")
    assert failed["hint"] == "pip install 'slmbench[lifecycle]'"


def test_a_full_disk_is_said_whatever_the_library_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = technique(tmp_path, monkeypatch, "technique_full", "raise RuntimeError('write failed')")
    monkeypatch.setattr(make.shutil, "disk_usage", lambda _: Usage(100, 100, 0))
    code, lines = start(tmp_path, monkeypatch, name)
    assert code == 1
    assert json.loads(lines[-1])["error"] == "DiskSpaceError"
    monkeypatch.setattr(make.shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1 << 40))
    with pytest.raises(RuntimeError, match="write failed"):
        start(tmp_path, monkeypatch, name)


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        # Written and taken away again: the disk itself has room when it is asked.
        ("raise ValueError('I/O error: No space left on device (os error 28)')",
         "DiskSpaceError", "no space left"),
        ("raise MemoryError", "OutOfMemoryError", "ran out of memory; nothing was made"),
        ("raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory: 8 bytes')",
         "OutOfMemoryError", "ran out of memory"),
    ],
)  # fmt: skip
def test_what_the_machine_lacks_is_read_off_what_libraries_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, error: str, said: str
) -> None:
    name = technique(tmp_path, monkeypatch, f"technique_short_{len(body)}", body)
    monkeypatch.setattr(make.shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1 << 40))
    code, lines = start(tmp_path, monkeypatch, name)
    last = json.loads(lines[-1])
    assert (code, last["error"]) == (1, error)
    assert said in last["message"]


def test_no_room_for_the_cache_is_a_disk_space_error(tmp_path: Path) -> None:
    def refuse(number: int) -> None:
        with kept.room_to_write(tmp_path):
            raise OSError(number, "no")

    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(errors.DiskSpaceError, match=str(tmp_path)):
            refuse(number)
    for number in (errno.EACCES, errno.EROFS, errno.ENOTDIR):
        with pytest.raises(errors.PrerequisiteError, match=f"cannot write {tmp_path}"):
            refuse(number)
    with pytest.raises(OSError, match="no"):
        refuse(errno.EIO)


@pytest.mark.parametrize(
    "recipe",
    [
        Dequantize(technique="dequantize"),
        GgufQuantize(technique="gguf_quantize", type="Q8_0"),
        TorchaoQuantize(technique="torchao"),
        DepthPrune(technique="depth_prune", drop_layers=1),
    ],
)
def test_every_recipe_has_a_technique_with_its_file(recipe: Recipe) -> None:
    module = make.TECHNIQUES[recipe.technique]
    path = Path(make.__file__).parent / f"{module.rpartition('.')[2]}.py"
    assert "def make(" in path.read_text()


def test_an_unknown_line_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        MakerLine.validate_json('{"kind": "surprise"}')
