"""A folder's tokenizer as the metadata of a GGUF: the way back from :mod:`.gguf_tokenizer`.

A GGUF cannot carry an arbitrary tokenizer: llama.cpp knows the kinds it was built with by name.
Byte-level BPE with one of two splitters is recognised by its structure here; everything else
(another splitter, a normalizer, byte fallback, a prefix space) is refused, because a file that
splits text a little differently is worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.gguf_header import Header

_HINT = "byte-level BPE with the splitter of GPT-2 or SmolLM can be written as GGUF"
_PROBE = "a probe"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What ``tokenizer.ggml.*`` will say."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    """``gguf.TokenType`` of each."""
    merges: tuple[str, ...]
    pre: str
    """llama.cpp's name of the splitter."""
    ids: tuple[tuple[str, int], ...]
    """``bos``, ``eos``, ``unknown``, ``padding``, ``eot`` with their token, where there is one."""
    add_bos: bool
    add_eos: bool
    template: str | None

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Hand everything to the writer."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(list(self.tokens))
        writer.add_token_types(list(self.types))
        writer.add_token_merges(list(self.merges))
        for name, token in self.ids:
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)
        writer.add_add_bos_token(self.add_bos)
        writer.add_add_eos_token(self.add_eos)
        if self.template is not None:
            writer.add_chat_template(self.template)

    def metadata(self) -> dict[str, object]:
        """The same as a reader should find it."""
        found: dict[str, object] = {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": self.pre,
            "tokenizer.ggml.tokens": self.tokens,
            "tokenizer.ggml.token_type": self.types,
            "tokenizer.ggml.merges": self.merges,
            "tokenizer.ggml.add_bos_token": self.add_bos,
            "tokenizer.ggml.add_eos_token": self.add_eos,
            **{f"tokenizer.ggml.{name}_token_id": token for name, token in self.ids},
        }
        return (
            found if self.template is None else found | {"tokenizer.chat_template": self.template}
        )


def read_vocabulary(folder: Path, size: int) -> Vocabulary:
    """The folder's tokenizer for a model of ``size`` embeddings.

    Raises UnsupportedModelError for a kind that a GGUF could not carry.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None:
        raise _refused(folder, "it is no fast tokenizer (tokenizer.json)")
    parts = json.loads(inner.to_str())
    model = parts["model"]
    _require_plain(folder, parts, model)
    tokens, types = _tokens(folder, model["vocab"], parts["added_tokens"], size)
    merges = tuple(m if isinstance(m, str) else " ".join(m) for m in model["merges"])
    if not merges:
        raise _refused(folder, "it has no merges, and llama.cpp loads none without")
    add_bos, add_eos = _additions(folder, tokenizer)
    template = tokenizer.chat_template
    if template is not None and not isinstance(template, str):
        raise _refused(folder, f"it has {len(template)} chat templates instead of one")
    return Vocabulary(
        tokens=tokens,
        types=types,
        merges=merges,
        pre=splitter_name(folder, parts["pre_tokenizer"]),
        ids=_ids(folder, tokenizer),
        add_bos=add_bos,
        add_eos=add_eos,
        template=template or None,
    )


def splitter_name(folder: Path, pre: Any) -> str:
    """llama.cpp's name of a pre-tokenizer (its JSON); UnsupportedModelError where it has none."""
    steps = pre["pretokenizers"] if pre and pre.get("type") == "Sequence" else [pre]
    plain = [{k: v for k, v in (step or {}).items() if k != "trim_offsets"} for step in steps]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    known = {"gpt-2": [byte_level], "smollm": [digits, byte_level]}
    for name, wanted in known.items():
        if plain == wanted:
            return name
    kinds = " + ".join(str(step.get("type")) for step in plain)
    raise _refused(folder, f"its splitter ({kinds}) is not one that is known")


def check_vocabulary(path: Path, header: Header, words: Vocabulary) -> None:
    """Compare a file's tokenizer with what was to be written (ArtefactError)."""
    for key, want in words.metadata().items():
        have = header.metadata.get(key)
        if have != want:
            raise ArtefactError(f"{path}: {key} is not what was written ({_short(have)})")
    listed = {k for k in header.metadata if k.startswith("tokenizer.")}
    if strangers := sorted(listed - words.metadata().keys()):
        raise ArtefactError(f"{path}: {strangers[0]} was not asked for")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _refused(folder: Path, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{folder}: its tokenizer cannot be written as GGUF: {why}", hint=_HINT
    )


def _require_plain(folder: Path, parts: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    if model.get("type") != "BPE":
        raise _refused(folder, f"it is of the kind {model.get('type')}")
    if (parts.get("decoder") or {}).get("type") != "ByteLevel":
        raise _refused(folder, "it does not decode bytes")
    odd = {
        "a normalizer": parts.get("normalizer") is not None,
        "byte fallback": bool(model.get("byte_fallback")),
        "ignore_merges": bool(model.get("ignore_merges")),
        "dropout": bool(model.get("dropout")),
        "a subword prefix": bool(model.get("continuing_subword_prefix")),
        "an end-of-word suffix": bool(model.get("end_of_word_suffix")),
    }
    if what := [name for name, present in odd.items() if present]:
        raise _refused(folder, f"it uses {', '.join(what)}")


def _tokens(
    folder: Path, vocabulary: Mapping[str, int], added: list[dict[str, Any]], size: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Tokens in order of their ids with their types; gaps up to ``size`` become unused ones."""
    text = {number: token for token, number in vocabulary.items()}
    kinds = dict.fromkeys(text, int(gguf.TokenType.NORMAL))
    for token in added:
        number = int(token["id"])
        text[number] = token["content"]
        special = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
        kinds[number] = int(special)
    if text and max(text) >= size:
        raise _refused(folder, f"token {max(text)} lies outside the {size} embeddings")
    unused = int(gguf.TokenType.UNUSED)
    return (
        tuple(text.get(i, f"[PAD{i}]") for i in range(size)),
        tuple(kinds.get(i, unused) for i in range(size)),
    )


def _additions(folder: Path, tokenizer: Any) -> tuple[bool, bool]:
    """Whether BOS is put before and EOS behind a text; anything else is refused."""
    bare = list(tokenizer(_PROBE, add_special_tokens=False).input_ids)
    full = list(tokenizer(_PROBE).input_ids)
    for bos in (False, True):
        for eos in (False, True):
            before = [tokenizer.bos_token_id] if bos else []
            behind = [tokenizer.eos_token_id] if eos else []
            if [*before, *bare, *behind] == full:
                return bos, eos
    raise _refused(folder, "it adds other tokens than BOS before and EOS behind a text")


def _ids(folder: Path, tokenizer: Any) -> tuple[tuple[str, int], ...]:
    """The special tokens; ``eot`` is the one further end of generation, if there is just one."""
    from transformers import GenerationConfig

    named = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unknown": tokenizer.unk_token_id,
        "padding": tokenizer.pad_token_id,
    }
    if (folder / "generation_config.json").is_file():
        listed = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
        ends = listed if isinstance(listed, list) else [listed]
        further = [end for end in ends if end is not None and end != named["eos"]]
        named |= {"eot": further[0]} if len(further) == 1 else {}
    return tuple((name, int(token)) for name, token in named.items() if token is not None)
