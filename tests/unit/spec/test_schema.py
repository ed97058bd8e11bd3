"""The JSON Schema files that editors read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from slmbench.errors import UsageError
from slmbench.locations import suites_dir
from slmbench.spec.schema import FILES, main, schema_text, write_schemas


@pytest.mark.parametrize("name", FILES)
def test_written_schemas_are_current(name: str) -> None:
    written = (suites_dir() / "schema" / name).read_text(encoding="utf-8")
    assert written == schema_text(FILES[name]), "run: python -m slmbench.spec.schema"


def test_schemas_refuse_unknown_keys_and_describe_fields() -> None:
    schema = json.loads(schema_text(FILES["suite.schema.json"]))
    assert schema["additionalProperties"] is False
    assert schema["properties"]["seed"]["description"].startswith("Seeds subsets")


def test_shipped_files_refer_to_a_schema_that_exists() -> None:
    files = [*suites_dir().glob("*.yaml"), *(suites_dir() / "models").glob("*.yaml")]
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        found = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
        assert found, f"{path.name} does not name its schema"
        assert (path.parent / found[1]).is_file(), path.name


def test_only_changed_files_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "schema")]) == 0
    assert capsys.readouterr().out.count("wrote ") == len(FILES)
    assert write_schemas(tmp_path / "schema") == ()
    assert main([]) == 0
    with pytest.raises(UsageError, match="give one folder"):
        main(["a", "b"])
