"""Caps: a maker that wants more memory dies and leaves nothing, one without energy ends early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from little_training import bench_at, recipe

from slmbench.errors import PrerequisiteError
from slmbench.lifecycle.training import caps
from slmbench.memory_group import MemoryGroup, NoGroup, memory_group
from slmbench.spec.recipe import GgufQuantize
from slmbench.spec.recipes.training import Caps, PeftPrune


def test_caps_are_found_wherever_a_recipe_trains() -> None:
    capped = recipe(caps={"memory_mb": 700})
    inner = PeftPrune(technique="peft_prune", train=capped)
    assert caps.caps_of(capped).memory_mb == caps.caps_of(inner).memory_mb == 700
    assert caps.caps_of(GgufQuantize(technique="gguf_quantize", type="Q8_0")) == Caps()


def test_without_a_cap_nothing_is_limited() -> None:
    with caps.memory_cap(recipe()) as cap:
        assert (cap.limit, cap.folder, cap.address_space) == (None, None, None)


def test_a_group_where_one_can_be_made_else_address_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from contextlib import contextmanager

    @contextmanager
    def none(limit: int) -> Any:
        yield NoGroup("no rights")

    monkeypatch.setattr(caps, "memory_group", none)
    with caps.memory_cap(recipe(caps={"memory_mb": 700})) as cap:
        assert cap.folder is None
        assert cap.address_space == 700_000_000
        told = cap.exceeded("small", known=False)
    assert "address space because no rights" in told.message
    assert "700 MB" in told.message
    monkeypatch.undo()
    with memory_group(10**9) as group:
        if not isinstance(group, MemoryGroup):
            pytest.skip(f"no memory control group can be made here: {group.reason}")
    with caps.memory_cap(recipe(caps={"memory_mb": 700})) as cap:
        assert cap.folder is not None
        assert cap.folder.is_dir()
        assert cap.address_space is None
        assert "it had" in cap.exceeded("small", known=True).message
    assert not cap.folder.exists()


@pytest.mark.engine
def test_a_maker_beyond_its_cap_dies_and_leaves_nothing(
    tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 MB are less than importing the engine takes, so it dies before it reads any data."""
    from derivation import artefact_at, child, ref_of

    from slmbench.errors import ArtefactError
    from slmbench.lifecycle import materialise

    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    variant = child(recipe(caps={"memory_mb": 100}), format_="hf")
    with pytest.raises(ArtefactError, match="its cap of 100 MB") as raised:
        materialise(
            variant, ref_of(variant), artefact_at(parent), base=tmp_path, report=lambda _: None
        )
    assert "nothing was made" in raised.value.message
    models = tmp_path / "cache" / "models"
    assert [p.name for p in models.iterdir() if not p.name.startswith(".")] == []


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_the_peak_below_a_cap_is_what_was_charged(
    tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from derivation import artefact_at, child, ref_of

    from slmbench.lifecycle import materialise

    with memory_group(10**9) as group:
        if not isinstance(group, MemoryGroup):
            pytest.skip(f"no memory control group can be made here: {group.reason}")
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    variant = child(recipe(caps={"memory_mb": 1200}), format_="hf")
    made = materialise(
        variant, ref_of(variant), artefact_at(parent), base=tmp_path, report=lambda _: None
    ).made
    assert made is not None
    assert made.peak_memory_bytes is not None
    assert 100e6 < made.peak_memory_bytes <= 1200e6


def energy_cap(limit: float, answers: list[float]) -> Any:
    from slmbench.lifecycle.training.spending import EnergyCap
    from slmbench.meters import Reading
    from slmbench.meters.fake import FakeMeter, count_windows

    def answer(window: int) -> Reading:
        one = count_windows(window).measurements[0]
        joules = answers[min(window, len(answers)) - 1]
        return Reading((one.model_copy(update={"samples": (joules,)}),))

    return EnergyCap(limit, (FakeMeter(answer),), measured=True)


@pytest.mark.engine
def test_energy_is_added_up_until_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    from slmbench.lifecycle.training import spending

    monkeypatch.setattr(spending, "READ_EVERY_S", -1.0)
    cap = energy_cap(10.0, [4.0, 5.0, 2.0])
    assert [cap.after_step(step) for step in range(3)] == [
        "", "", "energy cap of 10 J reached: 11 J measured",
    ]  # fmt: skip
    other = energy_cap(10.0, [1.0])
    other.restore(cap.state())
    assert other.after_step(0) == "energy cap of 10 J reached: 12 J measured"


@pytest.mark.engine
def test_the_source_is_left_alone_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    cap = energy_cap(1.0, [100.0])
    assert cap.after_step(0) == ""  # five seconds have not passed


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_training_ends_cleanly_at_the_cap(
    tmp_path: Path, parent: Path, little_text: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from slmbench.lifecycle.training import spending, train

    monkeypatch.setattr(spending, "READ_EVERY_S", -1.0)
    monkeypatch.setattr(train, "hooks_of", lambda _: (energy_cap(3.0, [1.0]),))
    made = train.make(recipe(), bench_at(tmp_path, parent))
    facts = made.facts.training
    assert facts.steps == 3
    assert facts.stopped == "energy cap of 3 J reached: 3 J measured"
    assert facts.curve[-1].step == 3
    assert facts.curve[-1].validation is not None


@pytest.mark.engine
def test_no_source_at_all_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from slmbench.lifecycle.training import spending
    from slmbench.meters import Availability

    class Absent:
        @classmethod
        def availability(cls) -> Availability:
            return Availability(False, "none")

    monkeypatch.setattr(spending.METERS, "load", lambda _: Absent)
    with pytest.raises(PrerequisiteError, match="no energy counter and no estimate"):
        spending.EnergyCap.of(Caps(energy_j=5.0))
    assert spending.EnergyCap.of(Caps()) is None


def test_only_a_killed_maker_died_of_its_group() -> None:
    from slmbench.process import Ending

    crashed, killed = (
        Ending(exit_code=code, signal=name, timed_out=False, oom_killed=False, stderr_tail=())
        for code, name in ((1, None), (None, "SIGKILL"))
    )
    group = MemoryGroup(Path("/nowhere"), 1)
    for cap, expected in (
        (caps.MemoryCap(), [False, False]),
        (caps.MemoryCap(10**9, group), [False, True]),
        (caps.MemoryCap(10**9, None, "no rights"), [True, True]),
    ):
        assert [cap.may_explain(ending) for ending in (crashed, killed)] == expected
