"""Federated averaging: what clients send, what the server makes of it, and the folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_training import bench_at, recipe, tensors_of

from slmbench.errors import ArtefactError, MissingEngineError
from slmbench.spec.recipes.training import FedAvg

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


class PlainServer:
    """The mean by hand, where Flower is not installed."""

    framework = "none 0"

    def average(self, number: int, sent: Any) -> Any:
        total = sum(tokens for _, tokens in sent)
        rows = zip(*(arrays for arrays, _ in sent), strict=True)
        weights = [tokens / total for _, tokens in sent]
        return [
            sum(w * a for w, a in zip(weights, row, strict=True)).astype(np.float32) for row in rows
        ]


def asked(**settings: Any) -> FedAvg:
    lora = {"kind": "lora", "rank": 4, "alpha": 8}
    train = recipe(update=lora, tokens=256, sequence=16).model_dump()
    given = {"clients": 3, "rounds": 2, "topics": 3, "concentration": 1.0, "train": train}
    return FedAvg.model_validate({"technique": "fedavg", **given, **settings})


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, little_text: list[str]) -> None:
    from slmbench.lifecycle.training import fedavg

    monkeypatch.setattr(fedavg, "Server", PlainServer)


@pytest.mark.usefixtures("plain")
def test_rounds_lower_the_loss_and_the_folder_is_the_average(tmp_path: Path, parent: Path) -> None:
    from slmbench.lifecycle.training.fedavg import make

    made = make(asked(rounds=3), bench_at(tmp_path, parent))
    facts = made.facts
    curve = facts.training.curve
    assert [point.step for point in curve] == [0, 12, 24, 36]  # 3 clients, 4 steps each
    assert [point.tokens for point in curve][-1] == facts.training.tokens == 3 * 3 * 256
    assert curve[-1].validation < curve[1].validation < curve[0].validation
    assert sum(facts.client_texts) == 54
    assert all(sum(row) == pytest.approx(1) for row in facts.topic_shares)
    assert facts.reload_max_logit_difference < 1e-4


@pytest.mark.usefixtures("plain")
def test_one_round_is_the_mean_of_clients_that_train_alone(
    tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All begin from the same update, see their own rows only, and weigh as their text does."""
    from slmbench.lifecycle.training import fedavg, loop

    began: list[Any] = []
    ran = loop.train

    def watched(task: loop.Task) -> loop.Ended:
        weights = [p for p in task.model.parameters() if p.requires_grad]
        before = [w.detach().clone() for w in weights]
        ended = ran(task)
        began.append((before, [w.detach().clone() for w in weights], task.rows))
        return ended

    sent: list[Any] = []
    real = PlainServer.average
    monkeypatch.setattr(loop, "train", watched)
    monkeypatch.setattr(
        PlainServer, "average", lambda self, n, got: sent.append(got) or real(self, n, got)
    )
    made = fedavg.make(asked(rounds=1), bench_at(tmp_path, parent))
    first = began[0][0]
    for before, _, _ in began[1:]:
        assert all((a == b).all() for a, b in zip(first, before, strict=True))
    assert len({rows.numpy().tobytes() for _, _, rows in began}) == 3
    (round_one,) = sent
    assert tuple(tokens for _, tokens in round_one) == made.facts.client_tokens
    for (arrays, _), (_, after, _) in zip(round_one, began, strict=True):
        assert all(np.array_equal(a, w.numpy()) for a, w in zip(arrays, after, strict=True))


@pytest.mark.usefixtures("plain")
def test_an_interrupted_round_is_done_again(
    tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slmbench.errors import InterruptedRunError
    from slmbench.lifecycle.training import fedavg, loop

    whole = fedavg.make(asked(rounds=3), bench_at(tmp_path / "whole", parent))
    ran, calls = loop.train, []

    def dies(task: loop.Task) -> loop.Ended:
        calls.append(1)
        if len(calls) == 5:  # in the second round
            raise InterruptedRunError("here")
        return ran(task)

    place = {"checkpoints": tmp_path / "checkpoints"}
    monkeypatch.setattr(loop, "train", dies)
    with pytest.raises(InterruptedRunError):
        fedavg.make(asked(rounds=3), bench_at(tmp_path / "a", parent, **place))
    again = fedavg.make(asked(rounds=3), bench_at(tmp_path / "b", parent, **place))
    assert len(calls) == 5 + 6  # the first round is not done again
    assert again.facts.training.interruptions == 1
    assert tensors_of(again.path) == tensors_of(whole.path)
    assert len(again.facts.training.curve) == 4


def test_flower_gives_the_weighted_mean() -> None:
    pytest.importorskip("flwr", reason="Flower is not installed: pip install 'slmbench[federated]'")
    from slmbench.lifecycle.training.fedavg import Server

    drawn = np.random.default_rng(1)
    sent = [
        ([drawn.normal(size=(3, 2)).astype(np.float32), np.float32([n])], tokens)
        for n, tokens in ((1, 100), (2, 300), (6, 600))
    ]
    found = Server().average(1, [([a.copy() for a in arrays], n) for arrays, n in sent])
    expected = PlainServer().average(1, sent)
    assert np.allclose(found[0], expected[0], atol=1e-6)
    assert found[1] == pytest.approx([4.3])


def test_without_flower_it_says_what_to_install(
    tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slmbench.lifecycle.training.fedavg import make

    monkeypatch.setitem(sys.modules, "flwr", None)
    monkeypatch.setitem(sys.modules, "flwr.common", None)
    with pytest.raises(MissingEngineError) as raised:
        make(asked(), bench_at(tmp_path, parent))
    assert raised.value.hint == "pip install 'slmbench[federated]'"


@pytest.mark.usefixtures("plain")
def test_a_client_with_too_little_text_is_named(tmp_path: Path, parent: Path) -> None:
    from slmbench.lifecycle.training.fedavg import make

    with pytest.raises(ArtefactError, match="54 texts cannot be dealt out to 60 clients"):
        make(asked(clients=60), bench_at(tmp_path / "a", parent))
    long = asked().model_dump()
    long["train"] |= {"sequence": 2048, "batch": 1, "tokens": 2048}
    long["concentration"] = 0.01
    with pytest.raises(ArtefactError, match=r"client \d of 3 got"):
        make(FedAvg.model_validate(long | {"topics": 2}), bench_at(tmp_path / "b", parent))
