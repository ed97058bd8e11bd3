"""Content digests: of files and folders, as ``sha256sum`` would give them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from slmbench.content import content_of, newest_of, size_of


def test_a_file_has_its_own_sha256(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    assert content_of(path).sha256 == hashlib.sha256(b"abc").hexdigest()
    assert content_of(path).bytes == 3


def test_a_folder_has_the_digest_of_sha256sums_lines(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"22")
    one, two = (hashlib.sha256(x).hexdigest() for x in (b"1", b"22"))
    lines = f"{two}  b\n{one}  sub/a\n"
    assert content_of(tmp_path).sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert content_of(tmp_path).bytes == 3


def test_a_folder_digest_knows_names_and_ignores_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = content_of(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x").write_bytes(b"noise")
    (tmp_path / "variant.json").write_bytes(b"{}")
    assert content_of(tmp_path) == before
    (tmp_path / "a").rename(tmp_path / "c")
    assert content_of(tmp_path).sha256 != before.sha256


def test_size_and_time_follow_changes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"22")
    newest = newest_of(tmp_path)
    (tmp_path / "a").write_bytes(b"333")
    assert size_of(tmp_path) == 5
    assert newest_of(tmp_path) >= newest > 0
    assert newest_of(tmp_path) == max((tmp_path / n).stat().st_mtime_ns for n in "ab")
