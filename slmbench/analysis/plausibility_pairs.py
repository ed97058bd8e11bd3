"""Guards that need a second run: the parent on the same items, or any other variant.

See :mod:`slmbench.analysis.plausibility` for the guards of a single run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from slmbench.analysis.answers import Answers
from slmbench.analysis.plausibility import FEWEST_ALIKE, Evidence, Suspicion, suspect_alone

COLLAPSE = 0.1
"""Mean output tokens, as a share of the parent's, that count as a collapse."""
LONG_ENOUGH = 8
"""Mean output tokens of a parent whose collapse can be seen."""


def suspicions(evidence: Sequence[Evidence]) -> dict[Path, tuple[Suspicion, ...]]:
    """What is suspect, by the folder of the run; runs above suspicion are not in it."""
    found = {e.run.folder: list(suspect_alone(e)) for e in evidence}
    for e in evidence:
        parent = _parent(e, evidence)
        if parent is not None:
            found[e.run.folder] += [*_collapsed(e, parent), *_other_start(e, parent)]
    for folder, suspicion in _twins([e for e in evidence if not _is_dead(found[e.run.folder])]):
        found[folder].append(suspicion)
    return {folder: tuple(s) for folder, s in found.items() if s}


def _is_dead(found: Sequence[Suspicion]) -> bool:
    return any(s.guard in ("dead model", "impossible log-likelihood") for s in found)


def _parent(e: Evidence, all_of: Sequence[Evidence]) -> Evidence | None:
    """The parent's run on the same items, the same target preferred."""
    mine = e.run.spec
    found = [
        o
        for o in all_of
        if o.run.spec.variant.name == mine.variant.parent
        and o.run.record.item_set == e.run.record.item_set is not None
        and o.run.spec.work == mine.work
    ]
    return max(
        found,
        key=lambda o: (o.run.spec.target.name == mine.target.name, o.run.record.run_id),
        default=None,
    )


def _collapsed(e: Evidence, parent: Evidence) -> Iterator[Suspicion]:
    """Outputs a tenth as long as the parent's: format or stop sequence, not skill."""
    here, there = _mean_tokens(e.answers), _mean_tokens(parent.answers)
    if here is None or there is None or there < LONG_ENOUGH or here > COLLAPSE * there:
        return
    yield Suspicion(
        "collapsed output",
        f"answers have {here:.1f} tokens on average where the parent's have {there:.1f}: "
        "look at what ends them",
    )


def _mean_tokens(answers: Answers | None) -> float | None:
    texts = answers.texts if answers else ()
    return sum(t.tokens for t in texts) / len(texts) if len(texts) >= FEWEST_ALIKE else None


def _other_start(e: Evidence, parent: Evidence) -> Iterator[Suspicion]:
    """Caught: a missing or doubled BOS, arc_easy .26 instead of .85 (lm-eval#2676)."""
    mine, theirs = e.run.record.model, parent.run.record.model
    row, base = e.primary, parent.primary
    if mine is None or theirs is None or row is None or base is None:
        return
    same = (mine.adds_bos, mine.first_ids) == (theirs.adds_bos, theirs.first_ids)
    if same or mine.vocab_size != theirs.vocab_size:
        return
    here, there, chance = row.estimate, base.estimate, row.chance
    if here.low is None or here.high is None or there.low is None or chance is None:
        return
    if here.low <= chance < there.low and here.high < there.low:
        yield Suspicion(
            "other prompt start",
            f"{row.metric} is at the level of guessing and the parent's is not, and its prompts "
            f"begin with other tokens ({_start(e)} instead of {_start(parent)}): is BOS missing?",
        )


def _start(e: Evidence) -> str:
    model = e.run.record.model
    return ("BOS, " if model and model.adds_bos else "no BOS, ") + (
        " ".join(map(str, model.first_ids[:4])) if model and model.first_ids else "…"
    )


def _twins(evidence: Sequence[Evidence]) -> Iterator[tuple[Path, Suspicion]]:
    """Different artefacts with the same log-likelihoods: one of them was not loaded."""
    groups: dict[tuple[str | None, str], list[Evidence]] = {}
    for e in evidence:
        if e.answers is not None and e.answers.scored >= FEWEST_ALIKE:
            key = (e.run.record.item_set, e.answers.fingerprint)
            groups.setdefault(key, []).append(e)
    parents = {e.run.spec.variant.name: e.run.spec.variant.parent for e in evidence}
    for alike in groups.values():
        accused = {
            e.run.folder: other
            for e in alike
            for other in alike
            if _differ(e, other) and not _descends(other, e, parents)
        }
        cleared = {_artefact(e) for e in alike if e.run.folder not in accused}
        for e in alike:
            if e.run.folder in accused and _artefact(e) not in cleared:
                yield e.run.folder, _twin_of(e, accused[e.run.folder])


def _twin_of(e: Evidence, other: Evidence) -> Suspicion:
    n = e.answers.scored if e.answers else 0
    return Suspicion(
        "twin",
        f"its log-likelihoods equal those of {other.run.spec.variant.name} in every digit on "
        f"{n} items, though the artefacts differ: was this variant loaded?",
    )


def _artefact(e: Evidence) -> str:
    return e.run.record.model.artefact_sha256 if e.run.record.model else ""


def _differ(e: Evidence, other: Evidence) -> bool:
    if e.run.spec.variant.digest == other.run.spec.variant.digest:
        return False
    return "" != _artefact(e) != _artefact(other) != ""


def _descends(e: Evidence, other: Evidence, parents: Mapping[str, str | None]) -> bool:
    """Whether ``e`` was made from ``other``, directly or not."""
    seen: set[str] = set()
    name = e.run.spec.variant.parent
    while name is not None and name not in seen:
        if name == other.run.spec.variant.name:
            return True
        seen.add(name)
        name = parents.get(name)
    return False
