"""Energy: a sample is a window. Numbers of different grades (sources) are not ranked together."""

from __future__ import annotations

from slmbench.metrics.kinds import Direction, Metric, Unit


def _energy(
    name: str, unit: Unit, label: str, definition: str, direction: Direction = "lower"
) -> Metric:
    return Metric(name, unit, direction, "median", label, definition)


ENERGY: tuple[Metric, ...] = (
    _energy(
        "energy_total",
        "J",
        "Energy, all sources",
        "energy_gross added over sources that do not contain each other; a wall meter stands alone",
    ),
    _energy(
        "energy_net",
        "J",
        "Energy above idle",
        "energy_total - idle_power x time, idle with the model loaded, next to the window",
    ),
    _energy(
        "energy_per_prompt_token",
        "J/token",
        "Energy per prompt token",
        "energy_total / evaluated prompt tokens, of windows that generate one token a request",
    ),
    _energy(
        "energy_net_per_token",
        "J/token",
        "Energy above idle per output token",
        "energy_net / output tokens",
    ),
    _energy(
        "energy_net_per_prompt_token",
        "J/token",
        "Energy above idle per prompt token",
        "energy_net / evaluated prompt tokens, of windows that generate one token a request",
    ),
    _energy(
        "energy_per_request",
        "J",
        "Energy per request",
        "energy_total / requests of the window; a request is one sequence of the workload point",
    ),
    _energy(
        "energy_net_per_request", "J", "Energy above idle per request", "energy_net / requests"
    ),
    _energy(
        "energy_per_1000_requests",
        "Wh",
        "Energy per 1,000 requests",
        "1000 x energy_per_request / 3600",
    ),
    _energy(
        "edp",
        "J·s",
        "Energy-delay product",
        "energy_per_request x time of one request (window_request_time)",
    ),
    _energy(
        "energy_per_correct",
        "J",
        "Energy per correct answer",
        "energy of asking a task's items, from the energy per prompt and per output token of the "
        "same system, / right answers; derived on reading",
    ),
    _energy("mean_power", "W", "Mean power", "energy_total / time of the window", "none"),
    _energy(
        "idle_power",
        "W",
        "Idle power",
        "energy of the same sources while nothing ran / time; phase idle_unloaded: before loading",
        "none",
    ),
    _energy(
        "co2e_per_1000_requests",
        "gCO2e",
        "Carbon per 1,000 requests",
        "energy_per_1000_requests x grid factor (zone, year and source in its reason), PUE 1.0; "
        "never ranked",
        "none",
    ),
    _energy(
        "energy_estimate_per_request",
        "J",
        "Energy per request (codecarbon model)",
        "energy_estimate / requests of the window",
        "none",
    ),
    _energy(
        "window_requests", "count", "Requests in the window", "sequences that were answered", "none"
    ),
    _energy(
        "window_prompt_tokens",
        "count",
        "Prompt tokens in the window",
        "prompt tokens that the engine evaluated",
        "none",
    ),
    _energy(
        "window_output_tokens",
        "count",
        "Output tokens in the window",
        "tokens that were generated",
        "none",
    ),
    _energy(
        "window_request_time",
        "s",
        "Time per request in the window",
        "time of the window / calls of the engine (a batch is one call)",
        "none",
    ),
    # sustained work
    Metric(
        "request_rate_series",
        "tok/s",
        "none",
        "median",
        "Rate of single requests",
        "tokens of a request (output; prompt where one is put out) / its time, in order",
    ),
    Metric(
        "request_end_series",
        "s",
        "none",
        "max",
        "End of single requests",
        "from the beginning of sustained work to the end of each request, in order",
    ),
    Metric(
        "burst_rate",
        "tok/s",
        "higher",
        "median",
        "Burst rate",
        "tokens / time over the first minute of back-to-back requests (a fifth of shorter runs)",
    ),
    Metric(
        "sustained_rate",
        "tok/s",
        "higher",
        "median",
        "Sustained rate",
        "tokens / time over the second half of back-to-back requests",
    ),
    Metric(
        "sustained_share",
        "fraction",
        "higher",
        "median",
        "Sustained / burst",
        "sustained_rate / burst_rate; may exceed 1",
    ),
)
