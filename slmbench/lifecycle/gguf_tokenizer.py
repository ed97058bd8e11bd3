"""The tokenizer and chat template out of a GGUF, so that both formats see the same tokens.

A GGUF names its pre-tokenizer (how text is split before merging) instead of carrying it, and
transformers' own GGUF reader uses GPT-2's for every byte-level BPE; SmolLM's splits each digit
off, so numbers came out differently. Here the named splitter is built, an unknown name is
refused, and the result is compared with llama.cpp's tokenizer on probe texts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.gguf_header import Header

PROBES = (
    "The quick brown fox doesn't jump over 13 lazy dogs; it's 2024-11-05, 3.14159 or 1,000,000?",
    "  leading and   inner    spaces\tand tabs\t\n\nand new lines \n",
    "def f(x):\n    return {'a': x**2, \"b\": [1, 22, 333]}  # comment\n",
    "naïve café, Ünïcödé, 日本語 2024年, Привет мир, مرحبا, 🙂🙃, ½ ² Ⅷ १२३",
    "A <b>tag</b> & an e-mail: someone@example.org, http://example.org/?q=1&r=22#top",
    "0123456789 12 123 1234 12345, 1st 2nd 3rd, x1 y22 z333",
    "I'll we've they'd I'm you're can't SHOUTING'S CamelCaseWords snake_case_words",
)
"""Texts with what tokenizers disagree about: digits, spaces, contractions, scripts."""

_CONTROL, _USER_DEFINED = 3, 4


def write_tokenizer(header: Header, out: Path) -> None:
    """Write tokenizer.json, its config and the chat template.

    Raises ArtefactError when the GGUF has no tokenizer, or one of an unknown kind.
    """
    from transformers import PreTrainedTokenizerFast

    meta = header.metadata
    tokens = _strings(header, "tokenizer.ggml.tokens")
    if not tokens:
        raise ArtefactError("the GGUF holds no tokenizer", hint="use a GGUF with its vocabulary")
    special = {
        f"{ours}_token": tokens[at]
        for ours, theirs in (
            ("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"),
        )
        if isinstance(at := meta.get(f"tokenizer.ggml.{theirs}_token_id"), int)
    }  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level_bpe(header, tokens),
        model_max_length=meta.get("llama.context_length"),
        **special,
    )
    template = meta.get("tokenizer.chat_template")
    if isinstance(template, str):
        tokenizer.chat_template = template
    tokenizer.save_pretrained(out)


def check_tokenizer(gguf: Path, folder: Path) -> str:
    """Compare both tokenizers on the probe texts; says what was done.

    Raises ArtefactError at the first text that they split differently.
    """
    try:
        ids_of = _llama_tokenizer(gguf)
    except ImportError:
        return "not compared: llama-cpp-python is not installed"
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    marks = [*tokenizer.all_special_tokens]
    probes = (*PROBES, *(f"a{mark}b {mark} 7" for mark in marks))
    for text in probes:
        ours, theirs = tokenizer(text).input_ids, ids_of(text)
        if list(ours) != theirs:
            raise ArtefactError(
                f"{gguf}: its tokenizer could not be rebuilt: {text!r} gives {ours[:12]}…, "
                f"in llama.cpp {theirs[:12]}…",
                hint="load the model's own Hugging Face folder as a source instead",
            )
    return f"equal to llama.cpp's on {len(probes)} probe texts"


def _byte_level_bpe(header: Header, tokens: tuple[str, ...]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors

    meta = header.metadata
    if meta.get("tokenizer.ggml.model") != "gpt2":
        raise UnsupportedModelError(
            f"the GGUF's tokenizer is of the kind {meta.get('tokenizer.ggml.model')!r}; "
            "byte-level BPE ('gpt2') is known",
            hint="load the model's own Hugging Face folder as a source instead",
        )
    merges = [
        (left, right)
        for left, _, right in (m.partition(" ") for m in _strings(header, "tokenizer.ggml.merges"))
    ]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = _splitter(str(meta.get("tokenizer.ggml.pre", "default")))
    tokenizer.decoder = decoders.ByteLevel()
    if meta.get("tokenizer.ggml.add_bos_token"):
        at = int(meta["tokenizer.ggml.bos_token_id"])  # type: ignore[arg-type]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens[at]} $A", pair=f"{tokens[at]} $A $B", special_tokens=[(tokens[at], at)]
        )
    kinds = meta.get("tokenizer.ggml.token_type", ())
    assert isinstance(kinds, tuple)
    for token, kind in zip(tokens, kinds, strict=False):
        if kind in (_CONTROL, _USER_DEFINED):
            added = AddedToken(token, special=kind == _CONTROL, normalized=False)
            tokenizer.add_special_tokens([added]) if added.special else tokenizer.add_tokens(
                [added]
            )
    return tokenizer


def _splitter(name: str) -> Any:
    """The pre-tokenizer that llama.cpp uses under that name."""
    from tokenizers import pre_tokenizers as pre

    byte_level = pre.ByteLevel(add_prefix_space=False, use_regex=True)
    known = {
        "gpt-2": byte_level,
        "smollm": pre.Sequence([pre.Digits(individual_digits=True), byte_level]),
    }
    if name not in known:
        raise UnsupportedModelError(
            f"the GGUF's pre-tokenizer {name!r} is not known ({', '.join(sorted(known))})",
            hint="load the model's own Hugging Face folder as a source instead",
        )
    return known[name]


def _strings(header: Header, key: str) -> tuple[str, ...]:
    value = header.metadata.get(key, ())
    return tuple(str(item) for item in value) if isinstance(value, tuple) else ()


def _llama_tokenizer(gguf: Path) -> Any:
    """text -> token ids, by llama.cpp with only the vocabulary loaded."""
    from llama_cpp import llama_cpp as native

    native.llama_backend_init()
    params = native.llama_model_default_params()
    params.vocab_only = True
    model = native.llama_model_load_from_file(str(gguf).encode(), params)
    if not model:
        raise ArtefactError(f"{gguf}: llama.cpp cannot load it", hint="fetch or make it again")
    vocabulary = native.llama_model_get_vocab(model)

    def ids_of(text: str) -> list[int]:
        data = text.encode()
        room = len(data) + 8
        ids = (native.llama_token * room)()
        n = native.llama_tokenize(vocabulary, data, len(data), ids, room, True, True)
        return list(ids[:n])

    return ids_of
