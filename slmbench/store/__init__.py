"""Results on disk: sealed folders, migrations, reading."""

from slmbench.store.lock import only_campaign
from slmbench.store.read import (
    Quarantined,
    StoreContents,
    StoredRun,
    finished,
    read_cell,
    read_items,
    read_store,
)
from slmbench.store.write import FinishedRun, replace_file, save_items, save_skips, seal, sweep

__all__ = [
    "FinishedRun",
    "Quarantined",
    "StoreContents",
    "StoredRun",
    "finished",
    "only_campaign",
    "read_cell",
    "read_items",
    "read_store",
    "replace_file",
    "save_items",
    "save_skips",
    "seal",
    "sweep",
]
