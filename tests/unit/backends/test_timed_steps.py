"""The clock of timed decoding, on a decoder that tells when it was called."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from pathlib import Path

import pytest

from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import LoadJob
from slmbench.backends.steps import Step, timed_steps
from slmbench.prefix_tree import Ids
from slmbench.spec import Target


class Told:
    """A decoder that keeps what it was given."""

    def __init__(self, fail: bool = False) -> None:
        self.before: list[Ids] = []
        self.prompts: list[Ids] = []
        self.held_ns = 0
        self.collecting: set[bool] = set()
        self.fail = fail

    def hold(self, before: Sequence[Ids]) -> None:
        self.before = list(before)
        time.sleep(0.01)
        self.held_ns = time.perf_counter_ns()

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        self.prompts = list(prompts)
        for number in count():
            self.collecting.add(gc.isenabled())
            if self.fail:
                raise RuntimeError("as asked")
            yield Step((number,), time.perf_counter_ns(), True, engine_ns=10**number)


def test_the_clock_starts_after_what_is_held() -> None:
    decoder = Told()
    timed = timed_steps(decoder, [(1, 2, 3)], 3, 2)
    assert (decoder.before, decoder.prompts) == ([(1, 2)], [(3,)])
    assert decoder.held_ns <= timed.start_ns <= timed.steps[0].at_ns
    assert [step.ids for step in timed.steps] == [(0,), (1,), (2,)]


def test_the_first_token_is_no_part_of_the_decode() -> None:
    assert timed_steps(Told(), [(1,)], 3, 0).engine_ns == 10 + 100
    assert timed_steps(Told(), [(1,)], 1, 0).engine_ns == 0


def test_nothing_is_collected_while_the_clock_runs() -> None:
    decoder = Told(fail=True)
    with pytest.raises(RuntimeError, match="as asked"):
        timed_steps(decoder, [(1,)], 1, 0)
    assert decoder.collecting == {False}
    assert gc.isenabled()


def test_the_fake_engine_is_its_sleep() -> None:
    backend = FakeBackend()
    options = {"ttft_s": 0.02, "itl_s": 0.005}
    target = Target(name="t", backend="fake", options=options)
    backend.load(LoadJob(Path("none"), "ab" * 32, target))
    (output,) = backend.generate_ids([[5] * 20], 4, depth=10)
    assert output.engine_ns is not None
    assert 15_000_000 <= output.engine_ns <= output.token_ns[-1] - output.token_ns[0]
    assert output.token_ns[0] - output.start_ns >= 20_000_000
    assert all(later - earlier >= 5_000_000 for earlier, later in pairwise(output.token_ns))


def test_the_fake_claims_what_it_is_told() -> None:
    backend = FakeBackend()
    options: dict[str, int | float] = {
        "parameters": 1000, "embedding_parameters": 400, "bits_per_weight": 4.0,
        "kv_bytes_per_token": 77, "attention_width": 96,
    }  # fmt: skip
    info = backend.load(
        LoadJob(Path("none"), "ab" * 32, Target(name="t", backend="fake", options=options))
    )
    assert (info.weight_bytes, info.decode_weight_bytes) == (500, 300)
    assert (info.matmul_parameters, info.attention_width) == (600, 96)
    assert info.kv_bytes_per_token == 77
