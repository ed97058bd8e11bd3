"""The fingerprint on simulated machines: what it holds, and when two are the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import slmbench
from slmbench.meters.cgroup import CgroupLimits
from slmbench.meters.nvml import GpuInfo
from slmbench.records import CpuInfo, Environment
from slmbench.runner import environment
from slmbench.runner.environment import (
    GIB,
    cpu_info,
    fingerprint,
    git_commit,
    machine_key,
    thread_settings,
)

X86 = """processor\t: 0
model name\t: Example CPU @ 2.10GHz
flags\t\t: fpu sse4_2 avx2 hypervisor avx512_vnni rdpid

processor\t: 1
model name\t: Example CPU @ 2.10GHz
flags\t\t: fpu sse4_2 avx2 hypervisor avx512_vnni rdpid
"""
ARM64 = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd asimddp i8mm crc32
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd40
"""
CPU = CpuInfo(model="x", flags=("avx2",), cores=4, usable_cores=4)
FREE = CgroupLimits(0, None, None)
GPU = GpuInfo("Board", 80 * GIB, "550.54.15")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An x86-64 machine in a version 2 control group, without GPU."""
    monkeypatch.setattr(environment, "describe_gpus", lambda: ())
    _write(tmp_path, "proc/cpuinfo", X86)
    _write(tmp_path, "proc/meminfo", "MemTotal:  25000000 kB\nMemFree: 1 kB\n")
    _write(tmp_path, "proc/sys/kernel/osrelease", "6.18.44-generic\n")
    _write(tmp_path, "proc/self/cgroup", "0::/job\n")
    _write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    _write(tmp_path, "sys/fs/cgroup/job/memory.max", "8589934592\n")
    _write(tmp_path, "sys/fs/cgroup/job/cpu.max", "150000 100000\n")
    return tmp_path


def test_a_simulated_machine_is_read_in_full(machine: Path) -> None:
    seen = fingerprint(("pydantic", "no-such-engine"), root=machine)
    assert seen.cpu == CpuInfo(
        model="Example CPU @ 2.10GHz",
        flags=("avx2", "avx512_vnni", "hypervisor", "sse4_2"),
        cores=2,
        usable_cores=1,
    )
    assert seen.memory_bytes == 25_000_000 * 1024
    assert (seen.cgroup_version, seen.cgroup_memory_bytes, seen.cgroup_cpus) == (2, 8 << 30, 1.5)
    assert seen.kernel == "6.18.44-generic"
    names = [library.partition("==")[0] for library in seen.libraries]
    assert names == ["pydantic", "slmbench"]
    assert f"slmbench=={slmbench.__version__}" in seen.libraries
    assert seen.gpus == ()


def test_the_host_is_hashed_and_the_record_survives_json(machine: Path) -> None:
    seen = fingerprint((), root=machine)
    assert re.fullmatch(r"[0-9a-f]{64}", seen.hostname_sha256)
    assert re.fullmatch(r"[0-9a-f]{16}", seen.machine)
    assert Environment.model_validate_json(seen.model_dump_json()) == seen


def test_libraries_do_not_change_the_machine(machine: Path) -> None:
    assert fingerprint((), root=machine).machine == fingerprint(("pydantic",), root=machine).machine


def test_arm64_has_no_model_name_but_numbers(tmp_path: Path) -> None:
    _write(tmp_path, "proc/cpuinfo", ARM64)
    seen = cpu_info(tmp_path)
    assert seen.model == "arm64 implementer 0x41 part 0xd40"
    assert seen.flags == ("asimd", "asimddp", "i8mm")
    assert seen.cores == 1


def test_without_proc_python_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "describe_gpus", lambda: ())
    seen = fingerprint((), root=tmp_path)
    assert seen.cpu.model
    assert seen.cpu.cores >= 1
    assert seen.memory_bytes > 0
    assert seen.kernel


def test_reboots_and_patch_releases_keep_the_key() -> None:
    key = machine_key(CPU, 24 * GIB, FREE, "6.18.44-a", (GPU,))
    patched = GpuInfo("Board", 80 * GIB + 5, "550.99")
    pinned = CPU.model_copy(update={"usable_cores": 1})
    assert machine_key(pinned, 24 * GIB - 9_000_000, FREE, "6.18.45-b", (patched,)) == key


def test_whatever_changes_speed_changes_the_key() -> None:
    quota, cap = CgroupLimits(2, None, 2.0), CgroupLimits(2, GIB, None)
    keys = [
        machine_key(CPU, 24 * GIB, FREE, "6.18.44", ()),
        machine_key(CPU.model_copy(update={"model": "y"}), 24 * GIB, FREE, "6.18.44", ()),
        machine_key(CPU.model_copy(update={"flags": ()}), 24 * GIB, FREE, "6.18.44", ()),
        machine_key(CPU.model_copy(update={"cores": 8}), 24 * GIB, FREE, "6.18.44", ()),
        machine_key(CPU, 32 * GIB, FREE, "6.18.44", ()),
        machine_key(CPU, 24 * GIB, quota, "6.18.44", ()),
        machine_key(CPU, 24 * GIB, cap, "6.18.44", ()),
        machine_key(CPU, 24 * GIB, FREE, "6.19.1", ()),
        machine_key(CPU, 24 * GIB, FREE, "6.18.44", (GPU,)),
        machine_key(CPU, 24 * GIB, FREE, "6.18.44", (GPU, GPU)),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_itself_is_pinned() -> None:
    """Finished cells are found again by it: a change here makes every machine run anew."""
    assert machine_key(CPU, 24 * GIB, FREE, "6.18.44", (GPU,)) == "c8ea0c92ce490a9b"


def test_gpus_are_named_with_memory_and_driver(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "describe_gpus", lambda: (GPU,))
    assert fingerprint((), root=machine).gpus == ("Board, 80 GiB, driver 550.54.15",)


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": COMMIT},
        {".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": f"{COMMIT}\n"},
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/packed-refs": f"# pack-refs\n{'9' * 40} refs/heads/m\n{COMMIT} refs/heads/main\n",
        },
        {
            ".git": "gitdir: real/worktrees/w\n",
            "real/worktrees/w/HEAD": "ref: refs/heads/main\n",
            "real/worktrees/w/commondir": "../..\n",
            "real/refs/heads/main": COMMIT,
        },
    ],
    ids=["detached", "loose", "packed", "worktree"],
)
def test_the_commit_is_read_from_files(tmp_path: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        _write(tmp_path, path, text)
    assert git_commit(tmp_path) == COMMIT


def test_no_checkout_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None


def test_thread_settings_are_the_known_ones_that_are_set() -> None:
    environ = {"OMP_NUM_THREADS": "2", "KMP_BLOCKTIME": "0", "SECRET_TOKEN": "x"}
    assert thread_settings(environ) == ("KMP_BLOCKTIME=0", "OMP_NUM_THREADS=2")


def test_this_machine_quickly_and_without_engines() -> None:
    """The bound is ten times what an idle machine needs; the second call is timed."""
    code = (
        "import sys, time\n"
        "from slmbench.runner.environment import fingerprint\n"
        "first = fingerprint(('torch', 'transformers', 'numpy'))\n"
        "begin = time.perf_counter_ns()\n"
        "again = fingerprint(('torch', 'transformers', 'numpy'))\n"
        "assert again == first\n"
        "assert not {'torch', 'transformers', 'numpy', 'pandas'} & set(sys.modules)\n"
        "print((time.perf_counter_ns() - begin) / 1e9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert float(done.stdout) < 0.5
