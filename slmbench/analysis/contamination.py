"""Was a variant trained on the very data that it is asked about?

A training's record holds the digest of each data set that it read, a run that of the set that its
items were drawn from. Where they are the same, the run says how well the variant remembers, and
its rows are suspect. Found are the trainings that slmbench itself did, of a variant and of all
that it was made of (parents, teachers, the other side of a merge); what its origin was trained on
is unknown, and so is text that repeats a set under another digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from slmbench.analysis.plausibility import Evidence, Suspicion
from slmbench.made import MadeRecord


def contaminated(
    evidence: Iterable[Evidence], made: Iterable[MadeRecord]
) -> Mapping[Path, Suspicion]:
    """Runs whose items come from data that the variant was trained on, by their folder."""
    known = {record.identity: record for record in made}
    found = {}
    for e in evidence:
        if e.item_set is None:
            continue
        for record in _ancestry(e.run.spec.variant.digest, known):
            name = _read(record, e.item_set.data_sha256)
            if name:
                found[e.run.folder] = Suspicion("trained on it", _reason(e, record, name))
                break
    return found


def _ancestry(identity: str, known: Mapping[str, MadeRecord]) -> Iterator[MadeRecord]:
    """The record of a variant and of all that it was made of, each once."""
    wanted, seen = [identity], set[str]()
    while wanted:
        here = wanted.pop(0)
        if here in seen or here not in known:
            continue
        seen.add(here)
        yield known[here]
        above = known[here].parent_identity
        wanted += [*([above] if above else []), *(o.identity for o in known[here].others)]


def _read(record: MadeRecord, data_sha256: str) -> str:
    """Name of the data set of that digest, if the training read it."""
    training = record.training
    return "" if training is None else training.text.data_sets.get(data_sha256, "")


def _reason(e: Evidence, record: MadeRecord, name: str) -> str:
    who = "it" if record.identity == e.run.spec.variant.digest else f"its ancestor {record.variant}"
    return f"{who} was trained on {name}, which these items are of: this measures memory"
