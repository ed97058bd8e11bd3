"""Texts whose likelihood is measured: which protocol, which metrics, and how documents are joined.

The three protocols give different numbers for one model (see :data:`slmbench.requests.Protocol`),
so each has metrics of its own and nothing ever mixes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.errors import UsageError
from slmbench.metrics import METRICS
from slmbench.requests import Item, Protocol, Request, RollingRequest

JOINER = "\n\n"
"""Between the documents of a joined text, as in the GPTQ lineage's evaluation."""


@dataclass(frozen=True, slots=True)
class TextRule:
    """How a text task's documents become requests."""

    protocol: Protocol = "rolling"
    window: int | None = None
    """Tokens of a window; null for ``rolling``."""
    joiner: str = JOINER
    """Between documents, where they are joined."""
    details: bool = False
    """Keep every token's log-probability and the spread of its distribution."""

    def asked(self, requests: Sequence[Request]) -> tuple[Request, ...]:
        """The requests, with details where the task wants them."""
        if not self.details:
            return tuple(requests)
        return tuple(
            r.model_copy(update={"details": True}) if isinstance(r, RollingRequest) else r
            for r in requests
        )

    @property
    def joins(self) -> bool:
        """All documents become one text; with ``rolling`` each stays an item of its own."""
        return self.protocol != "rolling"


def text_metrics(protocol: Protocol, window: int | None) -> tuple[str, ...]:
    """The judged metrics of a protocol; perplexities are derived from them on reading.

    Raises UsageError for a window that the metrics table has no name for.

    >>> text_metrics("gptq", 2048), text_metrics("rolling", None)
    (('nll_gptq_2048',), ('nll_rolling', 'bpb_rolling'))
    """
    if protocol == "rolling" and window is None:
        return ("nll_rolling", "bpb_rolling")
    name = f"nll_{protocol.replace('.', '_')}_{window}"
    if name not in METRICS:
        known = ", ".join(n.removeprefix("nll_") for n in METRICS if n.startswith("nll_"))
        raise UsageError(
            f"no metric for the protocol {protocol} with window {window}: a number whose name "
            "does not say how it was made cannot be compared",
            hint=f"known: {known}",
        )
    return (name,)


def joined_item(texts: Sequence[str], rule: TextRule) -> Item:
    """One item that holds all texts; its id follows from what it says and how it is asked."""
    text = rule.joiner.join(texts)
    digest = hashlib.sha256(f"{rule.protocol}\0{rule.window}\0{text}".encode()).hexdigest()[:16]
    return Item(
        item_id=f"text-{digest}",
        cluster=f"text-{digest}",
        requests=(RollingRequest(text=text, protocol=rule.protocol, window=rule.window),),
    )
