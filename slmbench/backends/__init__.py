"""Who answers: one engine per file, the only files that may import it."""

from slmbench.backends.protocol import Backend, Capabilities, LoadJob
from slmbench.registry import Registry

BACKENDS: Registry[type[Backend]] = Registry(
    "backend",
    "slmbench.backends",
    {
        "fake": "slmbench.backends.fake:FakeBackend",
        "llama_cpp": "slmbench.backends.llama_cpp:LlamaCppBackend",
        "onnxruntime": "slmbench.backends.onnxruntime:OnnxRuntimeBackend",
        "openai": "slmbench.backends.openai_server:OpenAiBackend",
        "transformers": "slmbench.backends.transformers:TransformersBackend",
    },
)

CAPABILITIES: dict[str, Capabilities] = {
    "fake": Capabilities(formats=("fake",), devices=("cpu",)),
    "llama_cpp": Capabilities(formats=("gguf",), devices=("cpu", "cuda"), drafts=True),
    "onnxruntime": Capabilities(formats=("onnx",), devices=("cpu",), drafts=True),
    "openai": Capabilities(
        formats=("gguf", "hf", "fake"),
        devices=("cpu", "cuda"),
        loglikelihood=False,
        token_timestamps=False,
        token_ids=False,
        serves=True,
    ),
    "transformers": Capabilities(formats=("hf",), devices=("cpu", "cuda"), drafts=True),
}
"""What the built-in backends declare, so that planning imports no engine."""

__all__ = ["BACKENDS", "CAPABILITIES", "Backend", "Capabilities", "LoadJob"]
