"""Why a variant, a target and a work do not go together, in words for people."""

from __future__ import annotations

from slmbench.backends import Capabilities
from slmbench.errors import UnknownNameError
from slmbench.spec import ModelsFile, SuiteTask, SuiteWorkload, Target, Variant
from slmbench.tasks.fidelity import FIDELITY
from slmbench.tasks.workloads import SERVED

_SIMULATED = (
    "simulated kernels: dense arithmetic stands for the compression, so its speed, memory and "
    "energy would be the parent's and are not credited"
)
"""Why a timed workload of such a variant is left out."""


def obstacle(variant: Variant, target: Target, can: Capabilities) -> str:
    if variant.format not in can.formats:
        return f"{target.backend} does not load the format {variant.format!r}"
    if target.device.partition(":")[0] not in can.devices:
        return f"{target.backend} does not run on {target.device!r}"
    return ""


def draftless(models: ModelsFile, variant: Variant, target: Target, can: Capabilities) -> str:
    """Why the target's draft cannot serve a variant; empty where it can or there is none."""
    if target.draft is None:
        return ""
    known = {v.name: v for v in models.variants}
    if target.draft not in known:
        raise UnknownNameError(f"draft of target {target.name}", target.draft, known)
    draft = known[target.draft]
    if not can.drafts:
        return f"{target.backend} takes no draft"
    if draft.name == variant.name:
        return "it is the target's draft itself"
    if models.is_simulated(draft.name):
        return f"the target's draft {draft.name} runs on simulated kernels"
    why = obstacle(draft, target, can)
    return f"the target's draft {draft.name}: {why}" if why else ""


def unfit(target: Target, can: Capabilities, work: SuiteTask | SuiteWorkload) -> str:
    """Why the backend cannot do this workload: servers are asked by ``serving`` only."""
    if isinstance(work, SuiteTask):
        return ""
    if work.workload == FIDELITY and target.draft is not None:
        return "a draft changes no distribution: take the target without it"
    if work.workload in SERVED:
        return "" if can.serves else f"{target.backend} is no server: take --models serving"
    return "" if can.token_ids else f"{target.backend} takes no token ids: a server has `serving`"


def meaningless(models: ModelsFile, variant: Variant, work: SuiteTask | SuiteWorkload) -> str:
    """Why a work would say nothing about the variant; empty where it does."""
    about_quality = isinstance(work, SuiteTask) or work.workload == FIDELITY
    if about_quality and models.has_random_weights(variant.name):
        return "random weights: latency, memory and energy only"
    if not about_quality and models.is_simulated(variant.name):
        return _SIMULATED
    return ""
