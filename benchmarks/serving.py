"""Gate G7 at full rate, and agreement with another load generator.

    python benchmarks/serving.py                    the mock at 50 requests/s, on an idle machine
    python benchmarks/serving.py --guidellm GL --tokenizer DIR            besides, against guidellm
    python benchmarks/serving.py --guidellm GL --tokenizer DIR --url http://127.0.0.1:8000/v1 \\
        --model NAME                                the same on a server that runs already

First an open loop of 50 requests/s on the mock server, whose true times are known: what was
recovered is divided by what the mock itself logged. Then a stall of 2 s: the 99th percentile of
time to first token in the open loop, and in a closed one, where it hides. With guidellm both tools
load the same server in turns, at the same constant rate; ratios are ours / theirs, the median of
the rounds. The last line is JSON.

An environment for guidellm: `python -m venv gl && gl/bin/pip install guidellm`, then --guidellm
gl/bin/guidellm. It makes its prompts with a tokenizer: --tokenizer is a folder that has one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from slmbench.loadgen.driver import Script, Shape, calibrate, carry_out  # noqa: E402
from slmbench.loadgen.figures import figures, ttft  # noqa: E402
from slmbench.loadgen.journal import RequestLog  # noqa: E402
from slmbench.loadgen.mock_server import MockLog, MockPlan, MockServer  # noqa: E402
from slmbench.loadgen.window import steady_window  # noqa: E402
from slmbench.records import Measurement  # noqa: E402
from slmbench.spec import Endpoint, Load, Slo  # noqa: E402

NS = 1e-9
SLO = Slo(ttft_s=0.2, e2e_s=0.6)
KNOWN = MockPlan(
    ttft_s=0.1,
    itl_s=0.01,
    jitter_s=0.004,
    role_chunk=True,
    stalls=tuple((begin, 0.6) for begin in range(3, 600, 5)),
)
"""Its stalls keep about a seventh of the requests from being good."""
PROMPT, OUTPUT = 32, 32


def asked(server: MockServer, load: Load, prompt: int, tokens: int) -> tuple[RequestLog, ...]:
    """One load on a server."""
    sizing = calibrate(server.endpoint(), "benchmark")
    return carry_out(server.endpoint(), Script(load, Shape(prompt, tokens), "benchmark", sizing))


def of(measurements: Sequence[Measurement], metric: str) -> tuple[float, ...]:
    """Samples of a metric."""
    return next(m.samples for m in measurements if m.metric == metric)


def percentile(values: Sequence[float], share: float) -> float:
    """An order statistic."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def recovered(plan: MockPlan, rate: float, seconds: float) -> dict[str, float]:
    """Recovered / true of every figure, in an open loop."""
    load = Load(scenario="poisson", rate=rate, requests=round(rate * seconds))
    with MockServer(plan) as server:
        logs = asked(server, load, PROMPT, OUTPUT)
        by_name = {one.name: one for one in server.logs()}
    known = [by_name[log.name] for log in logs]
    found = figures(logs, load, SLO, "").measurements
    true = truth(logs, known, load)
    lag = of(found, "send_lag")
    return {
        "ttft_ratio": median(of(found, "ttft")) / median(true["ttft"]),
        "ttft_p99_ratio": percentile(of(found, "ttft"), 0.99) / percentile(true["ttft"], 0.99),
        "itl_ratio": fmean(of(found, "itl")) / fmean(true["itl"]),
        "e2e_ratio": median(of(found, "e2e")) / median(true["e2e"]),
        "goodput_ratio": of(found, "goodput")[0] / true["goodput"][0],
        "goodput_per_s": of(found, "goodput")[0],
        "send_lag_p50_ms": 1e3 * median(lag),
        "send_lag_p99_ms": 1e3 * percentile(lag, 0.99),
        "failed": sum(not log.ok for log in logs),
        "requests": len(logs),
    }


def truth(
    logs: Sequence[RequestLog], known: Sequence[MockLog], load: Load
) -> dict[str, list[float]]:
    """The same figures from the mock's own times."""
    firsts = [(k.chunk_ns[0] - log.sched_ns) * NS for k, log in zip(known, logs, strict=True)]
    lasts = [(k.chunk_ns[-1] - log.sched_ns) * NS for k, log in zip(known, logs, strict=True)]
    gaps = [
        (b - a) * NS / n
        for k in known
        for (a, b), n in zip(pairwise(k.chunk_ns), k.tokens[1:], strict=True)
        for _ in range(n)
    ]
    window = steady_window(logs, load)
    assert window is not None
    assert SLO.ttft_s is not None
    assert SLO.e2e_s is not None
    kept = sum(
        f <= SLO.ttft_s and e <= SLO.e2e_s and window.holds(k.chunk_ns[-1])
        for f, e, k in zip(firsts, lasts, known, strict=True)
    )
    return {"ttft": firsts, "e2e": lasts, "itl": gaps, "goodput": [window.rate(kept)]}


def stalled(seconds: float) -> dict[str, float]:
    """99th percentiles of TTFT with a stall in the middle."""
    plan = MockPlan(ttft_s=0.02, itl_s=0.0, stalls=((seconds / 3, 2.0),))
    found = {}
    for name, load in (
        ("open", Load(scenario="constant", rate=50, requests=round(50 * seconds))),
        ("closed", Load(scenario="single_stream", requests=round(45 * seconds))),
    ):
        with MockServer(plan) as server:
            logs = asked(server, load, 8, 1)
        found[f"stall_{name}_p99_s"] = percentile([ttft(log) for log in logs], 0.99)
    return found


def ours(endpoint: Endpoint, rate: float, count: int) -> dict[str, float]:
    """Our medians on a server [ms]."""
    load = Load(scenario="constant", rate=rate, requests=count)
    sizing = calibrate(endpoint, "benchmark")
    logs = carry_out(endpoint, Script(load, Shape(PROMPT, OUTPUT), "benchmark", sizing))
    found = figures(logs, load, None, "").measurements
    return {name: 1e3 * median(of(found, name)) for name in ("ttft", "itl", "e2e")}


def theirs(options: argparse.Namespace, endpoint: Endpoint, count: int) -> dict[str, float]:
    """guidellm's medians on the same server [ms], out of its JSON report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        target = endpoint.url.removesuffix("/v1")
        command = [
            options.guidellm, "run", "--disable-console",
            "--backend", f"kind=openai_http,target={target},model={endpoint.model},"
            "request_format=/v1/completions",
            "--profile", f"kind=constant,rate={options.rate:g}",
            "--constraint", f"kind=max_requests,count={count}",
            "--tokenizer", f"kind=huggingface_auto,model={options.tokenizer}",
            "--data", f"kind=synthetic_text,prompt_tokens={PROMPT},output_tokens={OUTPUT}",
            "--output", f"kind=json,path={report}",
        ]  # fmt: skip
        ran = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"},
            check=False,
        )  # fmt: skip
        if ran.returncode or not report.is_file():
            sys.exit(f"guidellm failed:\n{(ran.stdout + ran.stderr)[-2000:]}")
        metrics = json.loads(report.read_text())["benchmarks"][0]["metrics"]
    found = {name: metrics[key]["successful"]["median"] for name, key in _THEIRS.items()}
    return found | {"e2e": 1e3 * found["e2e"]}


_THEIRS = {
    "ttft": "time_to_first_token_ms",
    "itl": "inter_token_latency_ms",
    "e2e": "request_latency",
}
"""Theirs count from the sending, ours from when it was due: our own lag is in the JSON line."""


def agreement(options: argparse.Namespace) -> dict[str, float]:
    """Both tools on one server, in turns; which of them begins changes from round to round."""
    count = round(options.rate * options.seconds)
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    with MockServer(MockPlan(ttft_s=0.1, itl_s=0.01)) as mock:
        endpoint = mock.endpoint()
        if options.url:
            endpoint = Endpoint(url=options.url, model=options.model)
        for turn in range(options.rounds):
            if turn % 2:
                other = theirs(options, endpoint, count)
                rounds.append((ours(endpoint, options.rate, count), other))
            else:
                mine = ours(endpoint, options.rate, count)
                rounds.append((mine, theirs(options, endpoint, count)))
            print(json.dumps({"ours_ms": rounds[-1][0], "guidellm_ms": rounds[-1][1]}))
    return {
        f"guidellm_{name}_ratio": median(mine[name] / other[name] for mine, other in rounds)
        for name in _THEIRS
    }


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="length of a load")
    parser.add_argument("--guidellm", help="guidellm's program")
    parser.add_argument("--tokenizer", help="folder of a tokenizer, for guidellm's prompts")
    parser.add_argument("--rate", type=float, default=10, help="requests/s of the comparison")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", help="compare on this server instead of the mock")
    parser.add_argument("--model", default="mock", help="what the server at --url calls its model")
    options = parser.parse_args()
    if options.guidellm and not options.tokenizer:
        parser.error("--guidellm needs --tokenizer")
    result = recovered(KNOWN, 50, options.seconds) | stalled(6)
    if options.guidellm:
        result |= agreement(options)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
