"""Item sets of tasks, built from the data that the providers of this machine have."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import pytest

from slmbench.data.catalogue import by_hub
from slmbench.data.providers import fetch
from slmbench.requests import ItemSet
from slmbench.spec import TaskSpec
from slmbench.tasks.definitions import dataset_of


def stock_items(task: str, items: int | None, **settings: Any) -> ItemSet:
    """Items of a stock task or of ours; ``settings`` are further fields of its TaskSpec."""
    from slmbench.tasks.lm_eval_bridge import LocalData, build_items

    plain = {"num_fewshot": 0, "chat_template": False, "seed": 1234}
    spec = TaskSpec.model_validate(
        {"task": task, "primary": "acc", "items": items, **plain, **settings}
    )
    reference = dataset_of(task)
    assert reference is not None
    entry = by_hub(*reference)
    if entry is None:
        return build_items(spec, None)
    found = fetch(entry.name)
    data = LocalData(
        found.path, found.source, found.sha256, found.licence, entry.strata, entry.cluster
    )
    return build_items(spec, data)


def load_tasks_once(patch: pytest.MonkeyPatch) -> None:
    """Builds of one task in a row share lm-eval's task and its documents, which are not changed.

    That is most of a build's time; the documents are digested, drawn and rendered anew each time.
    """
    patch.setattr("slmbench.tasks.lm_eval_bridge._load", _loaded_once())


@cache
def _loaded_once() -> Callable[..., Any]:
    from slmbench.tasks import lm_eval_bridge

    return lru_cache(maxsize=2)(lm_eval_bridge._load)
