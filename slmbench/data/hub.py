"""The Hugging Face hub as a source of data sets, with one short test of whether it is there."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import urllib.error
import urllib.request
from functools import lru_cache
from pathlib import Path

from slmbench.data.originals import save

CHECK_S = 3.0
"""Longest that the one reachability test of a process may take [s]."""

_TRUE = {"1", "on", "yes", "true"}


class HubError(Exception):
    """The hub did not give what was asked; the text is one line for people."""


def unreachable() -> str | None:
    """Why the hub cannot be used, in one line, or None when it can.

    The network is tried once per process and endpoint, for at most :data:`CHECK_S` seconds.
    """
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        if os.environ.get(variable, "").lower() in _TRUE:
            return f"{variable} is set"
    for package in ("huggingface_hub", "datasets"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed (pip install 'slmbench[hub,tasks]')"
    return _probe(_endpoint())


def go_offline() -> None:
    """Keep the hub's client from trying the network, also where it is imported already."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "huggingface_hub" in sys.modules:
        from huggingface_hub import constants

        constants.HF_HUB_OFFLINE = True


def _endpoint() -> str:
    if own := os.environ.get("HF_ENDPOINT"):
        return own
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


@lru_cache
def _probe(endpoint: str) -> str | None:
    """One HEAD request in a thread, because name resolution has no timeout of its own."""
    outcome: list[str | None] = []

    def ask() -> None:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - user's endpoint
        try:
            with urllib.request.urlopen(request, timeout=CHECK_S):  # noqa: S310
                outcome.append(None)
        except urllib.error.HTTPError:
            outcome.append(None)  # it answered: it is there
        except (OSError, ValueError) as error:
            outcome.append(f"{endpoint} cannot be reached ({getattr(error, 'reason', error)})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CHECK_S)
    return outcome[0] if outcome else f"{endpoint} did not answer within {CHECK_S:.0f} s"


def save_rows(repo: str, reader: str, folder: Path) -> None:
    """Download a repository whose form is not ours, and save the rows that ``reader`` makes of it.

    Raises:
        HubError: whatever went wrong, in one line.
    """
    module, _, name = reader.partition(":")
    try:
        save(getattr(importlib.import_module(module), name)(repo), folder)
    except Exception as error:  # any third-party failure is a reason to go on
        first = (str(error).splitlines() or [""])[0]
        raise HubError(f"{repo}: {type(error).__name__}: {first[:200]}") from error


def save_splits(repo: str, config: str | None, folder: Path) -> None:
    """Download every split of a repository and save each to ``folder/<split>``.

    Raises:
        HubError: whatever went wrong, in one line.
    """
    import datasets

    try:
        for split, rows in datasets.load_dataset(repo, config).items():
            rows.save_to_disk(str(folder / str(split)))
    except Exception as error:  # any third-party failure is a reason to go on
        first = (str(error).splitlines() or [""])[0]
        raise HubError(f"{repo}: {type(error).__name__}: {first[:200]}") from error
