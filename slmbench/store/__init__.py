"""Results on disk: sealed folders, migrations, reading."""

from slmbench.store.gates import GateNumber, GateRecord, read_gates, save_gate
from slmbench.store.lock import only_campaign
from slmbench.store.processes import ProcessShelf
from slmbench.store.read import (
    Quarantined,
    StoreContents,
    StoredRun,
    finished,
    read_cell,
    read_items,
    read_store,
    read_suites,
)
from slmbench.store.variants import VariantRecord, read_variants, save_variant
from slmbench.store.write import (
    FinishedRun,
    replace_file,
    save_items,
    save_skips,
    save_suite,
    seal,
    sweep,
)

__all__ = [
    "FinishedRun",
    "GateNumber",
    "GateRecord",
    "ProcessShelf",
    "Quarantined",
    "StoreContents",
    "StoredRun",
    "VariantRecord",
    "finished",
    "only_campaign",
    "read_cell",
    "read_gates",
    "read_items",
    "read_store",
    "read_suites",
    "read_variants",
    "replace_file",
    "save_gate",
    "save_items",
    "save_skips",
    "save_suite",
    "save_variant",
    "seal",
    "sweep",
]
