"""RunSpec digests: one value, one digest; any other value, another."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from slmbench.spec import RunSpec, TaskSpec, VariantRef, WorkloadPoint, WorkloadSpec, digest_of
from slmbench.spec.base import PlacedError, canonical_json
from slmbench.spec.target import Target
from slmbench.spec.variant import ModelsFile, Source, Variant

_text = st.text(st.characters(codec="utf-8"), max_size=12)
_name = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,15}", fullmatch=True)
_digest = st.text("0123456789abcdef", min_size=64, max_size=64)
_seconds = st.floats(0.001, 1e6)
_variants = st.builds(
    VariantRef,
    name=_name,
    digest=_digest,
    format=st.sampled_from(["gguf", "hf", "fake"]),
    stage=st.sampled_from(["base", "pruned", "quantized"]),
    technique=_text,
    parent=st.none() | _name,
    parent_digest=st.none() | _digest,
    licence=_text,
    note=_text,
)
_targets = st.builds(
    Target,
    name=_name,
    backend=_name,
    threads=st.integers(0, 64),
    context=st.integers(64, 8192),
    memory_limit_bytes=st.none() | st.integers(1 << 20, 1 << 40),
    options=st.dictionaries(_text, st.integers() | st.booleans() | _text, max_size=4),
)
_tasks = st.builds(
    TaskSpec,
    task=_name,
    primary=_text,
    num_fewshot=st.integers(0, 25),
    chat_template=st.booleans(),
    items=st.none() | st.integers(1, 10_000),
    seed=st.integers(0, 2**31),
)
_loads = st.builds(
    WorkloadSpec,
    workload=_name,
    points=st.lists(
        st.builds(
            WorkloadPoint,
            prompt_tokens=st.integers(1, 4096),
            output_tokens=st.integers(1, 512),
            batch=st.integers(1, 16),
        ),
        max_size=3,
    ).map(tuple),
    repeats=st.integers(1, 9),
    warmup=st.integers(0, 3),
    window_s=_seconds,
    idle_s=_seconds,
    seed=st.integers(0, 2**31),
)
_specs = st.builds(
    RunSpec,
    suite=_name,
    size=st.sampled_from(["demo", "standard", "full"]),
    variant=_variants,
    target=_targets,
    work=_tasks | _loads,
    timeout_s=_seconds,
)


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same data with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(v, rng) for v in value] if isinstance(value, list) else value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of every scalar in the data."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in leaves(v, (*path, k))]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in leaves(v, (*path, i))]
    return [path]


@settings(max_examples=30, deadline=None)
@given(spec=_specs, seed=st.integers(0, 2**16))
def test_order_of_keys_in_yaml_does_not_change_the_digest(spec: RunSpec, seed: int) -> None:
    data = shuffled(spec.model_dump(mode="json"), random.Random(seed))
    text = yaml.safe_dump(data, sort_keys=False)
    again = RunSpec.model_validate_json(json.dumps(yaml.safe_load(text)), strict=True)
    assert again == spec
    assert again.digest == spec.digest == digest_of(spec)
    assert again.key == spec.digest[:16]


@settings(max_examples=30, deadline=None)
@given(spec=_specs, choice=st.randoms(use_true_random=False))
def test_any_changed_field_changes_the_digest(spec: RunSpec, choice: random.Random) -> None:
    data = spec.model_dump(mode="json")
    path = choice.choice(leaves(data))
    here = data
    for part in path[:-1]:
        here = here[part]
    old = here[path[-1]]
    for new in (
        1 if old is None else None,
        "other",
        "pruned",
        "hf",
        "full",
        7,
        8,
        0.5,
        True,
        False,
    ):
        if new == old and type(new) is not type(old):
            continue  # 0 equals False in Python, but is another option
        here[path[-1]] = new
        try:
            changed = RunSpec.model_validate_json(json.dumps(data), strict=True)
        except ValidationError:
            continue
        assert (changed.digest == spec.digest) is (changed == spec)


@given(left=_specs, right=_specs)
@settings(max_examples=20, deadline=None)
def test_equal_digests_mean_equal_specs(left: RunSpec, right: RunSpec) -> None:
    assert (left.digest == right.digest) is (left == right)


def test_a_known_digest_is_never_spelled_differently() -> None:
    """Results on disk are found by this spelling: changing it orphans all of them."""
    spec = golden()
    assert canonical_json(spec.variant) == (
        '{"digest":"d","format":"gguf","licence":"MIT","name":"a","note":"é","parent":null,'
        '"parent_digest":null,"stage":"base","technique":"q4_1"}'
    )
    text = canonical_json(spec)
    assert text == json.dumps(
        json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert spec.digest == hashlib.sha256(text.encode()).hexdigest()


def test_labels_for_people() -> None:
    spec = golden()
    assert spec.work_name == "hellaswag"
    assert spec.label == "accuracy/hellaswag · a · cpu"
    load = WorkloadSpec(
        workload="latency",
        points=(),
        repeats=1,
        warmup=0,
        window_s=1.0,
        idle_s=0.0,
        seed=1,
    )
    assert spec.model_copy(update={"work": load}).work_name == "latency"
    assert WorkloadPoint(prompt_tokens=128, output_tokens=32).label == "pp128+tg32"
    assert WorkloadPoint(prompt_tokens=8, output_tokens=4, batch=2).label == "pp8+tg4×b2"


def golden() -> RunSpec:
    return RunSpec(
        suite="accuracy",
        size="demo",
        variant=VariantRef(
            name="a",
            digest="d",
            format="gguf",
            stage="base",
            technique="q4_1",
            parent=None,
            parent_digest=None,
            licence="MIT",
            note="é",
        ),
        target=Target(name="cpu", backend="fake"),
        work=TaskSpec(
            task="hellaswag",
            primary="acc",
            num_fewshot=0,
            chat_template=False,
            items=4,
            seed=1,
        ),
        timeout_s=60.0,
    )


def test_specs_are_frozen_and_refuse_the_unknown() -> None:
    spec = golden()
    with pytest.raises(ValidationError, match="frozen"):
        spec.suite = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        Target.model_validate({"name": "a", "backend": "b", "bacth": 1})
    with pytest.raises(ValidationError, match="finite"):
        spec.model_validate(spec.model_dump() | {"timeout_s": float("nan")})


def test_variants_need_a_source_or_a_recipe_with_a_parent() -> None:
    base = {"name": "a", "format": "gguf", "stage": "base", "technique": "x", "licence": "MIT"}
    with pytest.raises(ValidationError, match="either source"):
        Variant.model_validate(base)
    with pytest.raises(ValidationError, match="a recipe needs a parent"):
        Variant.model_validate(base | {"recipe": {"technique": "dequantize"}})
    with pytest.raises(ValidationError, match=r"exactly one of .* \(found file and hub\)"):
        Source.model_validate({"file": "x", "hub": {"repo": "a/b", "revision": "c"}})
    fake = Variant.model_validate(base | {"format": "fake"})
    models = ModelsFile(variants=(fake,), targets=(golden().target,))
    assert models.variant("a") is fake
    with pytest.raises(KeyError):
        models.variant("b")


def test_placed_errors_read_as_one_sentence_each() -> None:
    error = PlacedError([(("a", 0), "first"), ((), "second")])
    assert str(error) == "first; second"
    assert error.problems[0] == (("a", 0), "first")


def test_a_baseline_is_another_cell_that_says_so_and_later_fields_change_no_digest() -> None:
    real = TaskSpec(task="arc_easy", primary="acc", num_fewshot=5, chat_template=True, items=40,
                    seed=1, shared_prefix=False)  # fmt: skip
    alone = real.without_question()
    assert "choices_only" not in canonical_json(real)
    assert (alone.num_fewshot, alone.chat_template, alone.until) == (0, False, None)
    assert (alone.items, alone.seed, alone.shared_prefix) == (40, 1, False)
    assert alone.without_question() == alone
    assert digest_of(alone) != digest_of(real)
    ref = VariantRef(name="m", digest="0" * 64, format="fake", stage="base", technique="none",
                     parent=None, parent_digest=None, licence="MIT")  # fmt: skip
    cells = [
        RunSpec(suite="s", size="demo", variant=ref, target=Target(name="t", backend="fake"),
                work=work, timeout_s=9)
        for work in (real, alone)
    ]  # fmt: skip
    assert [cell.is_baseline for cell in cells] == [False, True]
    assert [cell.work_name for cell in cells] == ["arc_easy", "arc_easy (choices only)"]
    assert cells[1].label == "s/arc_easy (choices only) · m · t"
