"""Hugging Face folders without an engine: are they whole, and what goes along with weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from slmbench.errors import ArtefactError

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
_COMPANIONS = (
    *_TOKENIZERS,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
)


def check_folder(folder: Path) -> None:
    """Raise ArtefactError unless it holds a config, whole safetensors and a tokenizer."""
    if not folder.is_dir():
        raise ArtefactError(f"{folder}: no such folder", hint="format hf means a folder of files")
    if not (folder / "config.json").is_file():
        raise ArtefactError(f"{folder}: no config.json", hint="is it the model's own folder?")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = [p.name for p in folder.glob("*.bin")]
        cause = f"only pickled weights ({', '.join(pickled)})" if pickled else "no weights"
        raise ArtefactError(
            f"{folder}: {cause}", hint="slmbench loads safetensors only: convert it first"
        )
    for path in weights:
        _check_safetensors(path)
    require_tokenizer(folder)
    _announce(folder)


def require_tokenizer(folder: Path) -> None:
    """Raise ArtefactError when the folder has no tokenizer."""
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ArtefactError(
            f"{folder}: no tokenizer ({' or '.join(_TOKENIZERS)})",
            hint="save the tokenizer into the model's folder: tokenizer.save_pretrained(folder)",
        )


def copy_companions(source: Path, out: Path) -> None:
    """Copy tokenizer, chat template and generation settings as they are."""
    require_tokenizer(source)
    for name in _COMPANIONS:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def folded_modules(parameters: Iterable[str], *, tied: bool) -> tuple[str, ...]:
    """Modules of these parameters, each once, layer numbers folded; ``tied``: and the head.

    >>> folded_modules(["layers.0.norm.weight", "layers.1.norm.weight"], tied=False)
    ('layers.*.norm',)
    """
    folded = dict.fromkeys(
        ".".join("*" if part.isdigit() else part for part in name.split(".")[:-1])
        for name in parameters
    )
    return (*folded, "lm_head (tied to the embedding)") if tied else tuple(folded)


def _announce(folder: Path) -> None:
    """Teach transformers a type of ours, so that any technique can open the folder."""
    if '"slmbench_low_rank_' in (folder / "config.json").read_text("utf-8", errors="replace"):
        from slmbench.backends.transformers_low_rank import know

        know(folder)


def _check_safetensors(path: Path) -> None:
    """The header must parse, and the tensors that it lists must lie within the file."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > size - 8:
                raise ValueError(f"its header would need {length} bytes")
            header = json.loads(file.read(length))
        ends = [row["data_offsets"][1] for name, row in header.items() if name != "__metadata__"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(
            f"{path}: no readable safetensors file ({error})", hint="fetch or make it again"
        ) from error
    if 8 + length + max(ends, default=0) != size:
        raise ArtefactError(
            f"{path}: cut short, {size} bytes instead of {8 + length + max(ends, default=0)}",
            hint="fetch or make it again",
        )
