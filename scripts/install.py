"""Install slmbench into ``.venv`` with pinned versions and a llama-cpp-python that works here.

    python scripts/install.py            everything that the demo needs
    python scripts/install.py --dev      the same and the development tools

Running it again takes less than a second when nothing changed. llama-cpp-python is compiled for
this processor once and its wheel is kept in the cache folder (``$SLMBENCH_CACHE``, else
``$XDG_CACHE_HOME/slmbench``, else ``~/.cache/slmbench``). Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "slmbench-install.json"
EXIT_PREREQUISITE = 5
STEP_S = 15
"""Seconds between two signs of life while something long runs."""

CPU_FLAGS = {
    "GGML_SSE42": ("sse4_2",),
    "GGML_AVX": ("avx",),
    "GGML_AVX2": ("avx2",),
    "GGML_FMA": ("fma",),
    "GGML_F16C": ("f16c",),
    "GGML_BMI2": ("bmi2",),
    "GGML_AVX512": ("avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"),
    "GGML_AVX512_VBMI": ("avx512vbmi",),
    "GGML_AVX512_VNNI": ("avx512_vnni",),
    "GGML_AVX512_BF16": ("avx512_bf16",),
}
"""CMake option and the /proc/cpuinfo flags that it needs. AMX is left out on purpose: virtual
machines report it and then die of SIGILL (docs/decisions/004-llama-cpp-without-amx.md)."""


class InstallError(Exception):
    """Something outside this script is needed first; the message says what."""


def main() -> int:
    """Parse the arguments, install what is missing, say what is happening."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also the tools that `make test` uses")
    parser.add_argument("--force", action="store_true", help="install even if nothing changed")
    options = parser.parse_args()
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 - this script runs before any metadata is read
            found = platform.python_version()
            raise InstallError(
                f"Python 3.11 or newer is needed, this is {found}.\n"
                "  hint: call a newer one: PYTHON=python3.12 make demo"
            )
        install(dev=options.dev, force=options.force)
    except InstallError as error:
        print(f"install: {error}", file=sys.stderr)
        return EXIT_PREREQUISITE
    except KeyboardInterrupt:
        print("install: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def install(*, dev: bool, force: bool) -> None:
    """Bring ``.venv`` up to date; nothing is done when its stamp says that it is."""
    started = time.perf_counter()
    key = wheel_key()
    want = {"inputs": inputs_digest(key), "dev": dev}
    if not force and is_current(want):
        return
    STAMP.unlink(missing_ok=True)
    if not venv_python().exists():
        say(f"creating {VENV.name} with Python {platform.python_version()}")
        make_venv()
    wheel = find_wheel(key) or build_wheel(key)
    say("installing slmbench with its engines (torch is the largest part)")
    constraints = ("-c", str(ROOT / "constraints.txt"))
    pip("install", "--quiet", *constraints, str(wheel))
    pip("install", "--quiet", *constraints, "-e", f"{ROOT}[all]")
    if dev:
        say("installing the development tools")
        pip("install", "--quiet", *constraints, *dev_requirements())
    check_llama_cpp()
    STAMP.write_text(json.dumps(want) + "\n", encoding="utf-8")
    say(f"done in {time.perf_counter() - started:.0f} s")


def is_current(want: dict[str, object]) -> bool:
    """Whether the last installation covers what is wanted."""
    try:
        have = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    same = have.get("inputs") == want["inputs"]
    return same and (bool(have.get("dev")) or not want["dev"]) and venv_python().exists()


def inputs_digest(key: str) -> str:
    """Digest of everything that decides what is installed."""
    parts = [ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__)]
    digest = hashlib.sha256(f"{key}\n{ROOT}\n{sys.version_info[:2]}\n".encode())
    for path in parts:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def venv_python() -> Path:
    """The interpreter of ``.venv``."""
    return VENV / ("Scripts" if os.name == "nt" else "bin") / "python"


def make_venv() -> None:
    """Create ``.venv``; InstallError when this Python cannot."""
    ran = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise InstallError(
            f"this Python cannot create a virtual environment:\n{tail(ran.stdout + ran.stderr)}\n"
            "  hint: on Debian and Ubuntu, apt-get install python3-venv"
        )


def dev_requirements() -> list[str]:
    """The ``dev`` group of pyproject.toml."""
    import tomllib  # not before Python 3.11 is certain

    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [str(line) for line in table["dependency-groups"]["dev"]]


# --- llama-cpp-python -----------------------------------------------------------------------


def llama_version() -> str:
    """The version that constraints.txt pins."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(r"^llama-cpp-python==(\S+)", text, re.MULTILINE)
    if found is None:
        raise InstallError("constraints.txt does not pin llama-cpp-python")
    return found[1]


def cmake_args() -> str:
    """CMake options for this processor: every x86 extension said explicitly, none by probing."""
    common = "-DLLAVA_BUILD=OFF"
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine().lower() not in ("x86_64", "amd64") or not cpuinfo.is_file():
        return common
    line = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
    flags = set(line[1].split()) if line else set()
    options = [
        f"-D{option}={'ON' if flags.issuperset(needs) else 'OFF'}"
        for option, needs in CPU_FLAGS.items()
    ]
    return " ".join(["-DGGML_NATIVE=OFF", *options, common])


def wheel_key() -> str:
    """Folder of the built wheel: version, Python, machine and processor flags."""
    digest = hashlib.sha256(cmake_args().encode()).hexdigest()[:12]
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return f"llama_cpp_python-{llama_version()}-{python}-{platform.machine()}-{digest}"


def wheels_dir() -> Path:
    """Where built wheels are kept (the same rule as slmbench.locations.cache_dir)."""
    own = os.environ.get("SLMBENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return (Path(own) if own else Path(base) / "slmbench") / "wheels"


def find_wheel(key: str) -> Path | None:
    """A wheel that was built for exactly this key."""
    return next(iter(sorted((wheels_dir() / key).glob("llama_cpp_python-*.whl"))), None)


def build_wheel(key: str) -> Path:
    """Compile llama-cpp-python into the cache; the folder appears only when it is complete."""
    compiler = os.environ.get("CXX") or next(
        (c for c in ("c++", "g++", "clang++") if shutil.which(c)), None
    )
    if compiler is None or shutil.which(compiler.split()[0]) is None:
        raise InstallError(
            "llama-cpp-python has to be compiled and there is no C++ compiler.\n"
            "  hint: on Debian and Ubuntu, apt-get install g++; on macOS, xcode-select --install"
        )
    folder = wheels_dir() / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "CMAKE_ARGS": cmake_args(),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1),
    }
    say(f"compiling llama-cpp-python {llama_version()} for this processor: once, 3 to 6 minutes")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as temporary:
        # pip's own wheel cache does not know CMAKE_ARGS and would hand out a build for another CPU
        pip(
            *("wheel", "--no-deps", "--no-cache-dir", "--no-binary", "llama-cpp-python"),
            *("--wheel-dir", temporary, f"llama-cpp-python=={llama_version()}"),
            environment=environment,
        )
        folder.mkdir(exist_ok=True)
        for wheel in Path(temporary).glob("*.whl"):
            wheel.replace(folder / wheel.name)
    found = find_wheel(key)
    if found is None:
        raise InstallError(f"pip built no wheel for llama-cpp-python in {folder}")
    return found


def check_llama_cpp() -> None:
    """Load the library in a child process: a build for another processor dies here, not later."""
    code = "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"
    ran = subprocess.run(
        [str(venv_python()), "-c", code], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        how = f"signal {-ran.returncode}" if ran.returncode < 0 else f"exit {ran.returncode}"
        raise InstallError(
            f"llama-cpp-python does not load ({how}):\n{tail(ran.stderr)}\n"
            f"  hint: delete {wheels_dir() / wheel_key()} and run this again to recompile it"
        )


# --- running pip ----------------------------------------------------------------------------


def pip(*arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run pip in ``.venv`` with its output in a log; InstallError shows the end of the log."""
    environment = (os.environ if environment is None else environment) | {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    command = [str(venv_python()), "-m", "pip", *arguments]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        with subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment
        ) as child:
            returncode = wait_aloud(child)
        log.seek(0)
        if returncode:
            raise InstallError(
                f"pip failed (exit {returncode}):\n{tail(log.read(), lines=25)}\n"
                f"  command: pip {' '.join(arguments)}\n"
                "  hint: a package index must be reachable, and the disk needs about 4 GB"
            )


def wait_aloud(child: subprocess.Popen[bytes]) -> int:
    """Wait for a child process, telling the elapsed time now and then."""
    started = time.perf_counter()
    while True:
        try:
            return child.wait(timeout=STEP_S)
        except subprocess.TimeoutExpired:
            say(f"  … {time.perf_counter() - started:.0f} s")


def tail(text: str, lines: int = 12) -> str:
    """The last lines of a text, indented."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-lines:])


def say(message: str) -> None:
    """A line of progress; stdout stays free for data."""
    print(f"install: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
