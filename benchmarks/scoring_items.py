"""Items and engines for the scoring benchmarks: real questions, the demo's real models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER, GGUF = "smollm2-f32", "smollm2-q8_0"


def task_items(task: str, shots: int, count: int) -> tuple[Any, ...]:
    """The items of a task, as a run would prepare them."""
    from slmbench.requests import ItemSet
    from slmbench.runner.events import Silent
    from slmbench.runner.prepare import prepare_items
    from slmbench.spec import TaskSpec
    from slmbench.tasks.definitions import definition_digest

    spec = TaskSpec(
        task=task,
        primary="acc",
        num_fewshot=shots,
        chat_template=False,
        items=count,
        seed=1234,
        definition=definition_digest(task),
    )
    (prepared,) = prepare_items([spec], Silent())
    if prepared.path is None:
        raise SystemExit(f"{task}: {prepared.reason} ({prepared.hint})")
    return ItemSet.model_validate_json(prepared.path.read_text()).items


def of_folder() -> Any:
    """The float32 folder of the demo."""
    return artefact(FOLDER)


def artefact(variant: str) -> Any:
    """A variant of the demo, made if need be."""
    from slmbench.lifecycle import materialise
    from slmbench.plan import identify
    from slmbench.spec.load import load_models

    models = load_models("demo")
    wanted = models.variant(variant)
    parent = artefact(wanted.parent) if wanted.parent else None
    return materialise(wanted, identify(models)[variant], parent, base=Path(), report=print)


def load_backend(name: str, dtype: str = "auto") -> Any:
    """A loaded engine: transformers on the folder, llama_cpp on the Q8_0 file."""
    from slmbench.backends import BACKENDS, LoadJob
    from slmbench.plan import resolve_target
    from slmbench.spec import Target

    made = artefact(FOLDER if name == "transformers" else GGUF)
    loaded = BACKENDS.load(name)()
    target = resolve_target(Target(name="b", backend=name, dtype=dtype))
    loaded.load(LoadJob(made.path, made.sha256, target))
    return loaded
