"""What a results folder keeps of its variants: written once, replaced by more, never by less."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from fakeworld import World
from recipes_made import made_record
from slmbench.errors import ArtefactError
from slmbench.kept_variants import keep_variants
from slmbench.lifecycle import Artefact, Artefacts
from slmbench.spec.load import load_models
from slmbench.store import VariantRecord, read_store, read_variants, save_variant
from slmbench.store.variants import variant_file

REF = b.variant("small", parent="base")


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = VariantRecord(variant=REF, made=made_record(ref=REF), artefact_bytes=7)
    save_variant(tmp_path, record)
    assert read_variants(tmp_path) == (record,)
    assert read_store(tmp_path).variants == (record,)
    assert read_store(tmp_path).runs == ()
    assert read_store(tmp_path).quarantined == ()


def test_a_failure_does_not_take_the_place_of_what_was_made(tmp_path: Path) -> None:
    failed = VariantRecord(variant=REF, failure="no memory", hint="buy some")
    made = VariantRecord(variant=REF, made=made_record(ref=REF))
    save_variant(tmp_path, failed)
    assert read_variants(tmp_path) == (failed,)
    save_variant(tmp_path, made)
    save_variant(tmp_path, failed)
    assert read_variants(tmp_path) == (made,)


def test_the_same_again_is_not_written(tmp_path: Path) -> None:
    record = VariantRecord(variant=REF, made=made_record(ref=REF))
    save_variant(tmp_path, record)
    before = variant_file(tmp_path, REF).stat().st_mtime_ns
    save_variant(tmp_path, record)
    assert variant_file(tmp_path, REF).stat().st_mtime_ns == before


def test_one_recipe_under_two_names_is_two_records(tmp_path: Path) -> None:
    other = REF.model_copy(update={"name": "twin"})
    for ref in (REF, other):
        save_variant(tmp_path, VariantRecord(variant=ref))
    assert {r.variant.name for r in read_variants(tmp_path)} == {"small", "twin"}


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    save_variant(tmp_path, VariantRecord(variant=REF))
    variant_file(tmp_path, b.variant("bad")).write_text("{")
    assert [r.variant.name for r in read_variants(tmp_path)] == ["small"]
    assert read_variants(tmp_path / "nowhere") == ()


def test_what_was_made_found_or_failed_is_kept_with_its_ancestors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "m.yaml").write_text(
        "variants:\n"
        "  - {name: base, format: gguf, stage: base, technique: n, licence: MIT,"
        " source: {file: b.gguf}}\n"
        "  - {name: child, format: gguf, stage: quantized, technique: q, licence: MIT,"
        " parent: base, recipe: {technique: gguf_quantize, type: Q8_0}}\n"
        "targets:\n  - {name: cpu, backend: fake}\n"
    )
    (tmp_path / "b.gguf").write_bytes(b"")
    artefacts = Artefacts(load_models(tmp_path / "m.yaml"), lambda text: None)
    keep_variants(tmp_path / "r", artefacts)
    assert read_variants(tmp_path / "r") == ()
    record = made_record(ref=artefacts.refs["child"])
    artefacts._made["base"] = Artefact(tmp_path / "b.gguf", "e" * 64, 5, None)
    artefacts._made["child"] = Artefact(tmp_path / "c", "f" * 64, 9, record)
    keep_variants(tmp_path / "r", artefacts)
    base, child = sorted(read_variants(tmp_path / "r"), key=lambda r: r.variant.name)
    assert (base.made, base.artefact_bytes) == (None, 5)
    assert (child.made, child.artefact_sha256) == (record, "f" * 64)
    artefacts._made["child"] = ArtefactError("broken", hint="mend it")
    keep_variants(tmp_path / "s", artefacts)
    failed = next(r for r in read_variants(tmp_path / "s") if r.variant.name == "child")
    assert (failed.failure, failed.hint, failed.made) == ("broken", "mend it", None)


def test_a_campaign_of_fakes_keeps_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from slmbench.api import run_suites

    world = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(world.cache))
    run_suites(world.request(suites=("quality",)), world.results)
    assert read_variants(world.results) == ()
