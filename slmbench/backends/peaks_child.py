"""The process that measures a machine's peaks. ``python -m`` only; see :mod:`.peaks`.

It reads a :class:`PeakRequest` from stdin and writes a :class:`PeakPart` a line, each as soon as
it is known, so that a kernel that dies of an instruction which the processor only claims to have
loses nothing that was measured before it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from slmbench.process import enter_child
from slmbench.spec import Frozen

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Chunk = npt.NDArray[np.float32]

READS = 24
"""Passes of a kernel over the arrays; the best one counts."""
READ_SECONDS = 1.5
"""No further pass of a kernel begins after this time [s]."""
LEAST_BYTES = 256 << 20
"""Arrays are at least so large in all, also where no cache is told [bytes]."""
CACHES = 4
"""They are so many times as large as the last-level cache, so that little of it is hit."""
GEMM_SECONDS = 0.12
"""A shape is multiplied for this long, three times at least [s]; the best one counts."""
SHAPES = ((256, 256, 256), (512, 512, 512), (512, 1536, 576), (1024, 1024, 1024), (512, 2048, 2048))
"""(m, n, k) of the products on a CPU: square ones, and a small model's layers at 512 tokens."""
CUDA_SHAPES = ((2048, 2048, 2048), (4096, 4096, 4096), (8192, 8192, 8192), (512, 8192, 4096))
CUDA_BYTES = 2 << 30


class PeakRequest(Frozen):
    """What is to be measured."""

    threads: int
    cpus: tuple[int, ...]
    """Logical processors to run on, one per thread."""
    device: str
    llc_bytes: int | None


class PeakPart(Frozen):
    """One rate, or why there is none."""

    name: str
    """``read``, or the type of a matrix product: ``float32`` …"""
    value: float | None
    """bytes/s, or FLOP/s."""
    how: str
    """Kernel and library, or the reason."""


def main() -> None:
    """Entry point of ``python -m slmbench.backends.peaks_child``."""
    with enter_child(sys.argv) as channel:
        request = PeakRequest.model_validate_json(sys.stdin.read())
        if hasattr(os, "sched_setaffinity") and request.cpus:
            os.sched_setaffinity(0, request.cpus)  # before any library starts its threads
        parts = _cpu(request) if request.device == "cpu" else _cuda(request.device)
        for part in parts:
            channel.write(part.model_dump_json() + "\n")


def array_bytes(llc_bytes: int | None, free_bytes: int) -> int:
    """Size of the arrays together: enough to pass every cache, a quarter of memory at most."""
    return min(max(CACHES * (llc_bytes or 0), LEAST_BYTES), free_bytes // 4)


def _cpu(request: PeakRequest) -> Iterator[PeakPart]:
    import numpy as np

    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield _read(request, array_bytes(request.llc_bytes, free))
    version = f"numpy {np.__version__}"
    best = max(_numpy_products())
    if find_spec("torch") is None:
        yield PeakPart(name="float32", value=best[0], how=f"{version} {best[1]}")
        yield PeakPart(name="bfloat16", value=None, how="no torch")
        return
    import torch

    torch.set_num_threads(request.threads)
    other = max(_products(torch, "cpu", "float32", SHAPES))
    value, shape, library = max((*best, version), (*other, f"torch {torch.__version__}"))
    yield PeakPart(name="float32", value=value, how=f"{library} {shape}")
    for name in ("bfloat16", "int8"):
        yield _peak(torch, "cpu", name, SHAPES)


def _read(request: PeakRequest, size: int) -> PeakPart:
    """The largest rate at which threads that touched their arrays first read them again."""
    gate = threading.Barrier(request.threads)
    times: dict[str, list[list[tuple[int, int]]]] = {name: [] for name in _kernels()}
    threads = [
        threading.Thread(target=_reader, args=(cpu, size // request.threads, gate, times))
        for cpu in islice(cycle(request.cpus or (None,)), request.threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = {name: _best_span(ends) for name, ends in times.items() if ends}
    name = min(spans, key=lambda kernel: spans[kernel])
    share = size // request.threads * request.threads
    how = f"{name} over {share / 2**20:.0f} MiB"
    if request.llc_bytes and size < CACHES * request.llc_bytes:
        how += f" (less than {CACHES} last-level caches: memory is short)"
    return PeakPart(name="read", value=share / (spans[name] * 1e-9), how=how)


def _best_span(ends: Sequence[Sequence[tuple[int, int]]]) -> int:
    """Shortest pass, from the first thread's start to the last one's end [ns]."""
    rounds = zip(*ends, strict=True)
    spans: list[int] = [
        max(end for _, end in one) - min(begin for begin, _ in one) for one in rounds
    ]
    return min(spans)


def _reader(
    cpu: int | None,
    size: int,
    gate: threading.Barrier,
    times: dict[str, list[list[tuple[int, int]]]],
) -> None:
    """One thread: bind, touch, and read in step with the others."""
    import numpy as np

    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    chunk: Chunk = np.ones(size // 4, dtype=np.float32)
    for name, kernel in _kernels().items():
        mine: list[tuple[int, int]] = []
        passes = _passes(size)
        for _ in range(passes):
            gate.wait()
            begin = time.perf_counter_ns()
            kernel(chunk)
            mine.append((begin, time.perf_counter_ns()))
        times[name].append(mine)


def _passes(size: int) -> int:
    """The same for all threads: as many as fit into the time at a slow 4 GB/s a thread."""
    return max(3, min(READS, int(READ_SECONDS / (size / 4e9))))


def _kernels() -> dict[str, Callable[[Chunk], object]]:
    """Reductions that release the interpreter's lock and write next to nothing."""
    import numpy as np

    found: dict[str, Callable[[Chunk], object]] = {
        "numpy max of float32": np.maximum.reduce,
        "numpy or of int64": lambda chunk: np.bitwise_or.reduce(chunk.view(np.int64)),
    }
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
        found["torch sum of float32"] = lambda chunk: torch.from_numpy(chunk).sum()
    return found


def _numpy_products() -> Iterator[tuple[float, str]]:
    """Rate and shape of numpy's products, float32."""
    import numpy as np

    for m, n, k in SHAPES:
        left, right = np.ones((m, k), dtype=np.float32), np.ones((k, n), dtype=np.float32)
        seconds = _best(lambda left=left, right=right: left @ right)  # type: ignore[misc]
        yield 2 * m * n * k / seconds, f"{m}x{n}x{k}"


def _peak(torch: Any, device: str, name: str, shapes: Sequence[tuple[int, int, int]]) -> PeakPart:
    """The best product of a type, or what torch says why it has none."""
    try:
        value, shape = max(_products(torch, device, name, shapes))
    except (RuntimeError, AttributeError, TypeError) as error:
        return PeakPart(name=name, value=None, how=str(error).partition("\n")[0][:120])
    return PeakPart(name=name, value=value, how=f"torch {torch.__version__} {shape}")


def _products(
    torch: Any, device: str, name: str, shapes: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[float, str]]:
    """Rate [FLOP/s] and shape of torch's products x @ w.T, weights as a model stores them."""
    multiply = getattr(torch, "_int_mm") if name == "int8" else torch.mm  # noqa: B009 - private
    wait = torch.cuda.synchronize if device != "cpu" else None
    for m, n, k in shapes:
        if name == "int8":
            left, right = (
                torch.randint(-99, 99, size, dtype=torch.int8, device=device)
                for size in ((m, k), (n, k))
            )
        else:
            kind = getattr(torch, name)
            left, right = (torch.randn(size, device=device).to(kind) for size in ((m, k), (n, k)))
        turned = right.t()
        seconds = _best(lambda a=left, b=turned: multiply(a, b), wait)  # type: ignore[misc]
        yield 2 * m * n * k / seconds, f"{m}x{n}x{k}"


def _best(work: Callable[[], object], wait: Callable[[], object] | None = None) -> float:
    """Shortest run of ``work`` [s], after one for nothing; ``wait`` ends what runs elsewhere."""
    best, until = float("inf"), 0.0
    for number in range(1_000_000):
        begin = time.perf_counter()
        work()
        if wait is not None:
            wait()
        end = time.perf_counter()
        if number == 0:
            until = end + GEMM_SECONDS
            continue
        best = min(best, end - begin)
        if number >= 3 and end > until:
            break
    return best


def _cuda(device: str) -> Iterator[PeakPart]:
    if find_spec("torch") is None:
        yield PeakPart(name="read", value=None, how="no torch")
        return
    import torch

    if not torch.cuda.is_available():
        yield PeakPart(name="read", value=None, how="torch sees no CUDA device")
        return
    torch.cuda.set_device(torch.device(device))
    known = torch.cuda.get_device_properties(device)
    free, _ = torch.cuda.mem_get_info()
    chunk = torch.ones(min(CUDA_BYTES, free // 4) // 4, device=device)
    seconds = _best(chunk.sum, torch.cuda.synchronize)
    size = chunk.numel() * 4
    how = f"{known.name}, torch {torch.__version__} sum of float32 over {size / 2**20:.0f} MiB"
    yield PeakPart(name="read", value=size / seconds, how=how)
    cache = getattr(known, "L2_cache_size", 0)
    yield PeakPart(name="llc", value=float(cache) if cache else None, how="L2 of the device")
    del chunk
    for name in ("float32", "bfloat16", "float16", "int8"):
        yield _peak(torch, device, name, CUDA_SHAPES)


if __name__ == "__main__":
    main()
