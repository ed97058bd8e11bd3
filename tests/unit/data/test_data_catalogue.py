"""The table of data sets."""

import importlib
import re

import pytest

from slmbench.data.catalogue import CATALOGUE, by_hub, entry, expand
from slmbench.errors import UnknownNameError

_SPDX = re.compile(r"^(MIT|Apache-2\.0|AFL-3\.0|CC-BY(-SA)?-[34]\.0)$")


def test_every_entry_names_its_licence_and_a_place_to_get_it_from() -> None:
    for found in CATALOGUE.values():
        assert _SPDX.match(found.licence), found
        assert bool(found.pin) == bool(found.member), found
        assert found.pin or found.hub or found.originals, found
        assert all(split.items > 0 for split in found.splits), found


def test_licences_of_the_published_sets() -> None:
    share_alike = {"crows_pairs", "stereoset"}
    assert {name for name in share_alike if entry(name).licence == "CC-BY-SA-4.0"} == share_alike
    assert entry("bbq").licence == "CC-BY-4.0"
    assert {entry(name).licence for name in ("winobias", "winogender")} == {"MIT"}
    assert {entry(n).licence for n in ("truthfulqa", "truthfulqa_binary")} == {"Apache-2.0"}


def test_readers_of_published_files_exist() -> None:
    for found in CATALOGUE.values():
        named = [found.originals.reader] if found.originals else []
        named += [found.hub_reader] * bool(found.hub_reader)
        named += [found.pin.reader] if found.pin and found.pin.reader else []
        for module, _, name in (reader.partition(":") for reader in named):
            assert callable(getattr(importlib.import_module(module), name)), named


def test_hub_repository_and_config_identify_one_entry() -> None:
    keys = [(e.hub_repo, e.hub_config) for e in CATALOGUE.values()]
    assert len(set(keys)) == len(keys)
    for found in CATALOGUE.values():
        assert by_hub(found.hub_repo, found.hub_config) is found
    assert by_hub("allenai/ai2_arc", None) is None


def test_known_sizes() -> None:
    sizes = {name: entry(name).splits[0].items for name in ("hellaswag", "arc_easy", "piqa")}
    assert sizes == {"hellaswag": 10042, "arc_easy": 570, "piqa": 1838}
    mmlu = expand("mmlu")
    assert [sum(e.splits[i].items for e in mmlu) for i in range(3)] == [14042, 1531, 285]


def test_unknown_name_is_answered_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="hellaswag"):
        entry("helaswag")
