"""Prefill and decode rates of slmbench against llama.cpp's own llama-bench.

    python benchmarks/agreement.py                  build llama-bench once, 5 rounds
    python benchmarks/agreement.py --rounds 9       more rounds
    python benchmarks/agreement.py --llama-bench PATH

Ours is the real path: a fresh worker process per measurement, started by the supervisor, with
the ``latency`` workload at the points pp512 and tg128. llama-bench runs in a fresh process too,
on the very libraries of the installed wheel, with the same file, threads, attention kernel and
number of repetitions. In every round each model is measured once by either, in random order;
what counts is the ratio within a round. Needs an idle machine: with as many threads as cores,
any other load stops both sides at their barriers, at different times.

What differs by nature: llama-bench draws its next token at random and looks at no logits; ours
takes the arg max of them and stamps every token.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_bench
from llama_bench import Rates, Setting
from scoring_items import artefact

MODELS = {"q4_1": "smollm2-q4_1", "q8_0": "smollm2-q8_0"}
POINTS = ("pp512", "tg128")


@dataclass(frozen=True)
class Round:
    """One model measured by both, one after the other."""

    number: int
    model: str
    ours: Rates
    theirs: Rates
    engine_share: float
    """Of our decode time, how much llama.cpp's own calls took."""
    load: float
    """Load average over a minute, before."""

    def ratio(self, point: str) -> float:
        """Ours over theirs."""
        mine: float = getattr(self.ours, point)
        return mine / float(getattr(self.theirs, point))


def main() -> None:
    """Parse, measure, print a table and one line of JSON."""
    from slmbench.cores import bind

    options = _options()
    setting = Setting(
        threads=options.threads or len(os.sched_getaffinity(0)),
        flash_attn=options.flash_attn,
        repack=not options.no_repack and _repack_is_safe(),
        repeats=options.repeats,
    )
    tool = llama_bench.find_or_build(options.llama_bench)
    bind(setting.threads)  # inherited by both sides
    same = llama_bench.on_the_wheels_libraries(tool)
    print(f"llama-bench: {tool}\n  on the installed wheel's libraries: {'yes' if same else 'no'}")
    print(f"  {setting}\n  build: {llama_bench.build_flags()}", flush=True)
    made = {name: artefact(variant) for name, variant in MODELS.items()}
    order = random.Random(options.seed)
    rounds = []
    for number in range(options.rounds):
        for name in order.sample(list(MODELS), len(MODELS)):
            rounds.append(_round(number, name, made[name], tool, setting, order))
            _print(rounds[-1])
    figures = _figures(rounds)
    _print_table(figures)
    about = {
        "rounds": options.rounds,
        "threads": setting.threads,
        "repeats": setting.repeats,
        "flash_attn": setting.flash_attn,
        "repack": setting.repack,
        "same_libraries": same,
        "ours": "supervisor and worker process, latency workload",
        "load_average": [round(r.load, 2) for r in rounds],
        "engine_share": round(statistics.median(r.engine_share for r in rounds), 4),
        "build": llama_bench.build_flags(),
    }
    print(json.dumps({**figures, **about}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama-bench", type=Path, help="use this tool instead of building it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="per point and process")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores that may be used")
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    parser.add_argument(
        "--flash-attn",
        choices=("off", "on", "auto"),
        default="off",
        help="for both; off is slmbench's default target, auto is llama-bench's own default",
    )
    parser.add_argument("--no-repack", action="store_true", help="for both: where AMX traps")
    return parser.parse_args()


def _repack_is_safe() -> bool:
    from slmbench.backends.llama_session import extra_bufts_safe

    return extra_bufts_safe()


def _round(
    number: int, name: str, made: Any, tool: Path, setting: Setting, order: random.Random
) -> Round:
    load = os.getloadavg()[0]
    share, ours, theirs = 0.0, None, None
    for side in order.sample(("ours", "theirs"), 2):
        if side == "ours":
            ours, share = _ours(MODELS[name], made, setting, number)
        else:
            theirs = llama_bench.measured(tool, made.path, setting)
    assert ours is not None
    assert theirs is not None
    return Round(number, name, ours, theirs, share, load)


def _ours(variant: str, made: Any, setting: Setting, process: int) -> tuple[Rates, float]:
    """One worker process through the supervisor; process: draws other prompts."""
    from slmbench.records import Status
    from slmbench.runner.events import Silent
    from slmbench.runner.protocol import CellJob, WorkerJob
    from slmbench.runner.supervisor import run_job

    cell = CellJob(spec=_spec(variant, setting), items=None, process=process)
    job = WorkerJob(artefact=str(made.path), artefact_sha256=made.sha256, cells=(cell,))
    (outcome,) = run_job(job, Silent())
    if outcome.status is not Status.OK:
        raise SystemExit(f"{variant}: {outcome.status}: {outcome.reason} ({outcome.hint})")
    found = {
        (m.metric, m.point): statistics.median(m.samples)
        for phase in outcome.phases
        if phase.phase == "timed"
        for m in phase.measurements
        if m.samples
    }
    rates = Rates(found["prefill_rate", "pp512"], found["decode_rate", "tg128"])
    return rates, found["engine_share", "tg128"]


def _spec(variant: str, setting: Setting) -> Any:
    from slmbench.plan import identify
    from slmbench.spec import RunSpec, Target, WorkloadSpec
    from slmbench.spec.load import load_models
    from slmbench.spec.points import parse_point

    target = Target(
        name="agreement",
        backend="llama_cpp",
        threads=setting.threads,
        context=1024,
        options={"flash_attn": setting.flash_attn, "use_extra_bufts": setting.repack},
    )
    work = WorkloadSpec(
        workload="latency",
        points=tuple(map(parse_point, POINTS)),
        repeats=setting.repeats,
        warmup=1,
        window_s=1.0,
        idle_s=0.0,
        seed=1,
    )
    ref = identify(load_models("demo"))[variant]
    return RunSpec(
        suite="agreement", size="demo", variant=ref, target=target, work=work, timeout_s=1800.0
    )


def _print(found: Round) -> None:
    print(
        f"  round {found.number} {found.model}: "
        + ", ".join(
            f"{point} {getattr(found.ours, point):.1f} / {getattr(found.theirs, point):.1f} tok/s "
            f"= {found.ratio(point):.3f}"
            for point in POINTS
        )
        + f"; engine {found.engine_share:.2%} of our decode; load {found.load:.2f}",
        flush=True,
    )


def _figures(rounds: list[Round]) -> dict[str, float]:
    """Median, lowest and highest of the ratios per round."""
    figures = {}
    for model in MODELS:
        for point in POINTS:
            ratios = [r.ratio(point) for r in rounds if r.model == model]
            name = f"{point}_{model}_ratio"
            figures[name] = round(statistics.median(ratios), 4)
            figures[f"{name}_low"] = round(min(ratios), 4)
            figures[f"{name}_high"] = round(max(ratios), 4)
    return figures


def _print_table(figures: dict[str, float]) -> None:
    print("\nours / llama-bench    median     low    high")
    for model in MODELS:
        for point in POINTS:
            name = f"{point}_{model}_ratio"
            low, high = figures[f"{name}_low"], figures[f"{name}_high"]
            print(f"{point} {model:<14} {figures[name]:>7.3f} {low:>7.3f} {high:>7.3f}")


if __name__ == "__main__":
    main()
