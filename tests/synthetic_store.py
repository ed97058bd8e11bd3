"""A made-up results folder with everything that a real one has: eight systems, six suites.

The numbers are drawn from a seeded generator and resemble those of a 135 M model on two cores.
Used by the report's tests and by ``benchmarks/report_time.py``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import builders as b
from slmbench.records import Measurement, Observation, Provenance, SkipRecord, Status
from slmbench.requests import ItemSet
from slmbench.spec import RunSpec, Target, VariantRef
from slmbench.store import save_skips

LLAMA = b.target("llama_cpp-cpu", backend="llama_cpp")
TORCH = b.target("transformers-cpu", backend="transformers", dtype="float32")
NO_RAPL = "no readable /sys/class/powercap (RAPL) on this machine"
MODEL_SAYS = "codecarbon model: CPU 10.0 W (constant: half a TDP of 20 W assumed), RAM 10.0 W"


@dataclass(frozen=True, slots=True)
class System:
    """One variant on one target with the truth that its numbers are drawn from."""

    ref: VariantRef
    on: Target
    skill: float
    """Added to every task's accuracy."""
    tpot: float
    memory: float
    bits: float


def systems(note: str = "") -> tuple[System, ...]:
    """The demo's lineage; ``note`` goes to the root variant."""

    def gguf(name: str, parent: str | None = "smollm2-q4_1", text: str = "") -> VariantRef:
        technique = name.removeprefix("smollm2-")
        return b.variant(name, parent=parent, technique=technique, stage="quantized", note=text)

    q4 = gguf("smollm2-q4_1", None, note or "as shipped; embedding in Q8_0")
    f32 = b.variant("smollm2-f32", parent="smollm2-q4_1", stage="exported",
                    technique="dequantize", format="hf", note="dequantized from Q4_1")  # fmt: skip
    int8 = b.variant("smollm2-int8", parent="smollm2-f32", technique="torchao_int8_dynamic",
                     format="hf")  # fmt: skip
    pruned = b.variant("smollm2-pruned26", parent="smollm2-f32", stage="pruned",
                       technique="depth_prune", format="hf")  # fmt: skip
    return (
        System(q4, LLAMA, 0.0, 0.0118, 239e6, 5.85),
        System(gguf("smollm2-q8_0"), LLAMA, 0.0, 0.0163, 291e6, 8.5),
        System(gguf("smollm2-q3_k_m"), LLAMA, -0.03, 0.0131, 222e6, 5.36),
        System(gguf("smollm2-q2_k"), LLAMA, -0.12, 0.0124, 214e6, 4.96),
        System(f32, TORCH, 0.0, 0.0411, 921e6, 32.0),
        System(int8, TORCH, -0.01, 0.0287, 688e6, 13.6),
        System(pruned, TORCH, -0.15, 0.0362, 846e6, 32.0),
    )


TASKS: tuple[tuple[str, str, str, int, float], ...] = (
    # suite, task, primary metric, choices, accuracy of the parent
    ("accuracy", "hellaswag", "acc_norm", 4, 0.43),
    ("accuracy", "arc_easy", "acc", 4, 0.56),
    ("accuracy", "piqa", "acc_norm", 2, 0.67),
    ("hallucination", "slm_counterfactual_context", "context_faithful", 3, 0.62),
    ("bias", "slm_occupation_pronoun", "stereotype_preference", 2, 0.68),
)


def build(root: Path, *, items: int = 60, note: str = "", failures: bool = True) -> Path:
    """Write the whole store; returns ``root``."""
    shelf = b.Shelf(root)
    sets = {
        name: b.choice_items(
            name, items, choices=choices, clusters=10 if suite != "accuracy" else 0
        )
        for suite, name, _, choices, _ in TASKS
    }
    for system in systems(note):
        for suite, name, primary, _, base in TASKS:
            _quality(shelf, system, (suite, name, primary), sets[name], base)
        _abstention(shelf, system)
        _latency(shelf, system)
        _memory(shelf, system)
        _energy(shelf, system)
    if failures:
        _failures(shelf)
    return root


def _cell(system: System, work: object, suite: str) -> RunSpec:
    return b.cell(system.ref, work, suite=suite, on=system.on)  # type: ignore[arg-type]


def _quality(
    shelf: b.Shelf, system: System, where: tuple[str, str, str], items: ItemSet, base: float
) -> None:
    """Items are hard or easy for all variants alike, as real ones are."""
    suite, name, primary = where
    hardness = random.Random(name)
    noise = random.Random(f"{name} {system.ref.name}")
    wobble = 0.0 if system.skill == 0 and system.on is LLAMA else 0.08
    right = [
        float(hardness.random() + wobble * (noise.random() - 0.5) < base + system.skill)
        for _ in items.items
    ]
    scores: dict[str, Sequence[float | None]] = {primary: right}
    if primary in ("acc", "acc_norm"):
        scores["margin"] = [r * 2 - 1 + noise.random() for r in right]
        scores["gold_bpb"] = [1.6 - 0.4 * r + noise.random() for r in right]
    if suite == "bias":
        scores["bias_direction"] = [2 * r - 1 for r in right]
    shelf.task(
        _cell(system, b.task(name, primary), suite), items, scores, model=b.model(system.bits)
    )


def _abstention(shelf: b.Shelf, system: System) -> None:
    items = b.choice_items("slm_nonexistent", 24, choices=2, clusters=8)
    noise = random.Random(system.ref.name)
    asked: list[float | None] = [float(noise.random() < 0.15) for _ in range(24)]
    control: list[float | None] = [float(noise.random() < 0.95) for _ in range(24)]
    asked[3] = control[3] = None
    scores = {"abstention_rate": asked, "answer_rate_control": control}
    spec = _cell(system, b.task("slm_nonexistent", "abstention_rate"), "hallucination")
    shelf.task(spec, items, scores, items_failed=1, model=b.model(system.bits))


def _latency(shelf: b.Shelf, system: System) -> None:
    noise = random.Random(f"latency {system.ref.name}")
    spread = 0.09 if system.on is TORCH else 0.02
    phases = [b.phase("load", b.measurement("load_time", 0.6 * system.memory / 3e8))]
    for prompt, output in ((32, 32), (128, 32)):
        tpot = [system.tpot * (1 + spread * noise.gauss(0, 1)) for _ in range(8)]
        ttft = [system.tpot * prompt / 14 * (1 + spread * noise.gauss(0, 1)) for _ in range(8)]
        point = f"pp{prompt}+tg{output}"
        phases.append(
            b.phase(
                "timed",
                b.measurement("ttft", *ttft, point=point, scope="process"),
                b.measurement("tpot", *tpot, point=point, scope="process"),
                b.measurement("itl", *[t for t in tpot for _ in range(31)], point=point),
                b.measurement("decode_rate", *[1 / t for t in tpot], point=point,
                              provenance=Provenance.DERIVED, method="derived"),
                b.measurement("prefill_rate", *[prompt / t for t in ttft], point=point,
                              provenance=Provenance.DERIVED, method="derived"),
                seen=[b.loaded(2.9)] if system.on is TORCH else [],
            )
        )  # fmt: skip
    spec = _cell(system, b.workload("latency", (32, 32), (128, 32)), "latency")
    shelf.load(spec, *phases, model=b.model(system.bits))


def _memory(shelf: b.Shelf, system: System) -> None:
    peak = system.memory
    phases = (
        b.phase("load", b.measurement("peak_rss", peak * 0.9), b.measurement("load_time", 0.5)),
        b.phase("decode", b.measurement("pss_anon", peak * 0.5, point="pp128+tg32"),
                b.measurement("pss_file", peak * 0.4, point="pp128+tg32")),
        b.phase("total", b.measurement("peak_memory", peak, scope="worker process, all phases")),
    )  # fmt: skip
    shelf.load(_cell(system, b.workload("memory"), "memory"), *phases, model=b.model(system.bits))


def _energy(shelf: b.Shelf, system: System) -> None:
    noise = random.Random(f"energy {system.ref.name}")
    joules = [20 * system.tpot * (1 + 0.01 * noise.gauss(0, 1)) for _ in range(3)]
    short = Observation(kind="short_window", value=4, unit="s", message="below 30 s edges weigh in")
    windows = [
        b.phase(
            "window",
            *(b.measurement(m, point="pp32+tg64", reason=NO_RAPL)
              for m in ("energy_gross", "energy_per_token")),
            _estimate("energy_estimate", j * 340),
            _estimate("energy_estimate_per_token", j),
            seen=[short],
        )
        for j in joules
    ]  # fmt: skip
    spec = _cell(system, b.workload("energy", (32, 64)), "energy")
    shelf.load(spec, *windows, model=b.model(system.bits))


def _estimate(metric: str, value: float) -> Measurement:
    return b.measurement(
        metric,
        value,
        point="pp32+tg64",
        provenance=Provenance.ESTIMATED,
        method="modelled",
        scope="machine",
        reason=MODEL_SAYS,
    )


def _failures(shelf: b.Shelf) -> None:
    broken = b.variant("smollm2-q4_amx", parent="smollm2-q4_1", technique="q4_1_amx")
    for suite, name, primary, _, _ in TASKS[:3]:
        shelf.failure(
            b.cell(broken, b.task(name, primary), suite=suite, on=LLAMA),
            Status.CRASHED,
            "the worker died of SIGILL while loading",
            signal="SIGILL",
            hint="the engine was built for instructions that this processor lacks: "
            "rebuild it without AMX",
            stderr_tail=("llama_model_load: loading", "Illegal instruction (core dumped)"),
        )
    shelf.failure(
        b.cell(broken, b.workload("latency"), suite="latency", on=LLAMA),
        Status.TIMEOUT,
        "no result after 300 s; the process group was killed",
        signal="SIGKILL",
        hint="raise timeout_s in the suite",
    )
    shelf.failure(
        b.cell(systems()[4].ref, b.workload("memory"), suite="memory", on=LLAMA),
        Status.UNSUPPORTED,
        "llama_cpp cannot read a folder of safetensors",
        hint="export it to GGUF first",
    )
    save_skips(
        shelf.root,
        "accuracy",
        (
            SkipRecord(suite="accuracy", variant="smollm2-f32", target="llama_cpp-cpu",
                       work="hellaswag", reason="llama_cpp reads gguf, not hf"),
        ),
    )  # fmt: skip
    damaged = shelf.root / "accuracy" / "feedfacefeedface" / "20260101T000000000000Z-dead"
    damaged.mkdir(parents=True)
    (damaged / "spec.json").write_text('{"schema_version": 1, "suite"')
