"""A second model in transformers that proposes tokens to the first."""

from __future__ import annotations

from typing import Any

from transformers.cache_utils import DynamicCache

from slmbench.backends.hf_folder import check_folder
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.backends.speculative import other_vocabulary
from slmbench.backends.transformers_decode import TorchReader
from slmbench.backends.transformers_load import (
    context_train,
    device,
    kv_bytes,
    load_model,
    load_tokenizer,
    plain_cache,
)
from slmbench.records import Status


def load_draft(job: LoadJob, target: Any, tokenizer: Any) -> tuple[TorchReader, int]:
    """The job's draft, on the target's device and in its types, and its cache bytes per token.

    Raises BackendError: invalid (incomplete, another vocabulary), unsupported where a cache of
    either model cannot be cut.
    """
    assert job.draft is not None
    check_folder(job.draft)
    place = device(job.target)
    model = load_model(job.draft, job.target.dtype, attention=None).to(place)
    for one in (target, model):
        if not plain_cache(one) or job.target.options.get("kv_type") == "quantized":
            raise BackendError(
                Status.UNSUPPORTED,
                f"speculative decoding: the cache of {type(one).__name__} cannot be cut, so "
                "refused tokens cannot be undone",
                "leave the target's draft out",
            )
    name = str(job.target.draft)
    if load_tokenizer(job.draft).get_vocab() != tokenizer.get_vocab():
        raise other_vocabulary(name, "its tokens are others")
    config = model.config.get_text_config(decoder=True)
    if config.vocab_size != target.config.get_text_config(decoder=True).vocab_size:
        raise other_vocabulary(name, f"{config.vocab_size} outputs")
    room = min(job.target.context, context_train(config) or job.target.context)
    reader = TorchReader(model, place, lambda: DynamicCache(config=model.config), room)
    return reader, kv_bytes(config, model.dtype)
