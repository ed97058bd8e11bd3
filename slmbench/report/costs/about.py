"""The pages about costs: their names, questions and cautions."""

from __future__ import annotations

from collections.abc import Mapping

from slmbench.report.constructs.assignment import About

COSTS: Mapping[str, About] = {
    about.name: about
    for about in (
        About(
            "performance",
            "Speed",
            "How long does a variant take, how sure is that, and how far is it from what this "
            "machine could do?",
            "Times of this machine, this build and these threads, one request at a time. Intervals "
            "count processes. A number with a badge was taken while something else ran: it is "
            "shown and not to be trusted. Differences are ratios to the parent, round by round.",
        ),
        About(
            "memory",
            "Memory",
            "What does a variant need, where does it need it, and on which device does it fit?",
            "Counters of fresh processes. The runtime (interpreter and engine) is shown apart, "
            "mapped weights can be evicted and anonymous memory cannot. What fits was found by "
            "trying below hard limits; nothing is extrapolated.",
        ),
        About(
            "energy",
            "Energy",
            "How many joules does an answer take, and what is that number worth?",
            "Every figure bears a grade: A wall meter, B hardware counter, C sampled power, D load "
            "model, E constant. Figures are comparable within one grade and one scope only, and "
            "nothing is ranked across them. Models (D, E) restate load and time.",
        ),
        About(
            "scaling",
            "Long contexts",
            "What does a longer context cost, and what is left of the model in it?",
            "Fits describe the lengths that were measured on this machine; beyond them caches "
            "overflow and blocks change. A quadratic term that is not resolved is not absent. "
            "Passing a retrieval grid says little, failing it says much.",
        ),
        About(
            "serving",
            "Under load",
            "What do clients of a server get when many of them ask?",
            "Latency counts from when a request was due, so a server that stalls cannot hide it. "
            "The load generator ran on the same machine. Failed requests count as not good, and "
            "no latency is of a failed request.",
        ),
    )
}
"""The pages in the order of the navigation."""
