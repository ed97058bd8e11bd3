"""The tensors of a model folder, file by file, without making a model of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from slmbench.errors import ArtefactError

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class TensorFiles:
    """Open safetensors; tensors are read when they are asked for."""

    folder: Path
    _files: dict[str, Any]
    """Tensor name -> open file, ascending names."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all tensors, ascending."""
        return tuple(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        """Read off the header (KeyError for a name that is not there)."""
        return tuple(self._files[name].get_slice(name).get_shape())

    def tensor(self, name: str) -> torch.Tensor:
        """Its values as stored (KeyError for a name that is not there)."""
        found: torch.Tensor = self._files[name].get_tensor(name)
        return found


@contextmanager
def opened(folder: Path) -> Iterator[TensorFiles]:
    """The folder's safetensors while the context lasts."""
    with ExitStack() as stack:
        files: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            part = stack.enter_context(safe_open(path, framework="pt"))
            files |= dict.fromkeys(part.keys(), part)
        yield TensorFiles(folder, dict(sorted(files.items())))


def rewrite(source: Path, out: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    """Write every safetensors file of ``source`` with ``change(name, tensor)`` of its tensors.

    One file is in memory at a time; an index goes along, since names stay where they were.
    """
    out.mkdir(exist_ok=True)
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, framework="pt") as part:
            names, about = sorted(part.keys()), part.metadata()
            tensors = {name: change(name, part.get_tensor(name)).contiguous() for name in names}
        save_file(tensors, out / path.name, metadata=about or {"format": "pt"})
    if (source / INDEX).is_file():
        shutil.copyfile(source / INDEX, out / INDEX)


def sort_metadata(path: Path) -> None:
    """Write the header's ``__metadata__`` in the order of its keys; the tensors stay as they are.

    The library writes it in an order that changes from process to process, and so would the digest
    of a model whose tensors' classes are described there. Layout: a little-endian uint64 with the
    header's length, the header (JSON, ended by spaces), the tensors
    (https://huggingface.co/docs/safetensors).
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise ArtefactError(
                f"{path}: its header would not fit into its place when sorted",
                hint="please report it with the version of safetensors",
            )
        file.seek(8)
        file.write(text.ljust(length))
