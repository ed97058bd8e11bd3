"""Reading single numbers from text files of the kernel; what cannot be read is None."""

from __future__ import annotations

from pathlib import Path

KIB = 1024


def read_text(path: Path) -> str | None:
    """Content of a small kernel file, or None where it is missing or forbidden."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """The integer that is the whole file, or None (``max`` is None too)."""
    text = read_text(path)
    try:
        return int(text.strip()) if text else None
    except ValueError:
        return None


def field(text: str | None, name: str) -> int | None:
    """First number after ``name`` at the start of a line, with or without a colon.

    >>> field("VmHWM:\\t  1708 kB\\nThreads:\\t1\\n", "VmHWM")
    1708
    >>> field("nr_throttled 3", "nr_throttled")
    3
    """
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].rstrip(":") == name:
            return int(words[1]) if words[1].lstrip("-").isdigit() else None
    return None


def kib_field(text: str | None, name: str) -> int | None:
    """As :func:`field` for a value that the kernel gives in kB (1024 bytes) [bytes]."""
    value = field(text, name)
    return None if value is None else value * KIB
