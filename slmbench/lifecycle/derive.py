"""From a variant to its artefact: found in the cache, fetched, or made in a child process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slmbench import errors
from slmbench.content import content_of
from slmbench.errors import ArtefactError, OutOfMemoryError, SlmbenchError, UsageError
from slmbench.lifecycle import cache, sources
from slmbench.lifecycle.job import (
    Artefact,
    Done,
    Failed,
    MakeJob,
    MakerLine,
    OtherInput,
    Progress,
)
from slmbench.lifecycle.training.caps import memory_cap
from slmbench.locations import cache_dir
from slmbench.process import Child, Ending
from slmbench.spec import Variant, VariantRef

METER_ENERGY = True
"""Whether meters of energy run beside a maker."""
_MAKER = "slmbench.lifecycle.make"
_SILENCE_S = 3600.0
"""A maker that says nothing for so long is taken for hung."""
_SAVE_S = 30.0
"""Time to write a checkpoint after Ctrl-C."""
_ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}
"""Nothing is timed here, so threads sleep at barriers: spinning ones take seven times as long
when other processes want the same cores (95 s against 13 s for block influence, load 6 on 2)."""

_PASSED_ON = (errors.PrerequisiteError, errors.InterruptedRunError)
"""Errors of a maker that stay what they are; what is wrong with a name is a UsageError."""

Report = Callable[[str], None]


def find(
    variant: Variant, ref: VariantRef, *, base: Path | None = None, verify: bool = False
) -> Artefact | None:
    """The variant's artefact if it is on this machine already; makes and fetches nothing.

    Looks at existence, size and the recorded digest only; ``verify`` digests the content again
    and gives None where it is not what was recorded. ``base`` is the models file's folder: with
    it, a ``file:`` source that was found elsewhere before does not count.
    """
    if variant.source is None:
        return cache.read_made(ref.digest, verify=verify)
    found = cache.read_source(ref.digest, verify=verify)
    if found is None:
        return None
    wanted = variant.source.sha256
    moved = base is not None and sources.place_of(variant.source, base) not in (None, found.path)
    return None if moved or wanted not in (None, found.sha256) else found


def materialise(
    variant: Variant,
    ref: VariantRef,
    parent: Artefact | None,
    *,
    base: Path,
    report: Report,
    others: Sequence[OtherInput] = (),
) -> Artefact:
    """The variant's artefact, fetched or made if need be.

    ``parent`` is the artefact of ``variant.parent`` (None where it has none), ``base`` the folder
    of the models file, ``report`` takes lines for people, ``others`` are the artefacts of
    ``recipe.others()`` in their order. A derived variant is made by a child
    process, so no engine is loaded here; two callers at once make it once.

    Raises ArtefactError (missing, damaged, other digest, or the maker died), PrerequisiteError
    (something to install or fetch first) and DiskSpaceError.
    """
    if found := find(variant, ref, base=base):
        return found
    if variant.source is not None:
        artefact = sources.obtain(variant.source, variant, base, report)
        cache.write_source(ref.digest, artefact)
        return artefact
    if variant.recipe is None:
        raise ArtefactError(f"{variant.name}: a variant of format {variant.format} has no artefact")
    if parent is None and variant.parent is not None:
        raise ArtefactError(
            f"{variant.name}: its parent {variant.parent} is not there", hint="make it first"
        )
    with cache.only_maker(
        ref.digest, lambda: report(f"{variant.name}: another process is making it; waiting")
    ):
        if found := find(variant, ref):
            return found
        if cache.is_damaged(ref.digest):
            report(f"{variant.name}: what was made before is damaged; making it again")
        return _make(variant, ref, _Inputs(parent, tuple(others)), report)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a variant is made of."""

    parent: Artefact | None
    others: tuple[OtherInput, ...]


def _make(variant: Variant, ref: VariantRef, inputs: _Inputs, report: Report) -> Artefact:
    with cache.fresh_folder(ref.digest, os.getpid()) as out:
        job = _job(variant, ref, inputs, out)
        _check_inputs(job)
        report(f"{variant.name}: {_deed(job)}")
        _run_maker(job, report)
        with cache.room_to_write(out):
            cache.settle(out, ref.digest)
        cache.drop_checkpoints(ref.digest)
    made = cache.read_made(ref.digest, verify=False)
    if made is None:
        raise SlmbenchError(f"{variant.name}: its maker left no whole artefact")
    size = f"{made.bytes / 1e6:.0f} MB"
    took = f"{made.made.duration_s:.0f} s" if made.made else "?"
    report(f"{variant.name}: made in {took}, {size}")
    return made


def _check_inputs(job: MakeJob) -> None:
    """Raise ArtefactError where the parent, or another input, is not what its record says.

    What is made keeps these digests, so they are taken of the bytes that are read.
    """
    inputs = [(other.name, other.path, other.sha256) for other in job.others]
    if job.parent is not None and job.parent_path is not None and job.parent_sha256 is not None:
        inputs.append((job.parent, job.parent_path, job.parent_sha256))
    for name, path, expected in inputs:
        found = content_of(Path(path)).sha256
        if found != expected:
            raise ArtefactError(
                f"{job.variant}: {name} is damaged: {path} has SHA-256 {found}, its record says "
                f"{expected}",
                hint=_way_out(Path(path)),
            )


def _way_out(damaged: Path) -> str:
    """What to do about it: nothing but what is in the cache may be deleted."""
    home = cache_dir("models")
    if home in damaged.parents:
        folder = home / damaged.relative_to(home).parts[0]
        return f"delete {folder} and run it again: then it is made anew"
    return "its bytes were changed and its date was not: `touch` it, and it is read again"


def _deed(job: MakeJob) -> str:
    return f"{job.recipe.technique} from {job.parent}" if job.parent else job.recipe.technique


def _job(variant: Variant, ref: VariantRef, inputs: _Inputs, out: Path) -> MakeJob:
    assert variant.recipe is not None
    parent = inputs.parent
    return MakeJob(
        variant=variant.name,
        identity=ref.digest,
        recipe=variant.recipe,
        format=variant.format,
        parent=variant.parent,
        parent_identity=ref.parent_digest or (parent.sha256 if parent else None),
        parent_sha256=parent.sha256 if parent else None,
        parent_path=str(parent.path) if parent else None,
        others=inputs.others,
        checkpoints=str(cache.checkpoints_of(ref.digest)),
        out=str(out),
        threads=_cores(),
        energy=METER_ENERGY,
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_maker(job: MakeJob, report: Report) -> None:
    """Run the child to its end; raises what it reported, or how it died."""
    env = {**_ENVIRONMENT, "OMP_NUM_THREADS": str(job.threads)}
    done = False
    failure: Failed | None = None
    with memory_cap(job.recipe) as cap, Child(_MAKER, env=env, group=cap.folder) as child:
        metered = job.energy and cap.limit is None  # meters would count as the maker's memory
        limits = {"address_space": cap.address_space, "group": cap.group, "energy": metered}
        told = job.model_copy(update=limits)
        child.send(told.model_dump_json())
        try:
            for text in child.lines(lambda: time.monotonic() + _SILENCE_S):
                line = MakerLine.validate_json(text)
                if isinstance(line, Progress):
                    report(f"{job.variant}: {line.text}")
                elif isinstance(line, Failed):
                    failure = line
                else:
                    done = isinstance(line, Done)
        except KeyboardInterrupt:
            _let_it_save(job, child, report)
            raise
        ending = child.finish()
        short = failure is not None and failure.error == OutOfMemoryError.__name__
        unexplained = short or (failure is None and not ending.clean)
        if unexplained and cap.may_explain(ending):
            raise cap.exceeded(job.variant, known=short or ending.oom_killed)
    if failure is not None:
        raise _error_of(job, failure)
    # "Done" is said when all is written and synced: leaving slowly afterwards, as an interpreter
    # with large libraries does on a busy machine, takes nothing away.
    if not (done and (ending.clean or ending.timed_out)):
        raise _death_of(job, ending)


def _let_it_save(job: MakeJob, child: Child, report: Report) -> None:
    """After Ctrl-C: time for a checkpoint; a second Ctrl-C does not wait."""
    report(f"{job.variant}: stopping")
    child.end(_SAVE_S)
    if job.checkpoints is not None and Path(job.checkpoints).is_dir():
        report(f"{job.variant}: its checkpoint is kept; the same command goes on from there")


def _error_of(job: MakeJob, failure: Failed) -> SlmbenchError:
    kind = getattr(errors, failure.error, None)
    message = f"{job.variant}: {failure.message}"
    if isinstance(kind, type) and issubclass(kind, _PASSED_ON):
        return kind(message, hint=failure.hint)
    if isinstance(kind, type) and issubclass(kind, UsageError):
        return UsageError(message, hint=failure.hint)
    return SlmbenchError(message, hint=failure.hint)


def _death_of(job: MakeJob, ending: Ending) -> ArtefactError:
    if ending.timed_out:
        how = f"said nothing for {_SILENCE_S:.0f} s and was killed"
    elif ending.signal is not None:
        how = f"died of {ending.signal}"
    else:
        how = f"ended with code {ending.exit_code}"
    hint = "run it again; `slmbench doctor` tries each engine"
    if ending.oom_killed:
        how += " (the machine ran out of memory)"
        hint = "free memory, lower `batch` or `sequence` of a training, or use a smaller parent"
    if job.checkpoints is not None and Path(job.checkpoints).is_dir():
        hint += "; its checkpoint is kept: the next try goes on from there"
    said = () if ending.oom_killed else ending.stderr_tail
    tail = "".join(f"\n    {line}" for line in said)
    return ArtefactError(
        f"{job.variant}: the process that makes it ({_deed(job)}) {how}{tail}",
        hint=hint,
    )
