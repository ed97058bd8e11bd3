"""What a folder of onnxruntime-genai holds: its settings, its tokenizer and its chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from slmbench.backends.protocol import BackendError
from slmbench.prefix_tree import Ids
from slmbench.records import Status

CONFIG = "genai_config.json"


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """The settings that matter here, of ``genai_config.json``."""

    graph: Path
    context: int
    """Length that the model was made for [tokens]."""
    vocab_size: int
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_size: int
    ends: frozenset[int]
    """Tokens that end an answer."""
    odd_cache: str
    """Why the cache cannot go back to an earlier state; empty: it can."""

    @property
    def values_per_token(self) -> int:
        """Cached keys and values of one token, all layers."""
        return 2 * self.layers * self.kv_heads * self.head_size


def read_folder(path: Path) -> FolderFacts:
    """The folder's settings; BackendError (invalid) names what is missing and the fix."""
    if not (path / CONFIG).is_file():
        raise BackendError(
            Status.INVALID,
            f"{path.name}: {CONFIG} is missing",
            "onnxruntime loads a folder of onnxruntime-genai (format: onnx); make one with the "
            "technique onnx_export",
        )
    try:
        model = json.loads((path / CONFIG).read_text("utf-8"))["model"]
        decoder, end = model["decoder"], model["eos_token_id"]
        facts = FolderFacts(
            graph=path / decoder["filename"],
            context=int(model["context_length"]),
            vocab_size=int(model["vocab_size"]),
            layers=int(decoder["num_hidden_layers"]),
            hidden_size=int(decoder["hidden_size"]),
            heads=int(decoder["num_attention_heads"]),
            kv_heads=int(decoder["num_key_value_heads"]),
            head_size=int(decoder["head_size"]),
            ends=frozenset(map(int, end if isinstance(end, list) else [end])),
            odd_cache=_odd_cache(decoder),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(
            Status.INVALID,
            f"{path.name}: {CONFIG} is not that of a causal language model: {error}",
            "export the model again",
        ) from error
    for file in (facts.graph, path / "tokenizer.json"):
        if not file.is_file():
            raise BackendError(
                Status.INVALID, f"{path.name}: {file.name} is missing", "export the model again"
            )
    return facts


def _odd_cache(decoder: Any) -> str:
    if "past_key_names" not in decoder.get("inputs", {}):
        return "the model keeps a running state instead of keys and values"
    if decoder.get("sliding_window"):
        return "some layers have a sliding window"
    return ""


class FolderTokenizer:
    """The folder's ``tokenizer.json``, as Hugging Face's fast tokenizers read it."""

    def __init__(self, path: Path) -> None:
        """BackendError (invalid) for a file that is no tokenizer."""
        try:
            self._inner = Tokenizer.from_file(str(path / "tokenizer.json"))
        except Exception as error:  # the library raises no other
            raise BackendError(
                Status.INVALID,
                f"{path.name}: tokenizer.json cannot be read: {error}",
                "export the model again",
            ) from error
        self._inner.no_truncation()
        self._inner.no_padding()
        file = path / "tokenizer_config.json"
        config = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        self.special = {
            name: text
            for name in ("bos_token", "eos_token", "unk_token", "pad_token")
            if (text := _content(config.get(name)))
        }
        """Special tokens by name."""
        self.template = _template(path, config)
        self.size = int(self._inner.get_vocab_size(with_added_tokens=True))

    def id_of(self, name: str) -> int | None:
        """Id of a special token; None where there is none."""
        text = self.special.get(name)
        found = None if text is None else self._inner.token_to_id(text)
        return None if found is None else int(found)

    def vocabulary(self) -> dict[str, int]:
        """Every token and its id."""
        return dict(self._inner.get_vocab(with_added_tokens=True))

    def encode(self, text: str, *, special: bool) -> Ids:
        """Token ids."""
        return tuple(self._inner.encode(text, add_special_tokens=special).ids)

    def ends(self, text: str, *, special: bool) -> list[int]:
        """Where each token ends in the text [characters]."""
        return [end for _, end in self._inner.encode(text, add_special_tokens=special).offsets]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""
        return str(self._inner.decode(list(ids), skip_special_tokens=True))


def _content(token: Any) -> str:
    """A special token is written as text, or as an object that holds it."""
    found = token.get("content", "") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""


def _template(path: Path, config: Any) -> str | None:
    file = path / "chat_template.jinja"
    if file.is_file():
        return file.read_text("utf-8")
    found = config.get("chat_template")
    if isinstance(found, list):  # several, by name
        found = next((t.get("template") for t in found if t.get("name") == "default"), None)
    return found if isinstance(found, str) else None
