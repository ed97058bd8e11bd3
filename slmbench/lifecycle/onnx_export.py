"""A Hugging Face folder to an ONNX model, by the model builder of onnxruntime-genai.

The builder reads the folder's own weights; nothing is fetched and no code of the folder runs. Its
int4 is round-to-nearest in blocks, symmetric, with float32 scales, of all matrices and of the
embedding where that is the head. The result is loaded again in the engine that will run it, and
read a text beside its parent: a float32 export that predicts otherwise is an error, not a note.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.backends.onnxruntime import OnnxRuntimeBackend
from slmbench.backends.onnxruntime_folder import FolderTokenizer
from slmbench.backends.onnxruntime_graph import read_graph
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.gguf_tokenizer import PROBES
from slmbench.lifecycle.hf_folder import check_folder
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import OnnxExportFacts
from slmbench.spec import Target
from slmbench.spec.recipe import OnnxExport
from slmbench.tasks.fidelity import documents, text_digest

_KNOWN = "llama, mistral, qwen2, qwen3, gemma, phi3, granite, olmo, smollm3, nemotron and kin"
_TEXTS, _TOKENS = 4, 192
"""Documents of the probe text, and tokens of each at most."""
_SAME = {"PYTHONHASHSEED": "0"}
"""Hashing decides the order of a graph's parts, and hence its digest. And the builder writes the
commit of a checkout around it into the model: ``GIT_DIR`` shows it none."""
_MEAN_LIMIT, _AGREEMENT_LIMIT = 1e-3, 0.99
"""What a float32 export may differ by: mean |Δ log p| [nats] and share of equal arg max."""


def make(recipe: OnnxExport, bench: Workbench) -> Product:
    """Write the folder ``onnx`` and compare it with its parent.

    Raises UnsupportedModelError for an architecture that the builder does not know or weights
    that are quantized already, ArtefactError where the export predicts otherwise.
    """
    check_folder(bench.parent)
    _refuse(bench.parent)
    out = bench.out / "onnx"
    bench.report(f"building the ONNX graph in {recipe.precision}")
    _build(recipe, bench.parent, out)
    bench.report("comparing it with its parent")
    tokenizer_check = _check_tokenizer(bench.parent, out)
    found = _compare(bench.parent, out, bench.threads)
    _judge(recipe, found)
    facts = OnnxExportFacts(
        quantized_matmuls=read_graph(out / "model.onnx").quantized_matmuls,
        mean_logprob_difference=found.mean,
        top1_agreement=found.agreement,
        probe_tokens=found.tokens,
        tokenizer_check=tokenizer_check,
    )
    libraries = ("onnxruntime-genai", "onnxruntime", "onnx", "onnx-ir", "torch", "transformers")
    return Product(out, facts, libraries)


def _refuse(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if config.get("slmbench_soft_prompt"):
        raise UnsupportedModelError(
            f"{folder}: onnx_export does not know a learnt prompt, which nothing would put first",
            hint="export its parent; learnt prompts run in transformers",
        )
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method:
        raise UnsupportedModelError(
            f"{folder}: its weights are quantized ({method}), and the export reads float weights",
            hint="export the float parent; precision: int4 quantizes on the way",
        )


def _build(recipe: OnnxExport, parent: Path, out: Path) -> None:
    """Run the builder as the program that it is: its modules have names like ``builders``."""
    options = ["hf_token=false", "hf_remote=false"]
    if recipe.precision == "int4":
        options += [f"block_size={recipe.block_size}", f"accuracy_level={recipe.accuracy_level}"]
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(parent)]
        command += ["-o", str(out), "-p", recipe.precision, "-e", "cpu", "-c", scratch]
        done = subprocess.run(
            [*command, "--extra_options", *options],
            cwd=scratch,
            env={**os.environ, **_SAME, "HF_HUB_OFFLINE": "1", "GIT_DIR": scratch},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode == 0:
        return
    last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
    if last.startswith("NotImplementedError"):
        kind = json.loads((parent / "config.json").read_text("utf-8")).get("model_type")
        raise UnsupportedModelError(
            f"onnxruntime-genai's model builder does not know a {kind}", hint=f"it knows {_KNOWN}"
        )
    raise ArtefactError(
        f"{parent}: the model builder failed: {last}",
        hint="try it alone: python -m onnxruntime_genai.models.builder -i FOLDER -o OUT -p fp32 "
        "-e cpu",
    )


def _check_tokenizer(parent: Path, out: Path) -> str:
    """Compare ids with the parent's tokenizer; ArtefactError at the first text that differs."""
    theirs = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    ours = FolderTokenizer(out)
    probes = (*PROBES, *(f"a{mark}b {mark} 7" for mark in theirs.all_special_tokens))
    for text in probes:
        for special in (True, False):
            wanted = tuple(theirs.encode(text, add_special_tokens=special))
            found = ours.encode(text, special=special)
            if wanted != found:
                raise ArtefactError(
                    f"{parent}: its tokenizer does not survive the export: {text!r} gives "
                    f"{list(found[:12])}…, in the parent {list(wanted[:12])}…",
                    hint="is tokenizer.json the whole tokenizer?",
                )
    return f"equal to the parent's on {len(probes)} probe texts"


@dataclass(frozen=True, slots=True)
class _Difference:
    """Parent and export, read the same text."""

    mean: float
    agreement: float
    tokens: int


def _compare(parent: Path, out: Path, threads: int) -> _Difference:
    backend = OnnxRuntimeBackend()
    target = Target(name="export", backend="onnxruntime", threads=threads, context=_TOKENS + 1)
    try:
        info = backend.load(LoadJob(out, "0" * 64, target))
        texts = [d.text for d in islice(documents(text_digest()), _TEXTS)]
        most = min(_TOKENS, info.context_train)
        sequences = [
            ids for text in texts if len(ids := backend.encode(text, special=True)[:most]) > 1
        ]
        return _difference(_rows_of(parent, sequences), backend, sequences)
    except BackendError as error:
        raise ArtefactError(
            f"the export cannot be run: {error.reason}", hint=error.hint or None
        ) from error
    finally:
        backend.close()


def _rows_of(parent: Path, sequences: list[tuple[int, ...]]) -> list[Any]:
    """The parent's float32 log-probabilities after each token but the last."""
    model = AutoModelForCausalLM.from_pretrained(
        parent, local_files_only=True, trust_remote_code=False, dtype=torch.float32
    ).eval()
    rows = []
    with torch.inference_mode():
        for ids in sequences:
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
            rows.append(torch.log_softmax(logits.float(), -1).numpy())
    return rows


def _difference(
    wanted: list[Any], backend: OnnxRuntimeBackend, sequences: list[tuple[int, ...]]
) -> _Difference:
    gaps: list[float] = []
    same: list[bool] = []
    for ids, theirs in zip(sequences, wanted, strict=True):
        ours = backend.next_logprobs(ids, 1)
        at, goals = np.arange(len(theirs)), np.asarray(ids[1:])
        gaps += np.abs(ours[at, goals].astype(float) - theirs[at, goals]).tolist()
        same += (ours.argmax(1) == theirs.argmax(1)).tolist()
    if not np.isfinite(gaps).all():
        raise ArtefactError(
            "the export predicts NaN where its parent does not",
            hint="try accuracy_level: 1, or precision: fp32",
        )
    return _Difference(float(np.mean(gaps)), float(np.mean(same)), len(gaps))


def _judge(recipe: OnnxExport, found: _Difference) -> None:
    """A float32 export must be the same model."""
    if recipe.precision != "fp32":
        return
    if found.mean > _MEAN_LIMIT or found.agreement < _AGREEMENT_LIMIT:
        raise ArtefactError(
            f"the float32 export predicts otherwise than its parent: mean |Δ log p| "
            f"{found.mean:.2g} nats, {found.agreement:.1%} equal choices over {found.tokens} "
            "tokens",
            hint="the builder misreads this architecture: keep the folder or export to GGUF",
        )
