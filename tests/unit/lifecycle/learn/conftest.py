"""Small parents and text of our own for what learns."""

from __future__ import annotations

from pathlib import Path

import pytest
from little_training import passages

from tiny_llama import save_tiny_llama, sizes


@pytest.fixture
def little_text(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What every recipe reads in place of data sets; the last six passages are held out."""
    from slmbench.lifecycle.training import material, soft_prompt
    from slmbench.lifecycle.training.text import Corpus

    texts = passages()
    corpus = Corpus(tuple(texts[:-6]), tuple(texts[-6:]), ("ours",))
    for module in (material, soft_prompt):
        monkeypatch.setattr(module, "read_corpus", lambda _: corpus)
    return texts


@pytest.fixture(scope="session")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 64 numbers a token, which forgets little when it is rounded."""
    from transformers import LlamaConfig

    config = LlamaConfig(**sizes() | {"initializer_range": 0.1})
    return save_tiny_llama(tmp_path_factory.mktemp("parent") / "hf", config=config)
