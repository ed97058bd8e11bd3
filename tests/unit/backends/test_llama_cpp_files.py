"""What llama_cpp refuses, and how it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import gguf
import numpy as np

from slmbench.backends import llama_session
from slmbench.backends.llama_cpp import LlamaCppBackend
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.records import Status
from slmbench.spec import Target

pytestmark = pytest.mark.engine


def refused(path: Path, **target: Any) -> BackendError:
    with pytest.raises(BackendError) as caught:
        LlamaCppBackend().load(
            LoadJob(path, "0" * 64, Target(name="t", backend="llama_cpp", threads=1, **target))
        )
    assert caught.value.hint
    return caught.value


@pytest.fixture
def small_gguf(tmp_path: Path) -> Path:
    """A well-formed file that is no language model."""
    path = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_tensor("token_embd.weight", np.zeros((64, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_file_that_is_not_gguf(tmp_path: Path) -> None:
    page = tmp_path / "model.gguf"
    page.write_bytes(b"<html>404</html>")
    error = refused(page)
    assert error.status is Status.INVALID
    assert "begins with b'<htm'" in error.reason
    page.write_bytes(b"")
    assert refused(page).status is Status.INVALID
    assert "not a file" in refused(tmp_path).reason


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 100, b"\xff" * 4000, bytes(range(256)) * 8])
def test_garbage_after_the_magic(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + garbage)
    error = refused(path)
    assert error.status is Status.INVALID
    assert "model.gguf: llama.cpp cannot load it" in error.reason


def test_truncated_weights_give_the_engines_reason(
    small_gguf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = small_gguf.read_bytes()
    small_gguf.write_bytes(data[: len(data) - 9000])
    error = refused(small_gguf)
    assert error.status is Status.INVALID
    assert "not within the file bounds" in error.reason or "corrupted" in error.reason
    shown = capfd.readouterr().err.splitlines()
    assert shown
    assert all(line.startswith("llama.cpp: ") for line in shown), "errors only, nothing else"


def test_a_file_without_what_a_model_needs(small_gguf: Path) -> None:
    error = refused(small_gguf)
    assert error.status is Status.INVALID
    assert "llama.context_length" in error.reason


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"dtype": "bfloat16"}, "computes in the file's own types"),
        ({"device": "tpu"}, "device 'tpu'"),
    ],
)
def test_targets_that_it_cannot_serve(
    small_gguf: Path, target: dict[str, Any], reason: str
) -> None:
    error = refused(small_gguf, **target)
    assert error.status is Status.UNSUPPORTED
    assert reason in error.reason


def test_gpu_needs_a_gpu_build(small_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slmbench.backends.llama_cpp.gpu_offload", lambda: False)
    error = refused(small_gguf, device="cuda")
    assert error.status is Status.UNSUPPORTED
    assert "no GPU support" in error.reason


@pytest.mark.parametrize(
    ("build", "cpu", "safe"),
    [
        (b"CPU : AVX2 = 1 | AMX_INT8 = 1 | ", "flags : avx2 amx_tile", False),
        (b"CPU : AVX2 = 1 | AMX_INT8 = 1 | ", "flags : avx2", True),
        (b"CPU : AVX2 = 1 | ", "flags : avx2 amx_tile", True),
    ],
)
def test_repacking_is_off_where_it_would_run_amx(
    build: bytes, cpu: str, safe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_session.api, "llama_print_system_info", lambda: build)
    monkeypatch.setattr(Path, "read_text", lambda self, **_: cpu)
    assert llama_session.extra_bufts_safe() is safe
    assert "AVX2" in llama_session.engine_version()


def test_memory_errors_are_oom(monkeypatch: pytest.MonkeyPatch) -> None:
    log = llama_session._LOG
    log.errors.clear()
    log.errors.append("ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer")
    assert llama_session._load_error(Path("m.gguf")).status is Status.OOM
    log.errors.clear()
    assert llama_session._load_error(Path("m.gguf")).status is Status.INVALID
