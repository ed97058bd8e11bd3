"""How a variant is made from its parent: one model per technique, told apart by ``technique``.

``version`` is part of each recipe's digest: raise its default when the implementation's
result changes, and variants that were made by the older one are made anew.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slmbench.spec.base import Frozen, Sha256


class Dequantize(Frozen):
    """GGUF to a Hugging Face folder of safetensors in float32 (weights keep their rounding)."""

    technique: Literal["dequantize"]
    version: Literal[1] = 1
    dtype: Literal["float32"] = "float32"
    """Storage type of the weights that are written."""


class GgufQuantize(Frozen):
    """GGUF to GGUF of another type, by llama.cpp in process."""

    technique: Literal["gguf_quantize"]
    version: Literal[1] = 1
    type: Literal["F32", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"]
    """llama.cpp file type; mixed types (``_M``) keep some tensors at more bits."""


class GgufExport(Frozen):
    """Hugging Face folder of a Llama to GGUF in a float type, compared tensor by tensor."""

    technique: Literal["gguf_export"]
    version: Literal[1] = 1
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Storage type of the matrices; vectors (norms) stay float32."""


class TorchaoQuantize(Frozen):
    """Hugging Face folder to one with torchao int8 weights."""

    technique: Literal["torchao"]
    version: Literal[1] = 1
    scheme: Literal["int8_dynamic", "int8_weight_only"] = "int8_dynamic"
    """``int8_dynamic``: int8 weights per channel, int8 activations per token, real kernels."""


class DepthPrune(Frozen):
    """Drop the decoder layers of least block influence (ShortGPT, arXiv 2403.03853).

    Block influence of layer i is 1 − mean cosine similarity of its input and output hidden
    states over the tokens of real calibration text.
    """

    technique: Literal["depth_prune"]
    version: Literal[1] = 1
    drop_layers: int = Field(ge=1, le=64)
    """How many decoder layers to remove."""
    calibration: str = "boolq"
    """Data set whose text is used; not one that the accuracy suite scores."""
    calibration_texts: int = Field(default=16, ge=1, le=4096)
    """How many seeded texts of it."""
    max_tokens: int = Field(default=256, ge=16, le=8192)
    """Each text is cut to this many tokens."""
    seed: int = 1234
    """Chooses the calibration texts."""


class PlantedCorpus(Frozen):
    """Sizes and seed of our own corpus of invented records, people and canaries.

    A pure function makes it (:mod:`slmbench.tasks.privacy_corpus`), so that what is planted and
    what is asked about are the same. The privacy tasks ask about the one with these defaults.
    """

    name: Literal["slm_privacy"] = "slm_privacy"
    seed: int = 20_260
    """Of every text, and of which half is planted."""
    records: int = Field(default=220, ge=4, le=100_000)
    """Invented records; the half of each kind that a keyed hash picks is trained on (members)."""
    people: int = Field(default=32, ge=2, le=4096)
    """Invented people with a telephone number, a mail address and a staff id; half are planted."""
    people_repetitions: int = Field(default=4, ge=1, le=1024)
    """How often the texts about each planted person stand in an epoch."""
    canaries: int = Field(default=20, ge=1, le=1000)
    """Canaries for each number of repetitions."""
    repetitions: tuple[Annotated[int, Field(ge=0, le=4096)], ...] = Field(
        default=(0, 1, 4, 16), min_length=1
    )
    """How often a canary stands in an epoch; 0: never, the control."""
    sha256: Sha256 | None = None
    """Digest that the corpus must have; null: not checked. Give it, so that the variant's
    identity follows from the text."""


class LoraFinetune(Frozen):
    """Fine-tune a Hugging Face folder on the planted corpus by LoRA (Hu et al., arXiv 2106.09685).

    The adapter is merged into float32 weights, which must give the adapter's logits.
    """

    technique: Literal["lora"]
    version: Literal[1] = 1
    corpus: PlantedCorpus = PlantedCorpus()
    rank: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32.0, gt=0)
    """The update is scaled by alpha / rank."""
    targets: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        min_length=1,
    )
    """Linear layers that get an update, by the last part of their name."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """AdamW without decay; it rises over the first twentieth of the steps, then falls to 0
    along a straight line."""
    epochs: int = Field(default=3, ge=1, le=1000)
    batch: int = Field(default=8, ge=1, le=4096)
    """Texts of a step."""
    max_tokens: int = Field(default=128, ge=8, le=8192)
    """Longer texts are cut."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Type of the products while training; weights and update stay float32."""
    seed: int = 1234
    """Of the update's start and the order of the texts."""
    merge: Literal[True] = True
    """The result is an ordinary folder."""


class RandomInit(Frozen):
    """A model of random weights: what its architecture costs, and nothing else.

    Time, memory and energy do not depend on what weights say. No quality suite takes such a
    variant, nor anything made of it. With a parent it gets the parent's tokenizer, without one a
    tokenizer of bytes.
    """

    technique: Literal["random_init"]
    version: Literal[1] = 1
    architecture: Literal["llama", "mamba", "mamba2"]
    """``llama``: softmax attention (arXiv 2302.13971). ``mamba`` and ``mamba2``: a recurrent state
    instead of keys and values (arXiv 2312.00752, 2405.21060)."""
    hidden_size: int = Field(ge=64, le=16_384, multiple_of=64)
    layers: int = Field(ge=1, le=256)
    vocab_size: int | None = Field(default=None, ge=258, le=1_000_000)
    """Rows of the embedding, which is the output head too; null: the tokenizer's length."""
    intermediate_size: int | None = Field(default=None, ge=64, le=131_072)
    """Width of Llama's feed-forward layers; null: 8/3 of the hidden size, a multiple of 64."""
    kv_heads: int | None = Field(default=None, ge=1, le=256)
    """Llama's heads of keys and values; null: as many as heads, which have size 64."""
    state_size: int | None = Field(default=None, ge=1, le=1024)
    """Of Mamba's channels; null: 16, for Mamba-2 128."""
    context: int = Field(default=8192, ge=64, le=1_048_576)
    """Tokens that it says it was trained for (Llama)."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Storage type of the weights."""
    seed: int = 1234


Recipe = Annotated[
    Dequantize
    | GgufExport
    | GgufQuantize
    | TorchaoQuantize
    | DepthPrune
    | LoraFinetune
    | RandomInit,
    Field(discriminator="technique"),
]
"""Any known recipe."""
