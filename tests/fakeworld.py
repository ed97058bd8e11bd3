"""A small world of fake variants, targets, suites and items, on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from slmbench.api import Request
from slmbench.records import Status
from slmbench.requests import Item, ItemSet, LoglikelihoodRequest
from slmbench.runner.prepare import items_path
from slmbench.spec import TaskSpec
from slmbench.tasks.definitions import definition_digest

TASKS = ("slm_counterfactual_context", "slm_occupation_pronoun")
"""Real task names (they must exist); the world puts toy items into the cache for them."""
ITEMS = 6


@dataclass(frozen=True, slots=True)
class Expected:
    """What a fault should become."""

    status: Status
    signal: str | None
    words: str
    target: tuple[tuple[str, object], ...] = ()
    """Further fields of the target."""


FAULTS = {
    "sigill": Expected(Status.CRASHED, "SIGILL", "died of SIGILL"),
    "sigsegv": Expected(Status.CRASHED, "SIGSEGV", "died of SIGSEGV"),
    "sigkill": Expected(Status.CRASHED, "SIGKILL", "killed from outside"),
    "hang": Expected(Status.TIMEOUT, None, "no end within"),
    "oom": Expected(Status.OOM, None, "memory", (("memory_limit_bytes", 1 << 30),)),
    "error": Expected(Status.CRASHED, None, "Error"),
    "nan": Expected(Status.INVALID, None, "could be scored"),
}


class World:
    """Files below one temporary folder: two variants, one target, a task and a workload suite."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results, self.cache = root / "results", root / "cache"
        self.models = self._models("models", [_target("fake-cpu")])
        self._put_items()

    def request(
        self, *overrides: str, models: Path | None = None, suites: tuple[str, ...] = ()
    ) -> Request:
        """Run suites of this world (both by default)."""
        self._write("quality", _quality(TASKS[:1]))
        self._write("both_tasks", _quality(TASKS) | {"name": "both_tasks"})
        self._write("perf", _PERF)
        chosen = suites or ("quality", "perf")
        return Request(
            suites=tuple(str(self.root / f"{name}.yaml") for name in chosen),
            models=str(models or self.models),
            overrides=overrides,
        )

    def faulty(self, fault: str, at: str = "load") -> Path:
        """One variant, a healthy and a broken target."""
        broken = _target("broken", fault=fault, fault_at=at) | dict(FAULTS[fault].target)
        return self._models("faulty", [_target("healthy"), broken], variants=("base",))

    def without_python(self) -> Path:
        """One variant, a healthy target and one whose interpreter does not exist."""
        broken = _target("broken") | {"python": "/no/such/python"}
        return self._models("nopython", [_target("healthy"), broken], variants=("base",))

    def slow(self) -> Path:
        """Targets whose workload takes a second or so."""
        return self._models("slow", [_target("fake-cpu", ttft_s=0.3)])

    def with_gguf(self) -> Path:
        """A third variant that no target of this world can load."""
        path = self._models("mixed", [_target("fake-cpu")])
        (self.root / "file.gguf").write_bytes(b"GGUF")
        document = json.loads(path.read_text())
        document["variants"].append(
            {
                "name": "file",
                "format": "gguf",
                "stage": "base",
                "technique": "none",
                "licence": "Apache-2.0",
                "source": {"file": "file.gguf"},
            }
        )
        path.write_text(json.dumps(document))
        return path

    def _models(
        self, name: str, targets: list[dict[str, object]], variants: tuple[str, ...] = ()
    ) -> Path:
        listed = [
            {
                "name": variant,
                "format": "fake",
                "stage": "base" if parent is None else "quantized",
                "technique": "none",
                "licence": "Apache-2.0",
                "parent": parent,
            }
            for variant, parent in (("base", None), ("small", "base"))
            if not variants or variant in variants
        ]
        return self._write(name, {"variants": listed, "targets": targets})

    def _write(self, name: str, document: dict[str, object]) -> Path:
        path = self.root / f"{name}.yaml"
        path.write_text(json.dumps(document, indent=1))  # JSON is YAML
        return path

    def _put_items(self) -> None:
        """What the preparing child would have made."""
        for task in TASKS:
            spec = TaskSpec(
                task=task,
                primary="acc",
                num_fewshot=0,
                chat_template=False,
                items=ITEMS,
                seed=1,
                definition=definition_digest(task),
            )
            path = self.cache / "items" / items_path(spec).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_toy(task).model_dump_json())


def _target(name: str, **options: object) -> dict[str, object]:
    return {"name": name, "backend": "fake", "threads": 1, "options": options}


def _quality(tasks: tuple[str, ...]) -> dict[str, object]:
    return {
        "name": "quality",
        "title": "toy questions",
        "description": "for tests",
        "seed": 1,
        "sizes": {"demo": {"items": ITEMS, "timeout_s": 6}},
        "tasks": [{"task": task, "primary": "acc"} for task in tasks],
    }


_PERF: dict[str, object] = {
    "name": "perf",
    "title": "toy timings",
    "description": "for tests",
    "seed": 1,
    "sizes": {
        "demo": {
            "repeats": 3,
            "warmup": 1,
            "prompt_tokens": [8],
            "output_tokens": [4],
            "timeout_s": 60,
        }
    },
    "workloads": [{"workload": "latency"}],
}


def _toy(task: str) -> ItemSet:
    return ItemSet(
        task=task,
        source="test",
        data_sha256="0" * 64,
        licence="CC0-1.0",
        scorer="multiple_choice",
        population=ITEMS,
        items=tuple(
            Item(
                item_id=f"{task}-{index}",
                cluster=f"{task}-{index}",
                requests=tuple(
                    LoglikelihoodRequest(context=f"question {index}?", continuation=f" {choice}")
                    for choice in ("yes", "no")
                ),
                gold=index % 2,
                choices=("yes", "no"),
            )
            for index in range(ITEMS)
        ),
    )
