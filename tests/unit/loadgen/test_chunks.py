"""What chunks of completions say."""

from __future__ import annotations

import json

import pytest

from slmbench.loadgen.chunks import ChunkError, Usage, read_chunk


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"text": " Paris"}, " Paris"),
        ({"delta": {"content": "Paris"}}, "Paris"),
        ({"delta": {"role": "assistant"}}, ""),
        ({"delta": {"role": "assistant", "content": ""}}, ""),
        ({"delta": {"content": None}}, ""),
        ({"delta": {"reasoning_content": "hm"}}, "hm"),
        ({"text": None, "finish_reason": "stop"}, ""),
    ],
)
def test_text_of_both_apis(choice: dict[str, object], text: str) -> None:
    assert read_chunk(json.dumps({"choices": [choice]})).text == text


def test_usage_in_a_chunk_without_choices() -> None:
    usage = {
        "prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}
    }  # fmt: skip
    assert read_chunk(json.dumps({"choices": [], "usage": usage})).usage == Usage(9, 4, 8)
    assert read_chunk('{"choices": [], "usage": null}').usage is None
    silent = read_chunk('{"choices": [], "usage": {"prompt_tokens": 9}}').usage
    assert silent == Usage(9, None, None), "what is not said is not 0"


def test_errors_in_the_stream_keep_their_message() -> None:
    assert read_chunk('{"error": {"message": "no slot", "code": 503}}').error == "no slot"
    assert read_chunk('{"error": "gone"}').error == "gone"


@pytest.mark.parametrize(
    "data", ["{", "[]", "3", '{"id": 1}', '{"choices": 3}', '{"choices": [1]}']
)
def test_what_is_no_chunk_is_refused(data: str) -> None:
    with pytest.raises(ChunkError):
        read_chunk(data)
