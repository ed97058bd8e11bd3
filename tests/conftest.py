"""What holds for every test: no network, a clean environment, and no silent skip.

* Sockets reach this machine only, unless a test is marked ``network``.
* Variables that steer engines and hubs (``HF_*``, ``CUDA_*``, ``SLMBENCH_*`` …) are gone before
  the first fixture runs; ``SLMBENCH_CACHE`` stays, since it only says where downloads are kept.
* What a test does to ``os.environ`` is undone after it.
* Tests marked ``gpu`` skip where there is no CUDA device, and say so.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import published_data  # noqa: F401 - reads SLMBENCH_DATA before it is removed
from network_guard import BlockedNetworkError

SCRUBBED = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "CUDA_", "SLMBENCH_", "CODECARBON_", "OMP_")
KEPT = ("SLMBENCH_CACHE",)


def pytest_configure(config: pytest.Config) -> None:
    """Before any fixture, engine or import: remove what the user's shell would let in.

    Worker processes do it for themselves: they inherit the shell's ``SLMBENCH_DATA``, as one
    process would, and the one that only hands out tests leaves it to them.
    """
    # a shell starts what runs in its background with SIGINT ignored, and children inherit that
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("dist", "no") == "no":
        clean_environment()


def clean_environment() -> None:
    """Remove variables that steer engines and hubs from this process."""
    for name in list(os.environ):
        if name.startswith(SCRUBBED) and name not in KEPT:
            del os.environ[name]
    # Engine threads sleep at barriers: tests assert no time, and share the machine.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def pytest_unconfigure() -> None:
    """Close what llama-cpp-python leaves open, or its warnings follow the summary."""
    leftovers = sys.modules.get("llama_cpp._utils")
    for name in ("outnull_file", "errnull_file"):
        if (handle := getattr(leftovers, name, None)) is not None:
            handle.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """GPU tests need the driver's device file."""
    if item.get_closest_marker("gpu") and not Path("/dev/nvidiactl").exists():
        pytest.skip("needs a CUDA device: this machine has no /dev/nvidiactl")


@pytest.fixture(autouse=True)
def _same_environment_afterwards() -> Iterator[None]:
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("network"):
        return
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(original: Any) -> Any:
    def call(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not _is_loopback(address[0]):
            raise BlockedNetworkError(
                f"a test tried to connect to {address[0]}; mark it `network` if it must"
            )
        return original(self, address)

    return call


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
