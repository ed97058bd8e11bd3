"""Variants from recipes: what a models file lists becomes a file or folder on this machine.

``find`` looks, ``materialise`` fetches or makes; each technique is one file here, imported only
by the child process ``python -m slmbench.lifecycle.make``. Importing this package loads no
engine.
"""

from slmbench.lifecycle.cache import making_records
from slmbench.lifecycle.collection import Artefacts
from slmbench.lifecycle.derive import find, materialise
from slmbench.lifecycle.job import Artefact
from slmbench.made import MadeRecord

__all__ = ["Artefact", "Artefacts", "MadeRecord", "find", "making_records", "materialise"]
