"""scripts/install.py: what is built for which processor, and when nothing is done."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script as a module, pointed at an empty cache and an empty environment folder."""
    spec = importlib.util.spec_from_file_location("install_script", ROOT / "scripts/install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "VENV", tmp_path / "venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / "venv" / "stamp.json")
    return module


def cpu(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, machine: str, flags: str | None
) -> None:
    """Pretend to be another processor."""
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    monkeypatch.setattr(Path, "is_file", lambda self: flags is not None)
    text = f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **kwargs: text)


def test_every_extension_is_said_and_amx_never(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = "fpu sse4_2 avx avx2 fma f16c bmi2 amx_tile amx_int8 avx512f"
    cpu(monkeypatch, installer, "x86_64", small)
    options = installer.cmake_args().split()
    assert options[0] == "-DGGML_NATIVE=OFF"
    assert options[-1] == "-DLLAVA_BUILD=OFF"
    assert "-DGGML_AVX2=ON" in options
    assert "-DGGML_AVX512=OFF" in options, "avx512f alone is not what llama.cpp means by AVX512"
    assert "AMX" not in " ".join(options)
    assert len(options) == len(installer.CPU_FLAGS) + 2
    cpu(monkeypatch, installer, "x86_64", "avx512f avx512cd avx512vl avx512dq avx512bw")
    assert "-DGGML_AVX512=ON -DGGML_AVX512_VBMI=OFF" in installer.cmake_args()


@pytest.mark.parametrize(("machine", "flags"), [("aarch64", "asimd"), ("x86_64", None)])
def test_other_processors_get_the_default_build(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch, machine: str, flags: str | None
) -> None:
    cpu(monkeypatch, installer, machine, flags)
    assert installer.cmake_args() == "-DLLAVA_BUILD=OFF"


def test_wheel_is_kept_per_processor(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = installer.wheel_key()
    assert key.startswith(f"llama_cpp_python-{installer.llama_version()}-cp3")
    assert installer.find_wheel(key) is None
    folder = tmp_path / "cache/wheels" / key
    folder.mkdir(parents=True)
    wheel = folder / "llama_cpp_python-1-py3-none-any.whl"
    wheel.touch()
    assert installer.find_wheel(key) == wheel
    monkeypatch.setattr(installer, "cmake_args", lambda: "-DOTHER=ON")
    assert installer.find_wheel(installer.wheel_key()) is None


def test_no_compiler_is_said_before_anything_is_downloaded(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(installer.InstallError, match=r"(?s)no C\+\+ compiler.*apt-get install g"):
        installer.build_wheel("key")
    assert not (tmp_path / "cache").exists()


def test_stamp_covers_what_was_installed(installer: ModuleType) -> None:
    want = {"inputs": installer.inputs_digest("key"), "dev": False}
    assert not installer.is_current(want)
    installer.venv_python().parent.mkdir(parents=True)
    installer.venv_python().touch()
    installer.STAMP.write_text(json.dumps(want | {"dev": True}))
    assert installer.is_current(want)
    assert installer.is_current(want | {"dev": True})
    installer.STAMP.write_text(json.dumps(want))
    assert not installer.is_current(want | {"dev": True})
    assert not installer.is_current(want | {"inputs": installer.inputs_digest("other")})
    installer.STAMP.write_text("{")
    assert not installer.is_current(want)


def test_current_installation_is_left_alone_at_once(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: str, **keywords: object) -> None:
        raise AssertionError(f"pip {arguments} although nothing changed")

    installer.venv_python().parent.mkdir(parents=True)
    installer.venv_python().touch()
    want = {"inputs": installer.inputs_digest(installer.wheel_key()), "dev": True}
    installer.STAMP.write_text(json.dumps(want))
    monkeypatch.setattr(installer, "pip", refuse)
    started = time.perf_counter()
    installer.install(dev=True, force=False)
    assert time.perf_counter() - started < 1
    with pytest.raises(AssertionError, match="although nothing changed"):
        installer.install(dev=True, force=True)
    assert not installer.STAMP.exists(), "an installation that broke off must not look finished"


def test_failing_pip_shows_its_last_words(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installer, "venv_python", lambda: Path(sys.executable))
    with pytest.raises(installer.InstallError, match=r"(?s)pip failed \(exit \d\).*no-such-verb"):
        installer.pip("no-such-verb")


def test_library_that_dies_is_reported_with_its_signal(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nkill -ILL $$\n")
    fake.chmod(0o755)
    monkeypatch.setattr(installer, "venv_python", lambda: fake)
    with pytest.raises(installer.InstallError, match=r"does not load \(signal 4\)"):
        installer.check_llama_cpp()


def test_old_python_is_told_what_to_do(
    installer: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installer.sys, "version_info", (3, 10, 1))
    monkeypatch.setattr(installer.sys, "argv", ["install.py"])
    assert installer.main() == 5
    assert "Python 3.11 or newer is needed" in capsys.readouterr().err


def test_dev_group_is_read_from_the_project(installer: ModuleType) -> None:
    assert any(line.startswith("pytest>=") for line in installer.dev_requirements())


def test_help_works_without_an_environment() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", str(ROOT / "scripts/install.py"), "--help"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        check=False,
    )
    assert ran.returncode == 0
    assert "--dev" in ran.stdout
