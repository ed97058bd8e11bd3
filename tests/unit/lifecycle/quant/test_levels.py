"""Grids are found in rounded weights, whatever their group, and in no others."""

from __future__ import annotations

import numpy as np
import pytest

from slmbench.lifecycle.levels import Levels, levels_of

Floats = np.ndarray


def drawn(rows: int = 48, columns: int = 512, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.02, (rows, columns)).astype(np.float32)


def rounded(weights: Floats, bits: int, group: int | None, scale_type: type = np.float16) -> Floats:
    """Symmetric levels, written out independently of what makes them in the package."""
    size = group or weights.shape[1]
    cut = weights.reshape(-1, size)
    scale = (np.abs(cut).max(1, keepdims=True) / (2 ** (bits - 1) - 0.5)).astype(scale_type)
    scale = scale.astype(np.float32)
    levels = np.clip(np.rint(cut / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return (levels * scale).reshape(weights.shape).astype(np.float32)


def as_bfloat16(weights: Floats) -> Floats:
    bits = weights.view(np.uint32)
    even = ((bits >> 16) & 1) + np.uint32(0x7FFF)
    return ((bits + even) & np.uint32(0xFFFF0000)).view(np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group", [16, 32, 64, 128, None])
@pytest.mark.parametrize("scale_type", [np.float16, np.float32])
def test_a_grid_is_found(bits: int, group: int | None, scale_type: type) -> None:
    found = levels_of(rounded(drawn(), bits, group, scale_type))
    assert found is not None
    assert found.group == group
    assert found.count <= 2**bits
    if bits <= 4 and (group is None or group >= 32):
        assert found.count > 2 ** (bits - 1)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("spread", [1e-4, 0.02, 3.0])
def test_weights_that_nobody_rounded_are_on_no_grid(kind: str, spread: float) -> None:
    weights = drawn() * np.float32(spread / 0.02)
    if kind == "bfloat16":
        weights = as_bfloat16(weights)
    elif kind == "float16":
        weights = weights.astype(np.float16).astype(np.float32)
    assert levels_of(weights) is None


@pytest.mark.parametrize("store", [as_bfloat16, lambda w: w.astype(np.float16).astype(np.float32)])
def test_few_levels_are_found_after_another_rounding(store: object) -> None:
    """Stored in 16 bits, levels are no exact multiples any more: they are still few."""
    assert callable(store)
    found = levels_of(store(rounded(drawn(), 4, 32)))
    assert found is not None
    assert found.count <= 16


def test_uneven_levels_are_found() -> None:
    """16 values at uneven distances, as in IQ4_NL or NF4."""
    table = np.sort(np.random.default_rng(3).normal(size=16)).astype(np.float32)
    chosen = np.random.default_rng(4).integers(0, 16, (48, 512))
    scale = np.abs(drawn(48, 16)).repeat(32, axis=1) + np.float32(1e-3)
    assert levels_of(table[chosen] * scale) == Levels(16, 32)


def test_a_shift_in_each_group_is_no_hindrance() -> None:
    """Asymmetric grids: minimum plus levels, as in Q4_1."""
    shifted = rounded(drawn(), 4, 32) + drawn(48, 16, seed=9).repeat(32, axis=1)
    found = levels_of(shifted)
    assert found is not None
    assert found.group == 32
    assert found.count <= 16


def test_zeros_constants_and_sparse_weights_are_no_grid() -> None:
    weights = drawn()
    sparse = np.where(np.random.default_rng(1).random(weights.shape) < 0.5, 0, weights)
    for matrix in (np.zeros((8, 64)), np.ones((8, 64)), np.eye(64), sparse, weights[:, :2]):
        assert levels_of(matrix.astype(np.float32)) is None
    half = np.concatenate([rounded(weights, 4, 32)[:16], weights[:32]])
    assert levels_of(half) is None
