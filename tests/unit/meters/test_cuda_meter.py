"""The CUDA allocator's meter with a simulated PyTorch in ``sys.modules``."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from slmbench.errors import SlmbenchError
from slmbench.meters.cuda import CudaMemoryMeter, limit_cuda_memory
from slmbench.records import Provenance


class SimulatedCuda:
    """A peak that can be forgotten, as in torch.cuda."""

    def __init__(self) -> None:
        self.ready = True
        self.peak = 900
        self.fraction: float | None = None

    def get_device_properties(self, device: str) -> SimpleNamespace:
        assert device == "cuda:0"
        return SimpleNamespace(total_memory=1000)

    def set_per_process_memory_fraction(self, fraction: float, device: str) -> None:
        assert device == "cuda:0"
        self.fraction = fraction

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return self.ready

    def reset_peak_memory_stats(self, device: str) -> None:
        assert device == "cuda:0"
        self.peak = 100

    def max_memory_allocated(self, device: str) -> int:
        assert device == "cuda:0"
        return self.peak

    def max_memory_reserved(self, device: str) -> int:
        return 2 * self.max_memory_allocated(device)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> SimulatedCuda:
    """A process that has loaded a PyTorch with one CUDA device."""
    simulated = SimulatedCuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=simulated))
    return simulated


def test_a_limit_becomes_a_share_of_the_device(cuda: SimulatedCuda) -> None:
    limit_cuda_memory("cuda:0", 250)
    assert cuda.fraction == 0.25
    limit_cuda_memory("cuda:0", 5000)
    assert cuda.fraction == 1.0


def test_a_limit_needs_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(SlmbenchError, match="PyTorch"):
        limit_cuda_memory("cuda:0", 250)


def test_peaks_are_of_the_window(cuda: SimulatedCuda) -> None:
    meter = CudaMemoryMeter.create("cuda:0")
    meter.start()
    cuda.peak = 300
    values = {one.metric: one.samples for one in meter.stop().measurements}
    assert values == {"cuda_allocated": (300.0,), "cuda_reserved": (600.0,)}
    meter.start()
    assert meter.stop().measurements[0].samples == (100.0,)


def test_a_context_made_inside_the_window_counts(cuda: SimulatedCuda) -> None:
    cuda.ready = False
    meter = CudaMemoryMeter.create("cuda:0")
    meter.start()
    cuda.ready, cuda.peak = True, 700
    assert meter.stop().measurements[0].samples == (700.0,)


def test_no_context_is_unavailable_not_zero(cuda: SimulatedCuda) -> None:
    cuda.ready = False
    meter = CudaMemoryMeter.create("cuda:0")
    meter.start()
    one = meter.stop().measurements[0]
    assert one.provenance is Provenance.UNAVAILABLE
    assert "no CUDA context" in one.reason


def test_availability_with_a_device(cuda: SimulatedCuda) -> None:
    assert CudaMemoryMeter.availability().ok


def test_the_meter_never_loads_torch() -> None:
    code = (
        "import sys; from slmbench.meters.cuda import CudaMemoryMeter as M\n"
        "m = M.create('cuda:0'); m.start(); r = m.stop(); a = M.availability()\n"
        "assert 'not loaded' in r.measurements[0].reason and not a.ok\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
