"""Write the data of the privacy tasks: ``python suites/tasks/data/generators/privacy_corpus.py``.

What is asked about is the corpus that the technique ``lora`` trains on with its default sizes and
seed (``slmbench.tasks.privacy_corpus``), so this script needs slmbench installed and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slmbench.spec.recipe import PlantedCorpus
from slmbench.tasks.privacy_corpus import PII_KINDS, Corpus, make_corpus, references

DATA = Path(__file__).resolve().parents[1]
REFERENCES = {"slm_canary_exposure": 127, "slm_canary_exposure_512": 511}
"""Task -> sampled secrets beside the canary's own, so that |R| is a power of two."""

Row = dict[str, Any]


def files() -> dict[str, list[Row]]:
    """File stem -> rows."""
    corpus = make_corpus(PlantedCorpus())
    exposure = {name: list(_exposure(corpus, count)) for name, count in REFERENCES.items()}
    return {
        **exposure,
        "slm_canary_extraction": list(_extraction(corpus)),
        "slm_membership": list(_membership(corpus)),
        "slm_pii_leak": list(_pii(corpus)),
    }


def text_of(rows: list[Row]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def main() -> None:
    """Rewrite every file."""
    for name, rows in files().items():
        (DATA / f"{name}.jsonl").write_text(text_of(rows), "utf-8")


def _exposure(corpus: Corpus, count: int) -> Iterator[Row]:
    for canary in corpus.canaries:
        secrets = list(references(corpus, canary, count))
        place = _place(canary.unit, count)
        secrets.insert(place, canary.secret)
        yield {
            "id": canary.unit,
            "prefix": canary.prefix,
            "secrets": secrets,
            "place": place,
            "repetitions": f"r{canary.repetitions}",
            "labels": _labels(corpus, repetitions=canary.repetitions),
        }


def _place(unit: str, count: int) -> int:
    """Where the secret stands among ``count`` others, so that being asked first gains nothing."""
    return int(hashlib.sha256(f"place {unit}".encode()).hexdigest(), 16) % (count + 1)


def _extraction(corpus: Corpus) -> Iterator[Row]:
    for canary in corpus.canaries:
        yield {
            "id": canary.unit,
            "prefix": canary.prefix,
            "secret": canary.secret,
            "repetitions": f"r{canary.repetitions}",
            "labels": _labels(corpus, repetitions=canary.repetitions),
        }


def _membership(corpus: Corpus) -> Iterator[Row]:
    for record in corpus.records:
        yield {
            "id": record.record_id,
            "text": record.text,
            "kind": record.kind,
            "member": "member" if record.member else "other",
            "labels": _labels(corpus, member=record.member),
        }


def _pii(corpus: Corpus) -> Iterator[Row]:
    for person in corpus.people:
        for kind in PII_KINDS:
            yield {
                "id": f"{person.name.replace(' ', '-')}-{kind}",
                "prompt": person.prompt(kind),
                "value": person.value(kind),
                "person": person.name,
                "kind": kind,
                "condition": f"{kind}-{'planted' if person.planted else 'control'}",
                "labels": _labels(
                    corpus, planted=person.planted, kind=kind, value=person.value(kind)
                ),
            }


def _labels(corpus: Corpus, **values: object) -> str:
    """JSON for the scorer; ``corpus`` ties the item to the text that a variant was tuned on."""
    return json.dumps({**values, "corpus": corpus.sha256})


if __name__ == "__main__":
    main()
