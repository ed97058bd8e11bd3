"""The GGUF header reader: right on whole files, an ArtefactError on everything else."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from gguf_bytes import pair, small_gguf
from hypothesis import given
from hypothesis import strategies as st

from slmbench.errors import ArtefactError
from slmbench.lifecycle.gguf_header import Tensor, read_header


def test_reads_metadata_and_tensors(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(small_gguf())
    header = read_header(path)
    assert header.metadata == {
        "general.architecture": "llama",
        "llama.block_count": 7,
        "a.float": 0.5,
        "a.bool": True,
        "an.array": (-1, 0, 1),
        "words": ("né", ""),
    }
    start = path.stat().st_size - 168
    assert header.tensors == (
        Tensor("norm.weight", (32,), 0, "F32", start, 128),
        Tensor("w.weight", (32, 2), 3, "Q4_1", start + 128, 40),
    )


def test_sums_it_up(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(small_gguf())
    header = read_header(path)
    assert header.types == (("F32", 1), ("Q4_1", 1))
    assert header.bits_per_weight == pytest.approx(8 * (128 + 40) / (32 + 64))
    assert header.main_type == "Q4_1"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 a zip", "begins with"),
        (small_gguf(magic=b"GGML"), "begins with"),
        (small_gguf(version=1), "version 1"),
        (small_gguf(data=167), "cut short: tensor w.weight"),
        (small_gguf()[:60], "no readable GGUF"),
        (small_gguf(more=pair("general.alignment", 4, bytes(4))), "an alignment of 0"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 32, "implausible"),
    ],
)
def test_refuses_what_is_not_whole(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=cause) as error:
        read_header(path)
    assert str(path) in str(error.value)
    assert error.value.hint


def test_a_missing_file_is_an_artefact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="No such file"):
        read_header(tmp_path / "none.gguf")


@given(cut=st.integers(0, len(small_gguf()) - 1), flip=st.integers(0, 255))
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    """Whatever byte is changed or wherever it is cut: a header, or an ArtefactError."""
    content = bytearray(small_gguf())
    content[cut] = flip
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(bytes(content))
    with contextlib.suppress(ArtefactError):
        read_header(path)
    path.write_bytes(small_gguf()[:cut])
    with pytest.raises(ArtefactError):
        read_header(path)
