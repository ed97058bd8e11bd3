"""The committed text, its windows, and who is compared with whom."""

from __future__ import annotations

import pytest

import builders as b
from slmbench.errors import ArtefactError
from slmbench.spec import ModelsFile, Target, Variant, VariantRef, WorkloadPoint
from slmbench.spec.load import load_suite
from slmbench.tasks.fidelity import Document, Pairing, documents, text_digest, windows

POINT = WorkloadPoint(prompt_tokens=5, output_tokens=8)


def words(text: str) -> list[int]:
    """A BOS, then one token a word with its leading space."""
    return [1, *(len(w) + 10 for w in text.split(" "))] if text else [1]


def test_the_text_is_long_enough_for_every_size_and_freely_licensed() -> None:
    found = documents(text_digest())
    suite = load_suite("fidelity")
    assert max(knobs.repeats or 0 for knobs in suite.sizes.values()) <= len(found)
    assert {d.licence for d in found} == {"MIT"}
    assert len({d.id for d in found}) == len(found)
    assert min(len(d.text) for d in found) > 2000


def test_another_text_than_planned_is_refused() -> None:
    with pytest.raises(ArtefactError, match="the text has changed"):
        documents("0" * 64)


def test_windows_end_between_words_and_fit() -> None:
    text = " ".join(f"word{i}" for i in range(30))
    (window,) = windows(words, [Document(id="d", source="s", licence="MIT", text=text)], POINT, 1)
    assert window.ids == tuple(words(window.text))
    assert len(window.ids) == 13
    assert window.ids[: window.first] == tuple(words(window.context))
    assert (window.first, window.scored) == (5, 8)
    assert window.text[len(window.context)] == " "
    assert window.scored_bytes == len(window.text) - len(window.context)


def test_a_short_document_is_read_whole_and_an_uncuttable_one_refused() -> None:
    short = Document(id="d", source="s", licence="MIT", text="a b c d e f g")
    (window,) = windows(words, [short], POINT, 1)
    assert window.text == short.text
    endless = Document(id="d", source="s", licence="MIT", text="x" * 500)
    with pytest.raises(ArtefactError, match="cannot be cut between words"):
        windows(lambda t: [ord(c) for c in t], [endless], POINT, 1)
    with pytest.raises(ArtefactError, match="1 documents, 2 windows"):
        windows(words, [short], POINT, 2)


def pairing(*chosen: str, targets: tuple[str, ...] = ("a", "b")) -> Pairing:
    """root (gguf, on a) -> child (gguf), export (hf, on b) -> pruned (hf)."""
    listed = [("root", "gguf", None), ("child", "gguf", "root"), ("export", "hf", "root"),
              ("pruned", "hf", "export"), ("alone", "gguf", None)]  # fmt: skip
    models = ModelsFile(
        variants=tuple(
            Variant(name=n, format="fake", parent=p, stage="base", technique="t", licence="MIT")
            for n, _, p in listed
        ),
        targets=(b.target("a"), b.target("b")),
    )
    refs = {n: b.variant(n, parent=p, format=f) for n, f, p in listed}

    def loads(ref: VariantRef, target: Target) -> bool:
        return {"gguf": "a", "hf": "b"}[ref.format] == target.name

    names = frozenset(chosen or refs)
    return Pairing(models, refs, names, tuple(b.target(t) for t in targets), loads, lambda t: t)


def against(p: Pairing, name: str, target: str) -> list[tuple[str, str]]:
    found = p.of(p.refs[name], b.target(target))
    return [(r.variant.name, r.target.name) for r in found]


def test_each_variant_meets_its_parent_on_a_target_that_loads_it() -> None:
    p = pairing()
    assert against(p, "child", "a") == [("root", "a")]
    assert against(p, "pruned", "b") == [("export", "b")]


def test_references_meet_themselves_which_is_the_floor() -> None:
    p = pairing()
    assert against(p, "root", "a") == [("root", "a")]
    assert against(p, "export", "b") == [("root", "a"), ("export", "b")]
    assert against(pairing("root", "export"), "export", "b") == [("root", "a")]


def test_a_root_that_nobody_chosen_descends_from_has_no_pair() -> None:
    assert against(pairing(), "alone", "a") == []
    assert "no parent" in pairing().why_none(pairing().refs["alone"])
    assert against(pairing("root"), "root", "a") == []


def test_a_parent_that_no_target_loads_is_said_so() -> None:
    p = pairing()
    child = p.refs["child"].model_copy(update={"parent": "ghost"})
    assert p.why_none(child) == "no target of the models file loads its parent ghost"
