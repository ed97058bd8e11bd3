"""What PyTorch's CUDA allocator held at most in the phase.

PyTorch is looked up among the modules that are already loaded and never imported here, so
that a worker without it stays without it.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar, Self

from slmbench.errors import SlmbenchError
from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.protocol import Availability, Reading
from slmbench.records import Measurement, Method, Provenance

_NOT_LOADED = "PyTorch is not loaded in this process"


class CudaMemoryMeter:
    """``torch.cuda.max_memory_allocated`` and ``max_memory_reserved`` of one device.

    Only tensors of this process: the CUDA context, cuBLAS workspaces and other processes
    are in ``gpu_memory`` (nvml). When PyTorch or its CUDA context first appears inside the
    phase, the peak since then is the peak of the phase.
    """

    method: ClassVar[Method] = "counter"
    resolution: ClassVar[str] = "512 bytes allocated, 2 MiB reserved; start and stop < 0.1 ms"
    metrics: ClassVar[tuple[str, ...]] = ("cuda_allocated", "cuda_reserved")

    def __init__(self, device: str) -> None:
        self._device = device
        self._started = False

    @classmethod
    def availability(cls) -> Availability:
        """True only in a process that has loaded PyTorch and sees a CUDA device."""
        torch = _loaded_torch()
        if torch is None:
            return Availability(
                False, _NOT_LOADED, "use a backend on PyTorch with device cuda; it loads it"
            )
        try:
            found = bool(torch.cuda.is_available())
        except Exception as error:  # noqa: BLE001 - a broken driver must not end the run
            return Availability(False, f"torch.cuda failed: {error}", "check nvidia-smi")
        if not found:
            return Availability(
                False,
                "PyTorch sees no CUDA device",
                "run on a machine with an NVIDIA GPU and a CUDA build of PyTorch",
            )
        return Availability(True)

    @classmethod
    def create(cls, device: str) -> Self:
        """A meter for this device; other devices than cuda read as unavailable."""
        return cls(device)

    def start(self) -> None:
        """Forget earlier peaks; nothing to forget before the CUDA context exists."""
        if self._why_not() is None:
            _cuda().reset_peak_memory_stats(self._device)
        self._started = True

    def stop(self) -> Reading:
        """Peaks since start."""
        if not self._started:
            raise no_window("cuda")
        self._started = False
        why = self._why_not()
        if why is not None:
            return Reading(unavailable(self.metrics, self.method, why))
        values = (
            _cuda().max_memory_allocated(self._device),
            _cuda().max_memory_reserved(self._device),
        )
        return Reading(
            tuple(
                Measurement(
                    metric=name,
                    samples=(float(value),),
                    provenance=Provenance.MEASURED,
                    method=self.method,
                    scope=f"{self._device}, PyTorch's allocator in this process",
                )
                for name, value in zip(self.metrics, values, strict=True)
            )
        )

    def _why_not(self) -> str | None:
        if not self._device.startswith("cuda"):
            return f"the device is {self._device}, not cuda"
        if _loaded_torch() is None:
            return _NOT_LOADED
        if not _cuda().is_initialized():
            return "no CUDA context was made in this process"
        return None


def limit_cuda_memory(device: str, limit: int) -> None:
    """Bound what PyTorch's allocator takes of a device [bytes]; beyond it allocations fail.

    The CUDA context and libraries (some hundred MB) are outside the limit. A limit above the
    device's memory bounds nothing. Raises SlmbenchError without a loaded PyTorch.
    """
    if _loaded_torch() is None:
        raise SlmbenchError(
            f"a memory limit on {device} needs PyTorch's allocator",
            hint="take the limit off the target, or use the transformers backend",
        )
    total = int(_cuda().get_device_properties(device).total_memory)
    _cuda().set_per_process_memory_fraction(min(1.0, limit / total), device)


def _loaded_torch() -> Any:
    return sys.modules.get("torch")


def _cuda() -> Any:
    return _loaded_torch().cuda
