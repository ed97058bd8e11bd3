"""One campaign at a time per results folder: two would disturb each other's measurements."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from slmbench.errors import UsageError

_NAME = ".lock"


@contextmanager
def only_campaign(root: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel frees it when the process ends, however it ends.

    Raises UsageError naming the process that holds it, or why the folder cannot be written.
    """
    with _opened(root) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UsageError(
                f"{root}: another run (process {file.read().strip() or 'unknown'}) writes here",
                hint="wait for it, stop it, or give this run another --results folder",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _opened(root: Path) -> IO[str]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return (root / _NAME).open("a+", encoding="ascii")
    except (FileExistsError, NotADirectoryError):
        cause = "not a folder"
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        cause = f"cannot be written: {error.strerror}"
    raise UsageError(f"results folder {root}: {cause}", hint="give another --results folder")
