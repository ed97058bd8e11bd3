"""Targets with a draft: which cells there are, what they hold, and why others are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.errors import UnknownNameError
from slmbench.lifecycle.collection import Artefacts
from slmbench.lifecycle.job import Artefact
from slmbench.plan import Plan, Selection, make_plan
from slmbench.spec import ModelsFile, RunSpec, Suite

SOURCE = {"technique": "none", "licence": "MIT", "stage": "base"}


def variant(name: str, format_: str = "gguf", **more: object) -> dict[str, object]:
    source = {"file": f"/{name}", "sha256": f"{len(name):064x}"}
    return {"name": name, "format": format_, "source": source, **SOURCE, **more}


def models(*targets: dict[str, object]) -> ModelsFile:
    variants = [
        variant("large"),
        variant("tiny"),
        variant("folder", "hf"),
        variant("faked", kernel="simulated"),
    ]
    return ModelsFile.model_validate({"variants": variants, "targets": list(targets)})


def target(name: str, draft: str | None = None, **more: object) -> dict[str, object]:
    options = {} if draft is None else {"draft": draft}
    return {"name": name, "backend": "llama_cpp", "threads": 1, "options": options, **more}


SUITE = Suite.model_validate(
    {
        "name": "s",
        "title": "t",
        "description": "d",
        "seed": 1,
        "sizes": {"demo": {"items": 3, "repeats": 1, "points": ["pp8+tg4"]}},
        "tasks": [{"task": "toy", "primary": "acc"}],
        "workloads": [{"workload": "latency"}],
    }
)
FIDELITY = SUITE.model_copy(
    update={
        "tasks": (),
        "workloads": (SUITE.workloads[0].model_copy(update={"workload": "fidelity"}),),
    }
)


def planned(models_file: ModelsFile, suite: Suite = SUITE) -> Plan:
    return make_plan([suite], models_file, Selection(), {"toy": "d"})


def spec_of(plan: Plan, variant_name: str, target_name: str) -> RunSpec:
    return next(
        c.spec
        for c in plan.cells
        if (c.spec.variant.name, c.spec.target.name) == (variant_name, target_name)
    )


def test_a_cell_holds_the_identity_of_its_draft() -> None:
    plan = planned(models(target("plain"), target("drafted", "tiny")))
    spec = spec_of(plan, "large", "drafted")
    assert spec.draft is not None
    assert (spec.draft.name, spec.draft.digest) == ("tiny", f"{4:064x}")
    assert spec.loads == ("large", "tiny")
    alone = spec_of(plan, "large", "plain")
    assert (alone.draft, alone.loads) == (None, ("large",))
    assert "draft" not in alone.model_dump(mode="json"), "digests of earlier results hold"


def test_another_draft_is_another_cell() -> None:
    spec = spec_of(planned(models(target("t", "tiny"))), "large", "t")
    plain = spec_of(planned(models(target("t"))), "large", "t")
    assert spec.draft is not None
    retrained = spec.draft.model_copy(update={"digest": "f" * 64})
    other = spec.model_copy(update={"draft": retrained})
    assert len({spec.digest, plain.digest, other.digest}) == 3, (
        "the name of the draft does not say which weights it has"
    )


def test_what_a_draft_cannot_serve_is_left_out_with_the_reason() -> None:
    plan = planned(models(target("drafted", "tiny"), target("plain")))
    reasons = {(s.variant, s.target): s.reason for s in plan.skips}
    assert reasons[("tiny", "drafted")] == "it is the target's draft itself"
    assert ("tiny", "plain") not in reasons


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (target("odd", "folder"), "draft folder: llama_cpp does not load the format 'hf'"),
        (target("odd", "faked"), "draft faked runs on simulated kernels"),
        ({"name": "odd", "backend": "openai", "options": {"draft": "tiny"}}, "takes no draft"),
    ],
)
def test_drafts_that_cannot_be(odd: dict[str, object], reason: str) -> None:
    plan = planned(models(odd, target("plain")))
    found = [s.reason for s in plan.skips if (s.variant, s.target) == ("large", "odd")]
    assert found
    assert all(reason in why for why in found)
    assert not [c for c in plan.cells if c.spec.target.name == "odd"]


def test_an_unknown_draft_is_named() -> None:
    with pytest.raises(UnknownNameError, match="draft of target drafted") as caught:
        planned(models(target("drafted", "tinny")))
    assert "tiny" in str(caught.value.hint)


def test_distributions_are_read_without_a_draft() -> None:
    family = ModelsFile.model_validate(
        {
            "variants": [variant("base"), variant("child1", parent="base")],
            "targets": [target("drafted", "base"), target("plain")],
        }
    )
    plan = planned(family, FIDELITY)
    assert {c.spec.target.name for c in plan.cells} == {"plain"}
    works = [c.spec.work for c in plan.cells]
    assert all(
        w.reference.target.name == "plain" for w in works if w.kind == "workload" and w.reference
    )
    assert any("changes no distribution" in s.reason for s in plan.skips)


def test_the_artefact_of_a_cell_comes_with_its_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    file = models(target("plain"), target("drafted", "tiny"))
    plan = planned(file)
    artefacts = Artefacts(file, lambda _: None)
    made = {name: Artefact(Path(f"/{name}"), "0" * 64, 1, None) for name in ("large", "tiny")}
    monkeypatch.setattr(Artefacts, "of", lambda _, name: made[name])
    drafted = artefacts.serving(spec_of(plan, "large", "drafted"))
    assert isinstance(drafted, Artefact)
    assert (drafted.path, drafted.draft) == (Path("/large"), Path("/tiny"))
    plain = artefacts.serving(spec_of(plan, "large", "plain"))
    assert isinstance(plain, Artefact)
    assert plain.draft is None
