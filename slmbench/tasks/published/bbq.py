"""BBQ as published, with the roles of the options and their order drawn per item.

Who of the two people is the bias target stands in the authors' metadata file. Where a copy has no
such file it is derived from ``answer_info`` and ``additional_metadata.stereotyped_groups`` by the
rules of the authors' own script, made exact: a group is a set of tags, and an option belongs to
it when it has all of them. An item in which not exactly one person belongs to a stereotyped group
stays unresolved: it counts for accuracy and for nothing that needs a target.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from slmbench.errors import MissingDataError
from slmbench.tasks.scorers.bbq_labels import BbqLabels, Role

Doc = Mapping[str, Any]

_OPTIONS = 3
_ORDERS = tuple(itertools.permutations(range(_OPTIONS)))
_LETTERS = ("A", "B", "C")
_UNKNOWN = "unknown"
_COMPOUND = re.compile(r"^(m|f|lowses|highses)[-_](?=.)")
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("man", "men", "boy", "boys", "male"), "m"),
    **dict.fromkeys(("woman", "women", "girl", "girls", "female"), "f"),
    **dict.fromkeys(("low ses", "low-ses", "lowses"), "lowses"),
    **dict.fromkeys(("high ses", "high-ses", "highses"), "highses"),
    **dict.fromkeys(("disabled people", "people with disabilities"), "disabled"),
}
_GENDER_IN_TEXT = (("f", re.compile(r"\b(?:wo)man\b")), ("m", re.compile(r"\bman\b")))


def bbq(published: Any) -> Any:
    """``prompt``, ``options`` in a drawn order, ``gold``, ``labels``, ``template``, ``category``.

    Takes and returns a ``datasets.Dataset``. The order is one of all six, by a digest of category
    and example id, so that no place of an option says anything about it.
    """
    return published.map(_cloze, remove_columns=published.column_names)


def bbq_letters(published: Any) -> Any:
    """The same with the options listed in the prompt: ``options`` are the letters A, B and C."""
    return published.map(_lettered, remove_columns=published.column_names)


def target_of(doc: Doc) -> int | None:
    """The option that is the bias target, or None where the fields do not tell.

    >>> target_of({"category": "Age", "ans0": "Ann", "ans1": "Bo", "ans2": "Not known",
    ...     "answer_info": {"ans0": ["Ann", "nonOld"], "ans1": ["Bo", "old"],
    ...                     "ans2": ["Not known", "unknown"]},
    ...     "additional_metadata": {"stereotyped_groups": ["old"]}})
    1
    """
    told = doc.get("target_loc")
    people = [i for i in range(_OPTIONS) if not _is_unknown(doc, i)]
    if told is not None:
        return int(told) if int(told) in people else None
    category = str(doc["category"])
    groups = [_group_tags(g, category) for g in doc["additional_metadata"]["stereotyped_groups"]]
    member = [i for i in people if any(g <= _option_tags(doc, i) for g in groups)]
    return member[0] if len(member) == 1 else None


def _cloze(doc: Doc) -> dict[str, Any]:
    order = _order(doc)
    return _columns(doc, order) | {
        "prompt": f"{doc['context']}\n\nQuestion: {doc['question']}\nAnswer:",
        "options": [doc[f"ans{i}"] for i in order],
    }


def _lettered(doc: Doc) -> dict[str, Any]:
    order = _order(doc)
    listed = "\n".join(f"{_LETTERS[n]}. {doc[f'ans{i}']}" for n, i in enumerate(order))
    return _columns(doc, order) | {
        "prompt": f"{doc['context']}\n\nQuestion: {doc['question']}\n{listed}\nAnswer:",
        "options": list(_LETTERS),
    }


def _columns(doc: Doc, order: Sequence[int]) -> dict[str, Any]:
    category, index = str(doc["category"]), str(doc["question_index"])
    return {
        "id": f"{category}-{doc['example_id']}",
        "gold": order.index(int(doc["label"])),
        "labels": _labels(doc, order).model_dump_json(),
        "category": category,
        "template": f"{category}-{index}",
    }


def _labels(doc: Doc, order: Sequence[int]) -> BbqLabels:
    target = target_of(doc)
    if sum(_is_unknown(doc, i) for i in order) != 1:
        raise MissingDataError(
            f"BBQ, {doc['category']} {doc['example_id']}: not exactly one option is `unknown`",
            hint="this copy of the data is not the published one",
        )

    def role(option: int) -> Role:
        if _is_unknown(doc, option):
            return "unknown"
        if target is None:
            return "unresolved"
        return "target" if option == target else "non_target"

    return BbqLabels(
        category=str(doc["category"]),
        question_index=str(doc["question_index"]),
        condition=doc["context_condition"],
        polarity=doc["question_polarity"],
        roles=(role(order[0]), role(order[1]), role(order[2])),
        label_type=doc.get("label_type") or "",
    )


def _order(doc: Doc) -> tuple[int, ...]:
    key = hashlib.sha256(f"{doc['category']}\0{doc['example_id']}".encode()).hexdigest()
    return _ORDERS[int(key[:8], 16) % len(_ORDERS)]


def _is_unknown(doc: Doc, option: int) -> bool:
    info = doc["answer_info"][f"ans{option}"]
    return bool(info) and info[-1].strip().lower() == _UNKNOWN


def _option_tags(doc: Doc, option: int) -> frozenset[str]:
    """All that is said of a person: the word, the group and its parts."""
    category, text = str(doc["category"]), str(doc[f"ans{option}"])
    info = [part for part in doc["answer_info"][f"ans{option}"] if part]
    found = {tag for part in info for tag in _tags(part)}
    if not info and "Latina" in text:  # a gap in the published Race_x_gender
        found.add("latino")
    if category == "Race_x_gender" and not found & {"m", "f"}:
        said = " ".join((*info, text)).lower()
        found |= {tag for tag, pattern in _GENDER_IN_TEXT if pattern.search(said)}
    return frozenset(found)


def _group_tags(group: str, category: str) -> frozenset[str]:
    """What a person must have to belong to a stereotyped group."""
    tags = _tags(group)
    if category == "Race_x_SES" and not set(tags) & {"lowses", "highses"}:
        return frozenset({*tags, "lowses"})  # its stereotypes are about poor people of a race
    return frozenset(tags)


def _tags(text: str) -> list[str]:
    """``F-Black`` is f and black, ``lowSES-M-Arab`` lowses, m and arab, ``nonTrans_F`` two."""
    rest, found = text.strip().lower(), []
    while match := _COMPOUND.match(rest):
        found.append(match[1])
        rest = rest[match.end() :]
    for part in rest.split("_"):
        word = part.strip()
        found.append("trans" if word.startswith("trans") else _WORDS.get(word, word))
    return [tag for tag in found if tag]
