"""Deriving: made once, whole or not at all, however the maker or its caller ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from derivation import PARENT_DIGEST, artefact_at, child, ref_of
from gguf_bytes import small_gguf

from slmbench import errors
from slmbench.content import content_of
from slmbench.lifecycle import Artefact, MadeRecord, derive, find, materialise
from slmbench.spec.recipe import GgufQuantize

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


class Bench:
    """A parent, a scripted maker, and counters."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = tmp_path / "maker.log"
        self.said: list[str] = []
        self.monkeypatch = monkeypatch
        path = tmp_path / "parent.gguf"
        path.write_bytes(b"parent")
        self.parent = artefact_at(path)
        self.variant = child()
        self.ref = ref_of(self.variant)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(HERE), str(ROOT))))
        monkeypatch.setenv("MAKER_LOG", str(self.log))
        monkeypatch.setattr(derive, "_MAKER", "scripted_maker")

    def make(self, script: str = "good") -> Artefact:
        self.monkeypatch.setenv("MAKER", script)
        return materialise(
            self.variant, self.ref, self.parent, base=Path(), report=self.said.append
        )

    @property
    def started(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def partials(cache: Path) -> list[Path]:
    return list((cache / "models").glob(".partial-*"))


def test_a_variant_is_made_once_and_found_afterwards(bench: Bench, cache: Path) -> None:
    assert find(bench.variant, bench.ref) is None
    made = bench.make()
    assert made.path == cache / "models" / bench.ref.digest[:16] / "model.gguf"
    assert made.path.read_bytes() == small_gguf()
    assert find(bench.variant, bench.ref) == made
    assert bench.make("SIGKILL") == made
    assert bench.started == 1
    assert partials(cache) == []
    assert "child: half done" in bench.said


def test_the_record_tells_how_it_was_made(bench: Bench) -> None:
    made = bench.make()
    record = MadeRecord.model_validate_json((made.path.parent / "variant.json").read_bytes())
    assert record == made.made
    assert (record.variant, record.parent, record.parent_identity) == (
        "child",
        "parent",
        PARENT_DIGEST,
    )
    assert record.parent_sha256 == bench.parent.sha256
    assert record.identity == bench.ref.digest
    assert record.recipe == bench.variant.recipe
    assert record.artefact_sha256 == content_of(made.path).sha256 == made.sha256
    assert record.artefact_bytes == made.bytes == len(small_gguf())
    assert record.duration_s == 1.5
    assert record.peak_memory_bytes is not None
    assert record.peak_memory_bytes > 1 << 20
    assert record.tools["no-such-library"] == "unknown"
    assert record.tools["pydantic"][0].isdigit()
    assert record.started_utc.endswith("+00:00")


@pytest.mark.parametrize("death", ["SIGILL", "SIGKILL"])
def test_a_maker_killed_in_the_middle_leaves_nothing(bench: Bench, cache: Path, death: str) -> None:
    with pytest.raises(errors.ArtefactError, match=f"died of {death}") as error:
        bench.make(death)
    assert "the engine said something last" in str(error.value)
    assert find(bench.variant, bench.ref) is None
    assert partials(cache) == []
    assert bench.make().bytes == len(small_gguf())


def test_a_maker_that_crashes_or_says_nothing_is_an_error(bench: Bench, cache: Path) -> None:
    with pytest.raises(errors.ArtefactError, match=r"ended with code 1(.|\n)*RuntimeError: a bug"):
        bench.make("crash")
    with pytest.raises(errors.ArtefactError, match="ended with code 0"):
        bench.make("silent")
    assert find(bench.variant, bench.ref) is None
    assert partials(cache) == []


def test_a_maker_that_hangs_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "_SILENCE_S", 2.0)
    with pytest.raises(errors.ArtefactError, match="said nothing for 2 s"):
        bench.make("hang")


@pytest.mark.parametrize(
    ("reported", "raised"),
    [
        ("ArtefactError", errors.ArtefactError),
        ("MissingDataError", errors.MissingDataError),
        ("MissingEngineError", errors.MissingEngineError),
        ("DiskSpaceError", errors.DiskSpaceError),
        ("OutOfMemoryError", errors.OutOfMemoryError),
        ("UnknownNameError", errors.UsageError),
        ("KeyError", errors.SlmbenchError),
        ("suggest", errors.SlmbenchError),
    ],
)
def test_what_the_maker_reports_is_raised(
    bench: Bench, reported: str, raised: type[errors.SlmbenchError]
) -> None:
    with pytest.raises(errors.SlmbenchError, match="child: it cannot be") as error:
        bench.make(reported)
    assert type(error.value) is raised
    assert error.value.hint == "do this"


def test_a_killed_caller_leaves_only_what_the_next_one_sweeps(bench: Bench, cache: Path) -> None:
    """kill -9 of the process that called materialise: its maker dies with it."""
    script = (
        "import sys; from pathlib import Path; from derivation import *;"
        "from slmbench.lifecycle import derive, materialise;"
        "derive._MAKER = 'scripted_maker'; v = child();"
        "materialise(v, ref_of(v), artefact_at(Path(sys.argv[1])), base=Path(),"
        " report=lambda s: print(s, flush=True))"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", script, str(bench.parent.path)],
        env={**os.environ, "MAKER": "hang"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert caller.stdout is not None
    with caller.stdout:
        assert any("half done" in line for line in iter(caller.stdout.readline, ""))
        maker = int(bench.log.read_text().split()[0])
        caller.send_signal(signal.SIGKILL)
        caller.wait()
    assert len(partials(cache)) == 1
    assert find(bench.variant, bench.ref) is None
    deadline = time.monotonic() + 10
    while _runs(maker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(maker)
    assert bench.make().path.read_bytes() == small_gguf()
    assert partials(cache) == []


def _runs(pid: int) -> bool:
    """Not gone, and not a zombie that nobody has waited for."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_two_callers_at_once_make_it_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("MAKER", "good")
    monkeypatch.setenv("MAKER_SLEEP", "0.5")
    found: list[Artefact] = []

    def call() -> None:
        found.append(
            materialise(
                bench.variant, bench.ref, bench.parent, base=Path(), report=bench.said.append
            )
        )

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert found[0] == found[1] == found[2]
    assert bench.started == 1
    assert any("another process is making it" in text for text in bench.said)
    assert partials(cache) == []


def test_the_makers_of_other_variants_are_not_swept_away(bench: Bench, cache: Path) -> None:
    """A partial folder whose writer lives stays; one whose writer is gone does not."""
    alive = cache / "models" / f".partial-{'b' * 16}-{os.getpid()}"
    dead = cache / "models" / f".partial-{'c' * 16}-{2**22 + 1}"
    mine = cache / "models" / f".partial-{bench.ref.digest[:16]}-{os.getppid()}"
    for folder in (alive, dead, mine):
        folder.mkdir(parents=True)
    bench.make()
    assert partials(cache) == [alive]


def test_a_damaged_cache_entry_is_made_anew(bench: Bench) -> None:
    made = bench.make()
    made.path.write_bytes(b"short")
    assert find(bench.variant, bench.ref) is None
    bench.make()
    (made.path.parent / "variant.json").write_text("{")
    assert find(bench.variant, bench.ref) is None
    assert bench.make().path.read_bytes() == small_gguf()
    assert bench.started == 3


def test_verify_sees_what_the_size_does_not_tell(bench: Bench) -> None:
    made = bench.make()
    before = made.path.stat()
    made.path.write_bytes(small_gguf()[:-1] + b"x")
    os.utime(made.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert find(bench.variant, bench.ref) == made
    assert find(bench.variant, bench.ref, verify=True) is None


def test_an_artefact_that_was_changed_is_made_again(bench: Bench) -> None:
    """Same size, other bytes, written after the record: it is never offered."""
    made = bench.make()
    made.path.write_bytes(small_gguf()[:-1] + b"x")
    assert find(bench.variant, bench.ref) is None
    assert bench.make().path.read_bytes() == small_gguf()
    assert "child: what was made before is damaged; making it again" in bench.said
    assert bench.started == 2


def test_a_parent_that_is_not_what_its_record_says_is_refused(bench: Bench, cache: Path) -> None:
    """Same size and date: only its digest tells."""
    bench.parent.path.write_bytes(b"pArent")
    with pytest.raises(errors.ArtefactError, match="parent is damaged") as error:
        bench.make()
    assert bench.parent.sha256 in str(error.value)
    assert "`touch` it" in str(error.value.hint)  # a file of the user's: never "delete"
    assert bench.started == 0
    assert partials(cache) == []


def test_a_parent_of_the_cache_may_be_deleted(bench: Bench, cache: Path) -> None:
    path = cache / "models" / "0123" / "hf" / "model.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"parent")
    bench.parent = artefact_at(path)
    path.write_bytes(b"pArent")
    with pytest.raises(errors.ArtefactError, match="parent is damaged") as error:
        bench.make()
    assert f"delete {cache / 'models' / '0123'} and" in str(error.value.hint)


def test_an_artefact_that_was_only_touched_is_kept(bench: Bench) -> None:
    made = bench.make()
    made.path.touch()
    assert find(bench.variant, bench.ref) == made


def test_another_setting_is_another_variant(bench: Bench) -> None:
    first = bench.make()
    bench.variant = child(GgufQuantize(technique="gguf_quantize", type="Q2_K"))
    bench.ref = ref_of(bench.variant)
    assert find(bench.variant, bench.ref) is None
    assert bench.make().path != first.path
    assert find(child(), ref_of(child())) == first


def test_a_colliding_prefix_is_not_taken_for_the_variant(bench: Bench) -> None:
    bench.make()
    other = bench.ref.model_copy(update={"digest": bench.ref.digest[:16] + "0" * 48})
    assert find(bench.variant, other) is None


def test_a_missing_parent_is_said(bench: Bench) -> None:
    with pytest.raises(errors.ArtefactError, match="its parent parent is not there"):
        materialise(bench.variant, bench.ref, None, base=Path(), report=bench.said.append)
    assert bench.started == 0


def test_importing_the_package_loads_no_engine() -> None:
    script = (
        "import sys, slmbench.lifecycle; engines = {'torch', 'transformers', 'llama_cpp', 'torchao'"
        ", 'gguf', 'huggingface_hub', 'pyarrow', 'datasets'}; print(*engines & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
