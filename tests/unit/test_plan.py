"""Planning: every combination is a cell or a skip with its reason; identities follow content."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.errors import ArtefactError, UnknownNameError, UsageError
from slmbench.obstacles import meaningless
from slmbench.plan import Selection, identify, make_plan, resolve_target
from slmbench.spec import ModelsFile, Suite, Target, TaskSpec, WorkloadSpec

FAKE = {"format": "fake", "technique": "none", "licence": "MIT"}
MODELS = {
    "variants": [
        {"name": "base", "stage": "base", **FAKE},
        {"name": "small", "stage": "quantized", "parent": "base", **FAKE},
    ],
    "targets": [
        {"name": "one", "backend": "fake"},
        {"name": "two", "backend": "fake", "threads": 3},
    ],
}
SUITE = {
    "name": "mixed",
    "title": "t",
    "description": "d",
    "seed": 7,
    "sizes": {
        "demo": {
            "items": 10,
            "repeats": 2,
            "prompt_tokens": [8, 16],
            "output_tokens": [4],
            "timeout_s": 9,
        },
        "full": {"items": "all", "prompt_tokens": [8], "output_tokens": [4]},
    },
    "tasks": [{"task": "toy", "primary": "acc"}],
    "workloads": [{"workload": "latency"}],
}
DEFINITIONS = {"toy": "d1"}


def suite(**changes: object) -> Suite:
    return Suite.model_validate(SUITE | changes)


def models(**changes: object) -> ModelsFile:
    return ModelsFile.model_validate(MODELS | changes)


def test_cells_are_the_product_with_variants_outermost() -> None:
    plan = make_plan([suite()], models(), Selection(), DEFINITIONS)
    assert [(c.spec.variant.name, c.spec.target.name, c.spec.work_name) for c in plan.cells] == [
        (v, t, w) for v in ("base", "small") for t in ("one", "two") for w in ("toy", "latency")
    ]
    assert plan.skips == ()
    assert len({c.spec.digest for c in plan.cells}) == len(plan.cells)


def test_sizes_are_resolved_into_the_cells() -> None:
    demo, full = (
        make_plan([suite()], models(), Selection(size=size), DEFINITIONS).cells
        for size in ("demo", "full")
    )
    task, workload = demo[0].spec.work, demo[1].spec.work
    assert isinstance(task, TaskSpec)
    assert (task.items, task.seed, task.definition) == (10, 7, "d1")
    assert demo[0].spec.timeout_s == 9
    assert isinstance(workload, WorkloadSpec)
    assert [p.label for p in workload.points] == ["pp8+tg4", "pp16+tg4"]
    assert (workload.repeats, workload.warmup) == (2, 0)
    all_items = full[0].spec.work
    assert isinstance(all_items, TaskSpec)
    assert all_items.items is None


def test_a_task_may_set_its_own_item_count() -> None:
    chosen = suite(tasks=[{"task": "toy", "primary": "acc", "items": 3}])
    work = make_plan([chosen], models(), Selection(), DEFINITIONS).cells[0].spec.work
    assert isinstance(work, TaskSpec)
    assert work.items == 3


def test_the_definition_of_a_task_is_part_of_the_cell() -> None:
    first = make_plan([suite()], models(), Selection(), {"toy": "d1"}).cells[0].spec
    other = make_plan([suite()], models(), Selection(), {"toy": "d2"}).cells[0].spec
    assert first.digest != other.digest


def test_threads_are_resolved_from_what_the_process_may_use() -> None:
    assert resolve_target(Target(name="t", backend="fake")).threads >= 1
    assert resolve_target(Target(name="t", backend="fake", threads=5)).threads == 5


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(variants=("smal",)), "did you mean small"),
        (Selection(targets=("on",)), "unknown target"),
        (Selection(size="standard"), "unknown size of suite mixed"),
    ],
)
def test_unknown_names_are_refused(selection: Selection, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        make_plan([suite()], models(), selection, DEFINITIONS)


def test_unknown_workloads_and_backends_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean latency"):
        make_plan([suite(workloads=[{"workload": "latencyy"}])], models(), Selection(), DEFINITIONS)
    strange = models(targets=[{"name": "one", "backend": "fakee"}])
    with pytest.raises(UnknownNameError, match="did you mean fake"):
        make_plan([suite()], strange, Selection(), DEFINITIONS)


def test_a_workload_needs_a_grid() -> None:
    with pytest.raises(UsageError, match="prompt_tokens"):
        make_plan([suite(sizes={"demo": {"items": 2}})], models(), Selection(), DEFINITIONS)


def test_what_no_target_loads_is_skipped_with_the_reason() -> None:
    gguf = {"name": "file", "stage": "base", "format": "gguf", "technique": "none",
            "licence": "MIT", "source": {"file": "x.gguf", "sha256": "0" * 64}}  # fmt: skip
    listed = [*MODELS["variants"], gguf]  # type: ignore[list-item]
    plan = make_plan([suite()], models(variants=listed), Selection(), DEFINITIONS)
    assert {(s.variant, s.work) for s in plan.skips} == {("file", "toy"), ("file", "latency")}
    assert {s.reason for s in plan.skips} == {"fake does not load the format 'gguf'"}
    with pytest.raises(UsageError, match="nothing to run"):
        make_plan([suite()], models(variants=[gguf]), Selection(), DEFINITIONS)


def test_a_device_that_the_backend_lacks_is_skipped() -> None:
    both = [
        {"name": "cpu", "backend": "fake"},
        {"name": "gpu", "backend": "fake", "device": "cuda:0"},
    ]
    plan = make_plan([suite()], models(targets=both), Selection(), DEFINITIONS)
    assert {s.reason for s in plan.skips} == {"fake does not run on 'cuda:0'"}


def test_identities_follow_content_recipe_and_parents(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"

    def digests(drop: str = "Q8_0") -> dict[str, str]:
        root = {"name": "root", "stage": "base", "format": "gguf", "technique": "none",
                "licence": "MIT", "source": {"file": str(file)}}  # fmt: skip
        child = {"name": "child", "stage": "quantized", "format": "gguf", "technique": "q",
                 "licence": "MIT", "parent": "root",
                 "recipe": {"technique": "gguf_quantize", "type": drop}}  # fmt: skip
        refs = identify(models(variants=[root, child]))
        return {name: ref.digest for name, ref in refs.items()}

    file.write_bytes(b"one")
    first = digests()
    assert digests() == first
    assert digests("Q2_K")["child"] != first["child"]
    assert digests("Q2_K")["root"] == first["root"]
    file.write_bytes(b"two")
    second = digests()
    assert second["root"] != first["root"]
    assert second["child"] != first["child"]
    file.unlink()
    with pytest.raises(ArtefactError, match="No such file"):
        digests()


def test_a_task_may_bring_its_baseline_along() -> None:
    until = {"halfwidth": 0.05}
    asked = suite(tasks=[{"task": "toy", "primary": "acc", "num_fewshot": 2, "chat_template": True,
                          "choices_only": True, "until": until}])  # fmt: skip
    chosen = Selection(variants=("base",), targets=("one",))
    plan = make_plan([asked], models(), chosen, DEFINITIONS)
    names = ["toy", "toy (choices only)", "latency"]
    assert [c.spec.work_name for c in plan.cells] == names
    real, alone = (c.spec.work for c in plan.cells[:2])
    assert isinstance(real, TaskSpec)
    assert isinstance(alone, TaskSpec)
    assert real.until is not None
    assert not real.choices_only
    assert alone == real.without_question()
    without = make_plan([suite()], models(), chosen, DEFINITIONS)
    assert not any(c.spec.is_baseline for c in without.cells)


def test_a_task_may_be_asked_again_in_other_words() -> None:
    asked = suite(tasks=[{"task": "toy", "primary": "acc", "choices_only": True,
                          "perturb": ["typos", "option_order"]}])  # fmt: skip
    chosen = Selection(variants=("base",), targets=("one",))
    plan = make_plan([asked], models(), chosen, DEFINITIONS)
    real, alone, *others = (c.spec for c in plan.cells[:4])
    assert [c.work_name for c in others] == ["toy (typos)", "toy (option_order)"]
    assert [c.is_baseline for c in (real, alone, *others)] == [False, True, True, True]
    definitions = set()
    for how, cell in zip(("typos", "option_order"), others, strict=True):
        assert isinstance(real.work, TaskSpec)
        assert isinstance(cell.work, TaskSpec)
        assert (cell.work.perturb, cell.work.choices_only, cell.work.until) == (how, False, None)
        plain = cell.work.model_copy(update={"perturb": None, "definition": real.work.definition})
        assert plain == real.work
        definitions.add(cell.work.definition)
    assert len({*definitions, real.work.definition}) == 3


def test_random_weights_are_timed_and_never_asked() -> None:
    recipe = {"technique": "random_init", "architecture": "llama", "hidden_size": 64, "layers": 1}
    hf = {"stage": "base", "technique": "random_init", "licence": "MIT", "format": "hf"}
    listed = [
        {"name": "random", "recipe": recipe, **hf},
        {"name": "pruned", "parent": "random", **hf,
         "recipe": {"technique": "depth_prune", "drop_layers": 1}},
    ]  # fmt: skip
    targets = [{"name": "one", "backend": "transformers"}]
    plan = make_plan([suite()], models(variants=listed, targets=targets), Selection(), DEFINITIONS)
    assert [(c.spec.variant.name, c.spec.work_name) for c in plan.cells] == [
        ("random", "latency"), ("pruned", "latency")
    ]  # fmt: skip
    assert {(s.variant, s.work) for s in plan.skips} == {("random", "toy"), ("pruned", "toy")}
    assert {s.reason for s in plan.skips} == {"random weights: latency, memory and energy only"}


def test_simulated_kernels_are_asked_and_never_timed() -> None:
    fake = {"stage": "base", "technique": "none", "licence": "MIT", "format": "fake"}
    listed = [
        {"name": "dense", **fake},
        {"name": "masked", "parent": "dense", "kernel": "simulated", **fake},
    ]
    targets = [{"name": "one", "backend": "fake"}]
    plan = make_plan([suite()], models(variants=listed, targets=targets), Selection(), DEFINITIONS)
    masked = [c.spec.work_name for c in plan.cells if c.spec.variant.name == "masked"]
    assert masked == ["toy"]
    (skip,) = plan.skips
    assert (skip.variant, skip.work) == ("masked", "latency")
    assert skip.reason.startswith("simulated kernels: dense arithmetic stands for")


def test_what_holds_simulated_weights_in_another_format_is_not_timed_either() -> None:
    """Weights on a grid are no faster as float16 in a GGUF; quantized there they have kernels."""
    made = {"licence": "MIT", "technique": "x"}
    listed = [
        {"name": "dense", "format": "hf", "stage": "base", "source": {"file": "dense"}, **made},
        {"name": "grid", "parent": "dense", "format": "hf", "stage": "quantized", **made,
         "recipe": {"technique": "rtn", "bits": 4}},
        {"name": "half", "parent": "grid", "format": "hf", "stage": "exported", **made,
         "recipe": {"technique": "cast", "dtype": "float16"}},
        {"name": "file", "parent": "half", "format": "gguf", "stage": "exported", **made,
         "recipe": {"technique": "gguf_export", "dtype": "float16"}},
        {"name": "same", "parent": "file", "format": "gguf", "stage": "exported", **made,
         "recipe": {"technique": "gguf_quantize", "type": "F32"}},
        {"name": "back", "parent": "same", "format": "hf", "stage": "exported", **made,
         "recipe": {"technique": "dequantize"}},
        {"name": "packed", "parent": "file", "format": "gguf", "stage": "quantized", **made,
         "recipe": {"technique": "gguf_quantize", "type": "Q8_0"}},
        {"name": "trained", "parent": "grid", "format": "hf", "stage": "recovered", **made,
         "recipe": {"technique": "train", "tokens": 4096}},
    ]  # fmt: skip
    targets = [{"name": "one", "backend": "llama_cpp"}, {"name": "two", "backend": "transformers"}]
    listing = models(variants=listed, targets=targets)
    plain = {v["name"] for v in listed if not listing.is_simulated(v["name"])}
    assert plain == {"dense", "packed", "trained"}
    (latency,) = suite().workloads
    assert meaningless(listing, listing.variant("file"), latency).startswith("simulated kernels")
    assert not meaningless(listing, listing.variant("packed"), latency)
