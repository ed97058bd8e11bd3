"""Stock lm-eval tasks over local files, built by lm-eval's own means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmbench.data.catalogue import by_hub
from slmbench.data.providers import fetch
from slmbench.tasks.definitions import dataset_of


def lm_eval_task(task: str, folder: Path) -> Any:
    """The stock task on the same files by lm-eval's own means: its arrow builder and its YAML."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    from slmbench.tasks.index import find_task

    reference = dataset_of(task)
    assert reference is not None
    entry = by_hub(*reference)
    assert entry is not None
    (shard,) = (fetch(entry.name).path / "validation").glob("*.arrow")
    config = load_yaml(find_task(task).path) | {
        "dataset_path": "arrow",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"validation": str(shard)}, "cache_dir": str(folder)},
        "training_split": None,
        "test_split": None,
    }
    return ConfigurableTask(config=config)
