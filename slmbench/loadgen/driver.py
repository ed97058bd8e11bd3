"""Carry a load out: every request is sent when it is due, whatever became of those before it.

In an open loop nothing waits, so a server that stalls meets all requests that were due meanwhile,
and their latency counts from when they were due: no coordinated omission.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter_ns

from slmbench.loadgen.arrivals import arrivals, users
from slmbench.loadgen.client import Ask, Client
from slmbench.loadgen.journal import RequestLog
from slmbench.loadgen.prompts import A_TOKEN_A_WORD, PromptMaker, Sizing
from slmbench.spec import Endpoint, Load

_NS = 1_000_000_000
_LEAD_S = 0.02
"""Between building the requests and the first one."""
_SPIN_S = 0.001
"""Timers wake up to 1 ms late (epoll counts milliseconds): the last one is waited out awake."""
_CALIBRATION = (16, 64)
"""Words of the two prompts whose tokens the server counts."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What every request of a load asks for."""

    prompt_tokens: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Script:
    """All that a load needs to be repeated."""

    load: Load
    shape: Shape
    seed: str
    sizing: Sizing = A_TOKEN_A_WORD
    budget_s: float | None = None
    """Users of a closed loop begin nothing after this long [s]."""


def _nothing(_: RequestLog) -> None:
    return


def carry_out(
    endpoint: Endpoint, script: Script, told: Callable[[RequestLog], None] = _nothing
) -> tuple[RequestLog, ...]:
    """All requests of the load, in the order of their index; ``told`` hears of each at its end.

    Raises PrerequisiteError where the endpoint's key is not set; failures of requests are logs.
    """

    async def run() -> tuple[RequestLog, ...]:
        async with Client(endpoint) as client:
            return await drive(client, script, told)

    return asyncio.run(run())


def warm_up(endpoint: Endpoint, script: Script, count: int) -> tuple[RequestLog, ...]:
    """``count`` requests of the script's shape, one after another."""
    single = Load(scenario="single_stream", requests=max(1, count))
    if count == 0:
        return ()
    return carry_out(endpoint, replace(script, load=single, seed=f"{script.seed}:warm_up"))


def calibrate(endpoint: Endpoint, seed: str) -> Sizing:
    """How many tokens the server counts in a word; a word a token where it does not count."""

    async def run() -> list[int | None]:
        maker = PromptMaker(f"{seed}:calibration")
        async with Client(endpoint) as client:
            return [await client.count_prompt(maker.make(words)) for words in _CALIBRATION]

    few, many = asyncio.run(run())
    if few is None or many is None:
        return A_TOKEN_A_WORD
    return Sizing.through((_CALIBRATION[0], few), (_CALIBRATION[1], many))


async def drive(
    client: Client, script: Script, told: Callable[[RequestLog], None] = _nothing
) -> tuple[RequestLog, ...]:
    """As :func:`carry_out`, with a client that is open."""
    maker = PromptMaker(script.seed)
    words = script.sizing.words(script.shape.prompt_tokens)
    prompts = [maker.make(words) for _ in range(script.load.requests)]
    due = arrivals(script.load, script.seed)
    one = _Asking(client, script, prompts, told)
    with _no_collection():
        logs = await (_closed(one) if due is None else _open(one, due))
    return tuple(sorted(logs, key=lambda log: log.index))


@dataclass(frozen=True, slots=True)
class _Asking:
    client: Client
    script: Script
    prompts: Sequence[str]
    told: Callable[[RequestLog], None]

    async def ask(self, index: int, sched_ns: int) -> RequestLog:
        tokens = self.script.shape.max_tokens
        log = await self.client.ask(Ask(index, self.prompts[index], tokens, sched_ns))
        self.told(log)
        return log


async def _open(one: _Asking, due: Sequence[float]) -> list[RequestLog]:
    start = perf_counter_ns() + round(_LEAD_S * _NS)
    under_way: list[asyncio.Task[RequestLog]] = []
    for index, offset in enumerate(due):
        sched_ns = start + round(offset * _NS)
        await _until(sched_ns)
        under_way.append(asyncio.create_task(one.ask(index, sched_ns)))
    return list(await asyncio.gather(*under_way))


async def _until(at_ns: int) -> None:
    while (left := (at_ns - perf_counter_ns()) / _NS) > 0:
        await asyncio.sleep(max(0.0, left - _SPIN_S))


async def _closed(one: _Asking) -> list[RequestLog]:
    logs: list[RequestLog] = []
    indices = iter(range(len(one.prompts)))
    begun, budget_s = perf_counter_ns(), one.script.budget_s

    async def user() -> None:
        for index in indices:
            now = perf_counter_ns()
            if logs and budget_s is not None and now - begun > budget_s * _NS:
                return
            logs.append(await one.ask(index, now))

    await asyncio.gather(*(user() for _ in range(users(one.script.load))))
    return logs


@contextmanager
def _no_collection() -> Iterator[None]:
    """The garbage collector's pauses would be read as the server's."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
