"""The fast stand-ins compute what they replace, and give way where they would not."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402
from transformers.models.llama import modeling_llama  # noqa: E402

from slmbench.backends import transformers_fused as fused  # noqa: E402
from slmbench.backends.transformers_kernels import FastKernels, available  # noqa: E402

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def tiny(dtype: Any = torch.float32) -> Any:
    torch.manual_seed(3)
    config = LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(dtype).eval()


IDS = torch.arange(24).reshape(2, 12)


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_a_model_with_fast_kernels_says_the_same(dtype: Any, apart: float) -> None:
    assert available()
    model = tiny(dtype)
    plain = model(IDS).logits
    kernels = FastKernels(model)
    for _ in range(2):
        with kernels:
            assert modeling_llama.apply_rotary_pos_emb.__name__ == "rotate"
            assert (model(IDS).logits - plain).abs().max() < apart
    assert torch.equal(model(IDS).logits, plain), "everything is put back"


def test_everything_is_put_back_after_an_error() -> None:
    model = tiny()
    original = modeling_llama.apply_rotary_pos_emb
    with pytest.raises(ValueError, match="stop"), FastKernels(model):
        raise ValueError("stop")
    assert modeling_llama.apply_rotary_pos_emb is original
    assert all("forward" not in vars(m) for m in model.modules())


def test_rows_do_not_depend_on_their_neighbours() -> None:
    model = tiny()
    with FastKernels(model):
        layer = model.model.layers[0].mlp
        rows = torch.randn(40, 64)
        assert torch.equal(layer(rows)[:7], layer(rows[:7]))


def test_layers_of_other_types_stay_as_they_are() -> None:
    class Scaled(torch.nn.Linear):  # type: ignore[misc]
        def forward(self, rows: Any) -> Any:
            return 2 * super().forward(rows)

    model = torch.nn.Sequential(Scaled(4, 4), torch.nn.Linear(4, 3), torch.nn.Linear(3, 2).half())
    rows = torch.randn(5, 4)
    plain = model[1](model[0](rows))
    with FastKernels(model):
        changed = ["forward" in vars(layer) for layer in model]
        assert torch.allclose(model[1](model[0](rows)), plain, atol=1e-5)
    assert changed == [False, True, False]


def test_a_gate_with_another_activation_is_left_alone() -> None:
    model = tiny()
    for layer in model.model.layers:
        layer.mlp.act_fn = torch.nn.GELU()
    plain = model(IDS).logits
    with FastKernels(model):
        assert "forward" not in vars(model.model.layers[0].mlp)
        assert (model(IDS).logits - plain).abs().max() < 1e-5


class ShiftedRMSNorm(torch.nn.Module):  # type: ignore[misc]
    """One plus the weight, as Gemma has it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(8))
        self.variance_epsilon = 1e-6

    def forward(self, rows: Any) -> Any:
        return torch.nn.functional.rms_norm(rows, (8,), 1 + self.weight, self.variance_epsilon)


def test_a_norm_that_does_something_else_is_left_alone() -> None:
    assert fused.rms_norm(ShiftedRMSNorm()) is None
    assert fused.rms_norm(torch.nn.LayerNorm(8)) is None
    assert fused.rms_norm(modeling_llama.LlamaRMSNorm(8)) is not None


def test_a_rotary_function_of_another_kind_is_left_alone() -> None:
    def interleaved(query: Any, key: Any, cos: Any, sin: Any) -> Any:
        def turn(rows: Any) -> Any:
            other = torch.stack((-rows[..., 1::2], rows[..., ::2]), -1).flatten(-2)
            return rows * cos.unsqueeze(1) + other * sin.unsqueeze(1)

        return turn(query), turn(key)

    assert not fused._rotates_alike(interleaved, fused._rotate(interleaved))
    original = modeling_llama.apply_rotary_pos_emb
    assert fused._rotates_alike(original, fused._rotate(original))


def test_rotating_a_part_of_the_head_falls_back() -> None:
    asked: list[str] = []

    def partial(query: Any, key: Any, cos: Any, sin: Any) -> Any:
        asked.append("original")
        return query, key

    rotate = fused._rotate(partial)
    query = torch.randn(1, 2, 5, 16)
    rotate(query, query, torch.randn(1, 5, 8), torch.randn(1, 5, 8))
    assert asked == ["original"]


def test_without_the_operators_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    assert not available()
