from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.backends.score_cache import VERSION, ScoreCache
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Pair
from slmbench.requests import LoglikelihoodRequest, RollingRequest
from slmbench.spec import Target

ONE, OTHER = Pair((1, 2), (3,)), Pair((1,), (2, 3))


def test_scores_come_back_bit_for_bit_and_know_the_boundary(tmp_path: Path) -> None:
    file = tmp_path / "new" / "scores.sqlite"
    first = ScoreCache(file)
    first.keep([ONE], [TokenScore(-0.1 - 1e-17, greedy=True)])
    first.close()
    again = ScoreCache(file)
    assert again.known([ONE, OTHER]) == {ONE: TokenScore(-0.1 - 1e-17, greedy=True)}


def test_what_is_not_finite_is_asked_again(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.sqlite")
    cache.keep([ONE, OTHER], [TokenScore(None, greedy=False), TokenScore(-2.0, greedy=False)])
    assert set(cache.known([ONE, OTHER])) == {OTHER}


def test_many_pairs_are_found(tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.sqlite")
    pairs = [Pair((n,), (n + 1,)) for n in range(1200)]
    cache.keep(pairs, [TokenScore(-float(p.context[0]), greedy=False) for p in pairs])
    found = cache.known(pairs)
    assert [found[p].logprob for p in pairs] == [-float(n) for n in range(1200)]


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scores.sqlite"
    ScoreCache(file).close()
    with sqlite3.connect(file) as base:
        base.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(BackendError, match=f"version {VERSION + 1}, this slmbench reads {VERSION}"):
        ScoreCache(file)


def test_a_file_that_is_no_cache_is_refused_with_the_fix(tmp_path: Path) -> None:
    file = tmp_path / "scores.sqlite"
    file.write_bytes(b"not a data base at all" * 100)
    with pytest.raises(BackendError, match="cannot be used") as caught:
        ScoreCache(file)
    assert str(file) in caught.value.hint
    assert "scoring.cache: false" in caught.value.hint


class Counting(FakeBackend):
    """Keeps the pairs that it really scored."""

    def __init__(self) -> None:
        super().__init__()
        self.scored: list[Pair] = []

    def _score_alone(self, pair: Pair) -> TokenScore:
        self.scored.append(pair)
        return super()._score_alone(pair)


def test_a_run_that_grew_scores_only_what_is_new(tmp_path: Path) -> None:
    def requests(*ends: str) -> list[LoglikelihoodRequest | RollingRequest]:
        return [LoglikelihoodRequest(context="Once", continuation=end) for end in ends]

    plain, backend = Counting(), Counting()
    for one in (plain, backend):
        one.load(LoadJob(tmp_path, "ab" * 32, Target(name="t", backend="fake")))
    backend.remember(tmp_path / "scores.sqlite")
    first = list(backend.loglikelihood(requests(" upon", " more")))
    asked = [*requests(" more", " a time", "", " upon"), RollingRequest(text="Some text")]
    grown = list(backend.loglikelihood(asked))
    assert len(backend.scored) == 2 + 2, "one new choice and the text"
    assert [o.cached for o in first] == [False, False]
    assert [o.cached for o in grown] == [True, False, False, True, False]
    expected = [o.model_copy(update={"cached": False}) for o in grown]
    assert list(plain.loglikelihood(asked)) == expected
    backend.remember(None)
    list(backend.loglikelihood(requests(" upon")))
    assert len(backend.scored) == 5, "no longer remembered"
