"""What an artefact that another process serves is made of, as ModelInfo wants it."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

from slmbench.backends.hf_folder import check_folder
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.errors import PrerequisiteError
from slmbench.records import ModelInfo, Status


def facts_of(job: LoadJob, engine: str) -> ModelInfo:
    """Read from the GGUF file or the folder; of a fake there is nothing to read.

    Raises BackendError for an artefact that is damaged.
    """
    if job.path.is_dir() and (job.path / "config.json").exists():
        return _folder(job, engine)
    if job.path.suffix == ".gguf" or job.path.is_file():
        return _gguf(job, engine)
    return ModelInfo(  # a mock server's: one weight of one byte, so that no ratio divides by 0
        artefact_sha256=job.artefact_sha256,
        artefact_bytes=1,
        weight_bytes=1,
        parameters=1,
        bits_per_weight=8.0,
        layers=1,
        hidden_size=1,
        vocab_size=1,
        context_train=job.target.context,
        kv_bytes_per_token=None,
        adds_bos=False,
        engine_version=engine,
    )


def _gguf(job: LoadJob, engine: str) -> ModelInfo:
    try:
        from slmbench.backends.llama_session import LlamaModel
        from slmbench.backends.llama_weights import model_info
    except ImportError as error:
        raise PrerequisiteError(
            f"reading {job.path.name} needs llama-cpp-python, which cannot be imported: {error}",
            hint="pip install 'slmbench[llama-cpp]'",
        ) from error
    model = LlamaModel(job.path, gpu=None, extra_bufts=False)  # mapped, and closed again at once
    try:
        return model_info(job, model, model.kv_bytes_per_token("f16"), engine)
    finally:
        model.close()


def _folder(job: LoadJob, engine: str) -> ModelInfo:
    size = check_folder(job.path)
    config = json.loads((job.path / "config.json").read_text("utf-8"))
    parameters = sum(_weights(shard) for shard in sorted(job.path.glob("*.safetensors")))
    try:
        layers, hidden = int(config["num_hidden_layers"]), int(config["hidden_size"])
        vocab, context = int(config["vocab_size"]), int(config["max_position_embeddings"])
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(
            Status.UNSUPPORTED, f"{job.path.name}: config.json does not say {error}"
        ) from error
    return ModelInfo(
        artefact_sha256=job.artefact_sha256,
        artefact_bytes=size.artefact_bytes,
        weight_bytes=size.weight_bytes,
        parameters=parameters,
        bits_per_weight=8 * size.weight_bytes / parameters,
        layers=layers,
        hidden_size=hidden,
        vocab_size=vocab,
        context_train=context,
        kv_bytes_per_token=None,
        adds_bos=False,
        engine_version=engine,
    )


def _weights(shard: Path) -> int:
    """Numbers in a safetensors file, from its header."""
    with shard.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return sum(math.prod(entry["shape"]) for key, entry in header.items() if key != "__metadata__")
