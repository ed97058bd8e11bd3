"""Who watches: one source per file. A meter knows nothing of the workload."""

from slmbench.meters.protocol import Availability, Meter, Reading
from slmbench.registry import Registry

METERS: Registry[type[Meter]] = Registry(
    "meter",
    "slmbench.meters",
    {
        "codecarbon": "slmbench.meters.codecarbon:CodecarbonMeter",
        "cuda": "slmbench.meters.cuda:CudaMemoryMeter",
        "fake": "slmbench.meters.fake:FakeMeter",
        "interference": "slmbench.meters.interference:InterferenceMeter",
        "memory": "slmbench.meters.memory:MemoryMeter",
        "nvml": "slmbench.meters.nvml:NvmlMeter",
        "rapl": "slmbench.meters.rapl:RaplMeter",
    },
)

__all__ = ["METERS", "Availability", "Meter", "Reading"]
