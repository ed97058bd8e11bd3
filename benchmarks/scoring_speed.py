"""This engine against lm-eval's ``hf`` model on the same items, dtype, threads and machine.

    python benchmarks/scoring_speed.py [--items 24] [--rounds 3] [--dtypes float32,bfloat16]
        [--tasks hellaswag,arc_easy,mmlu] [--llama-perplexity PATH]

Both sides get the same loaded weights, prompts and number of threads; loading, and a first call,
are not timed. lm-eval runs at the batch size that is best for it here. Rounds alternate between
the engines, so that what disturbs the machine disturbs both; the ratio is the median of the
rounds' ratios. Beside each stands the limit that arithmetic sets: the floating-point operations
that lm-eval spends over those that must be spent (every shared token once, the output head at
scored positions only). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from arithmetic import Arithmetic, gemm_peaks
from llama_reference import against_llama_perplexity, llama_cpp_rate
from scoring_items import load_backend, of_folder, task_items

BATCHES = (1, 2, 4, 8, 16, 32, 64)
MMLU = ("mmlu_anatomy", "mmlu_high_school_geography")
TASKS = {
    "hellaswag": (("hellaswag", 0),),
    "arc_easy": (("arc_easy", 0),),
    "mmlu": tuple((subject, 5) for subject in MMLU),
}
NAMES = {"hellaswag": "hellaswag_ratio", "arc_easy": "arc_easy_ratio", "mmlu": "mmlu_5shot_ratio"}


@dataclass(frozen=True, slots=True)
class Timed:
    """One way to answer, one round."""

    seconds: float
    answers: list[tuple[float, bool]]


def main() -> None:
    """Load, answer in rounds, print."""
    asked = arguments()
    figures: dict[str, float] = {}
    identical: list[bool] = []
    furthest = 0.0
    for dtype in asked.dtypes.split(","):
        suffix = "" if dtype == "float32" else "_bf16"
        ours, theirs = load_backend("transformers", dtype), reference(dtype)
        peaks = gemm_peaks(dtype)
        print(f"{dtype}: GEMM peak {peaks.best:.0f} GFLOP/s "
              f"(plain {peaks.plain:.0f}, laid out {peaks.packed:.0f})", flush=True)  # fmt: skip
        figures[f"gemm_peak_gflops{suffix}"] = round(peaks.best, 1)
        for task in asked.tasks.split(","):
            items = [
                s for name, shots in TASKS[task] for s in [task_items(name, shots, asked.items)]
            ]
            found = race(ours, theirs, items, asked.rounds)
            figures |= {f"{key}{suffix}": v for key, v in report(task, found, peaks.best).items()}
            if dtype == "float32":
                identical += found.identical
                furthest = max(furthest, found.furthest)
        if dtype != "float32":
            figures |= agreement(ours, asked)
        ours.close()
    figures |= {
        "identical_share": round(statistics.fmean(identical), 5) if identical else 1.0,
        "max_abs_delta": float(f"{furthest:.3g}"),
    }
    if not asked.no_llama:
        figures |= llama_cpp_rate(asked.items, asked.rounds)
    if asked.llama_perplexity:
        figures |= against_llama_perplexity(asked.llama_perplexity, asked.items, asked.rounds)
    figures |= {"threads": len(os.sched_getaffinity(0)), "load1": round(os.getloadavg()[0], 2)}
    print(json.dumps(figures))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=24, help="per task (per MMLU subject)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--tasks", default="hellaswag,arc_easy,mmlu")
    parser.add_argument("--no-llama", action="store_true", help="leave out llama.cpp")
    parser.add_argument("--llama-perplexity", help="path of llama.cpp's llama-perplexity")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Race:
    """What the rounds of one task gave."""

    ratios: list[float]
    seconds: list[float]
    """Ours."""
    theirs: list[float]
    batch: int
    identical: list[bool]
    """Per item: the same prediction, raw and length-normalised."""
    furthest: float
    """Largest difference of a log-likelihood [nats]."""
    arithmetic: Arithmetic


def race(ours: Any, theirs: Any, sets: Sequence[Any], rounds: int) -> Race:
    """Both engines on the same requests, alternating."""
    requests = [r for items in sets for item in items for r in item.requests]
    batch = best_batch(theirs, requests)
    one, other = answer_ours(ours, requests), answer_theirs(theirs, requests, batch)
    one(), other()  # warm
    ratios: list[float] = []
    seconds: list[float] = []
    theirs_seconds: list[float] = []
    for number in range(rounds):
        mine, lm = (one(), other()) if number % 2 == 0 else (other(), one())[::-1]
        ratios.append(lm.seconds / mine.seconds)
        seconds.append(mine.seconds)
        theirs_seconds.append(lm.seconds)
    pairs = list(zip(mine.answers, lm.answers, strict=True))
    return Race(
        ratios,
        seconds,
        theirs_seconds,
        batch,
        same_predictions(sets, mine.answers, lm.answers),
        max(abs(a[0] - b[0]) for a, b in pairs),
        Arithmetic.of(ours, theirs, requests, batch),
    )


def report(task: str, found: Race, peak: float) -> dict[str, float]:
    """Print one task's figures and name them."""
    ratio, limit = statistics.median(found.ratios), found.arithmetic.limit
    share = found.arithmetic.needed / statistics.median(found.seconds) / 1e9 / peak
    name = NAMES[task]
    print(
        f"  {task}: {ratio:.2f} x lm-eval at batch {found.batch} "
        f"({min(found.ratios):.2f} to {max(found.ratios):.2f} in {len(found.ratios)} rounds; "
        f"{statistics.median(found.seconds):.2f} s against "
        f"{statistics.median(found.theirs):.2f} s); "
        f"arithmetic allows {limit:.2f} at equal FLOP/s, {ratio / limit:.0%} of it; "
        f"{share:.0%} of the GEMM peak; {statistics.fmean(found.identical):.2%} of predictions "
        f"identical, |delta| <= {found.furthest:.1e}",
        flush=True,
    )
    return {
        name: round(ratio, 3),
        f"{name}_min": round(min(found.ratios), 3),
        f"{name}_max": round(max(found.ratios), 3),
        f"{name}_limit": round(limit, 3),
        f"{name}_share_of_limit": round(ratio / limit, 3),
        f"{name}_share_of_peak": round(share, 3),
        f"{name}_batch": found.batch,
    }


def reference(dtype: str) -> Any:
    """lm-eval's own hf model on the same folder."""
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(of_folder().path), dtype=dtype, device="cpu", batch_size=1)


def answer_ours(backend: Any, requests: Sequence[Any]) -> Callable[[], Timed]:
    """This engine, from strings to numbers."""

    def run() -> Timed:
        begin = time.perf_counter_ns()
        found = [(o.logprob, bool(o.greedy)) for o in backend.loglikelihood(requests)]
        return Timed((time.perf_counter_ns() - begin) * 1e-9, found)

    return run


def answer_theirs(model: Any, requests: Sequence[Any], batch: int) -> Callable[[], Timed]:
    """lm-eval, from the same strings to numbers."""
    from lm_eval.api.instance import Instance

    asked = [Instance("loglikelihood", {}, (r.context, r.continuation), 0) for r in requests]

    def run() -> Timed:
        model.batch_size_per_gpu = batch
        begin = time.perf_counter_ns()
        found = model.loglikelihood(asked, disable_tqdm=True)
        return Timed(
            (time.perf_counter_ns() - begin) * 1e-9, [(float(p), bool(g)) for p, g in found]
        )

    return run


def best_batch(model: Any, requests: Sequence[Any]) -> int:
    """lm-eval's fastest batch size on a third of the requests; the search ends when it slows."""
    some = requests[: max(len(requests) // 3, 16)]
    taken: dict[int, float] = {}
    for batch in BATCHES:
        taken[batch] = min(answer_theirs(model, some, batch)().seconds for _ in range(2))
        if taken[batch] > 1.25 * min(taken.values()):
            break
    return min(taken, key=lambda b: taken[b])


def same_predictions(
    sets: Sequence[Any], left: Sequence[tuple[float, bool]], right: Sequence[tuple[float, bool]]
) -> list[bool]:
    """Per item, whether acc and acc_norm would choose the same."""
    same: list[bool] = []
    at = 0
    for item in (item for items in sets for item in items):
        size = len(item.requests)
        lengths = [len(choice) for choice in item.choices]

        def chosen(answers: Sequence[tuple[float, bool]]) -> tuple[int, int]:
            raw = [answer[0] for answer in answers[at : at + size]]  # noqa: B023
            norm = [value / n for value, n in zip(raw, lengths, strict=True)]  # noqa: B023
            return raw.index(max(raw)), norm.index(max(norm))

        same.append(chosen(left) == chosen(right))
        at += size
    return same


def agreement(half: Any, asked: argparse.Namespace) -> dict[str, float]:
    """What bfloat16 does: predictions against float32, and its own noise floor."""
    full = load_backend("transformers", "float32")
    sets = [task_items(*TASKS["hellaswag"][0], asked.items)]
    requests = [r for items in sets for item in items for r in item.requests]
    exact = answer_ours(full, requests)().answers
    packed = answer_ours(half, requests)().answers
    naive = [(o.logprob, bool(o.greedy)) for o in half.loglikelihood(requests, share=False)]
    full.close()
    figures = {
        "bf16_same_as_float32": statistics.fmean(same_predictions(sets, packed, exact)),
        "bf16_mean_abs_delta_to_float32": mean_apart(packed, exact),
        "bf16_floor_same": statistics.fmean(same_predictions(sets, packed, naive)),
        "bf16_floor_mean_abs_delta": mean_apart(packed, naive),
    }
    for name, value in figures.items():
        print(f"  {name} {value:.4f}")
    return {name: round(value, 5) for name, value in figures.items()}


def mean_apart(left: Sequence[tuple[float, bool]], right: Sequence[tuple[float, bool]]) -> float:
    """Mean absolute difference [nats]."""
    return statistics.fmean(abs(a[0] - b[0]) for a, b in zip(left, right, strict=True))


if __name__ == "__main__":
    main()
