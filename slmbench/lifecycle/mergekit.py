"""The program mergekit-yaml of a user's own installation (Goddard et al., arXiv 2403.13257).

Its pins do not fit those of slmbench, so it lives in an environment of its own; only its program
has to be on the PATH.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from slmbench.errors import ArtefactError, PrerequisiteError
from slmbench.spec.recipe import Merge

PROGRAM = "mergekit-yaml"


def run_mergekit(recipe: Merge, parent: Path, other: Path, out: Path) -> str:
    """Let it write ``out``; returns what did it. PrerequisiteError where it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise PrerequisiteError(
            f"tool mergekit: there is no program {PROGRAM} on the PATH",
            hint="install mergekit in an environment of its own (python -m venv DIR; DIR/bin/pip "
            f"install mergekit) and put its {PROGRAM} on the PATH, or leave tool out",
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
    return PROGRAM


def configuration(recipe: Merge, parent: Path, other: Path) -> dict[str, Any]:
    """What mergekit reads, in JSON, which is YAML: its methods ``linear`` and ``slerp``."""
    if recipe.method == "slerp":
        models: list[dict[str, Any]] = [{"model": str(parent)}, {"model": str(other)}]
        extra: dict[str, Any] = {"base_model": str(parent), "parameters": {"t": recipe.t}}
    else:
        models = [
            {"model": str(parent), "parameters": {"weight": 1 - recipe.t}},
            {"model": str(other), "parameters": {"weight": recipe.t}},
        ]
        extra = {"parameters": {"normalize": False}}
    return {"models": models, "merge_method": recipe.method, "dtype": "float32", **extra}
