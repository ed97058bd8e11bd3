"""Size gate: a file has at most 400 lines, a function at most 50.

    python scripts/check_size.py [FILE …]      default: every Python file under version control

Exceptions are listed below by name, each with its reason; one that is no longer needed fails too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

EXCEPTIONS: dict[str, str] = {}
"""``path`` for a file, ``path::function`` for a function, and why it may be longer."""


def oversized(path: Path, name: str) -> dict[str, int]:
    """Too long things in one file: their names and lengths in lines."""
    text = path.read_text(encoding="utf-8")
    found = {}
    if (length := text.count("\n")) > MAX_FILE_LINES:
        found[name] = length
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found[f"{name}::{node.name}"] = length
    return found


def tracked() -> list[str]:
    """Python files under version control, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({line for line in ran.stdout.splitlines() if (ROOT / line).is_file()})


def main(arguments: list[str]) -> int:
    """Print every violation; 1 when there is one."""
    found: dict[str, int] = {}
    for name in arguments or tracked():
        found |= oversized(ROOT / name, name)
    problems = [
        f"{name}: {length} lines, at most "
        f"{MAX_FUNCTION_LINES if '::' in name else MAX_FILE_LINES}: split it, or list it in "
        "scripts/check_size.py with a reason"
        for name, length in found.items()
        if name not in EXCEPTIONS
    ]
    if not arguments:
        problems += [
            f"{name}: no longer too long; remove its exception from scripts/check_size.py"
            for name in EXCEPTIONS
            if name not in found
        ]
    print("\n".join(problems) or "sizes: fine")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
