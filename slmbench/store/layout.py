"""Where a run's files lie: ``<root>/<suite>/<digest[:16]>/<run id>/``."""

from __future__ import annotations

from pathlib import Path

from slmbench.spec import RunSpec

SPEC = "spec.json"
ENVIRONMENT = "environment.json"
RECORD = "record.json"
SAMPLES = "samples.jsonl"
SCORES = "scores"
PARTIAL = ".partial-"
"""Prefix of a folder that is still being written; leftovers are swept."""
QUARANTINE = ".quarantine"
PROCESSES = ".processes"
"""Below a cell's folder: finished processes of a run that is not sealed yet, by machine."""
ITEMS = ".items"
SKIPS = ".skips"
SUITES = ".suites"


def cell_folder(root: Path, spec: RunSpec) -> Path:
    """Folder of all runs of one cell."""
    return root / spec.suite / spec.key


def processes_folder(root: Path, spec: RunSpec) -> Path:
    """Finished processes of a cell that is not sealed yet."""
    return cell_folder(root, spec) / PROCESSES


def items_file(root: Path, digest: str) -> Path:
    """The item set with that digest, shared by all variants."""
    return root / ITEMS / f"{digest}.json"


def skips_file(root: Path, suite: str) -> Path:
    """What the last plan of this suite left out, and why."""
    return root / SKIPS / f"{suite}.json"


def suite_file(root: Path, suite: str) -> Path:
    """The suite as it was when it was last run into this folder."""
    return root / SUITES / f"{suite}.json"
