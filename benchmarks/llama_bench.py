"""llama.cpp's own llama-bench, built from the source that llama-cpp-python ships."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Setting:
    """What both sides are given alike."""

    threads: int
    flash_attn: str
    repack: bool
    repeats: int


@dataclass(frozen=True)
class Rates:
    """Medians over the repetitions of one process [tokens/s]."""

    pp512: float
    tg128: float


def find_or_build(given: Path | None) -> Path:
    """``given``, else the tool in the cache, built there when it is missing."""
    if given is not None:
        if not given.is_file():
            raise SystemExit(f"--llama-bench {given}: no such file")
        return given.resolve()
    from slmbench.locations import cache_dir

    install = _install_script()
    folder: Path = cache_dir("llama-bench") / str(install.wheel_key())
    tool = folder / "bin" / "llama-bench"
    if not tool.is_file():
        _build(folder, install.llama_version(), install.cmake_args())
    return tool


def build_flags() -> str:
    """CMake options of the installed wheel, which are the tool's too."""
    return str(_install_script().cmake_args())


def libraries() -> Path:
    """Folder of the installed wheel's libraries: the tool is run on these very files."""
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "lib"


def on_the_wheels_libraries(tool: Path) -> bool:
    """Whether the dynamic linker gives the tool the wheel's llama.cpp."""
    if sys.platform != "linux" or shutil.which("ldd") is None:
        return False
    told = subprocess.run(
        ["ldd", str(tool)], env=_environment(), capture_output=True, text=True, check=False
    ).stdout
    found = [line for line in told.splitlines() if "libllama.so" in line or "libggml" in line]
    return bool(found) and all(str(libraries()) in line for line in found)


def measured(tool: Path, model: Path, setting: Setting) -> Rates:
    """One process of the tool: its own warm-up, then the repetitions."""
    command = [
        *(str(tool), "-m", str(model), "-t", str(setting.threads), "-p", "512", "-n", "128"),
        *("-r", str(setting.repeats), "-fa", setting.flash_attn, "-ngl", "0", "-o", "jsonl"),
        *("--repack", str(int(setting.repack))),
    ]
    ran = subprocess.run(
        command, env=_environment(), capture_output=True, text=True, check=False, errors="replace"
    )
    if ran.returncode:
        hint = " (SIGILL: try --no-repack)" if ran.returncode == -4 else ""
        raise SystemExit(f"{tool.name} ended with {ran.returncode}{hint}:\n{ran.stderr[-2000:]}")
    tests = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    by_kind = {"pp" if test["n_prompt"] else "tg": test["samples_ts"] for test in tests}
    return Rates(_median(by_kind["pp"]), _median(by_kind["tg"]))


def _median(samples: Sequence[float]) -> float:
    import statistics

    return statistics.median(samples)


def _environment() -> dict[str, str]:
    """The wheel's libraries before those that the tool was built with: same name, same source."""
    before = os.environ.get("LD_LIBRARY_PATH")
    paths = [str(libraries()), *([before] if before else [])]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)}


def _install_script() -> Any:
    """scripts/install.py, which knows the version and the options of the installed build."""
    spec = importlib.util.spec_from_file_location("slmbench_install", ROOT / "scripts/install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _build(folder: Path, version: str, options: str) -> None:
    """Fetch the source distribution, build the one tool, and keep its bin folder."""
    if shutil.which("cmake") is None:
        raise SystemExit("cmake is needed to build llama-bench (apt-get install cmake g++)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as temporary:
        source = _source(Path(temporary), version)
        build = Path(temporary) / "build"
        print(f"building llama-bench of llama-cpp-python {version}: once, some minutes", flush=True)
        configure = [
            *("cmake", "-S", str(source), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release"),
            *("-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_CURL=OFF"),
            *options.split(),
        ]
        _run(configure)
        jobs = str(os.cpu_count() or 1)
        _run(["cmake", "--build", str(build), "--target", "llama-bench", "-j", jobs])
        kept = Path(temporary) / "kept"
        shutil.copytree(build / "bin", kept / "bin", symlinks=True)
        shutil.rmtree(folder, ignore_errors=True)
        kept.rename(folder)


def _source(folder: Path, version: str) -> Path:
    """llama.cpp inside the unpacked source distribution."""
    _run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"),
            *("--no-binary", "llama-cpp-python", "--dest", str(folder)),
            f"llama-cpp-python=={version}",
        ]
    )
    (archive,) = folder.glob("llama_cpp_python-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"


def _run(command: Sequence[str]) -> None:
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … failed:\n{ran.stdout[-3000:]}")
