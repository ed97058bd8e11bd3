"""The program mergekit-yaml (Goddard et al., arXiv 2403.13257), where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from slmbench.errors import ArtefactError, PrerequisiteError
from slmbench.spec.recipe import Merge

PROGRAM = "mergekit-yaml"
_DIARY = ("README.md", "mergekit_config.yml")


def run_mergekit(recipe: Merge, parent: Path, other: Path, out: Path) -> str:
    """Let it write ``out``; returns what did it.

    Raises PrerequisiteError where it is not installed, ArtefactError where it fails.
    """
    program = find_program()
    if program is None:
        raise PrerequisiteError(
            f"tool mergekit: there is no program {PROGRAM} beside this Python or on the PATH",
            hint="pip install 'slmbench[mergekit]', or leave tool out",
        )
    with tempfile.TemporaryDirectory() as scratch:
        settings = Path(scratch) / "merge.yaml"
        settings.write_text(json.dumps(configuration(recipe, parent, other), indent=1), "utf-8")
        ran = subprocess.run(
            [program, str(settings), str(out), "--copy-tokenizer"],
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode != 0 or not list(out.glob("*.safetensors")):
        last = (ran.stderr.strip().splitlines() or ["it wrote no safetensors"])[-1]
        raise ArtefactError(f"{PROGRAM} ended with code {ran.returncode}: {last[:300]}")
    for name in _DIARY:  # they name folders of this machine
        (out / name).unlink(missing_ok=True)
    return PROGRAM


def find_program() -> str | None:
    """Beside the running Python, else on the PATH."""
    return shutil.which(PROGRAM, path=str(Path(sys.executable).parent)) or shutil.which(PROGRAM)


def configuration(recipe: Merge, parent: Path, other: Path) -> dict[str, Any]:
    """What mergekit reads, in JSON, which is YAML: its methods ``linear`` and ``slerp``.

    Sums are in float32, the result has the parent's number type.
    """
    if recipe.method == "slerp":
        models: list[dict[str, Any]] = [{"model": str(parent)}, {"model": str(other)}]
        extra: dict[str, Any] = {"base_model": str(parent), "parameters": {"t": recipe.t}}
    else:
        models = [
            {"model": str(parent), "parameters": {"weight": 1 - recipe.t}},
            {"model": str(other), "parameters": {"weight": recipe.t}},
        ]
        extra = {"parameters": {"normalize": False}}
    config = json.loads((parent / "config.json").read_text("utf-8"))
    kind = config.get("dtype") or config.get("torch_dtype") or "float32"
    types = {"dtype": "float32", "out_dtype": kind}
    return {"models": models, "merge_method": recipe.method, **types, **extra}
