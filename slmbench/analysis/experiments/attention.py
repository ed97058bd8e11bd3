"""What attention costs as contexts grow: the fits of the scaling suite, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.analysis.experiments.findings import (
    Chapter,
    Column,
    Conclusion,
    Findings,
    Grid,
    Line,
    Number,
    number_of,
    quoted,
)
from slmbench.analysis.experiments.making import making_chapter
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.overview import overview
from slmbench.analysis.scaling_curves import Scaling, scalings
from slmbench.analysis.statistics import Estimate

_LEAD = (
    "Fits of t = a + bT + cT² with no coefficient below 0, as on the page about long contexts, "
    "which has their figures, local exponents and held-out errors.",
)


def find(material: Material) -> Findings:
    """A sentence a variant and quantity, and the fits."""
    found = _in_order(material, scalings(material.results.stored))
    return Findings(
        tuple(_sentence(one) for one in found),
        (
            Chapter(
                "fits", "How time grows with the context", _LEAD, (_grid(found),) if found else ()
            ),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )


def _in_order(material: Material, found: Sequence[Scaling]) -> tuple[Scaling, ...]:
    """Prefill, then decoding; each by the order of the models file."""
    place = {member.variant.name: i for i, member in enumerate(material.kept.members)}

    def key(one: Scaling) -> tuple[bool, int, str]:
        name, target = one.run.spec.variant.name, one.run.spec.target.name
        return one.quantity == "decode", place.get(name, len(place)), target

    return tuple(sorted(found, key=key))


def _name(one: Scaling) -> str:
    spec = one.run.spec
    return f"{spec.variant.name} on {spec.target.name}, {one.quantity}"


def _grid(found: Sequence[Scaling]) -> Grid:
    columns = (
        Column("Verdict", "whether the interval of c (prefill) or b (decode) lies above 0"),
        Column("b, per token", "what a further token costs"),
        Column(
            "c, per pair",
            "what a pair of tokens costs: softmax attention; in a recurrent model, what caches of "
            "the processor and allocations amount to",
        ),
        Column("T* = b/c", "from here on pairs cost more than tokens; only where c is resolved"),
        Column("Pair share", "cT² over the time, at the longest length"),
    )
    lines = []
    for one in found:
        if one.fit is None:
            lines.append(Line(_name(one), (), (f"no fit: {one.reason}",)))
            continue
        fit = one.fit
        lines.append(
            Line(
                _name(one), (),
                (
                    fit.verdict,
                    number_of(fit.per_token, "s/token"),
                    _maybe(fit.per_pair, "s/token²"),
                    _maybe(fit.crossover, "tokens"),
                    _maybe(fit.pair_share, "fraction"),
                ),
            )
        )  # fmt: skip
    return Grid("fits", "Fits", "Variant", columns, tuple(lines))


def _has_pairs(one: Scaling) -> bool:
    """Whether it reports keys and values; a recurrent model carries a state instead."""
    model = one.run.record.model
    return model is None or model.kv_bytes_per_token is not None


def _maybe(estimate: Estimate | None, unit: str) -> Number | None:
    return None if estimate is None else number_of(estimate, unit)


def _sentence(one: Scaling) -> Conclusion:
    name = quoted(_name(one))
    if one.fit is None or one.curve is None:
        return Conclusion("cannot be said", f"{name}: no fit: {quoted(one.reason)}.")
    fit = one.fit
    longest = Number(one.curve.lengths[-1], "tokens")
    if fit.verdict == "quadratic term resolved" and fit.pair_share is not None:
        share = number_of(fit.pair_share, "fraction")
        text = f"{name}: pairs of tokens cost {{0}} of the time at {{1}}."
        if not _has_pairs(one):
            text = (
                f"{name}: it reports no keys and values, yet a quadratic term is {{0}} of its time "
                "at {1}: caches of the processor can do that, to models with attention as well."
            )
        return Conclusion("grows", text, (share, longest))
    if fit.verdict == "grows with context":
        return Conclusion(
            "grows", f"{name}: every further token in the cache costs {{0}}.",
            (number_of(fit.per_token, "s/token"),),
        )  # fmt: skip
    if fit.pair_share is not None and fit.pair_share.high is not None:
        most = Number(fit.pair_share.high, "fraction")
        return Conclusion(
            "not resolved",
            f"{name}: no quadratic term is resolved up to {{0}}; it is at most {{1}} of the time.",
            (longest, most),
        )
    return Conclusion("not resolved", f"{name}: {quoted(fit.verdict)} up to {{0}}.", (longest,))
