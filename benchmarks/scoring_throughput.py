"""Items per second of the accuracy suite's items, per engine, on the demo's float32 model.

    python benchmarks/scoring_throughput.py [--items 12] [--reference]

HellaSwag, ARC-Easy and PIQA items are answered in this process by the Q4_1 GGUF (llama_cpp) and
the float32 folder (transformers), in alternating rounds. ``--reference`` adds lm-eval's own
``hf`` model on the same strings and gives the ratio. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

VARIANTS = {"llama_cpp": "smollm2-q4_1", "transformers": "smollm2-f32"}
TASKS = ("hellaswag", "arc_easy", "piqa")


def main() -> None:
    """Load, answer in rounds, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=12, help="per task")
    parser.add_argument("--reference", action="store_true", help="also lm-eval's hf model")
    asked = parser.parse_args()
    sets = item_sets(asked.items)
    answers = {name: backend(name, variant) for name, variant in VARIANTS.items()}
    if asked.reference:
        answers["lm_eval_hf"] = reference()
    rates: dict[str, list[float]] = {name: [] for name in answers}
    for items in sets:
        for name, answer in answers.items():
            begin = time.perf_counter_ns()
            for item in items:
                answer(item)
            rates[name].append(len(items) / ((time.perf_counter_ns() - begin) * 1e-9))
    figures: dict[str, float] = {
        f"{name}_{task}_items_per_s": round(rate, 3)
        for name, found in rates.items()
        for task, rate in zip(TASKS, found, strict=True)
    }
    if asked.reference:
        pairs = zip(rates["transformers"], rates["lm_eval_hf"], strict=True)
        figures["speedup_over_lm_eval"] = round(statistics.median(a / b for a, b in pairs), 3)
    for name, value in figures.items():
        print(f"{name:40} {value}")
    print(json.dumps({**figures, "load1": round(os.getloadavg()[0], 2)}))


def item_sets(count: int) -> list[tuple[Any, ...]]:
    """The items of each task, as a run would prepare them."""
    from slmbench.requests import ItemSet
    from slmbench.runner.events import Silent
    from slmbench.runner.prepare import prepare_items
    from slmbench.spec import TaskSpec
    from slmbench.tasks.definitions import definition_digest

    specs = [
        TaskSpec(
            task=task,
            primary="acc",
            num_fewshot=0,
            chat_template=False,
            items=count,
            seed=1234,
            definition=definition_digest(task),
        )
        for task in TASKS
    ]
    paths = [p.path for p in prepare_items(specs, Silent())]
    return [ItemSet.model_validate_json(p.read_text()).items for p in paths if p is not None]


def artefact(variant: str) -> Any:
    """A variant of the demo, made if need be."""
    from slmbench.lifecycle import materialise
    from slmbench.plan import identify
    from slmbench.spec.load import load_models

    models = load_models("demo")
    wanted = models.variant(variant)
    parent = artefact(wanted.parent) if wanted.parent else None
    return materialise(wanted, identify(models)[variant], parent, base=Path(), report=print)


def backend(name: str, variant: str) -> Any:
    """A function that answers one item."""
    from slmbench.backends import BACKENDS, LoadJob
    from slmbench.plan import resolve_target
    from slmbench.runner.worker import answer
    from slmbench.spec import Target

    made = artefact(variant)
    loaded = BACKENDS.load(name)()
    loaded.load(LoadJob(made.path, made.sha256, resolve_target(Target(name="b", backend=name))))
    return lambda item: answer(loaded, item)


def reference() -> Any:
    """lm-eval's own hf model, one item at a time as strings."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(artefact("smollm2-f32").path), dtype="float32", device="cpu",
                 batch_size=4)  # fmt: skip

    def answer(item: Any) -> None:
        asked = [
            Instance("loglikelihood", {}, (r.context, r.continuation), 0) for r in item.requests
        ]
        model.loglikelihood(asked, disable_tqdm=True)

    return answer


if __name__ == "__main__":
    main()
