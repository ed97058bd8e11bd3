"""llama.cpp scoring: against transformers, and against llama.cpp's own llama-perplexity."""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring_items import GGUF, artefact, load_backend, task_items


def llama_cpp_rate(count: int, rounds: int) -> dict[str, float]:
    """HellaSwag items per second: llama.cpp (Q8_0) over transformers (float32), alternating."""
    items = task_items("hellaswag", 0, count)
    engines = {name: load_backend(name) for name in ("llama_cpp", "transformers")}
    rates: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds + 1):
        for name, backend in engines.items():
            seconds = _seconds(backend, items)
            if number:  # the first round warms up
                rates[name].append(len(items) / seconds)
    for backend in engines.values():
        backend.close()
    ratios = [a / b for a, b in zip(rates["llama_cpp"], rates["transformers"], strict=True)]
    figures = {
        f"hellaswag_{name}_items_per_s": statistics.median(rate) for name, rate in rates.items()
    }
    figures["llama_cpp_over_transformers"] = statistics.median(ratios)
    for name, value in figures.items():
        print(f"  {name} {value:.2f}", flush=True)
    return {name: round(value, 3) for name, value in figures.items()}


def against_llama_perplexity(tool: str, count: int, rounds: int) -> dict[str, float]:
    """The same HellaSwag items, file and threads in ``llama-perplexity --hellaswag``.

    Both are timed without loading: the tool from its line "calculating" to its last, by our
    clock. It keeps no answers; ours keeps every log-likelihood.
    """
    import os

    items = task_items("hellaswag", 0, count)
    backend = load_backend("llama_cpp")
    threads = len(os.sched_getaffinity(0))
    _seconds(backend, items)
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder) / "hellaswag.txt"
        tasks.write_text("".join(_lines(item) for item in items), encoding="utf-8")
        command = [tool, "-m", str(artefact(GGUF).path), "-f", str(tasks), "--hellaswag",
                   "--hellaswag-tasks", str(count), "-t", str(threads)]  # fmt: skip
        for _ in range(rounds):
            theirs.append(_tool_seconds(command, count))
            ours.append(_seconds(backend, items))
    backend.close()
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    print(f"  {statistics.median(ratios):.2f} x llama-perplexity --hellaswag on {GGUF} "
          f"({min(ratios):.2f} to {max(ratios):.2f} in {rounds} rounds; "
          f"{statistics.median(ours):.2f} s against {statistics.median(theirs):.2f} s)",
          flush=True)  # fmt: skip
    return {
        "llama_perplexity_ratio": round(statistics.median(ratios), 3),
        "llama_perplexity_ratio_min": round(min(ratios), 3),
        "llama_perplexity_ratio_max": round(max(ratios), 3),
    }


def _seconds(backend: Any, items: Sequence[Any]) -> float:
    requests = [r for item in items for r in item.requests]
    begin = time.perf_counter_ns()
    for _ in backend.loglikelihood(requests):
        pass
    return (time.perf_counter_ns() - begin) * 1e-9


def _tool_seconds(command: Sequence[str], tasks: int) -> float:
    begin = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as tool:
        assert tool.stdout is not None
        told = []
        for line in tool.stdout:
            told.append(line)
            if "calculating hellaswag" in line:
                begin = time.perf_counter_ns()
            if re.match(rf"{tasks}\s", line):
                return (time.perf_counter_ns() - begin) * 1e-9
    raise SystemExit(f"llama-perplexity printed no line for task {tasks}:\n{''.join(told[-20:])}")


def _lines(item: Any) -> str:
    """The tool's six lines: context, index of the right ending, four endings."""
    context = " ".join(item.requests[0].context.split())
    endings = [" ".join(r.continuation.split()) for r in item.requests]
    return "\n".join([context, str(item.gold), *endings]) + "\n"
