"""Who watches: one source per file. A meter knows nothing of the workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slmbench.meters.protocol import Availability, Meter, Reading
from slmbench.registry import Registry

METERS: Registry[type[Meter]] = Registry(
    "meter",
    "slmbench.meters",
    {
        "cgroup": "slmbench.meters.cgroup_memory:CgroupMemoryMeter",
        "codecarbon": "slmbench.meters.codecarbon:CodecarbonMeter",
        "cuda": "slmbench.meters.cuda:CudaMemoryMeter",
        "fake": "slmbench.meters.fake:FakeMeter",
        "interference": "slmbench.meters.interference:InterferenceMeter",
        "memory": "slmbench.meters.memory:MemoryMeter",
        "nvml": "slmbench.meters.nvml:NvmlMeter",
        "rapl": "slmbench.meters.rapl:RaplMeter",
        "wall": "slmbench.meters.wall:WallMeter",
    },
)

__all__ = ["METERS", "Availability", "Meter", "Reading"]

if TYPE_CHECKING:  # the type checker compares every meter with the protocol here
    from slmbench.meters.cgroup_memory import CgroupMemoryMeter
    from slmbench.meters.codecarbon import CodecarbonMeter
    from slmbench.meters.cuda import CudaMemoryMeter
    from slmbench.meters.fake import FakeMeter
    from slmbench.meters.interference import InterferenceMeter
    from slmbench.meters.memory import MemoryMeter
    from slmbench.meters.nvml import NvmlMeter
    from slmbench.meters.rapl import RaplMeter
    from slmbench.meters.wall import WallMeter

    _ALL: tuple[type[Meter], ...] = (
        CgroupMemoryMeter,
        CodecarbonMeter,
        CudaMemoryMeter,
        FakeMeter,
        InterferenceMeter,
        MemoryMeter,
        NvmlMeter,
        RaplMeter,
        WallMeter,
    )
