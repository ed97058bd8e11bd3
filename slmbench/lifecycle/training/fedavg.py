"""Federated averaging of low-rank updates, its clients simulated one after the other.

McMahan et al. 2017 (arXiv 1602.05629): in a round every client trains the server's update on its
own passages, and the server averages what they send, weighted with how much text each has. A and
B of an update are averaged each by itself, as FedIT (arXiv 2305.05644) does, which is not the
average of their product. Flower's strategy ``FedAvg`` does the averaging; its simulation engine,
which needs ray, is not used: clients share one process and one model. Clients' text is unlike by
topic (:mod:`.topics`). A round that is done is kept, and an interrupted one is done again.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import AutoTokenizer

from slmbench.errors import ArtefactError, MissingEngineError
from slmbench.lifecycle.training import loop, updates
from slmbench.lifecycle.training.learner import Learner
from slmbench.lifecycle.training.material import Material, material, packed, training_facts
from slmbench.lifecycle.training.topics import dealt, shares, topics
from slmbench.lifecycle.training.train import hooks_of, objective_of
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import CurvePoint, FedAvgFacts
from slmbench.spec.recipes.training import FedAvg, Train

_STATE = "rounds.safetensors"
Arrays = list[Any]
"""One NumPy array for each tensor that learns, in the model's order."""


def make(recipe: FedAvg, bench: Workbench) -> Product:
    """Write ``hf/`` and ``adapter/``: the parent with the averaged updates of the last round.

    Raises MissingEngineError without Flower, and ArtefactError for fewer passages than clients, a
    client with less text than a row, and all that ``train`` raises it for.
    """
    server = Server()
    torch.set_num_threads(bench.threads)
    model = updates.load_student(bench.parent)
    tokenizer = AutoTokenizer.from_pretrained(bench.parent, local_files_only=True)
    found = material(recipe.train, bench, model, tokenizer)
    split = _split(recipe, found, tokenizer)
    learner = updates.learner(recipe.train, bench, model)
    count = updates.trained_parameters(learner.model)
    federation = Federation(recipe, bench, learner, split.clients)
    federation.run(server, found)
    saved = learner.save(bench.out)
    teachers = tuple(bench.other(name).sha256 for name in recipe.others())
    facts = FedAvgFacts(
        training=training_facts(recipe.train, found, federation.ended(), count, teachers),
        client_texts=tuple(len(client.corpus.texts) for client in split.clients),
        client_tokens=tuple(client.facts.tokens for client in split.clients),
        topic_shares=split.topic_shares,
        framework=server.framework,
        adapter_sha256=saved.adapter_sha256,
        reload_max_logit_difference=saved.max_logit_difference,
    )
    return Product(saved.path, facts, ("torch", "transformers", "peft", "flwr", "safetensors"))


class Server:
    """Flower's strategy FedAvg, for arrays."""

    def __init__(self) -> None:
        os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
        try:
            self._common = importlib.import_module("flwr.common")
            strategy = importlib.import_module("flwr.server.strategy")
        except ImportError as error:
            raise MissingEngineError(
                f"fedavg needs Flower, which cannot be imported: {error}",
                hint="pip install 'slmbench[federated]'",
            ) from error
        self._strategy = strategy.FedAvg()
        self.framework = f"flwr {metadata.version('flwr')}"

    def average(self, number: int, sent: Sequence[tuple[Arrays, int]]) -> Arrays:
        """Mean of what clients sent in round ``number``, each weighted with its tokens."""
        common = self._common
        results = [
            (
                None,  # the client's connection, which averaging does not look at
                common.FitRes(
                    status=common.Status(code=common.Code.OK, message=""),
                    parameters=common.ndarrays_to_parameters(arrays),
                    num_examples=tokens,
                    metrics={},
                ),
            )
            for arrays, tokens in sent
        ]
        averaged, _ = self._strategy.aggregate_fit(number, results, [])
        arrays: Arrays = common.parameters_to_ndarrays(averaged)
        return arrays


@dataclass(frozen=True, slots=True)
class Split:
    """Who has what."""

    clients: tuple[Material, ...]
    topic_shares: tuple[tuple[float, ...], ...]


def _split(recipe: FedAvg, found: Material, tokenizer: Any) -> Split:
    """Deal the passages out by topic."""
    texts = found.corpus.texts
    labels = topics(texts, recipe.topics, recipe.seed)
    try:
        hands = dealt(labels, recipe.clients, recipe.concentration, recipe.seed)
    except ValueError as error:
        raise ArtefactError(str(error), hint="lower clients, or name more passages") from error
    clients = []
    for number, hand in enumerate(hands, 1):
        own = replace(found.corpus, texts=tuple(texts[row] for row in hand))
        try:
            clients.append(packed(recipe.train, own, tokenizer, found.held_out))
        except ArtefactError as error:
            raise ArtefactError(
                f"client {number} of {recipe.clients} got {len(hand)} of {len(texts)} passages: "
                f"{error.message}",
                hint="raise concentration, name more passages, or lower clients or train.sequence",
            ) from error
    return Split(tuple(clients), tuple(shares(labels, hands, recipe.topics)))


class Federation:
    """Rounds of one model that every client borrows in turn."""

    def __init__(
        self, recipe: FedAvg, bench: Workbench, learner: Learner, clients: Sequence[Material]
    ) -> None:
        self._recipe, self._bench, self._learner = recipe, bench, learner
        self._clients = clients
        self._weights = [p for p in learner.model.parameters() if p.requires_grad]
        self._objective = objective_of(recipe.train, bench, learner)
        self._hooks = hooks_of(recipe.train)
        self._curve: list[CurvePoint] = []
        self._stopped = ""
        self._interruptions = 0

    def run(self, server: Server, found: Material) -> None:
        """All rounds that are not done yet; the model holds the last average afterwards."""
        global_ = self._begin(found)
        for number in range(len(self._curve), self._recipe.rounds + 1):
            begun = time.monotonic()
            sent, losses = [], []
            for which, client in enumerate(self._clients):
                self._give(global_)
                ended = loop.train(self._task(number, which, client))
                losses.append(next((p.loss for p in reversed(ended.curve) if p.loss), 0.0))
                sent.append((self._take(), client.facts.tokens))
                self._stopped = self._stopped or ended.stopped
            global_ = server.average(number, sent)
            self._give(global_)
            self._point(found, time.monotonic() - begun, sum(losses) / len(losses))
            self._keep()
            if self._stopped:
                break

    def ended(self) -> loop.Ended:
        """All rounds and clients as one training."""
        train, rounds = self._recipe.train, len(self._curve) - 1
        steps = rounds * len(self._clients) * loop.steps_of(train)
        return loop.Ended(
            curve=tuple(self._curve),
            steps=steps,
            tokens=steps * train.batch * train.sequence,
            sequences=steps * train.batch,
            interruptions=self._interruptions,
            stopped=self._stopped,
        )

    def _task(self, number: int, which: int, client: Material) -> loop.Task:
        train: Train = self._recipe.train
        own = (number * len(self._clients) + which) * 1_000
        return loop.Task(
            model=self._learner.model,
            rows=client.rows,
            recipe=train.model_copy(update={"seed": train.seed + own, "validations": 2}),
            bench=self._bench,
            objective=self._objective,
            forward=self._learner.forward,
            hooks=self._hooks,
            keep=False,
        )

    def _point(self, found: Material, seconds: float, loss: float | None) -> None:
        """Validation loss of the average."""
        done = len(self._curve) * len(self._clients) * loop.steps_of(self._recipe.train)
        before = self._curve[-1].seconds if self._curve else 0.0
        taken = found.held_out.loss(self._learner.model, self._learner.forward)
        self._bench.report(
            f"round {len(self._curve)} of {self._recipe.rounds}: validation {taken:.4f} nats/byte"
        )
        self._curve.append(
            CurvePoint(
                step=done,
                tokens=done * self._recipe.train.batch * self._recipe.train.sequence,
                seconds=before + seconds,
                loss=loss,
                validation=taken,
            )
        )

    def _take(self) -> Arrays:
        return [weight.detach().numpy().copy() for weight in self._weights]

    def _give(self, arrays: Arrays) -> None:
        with torch.no_grad():
            for weight, array in zip(self._weights, arrays, strict=True):
                weight.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def _file(self) -> Path | None:
        place = self._bench.checkpoints
        return None if place is None else place / _STATE

    def _begin(self, found: Material) -> Arrays:
        """What the server starts a round with: kept by an earlier attempt, or the fresh update."""
        kept = _read(self._file(), len(self._weights))
        if kept is None:
            self._point(found, 0.0, None)
            return self._take()
        arrays, told = kept
        self._curve = [CurvePoint.model_validate(point) for point in told["curve"]]
        self._interruptions = int(told["interruptions"]) + 1
        self._stopped = str(told["stopped"])
        self._bench.report(f"going on after round {len(self._curve) - 1} of {self._recipe.rounds}")
        self._give(arrays)
        return arrays

    def _keep(self) -> None:
        """Write the round's average; appears whole or not at all."""
        if (file := self._file()) is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "curve": [point.model_dump() for point in self._curve],
            "interruptions": self._interruptions,
            "stopped": self._stopped,
        }
        partial = file.with_suffix(".partial")
        tensors = {str(n): w.detach().contiguous() for n, w in enumerate(self._weights)}
        save_file(tensors, partial, metadata={"told": json.dumps(told)})
        partial.replace(file)


def _read(file: Path | None, count: int) -> tuple[Arrays, dict[str, Any]] | None:
    """What a round left: arrays and what was told of them; None where there is nothing whole."""
    if file is None or not file.is_file():
        return None
    try:
        with safe_open(file, framework="np") as kept:
            told: dict[str, Any] = json.loads(kept.metadata()["told"])
            return [kept.get_tensor(str(n)) for n in range(count)], told
    except (SafetensorError, KeyError, ValueError, OSError):
        return None
