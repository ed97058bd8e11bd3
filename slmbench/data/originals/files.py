"""Delimited text and JSON, read strictly: a wrong file is an error that names the line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slmbench.data.originals import OriginalsError


def table(path: Path, columns: Sequence[str], delimiter: str = ",") -> list[Mapping[str, str]]:
    """Rows of a file with a header line that names at least these columns.

    Quotes are read as in RFC 4180 where commas separate; tab-separated files have none.
    """
    stream = io.StringIO(_text(path), newline="")
    if delimiter == ",":
        reader = csv.DictReader(stream, strict=True)
    else:
        reader = csv.DictReader(stream, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    rows: list[Mapping[str, str]] = []
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise OriginalsError(f"{path.name} has no column {', '.join(missing)}")
        for row in reader:
            if any(row[name] is None for name in columns):
                raise OriginalsError(f"{path.name}, line {reader.line_num}: too few columns")
            rows.append(row)
    except csv.Error as error:
        raise OriginalsError(f"{path.name}, line {reader.line_num}: {error}") from error
    return rows


def json_lines(path: Path) -> list[Mapping[str, Any]]:
    """The objects of a file with one JSON object a line; empty lines are left out."""
    return [
        _object(line, f"{path.name}, line {number}")
        for number, line in enumerate(_text(path).split("\n"), 1)
        if line.strip()
    ]


def json_array(path: Path) -> list[Mapping[str, Any]]:
    """The objects of a file that is one JSON array."""
    try:
        value = json.loads(_text(path))
    except ValueError as error:
        raise OriginalsError(f"{path.name}: {error}") from error
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise OriginalsError(f"{path.name}: no JSON array of objects")
    return value


def json_object(path: Path) -> Mapping[str, Any]:
    """The file's one JSON object."""
    return _object(_text(path), path.name)


def text_lines(path: Path) -> list[str]:
    """Lines without their ends; empty ones are left out."""
    return [line.rstrip("\r") for line in _text(path).split("\n") if line.strip()]


def _object(line: str, place: str) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise OriginalsError(f"{place}: {error}") from error
    if not isinstance(value, dict):
        raise OriginalsError(f"{place}: no JSON object")
    return value


def _text(path: Path) -> str:
    """The file's text without a byte order mark, line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OriginalsError(f"{path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OriginalsError(f"{path.name} is not UTF-8 (byte {error.start})") from error
