"""A difference is split at runs that stand between; what no run separates is named."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.attribution import Attribution, attribution, weight_classes
from slmbench.requests import ItemOutput, LoglikelihoodOutput
from slmbench.spec import RunSpec, Target, VariantRef
from slmbench.store import FinishedRun, save_items, seal

N = 200
TORCH = b.target("torch-cpu", backend="transformers", dtype="float32")
LLAMA = b.target("llama-cpu", backend="llama_cpp")
F32 = b.variant("f32", format="hf")
TWIN = b.variant("twin", parent="f32", stage="exported", technique="gguf_export")
Q4 = b.variant("q4", parent="twin", technique="q4")
ITEMS = b.choice_items("arc_easy", N)


def right(share: float) -> list[float | None]:
    """Answers that hold for the same items in every run, up to the share."""
    draw = random.Random(3)
    return [float(draw.random() < share) for _ in range(N)]


def run(
    shelf: b.Shelf,
    what: VariantRef,
    on: Target,
    share: float,
    *,
    bits: float = 32.0,
    template: bool = False,
    suite: str = "accuracy",
    **model: object,
) -> RunSpec:
    """Seal one run."""
    spec = b.cell(what, b.task(chat_template=template), on=on, suite=suite)
    info = b.model(bits, **{"first_ids": (5, 9), **model})
    shelf.task(spec, ITEMS, {"acc": right(share)}, model=info)
    return spec


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    return b.Shelf(tmp_path)


def the_split(shelf: b.Shelf, variant: str = "q4", against: str = "base") -> Attribution:
    """The one attribution of a variant."""
    (found,) = attribution(load_results(shelf.root), variant=variant, against=against)
    assert math.fsum(p.difference.delta for p in found.parts) == pytest.approx(
        found.total.difference.delta, abs=1e-12
    )
    assert {p.difference.n for p in found.parts} == {found.total.difference.n}
    return found


def parts(found: Attribution) -> Mapping[str, float]:
    """Deltas by name."""
    return {p.name: p.difference.delta for p in found.parts}


def share(of: float) -> float:
    """What a share really is among the items."""
    return math.fsum(v or 0 for v in right(of)) / N


def test_a_float32_twin_separates_runtime_from_compression(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    run(shelf, TWIN, LLAMA, 0.58)
    run(shelf, Q4, LLAMA, 0.5, bits=4.5)
    found = the_split(shelf)
    assert list(parts(found)) == ["runtime/kernel", "compression"]
    assert parts(found)["runtime/kernel"] == pytest.approx(share(0.58) - share(0.6))
    assert parts(found)["compression"] == pytest.approx(share(0.5) - share(0.58))
    assert found.total.difference.delta == pytest.approx(share(0.5) - share(0.6))
    assert all(p.difference.low is not None for p in found.parts)


def test_without_the_twin_it_is_not_separated(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    run(shelf, Q4, LLAMA, 0.5, bits=4.5)
    found = the_split(shelf, against="f32")
    assert list(parts(found)) == ["not separated: runtime/kernel + compression"]


def test_the_same_variant_on_two_backends_needs_no_twin(shelf: b.Shelf) -> None:
    direct = b.variant("q4", parent="f32", technique="q4")
    run(shelf, F32, TORCH, 0.6)
    run(shelf, direct, TORCH, 0.55, bits=4.5)
    run(shelf, direct, LLAMA, 0.5, bits=4.5)
    results = load_results(shelf.root)
    found = [a for a in attribution(results) if a.total.end.spec.target.name == "llama-cpu"]
    (one,) = found
    assert [p.name for p in one.parts] == ["compression", "runtime/kernel"]


def test_an_export_that_rounds_is_compression(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    run(shelf, TWIN, LLAMA, 0.58, bits=16.0)
    classes = weight_classes(load_results(shelf.root).stored)
    assert classes[TWIN.digest] != classes[F32.digest]
    found = the_split(shelf, "twin")
    assert list(parts(found)) == ["not separated: runtime/kernel + compression"]


def test_a_dequantized_folder_has_its_parents_weights(shelf: b.Shelf) -> None:
    root = b.variant("q4_1")
    folder = b.variant("folder", parent="q4_1", stage="exported", technique="dequantize")
    int8 = b.variant("int8", parent="folder", technique="torchao")
    run(shelf, root, LLAMA, 0.6, bits=5.0)
    run(shelf, folder, TORCH, 0.58)
    run(shelf, int8, TORCH, 0.5, bits=13.0)
    assert list(parts(the_split(shelf, "int8"))) == ["runtime/kernel", "compression"]
    assert list(parts(the_split(shelf, "folder"))) == ["runtime/kernel"]


def test_other_token_ids_are_a_part_of_their_own_or_named(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    run(shelf, TWIN, LLAMA, 0.58, first_ids=(1, 5, 9), adds_bos=True)
    run(shelf, Q4, LLAMA, 0.5, bits=4.5, first_ids=(1, 5, 9), adds_bos=True)
    found = the_split(shelf)
    assert list(parts(found)) == ["not separated: tokenizer/BOS + runtime/kernel", "compression"]
    assert "BOS added" in found.parts[0].note
    without_bos = b.target("llama-no-bos", backend="llama_cpp")
    run(shelf, TWIN, without_bos, 0.59)
    assert list(parts(the_split(shelf))) == ["runtime/kernel", "tokenizer/BOS", "compression"]


def test_a_chat_template_is_a_part(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    run(shelf, F32, TORCH, 0.52, template=True, suite="chat")
    child = b.variant("child", parent="f32")
    run(shelf, child, TORCH, 0.5, bits=4.5, template=True)
    assert list(parts(the_split(shelf, "child"))) == ["chat template", "compression"]


def test_equal_ingredients_are_said(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    run(shelf, b.variant("copy", parent="f32", stage="exported"), TORCH, 0.6)
    assert list(parts(the_split(shelf, "copy"))) == ["nothing declared"]


def test_only_items_of_the_whole_chain_count(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    spec = b.cell(TWIN, b.task(), on=LLAMA)
    holes = [None, *right(0.58)[1:]]
    shelf.task(spec, ITEMS, {"acc": holes}, model=b.model(32.0, first_ids=(5, 9)))
    run(shelf, Q4, LLAMA, 0.5, bits=4.5)
    assert the_split(shelf).total.difference.n == N - 1


def straddling(shelf: b.Shelf, what: VariantRef, on: Target, crossed: int, bits: float) -> None:
    """A run whose outputs say how many tokens crossed the boundary."""
    spec = b.cell(what, b.task(), on=on)
    outputs = tuple(
        ItemOutput(
            item_id=item.item_id,
            outputs=(
                LoglikelihoodOutput(
                    logprob=-1.0, tokens=1, context_tokens=3, straddle=index < crossed
                ),
            ),
        )
        for index, item in enumerate(ITEMS.items)
    )
    made = b.record(spec, item_set=save_items(shelf.root, ITEMS), items_total=N,
                    model=b.model(bits, first_ids=(5, 9)))  # fmt: skip
    rows = [b.ScoreRow(item_id=i.item_id, cluster=i.cluster, group="", metric="acc", value=v)
            for i, v in zip(ITEMS.items, right(0.5), strict=True)]  # fmt: skip
    seal(shelf.root, FinishedRun(spec, b.environment(), made, outputs, tuple(rows), "mc"))


def test_straddling_tokens_are_tokens(shelf: b.Shelf) -> None:
    straddling(shelf, F32, TORCH, 0, 32.0)
    straddling(shelf, TWIN, LLAMA, 7, 32.0)
    found = the_split(shelf, "twin")
    assert list(parts(found)) == ["not separated: tokenizer/BOS + runtime/kernel"]
    assert found.total.note == "straddling tokens 0 and 7"


def test_as_a_table(shelf: b.Shelf) -> None:
    run(shelf, F32, TORCH, 0.6)
    run(shelf, TWIN, LLAMA, 0.58)
    run(shelf, Q4, LLAMA, 0.5, bits=4.5)
    table = load_results(shelf.root).attribution(variant="q4")
    assert list(table["part"]) == ["total", "runtime/kernel", "compression"]
    assert list(table["step"]) == [0, 1, 2]
    assert table["delta"][1:].sum() == pytest.approx(table["delta"][0])
    assert set(table["to_target"]) == {"llama-cpu"}
    assert len(load_results(shelf.root).attribution(variant="f32")) == 0
