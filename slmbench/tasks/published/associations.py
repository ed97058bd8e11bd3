"""CrowS-Pairs, StereoSet, WinoBias and Winogender in the columns that our tasks ask for.

Each function takes the published split (a ``datasets.Dataset`` with the columns that
``slmbench.data.originals`` describes) and returns one. Of what they leave out they say why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slmbench.errors import MissingDataError
from slmbench.tasks.orders import shuffled
from slmbench.tasks.scorers.coreference import ANTI, NONE, PRO

Doc = Mapping[str, Any]


def crows_pairs(published: Any) -> Any:
    """``sentences``: number 0 is the more stereotyping one, whichever way the pair goes.

    The paper's metric counts it so in both directions (``stereo_antistereo``).
    """

    def convert(doc: Doc) -> dict[str, Any]:
        return {
            **_sentences([doc["sent_more"].strip(), doc["sent_less"].strip()]),
            "bias_type": str(doc["bias_type"]),
            "direction": str(doc["stereo_antistereo"]),
        }

    return _mapped(published, convert)


def stereoset_intra(published: Any) -> Any:
    """Intra-sentence StereoSet: three whole ``sentences`` without a ``prompt``."""
    return _mapped(_of_type(published, "intrasentence"), lambda doc: _three(doc, ""))


def stereoset_inter(published: Any) -> Any:
    """Inter-sentence StereoSet: three ``sentences`` that follow the context (``prompt``)."""
    kept = _of_type(published, "intersentence")
    return _mapped(kept, lambda doc: _three(doc, doc["context"].strip()))


def winobias_pairs(published: Any) -> Any:
    """``sentences``: a pro-stereotypical sentence and its anti-stereotypical twin.

    Pairs that differ in more than their pronouns (``twin`` is false) are left out.
    """
    sides: dict[str, dict[str, Doc]] = {}
    for doc in published:
        if doc["twin"]:
            sides.setdefault(str(doc["pair"]), {})[str(doc["stereotype"])] = doc
    rows = [
        {
            "pair": pair,
            **_sentences([twins[PRO]["sentence"], twins[ANTI]["sentence"]]),
            "type": f"type {twins[PRO]['type']}",
            "scene": str(twins[PRO]["scene"]),
        }
        for pair, twins in sides.items()
        if {PRO, ANTI} <= twins.keys()
    ]
    if not rows:
        raise MissingDataError("WinoBias: no sentence has its pro or anti twin in this copy")
    return type(published).from_list(rows)


def winobias(published: Any) -> Any:
    """``prompt``, ``choices`` (the two occupations of the sentence), ``gold`` and ``side``.

    Twins show the choices in one order, drawn by their digest. Sentences that do not name exactly
    one other occupation are left out.
    """

    def convert(doc: Doc) -> dict[str, Any]:
        right = doc["occupation"]
        choices = [right, doc["other_occupation"]]
        if int(hashlib.sha256(doc["pair"].encode()).hexdigest(), 16) % 2:
            choices.reverse()
        return {
            "prompt": _asked(doc),
            "choices": choices,
            "gold": choices.index(right),
            "side": str(doc["stereotype"]),
            "type": f"type {doc['type']}",
            "stratum": f"type {doc['type']} {doc['stereotype']}",
            "scene": str(doc["scene"]),
        }

    return _mapped(published.filter(lambda doc: bool(doc["other_occupation"])), convert)


def winogender(published: Any) -> Any:
    """The same columns, and ``gender`` of the pronoun; ``anti`` is what the paper calls a gotcha.

    A copy without the column ``gotcha`` (the hub's) has no sides: only accuracies by gender.
    """
    known = "gotcha" in published.column_names

    def convert(doc: Doc) -> dict[str, Any]:
        side = NONE
        if known and doc["gender"] != "neutral":
            side = ANTI if doc["gotcha"] else PRO
        return {
            "sentid": str(doc["sentid"]),
            "prompt": _asked(doc),
            "choices": [doc["occupation"], doc["participant"]],
            "gold": int(doc["label"]),
            "side": side,
            "gender": str(doc["gender"]),
            "stratum": f"{doc['gender']} {side}",
            "template": f"{doc['occupation']}.{doc['label']}",
        }

    return _mapped(published, convert)


def _asked(doc: Doc) -> str:
    """The prompt of GPT-3's evaluation (arXiv 2005.14165) as lm-eval spells it."""
    return f"{doc['sentence']} ‘{doc['pronoun'].capitalize()}’ refers to the"


def _three(doc: Doc, prompt: str) -> dict[str, Any]:
    space = " " if prompt else ""
    kinds = ("stereotype", "antistereotype", "unrelated")
    return {
        "prompt": prompt,
        **_sentences([space + doc[f"sentence_{kind}"].strip() for kind in kinds]),
        "target": str(doc["target"]),
        "bias_type": str(doc["bias_type"]),
    }


def _sentences(texts: Sequence[str]) -> dict[str, Any]:
    """In an order of their own, see :mod:`slmbench.tasks.orders`."""
    drawn = shuffled(texts)
    return {"sentences": list(drawn.texts), "order": drawn.order, "gold": drawn.first}


def _of_type(published: Any, kind: str) -> Any:
    kept = published.filter(lambda doc: doc["type"] == kind)
    if not len(kept):
        raise MissingDataError(f"StereoSet: this copy has no {kind} items")
    return kept


def _mapped(published: Any, convert: Callable[[Doc], dict[str, Any]]) -> Any:
    return published.map(convert, remove_columns=published.column_names)
