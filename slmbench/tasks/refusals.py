"""What can be asked through the bridge, and who judges it; everything else is refused with why."""

from __future__ import annotations

from typing import Any

from slmbench.errors import UsageError
from slmbench.metrics import METRICS
from slmbench.spec import TaskSpec
from slmbench.tasks.definitions import TaskDefinition
from slmbench.tasks.texts import text_metrics

_NATIVE_METRICS = {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "f1", "mcc", "brier_score",
                   "likelihood", "exact_match"}  # fmt: skip


def refuse(definition: TaskDefinition, spec: TaskSpec) -> None:
    """UsageError for what the definition alone shows to be impossible."""
    if definition.python:
        raise UsageError(
            f"task {spec.task!r} is defined by a Python class, which slmbench does not build yet",
            hint="run it with lm-eval on slmbench.tasks.backend_lm.BackendLM",
        )
    if scorer_of(definition) != "perplexity":
        return
    text_metrics(definition.text.protocol, definition.text.window)
    if spec.chat_template or spec.num_fewshot:
        raise UsageError(
            f"task {spec.task!r} measures a text: it has no turns and no examples",
            hint="leave out chat_template and num_fewshot",
        )
    if spec.item_ids is not None and definition.text.joins:
        raise UsageError(
            f"task {spec.task!r} joins its documents into one text, so it has no items to name",
            hint="give the number of documents",
        )


def refuse_task(task: Any, spec: TaskSpec) -> None:
    """UsageError for what only lm-eval's loaded task shows to be impossible."""
    config = task.config
    if config.doc_to_image is not None or config.doc_to_audio is not None:
        raise UsageError(f"task {spec.task!r} needs images or audio; slmbench measures text models")
    if config.unsafe_code:
        raise UsageError(f"task {spec.task!r} runs code that a model wrote; slmbench does not")
    if spec.chat_template and config.gen_prefix:
        raise UsageError(
            f"task {spec.task!r} starts the model's answer (gen_prefix), which is not possible "
            "through a chat template yet",
            hint="set chat_template: false",
        )
    sampling = config.generation_kwargs or {}
    if sampling.get("do_sample") and float(sampling.get("temperature", 1.0)) > 0:
        raise UsageError(f"task {spec.task!r} samples its answers; slmbench decodes greedily")


def scorer_of(definition: TaskDefinition) -> str:
    """Name of the scorer that judges the task; UsageError when there is none."""
    if definition.scorer is not None:
        return definition.scorer
    if definition.output_type == "loglikelihood_rolling":
        return "perplexity"
    plain = definition.output_type == "multiple_choice" and not definition.custom_results
    if plain and set(definition.metrics) <= _NATIVE_METRICS:
        return "multiple_choice"
    defaults = {"loglikelihood": ("acc",), "generate_until": ("exact_match",)}
    names = definition.metrics or defaults.get(definition.output_type, ())
    if not set(names) & set(METRICS):
        raise UsageError(
            f"task {definition.name!r} is judged by {', '.join(names) or 'nothing'}, "
            "which slmbench has no scorer for",
            hint="add metadata.scorer to a copy of its YAML, or run it with lm-eval",
        )
    return "lm_eval"
