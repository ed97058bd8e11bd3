"""Fingerprint of the machine and software: read from /proc and metadata, no engine imported.

``root`` stands for the top of the file system in every function that reads one, so that the
whole can be tried on a simulated tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import slmbench
from slmbench.meters.cgroup import CgroupLimits, limits, usable_cores
from slmbench.meters.nvml import GpuInfo, describe_gpus
from slmbench.meters.procfs import kib_field, read_text
from slmbench.records import CpuInfo, Environment

LIBRARIES = (
    "slmbench", "torch", "transformers", "torchao", "llama-cpp-python", "onnxruntime-genai",
    "onnxruntime", "numpy", "tokenizers", "safetensors", "codecarbon", "nvidia-ml-py", "aiohttp",
    "uvicorn",
)  # fmt: skip
"""Whose versions can change a number."""

GIB = 1 << 30
TOP = Path("/")

RELEVANT_FLAGS = frozenset(
    {
        # x86-64, as /proc/cpuinfo spells them
        "sse4_2", "avx", "avx2", "fma", "f16c", "bmi2", "avx_vnni", "avx512f", "avx512bw",
        "avx512cd", "avx512dq", "avx512vl", "avx512vbmi", "avx512_vbmi2", "avx512_vnni",
        "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
        "hypervisor",
        # arm64, where the line is called Features
        "asimd", "asimdhp", "asimddp", "asimdfhm", "i8mm", "bf16", "fphp", "sve", "sve2",
        "svei8mm", "svebf16", "sme", "sme2",
    }
)  # fmt: skip
"""Those that pick an engine's kernels, and ``hypervisor``, which says that this is a VM."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY", "OMP_DYNAMIC",
    "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT", "KMP_AFFINITY", "KMP_BLOCKTIME", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "TOKENIZERS_PARALLELISM",
)  # fmt: skip
"""Environment variables that set or bind the threads of an engine."""


def fingerprint(engine_libraries: Sequence[str], *, root: Path = TOP) -> Environment:
    """What this process runs on and with; tens of milliseconds, no engine is imported.

    ``engine_libraries`` are distribution names; those that are not installed are left out
    and slmbench itself is always listed.
    """
    cpu = cpu_info(root)
    memory = memory_bytes(root)
    group = limits(root)
    kernel = (read_text(root / "proc/sys/kernel/osrelease") or platform.release()).strip()
    gpus = describe_gpus()
    return Environment(
        machine=machine_key(cpu, memory, group, kernel, gpus),
        hostname_sha256=hashlib.sha256(platform.node().encode()).hexdigest(),
        cpu=cpu,
        memory_bytes=memory,
        cgroup_version=group.version,
        cgroup_memory_bytes=group.memory_bytes,
        cgroup_cpus=group.cpus,
        kernel=kernel,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=_versions(engine_libraries),
        git_commit=git_commit(Path(slmbench.__file__).parent.parent),
        gpus=tuple(_gpu_line(gpu) for gpu in gpus),
        thread_settings=thread_settings(os.environ),
    )


def machine_key(
    cpu: CpuInfo,
    memory: int,
    group: CgroupLimits,
    kernel: str,
    gpus: Sequence[GpuInfo],
) -> str:
    """16 hex digits that stay the same over reboots and updates of engines.

    Memory counts in whole GiB, because the kernel's share of it differs a little from boot
    to boot; kernel and GPU driver count by their first two and first version numbers.
    """
    parts = {
        "cpu": cpu.model,
        "flags": cpu.flags,
        "cores": cpu.cores,
        "memory_gib": round(memory / GIB),
        "cgroup_memory": group.memory_bytes,
        "cgroup_cpus": group.cpus,
        "kernel": _leading_numbers(kernel, 2),
        "gpus": [
            (gpu.name, round(gpu.memory_bytes / GIB), _leading_numbers(gpu.driver, 1))
            for gpu in gpus
        ],
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cpu_info(root: Path = TOP) -> CpuInfo:
    """The processor from /proc/cpuinfo (x86-64 or arm64), else what Python knows."""
    text = read_text(root / "proc/cpuinfo") or ""
    flags = (_entry(text, "flags") or _entry(text, "Features") or "").split()
    cores = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    return CpuInfo(
        model=_entry(text, "model name") or _arm_model(text) or _python_model(),
        flags=tuple(sorted(RELEVANT_FLAGS.intersection(flags))),
        cores=cores or os.cpu_count() or 1,
        usable_cores=usable_cores(root),
    )


def memory_bytes(root: Path = TOP) -> int:
    """Physical memory: MemTotal, else what sysconf says [bytes]."""
    total = kib_field(read_text(root / "proc/meminfo"), "MemTotal")
    if total is not None:
        return total
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def git_commit(checkout: Path) -> str | None:
    """Commit of the checkout in this folder, or None; reads .git, runs nothing."""
    folder = checkout / ".git"
    if folder.is_file():  # a worktree or submodule: "gitdir: <path>"
        pointer = (read_text(folder) or "").partition("gitdir:")[2].strip()
        folder = checkout / pointer
    head = (read_text(folder / "HEAD") or "").strip()
    if not head.startswith("ref:"):
        return head or None
    name = head.partition("ref:")[2].strip()
    shared = folder / (read_text(folder / "commondir") or ".").strip()
    for place in (folder, shared):
        loose = (read_text(place / name) or "").strip()
        if loose:
            return loose
    return _packed_commit(read_text(shared / "packed-refs") or "", name)


def thread_settings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """``NAME=value`` of every thread variable that is set, sorted."""
    return tuple(f"{name}={environ[name]}" for name in sorted(THREAD_VARIABLES) if name in environ)


def pinned(environment: Environment, cpus: Sequence[int]) -> Environment:
    """The fingerprint of a process that may run on these processors only, e.g. ``cpus=0,1``."""
    told = f"cpus={','.join(map(str, cpus))}"
    settings = (*environment.thread_settings, told)
    return environment.model_copy(update={"thread_settings": settings})


def _versions(names: Sequence[str]) -> tuple[str, ...]:
    """``name==version`` of those that are installed; slmbench also from a bare checkout."""
    found = [f"slmbench=={slmbench.__version__}"]
    for name in set(names) - {"slmbench"}:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return tuple(sorted(found))


def _entry(text: str, name: str) -> str | None:
    match = re.search(rf"^{name}\s*:[ \t]*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else None


def _arm_model(text: str) -> str | None:
    """arm64 kernels give numbers instead of a name: keep them, they are exact."""
    implementer, part = _entry(text, "CPU implementer"), _entry(text, "CPU part")
    if not (implementer and part):
        return None
    return f"arm64 implementer {implementer} part {part}"


def _python_model() -> str:
    return platform.processor() or platform.machine() or "unknown"


def _gpu_line(gpu: GpuInfo) -> str:
    return f"{gpu.name}, {gpu.memory_bytes / GIB:.0f} GiB, driver {gpu.driver}"


def _leading_numbers(release: str, count: int) -> str:
    """The first version numbers of a release.

    >>> _leading_numbers("6.18.44-fc-v595", 2)
    '6.18'
    """
    return ".".join(re.findall(r"\d+", release)[:count])


def _packed_commit(text: str, name: str) -> str | None:
    for line in text.splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name:
            return commit
    return None
