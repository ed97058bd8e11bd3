"""Stable item ids, seeded stratified samples that grow without changing, and named items."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from slmbench.errors import UsageError

Doc = Mapping[str, object]

_ID_COLUMNS = ("id", "question_id", "qid", "ind", "doc_id", "idx")
_SHOWN = 3


def item_ids(docs: Sequence[Mapping[str, object]]) -> list[str]:
    """One id per document that does not depend on the order of the documents.

    The data set's own id column where it has one (a value that repeats gets eight digits of
    the document's digest), else 16 digits of the SHA-256 of the document's canonical JSON;
    exact duplicates are numbered.
    """
    if not docs:
        return []
    digests = [document_digest(doc) for doc in docs]
    column = next((c for c in _ID_COLUMNS if all(_plain(d.get(c)) for d in docs)), None)
    if column is None:
        ids = [digest[:16] for digest in digests]
    else:
        values = [str(doc[column]) for doc in docs]
        often = Counter(values)
        ids = [
            value if often[value] == 1 else f"{value}-{digest[:8]}"
            for value, digest in zip(values, digests, strict=True)
        ]
    return _numbered(ids)


def document_digest(doc: Mapping[str, object]) -> str:
    """SHA-256 of the document's canonical JSON, 64 hexadecimal digits."""
    text = json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def draw(ids: Sequence[str], strata: Sequence[str], count: int | None, seed: int) -> list[int]:
    """Positions of a stratified sample, in an order whose every prefix is itself a sample.

    Systematic sampling within strata: each stratum is shuffled by a keyed digest of the ids;
    its r-th item gets the priority (r + u) / size with one seeded u per stratum; the
    ``count`` smallest priorities are taken. So each stratum holds its share but for rounding,
    every item is equally likely, a larger sample contains the smaller one, and neither the
    order of the data nor Python's random generator matters.

    Args:
        ids: unique item ids.
        strata: the stratum of each item.
        count: sample size; None (or more than there are) means all.
        seed: chooses the sample.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for position, stratum in enumerate(strata):
        members[stratum].append(position)
    priority: list[tuple[float, str, int]] = []
    for stratum, positions in members.items():
        start = _unit(f"{seed}\0stratum\0{stratum}")
        keyed = sorted((_key(seed, ids[p]), p) for p in positions)
        for rank, (key, position) in enumerate(keyed):
            priority.append(((rank + start) / len(positions), key, position))
    chosen = [position for _, _, position in sorted(priority)]
    return chosen if count is None else chosen[:count]


def named(task: str, wanted: Sequence[str], ids: Sequence[str]) -> list[int]:
    """Positions of exactly these items, in the order in which they are named.

    Raises UsageError when a name is unknown or given twice, or when there is none.
    """
    if not wanted:
        raise UsageError(f"task {task!r}: `items` names no item", hint="leave it out, or name some")
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    if twice:
        raise UsageError(f"task {task!r}: these items are named twice: {_some(twice)}")
    place = {identity: position for position, identity in enumerate(ids)}
    if unknown := [name for name in wanted if name not in place]:
        raise UsageError(
            f"task {task!r} has no item {_some(unknown)}: it has {len(ids)} items, such as "
            f"{_some(ids[:2])}",
            hint="`slmbench show RUN --ids` prints the ids of a finished run; they belong to one "
            "copy of the data, which the item set names",
        )
    return [place[name] for name in wanted]


def distinct(docs: Sequence[Doc], column: str) -> list[Doc]:
    """The documents without those whose ``column`` an earlier one has; all where it is empty."""
    if not column:
        return list(docs)
    first: dict[str, Doc] = {}
    for doc in docs:
        first.setdefault(str(doc[column]), doc)
    return list(first.values())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more


def _plain(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and str(value) != ""


def _numbered(ids: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    result = []
    for identity in ids:
        seen[identity] += 1
        result.append(identity if seen[identity] == 1 else f"{identity}#{seen[identity]}")
    return result


def _key(seed: int, identity: str) -> str:
    return hashlib.sha256(f"{seed}\0item\0{identity}".encode()).hexdigest()


def _unit(text: str) -> float:
    """A number in [0, 1) from a digest."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13
