"""A server without a model whose true times are known: what a load generator must find again.

    python -m slmbench.loadgen.mock_server --port 8000 --plan '{"ttft_s": 0.2, "itl_s": 0.02}'

It speaks the streaming part of the OpenAI API on the loopback interface, does what its
:class:`MockPlan` says, and keeps the time of everything that it did (``GET /log``), read from the
clock that perf_counter_ns reads in every process of the machine. Standard library and pydantic
only. It is public, to try any load generator on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import Field

from slmbench.spec import Endpoint
from slmbench.spec.base import Frozen

_NS = 1_000_000_000
_TOKENS = 16
"""Answered where nobody says how many."""
Fault = Literal["", "http", "refuse", "stream_error", "disconnect", "malformed", "hang", "empty"]


class MockPlan(Frozen):
    """How the server behaves. Times are of work: a stall stops all work."""

    ttft_s: float = Field(default=0.05, ge=0)
    """From the moment that a request has a slot to its first token [s]."""
    itl_s: float = Field(default=0.01, ge=0)
    """Between tokens [s]; a chunk of n tokens comes after n times this."""
    tokens_per_chunk: int = Field(default=1, ge=1)
    jitter_s: float = Field(default=0.0, ge=0)
    """Chunks come up to this much early or late, evenly [s]."""
    stalls: tuple[tuple[float, float], ...] = ()
    """(begin after the first streamed request, length) [s]."""
    slots: int | None = Field(default=None, ge=1)
    """Requests that are worked on at a time, the others wait in order; null: all."""
    usage: Literal["final", "every", "none"] = "final"
    """Where token counts stand: in a last chunk, in every chunk, nowhere."""
    finish: Literal["length", "stop"] = "length"
    """The finish reason that it gives."""
    role_chunk: bool = False
    """Begin with a chunk that holds a role and no text, as soon as there is a slot."""
    cached_tokens: int | None = None
    """Cached prompt tokens that usage claims; null: it does not say."""
    fault: Fault = ""
    """What goes wrong with every ``fault_every``-th request: status 500; the connection closed
    unanswered; an error event, a closed connection or broken JSON after two chunks; no end; an
    end without text."""
    fault_every: int = Field(default=1, ge=1)
    newline: Literal["\n", "\r\n"] = "\n"
    comments: bool = False
    """A comment line before every event."""
    piece: int | None = Field(default=None, ge=1)
    """Write in pieces of so many bytes, through lines and characters; null: whole events."""
    word: str = " wé"
    """Text of every token."""
    seed: int = 0


@dataclass(slots=True)
class MockLog:
    """What the server did with one streamed request [perf_counter_ns]."""

    name: str
    """The request's X-Request-Id."""
    arrived_ns: int
    """It was read."""
    started_ns: int = 0
    """It got its slot."""
    chunk_ns: list[int] = field(default_factory=list)
    """Each chunk with text was handed to the socket."""
    tokens: list[int] = field(default_factory=list)
    """Tokens in each of them."""
    fault: Fault = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the mock reads of a request."""

    words: int
    tokens: int
    stream: bool

    @classmethod
    def read(cls, body: dict[str, Any]) -> _Asked:
        turns = body.get("messages") or [{"content": body.get("prompt", "")}]
        tokens = body.get("max_tokens") or body.get("max_completion_tokens") or _TOKENS
        words = sum(len(str(turn["content"]).split()) for turn in turns)
        return cls(words, int(tokens), bool(body.get("stream")))


class _GoneError(Exception):
    """Close the connection now."""


class _Mock:
    """The server's state."""

    def __init__(self, plan: MockPlan) -> None:
        self.plan = plan
        self.logs: list[MockLog] = []
        self._slots = asyncio.Semaphore(plan.slots) if plan.slots else None
        self._rng = random.Random(plan.seed)  # noqa: S311 - not cryptographic

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        with suppress(_GoneError, ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self._one(reader, writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        arrived = perf_counter_ns()
        method, path, _ = first.split(" ", 2)
        if method == "GET":
            logs = [asdict(log) for log in self.logs]
            models = {"object": "list", "data": [{"id": "mock", "object": "model"}]}
            await _whole(writer, 200, logs if path == "/log" else models)
            return
        asked = _Asked.read(json.loads(body))
        if not asked.stream:
            await _whole(writer, 200, self._complete(asked))
            return
        log = MockLog(headers.get("x-request-id", ""), arrived)
        self.logs.append(log)
        if len(self.logs) % self.plan.fault_every == 0:
            log.fault = self.plan.fault
        if self._slots is None:
            await self._stream(asked, path, log, writer)
        else:
            async with self._slots:
                await self._stream(asked, path, log, writer)

    def _complete(self, asked: _Asked) -> dict[str, Any]:
        tokens = asked.tokens
        text = self.plan.word * tokens
        choice = {"index": 0, "text": text, "message": {"content": text}, "finish_reason": "length"}
        return {"choices": [choice], "usage": self._usage(asked, tokens)}

    def _usage(self, asked: _Asked, tokens: int) -> dict[str, Any]:
        """A token a word, and one for the beginning."""
        cached = self.plan.cached_tokens
        details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
        return {
            "prompt_tokens": 1 + asked.words,
            "completion_tokens": tokens,
            "total_tokens": 1 + asked.words + tokens,
            **details,
        }

    async def _stream(
        self, asked: _Asked, path: str, log: MockLog, writer: asyncio.StreamWriter
    ) -> None:
        plan = self.plan
        log.started_ns = perf_counter_ns()
        if log.fault == "refuse":
            raise _GoneError
        if log.fault == "http":
            await _whole(writer, 500, {"error": {"message": "the mock was told to fail"}})
            return
        events = _Events(plan, writer, chat=path.endswith("/chat/completions"))
        events.open()
        if plan.role_chunk:
            await events.send(events.chunk("", role=True))
        written = 0
        tokens = 0 if log.fault == "empty" else asked.tokens
        for size, due_ns in self._dues(tokens, log.started_ns):
            if len(log.chunk_ns) == 2:
                await _go_wrong(log.fault, events)
            await _until(due_ns)
            written += size
            usage = self._usage(asked, written) if plan.usage == "every" else None
            log.chunk_ns.append(perf_counter_ns())
            log.tokens.append(size)
            await events.send(events.chunk(plan.word * size, usage=usage))
        await events.send(events.chunk("", finish=plan.finish))
        if plan.usage != "none":
            await events.send({"choices": [], "usage": self._usage(asked, written)})
        await events.close()

    def _dues(self, tokens: int, started_ns: int) -> Iterator[tuple[int, int]]:
        """(tokens, due time) of each chunk; its first token's time is that of the whole chunk."""
        plan, work = self.plan, self.plan.ttft_s
        left = tokens
        while left > 0:
            size = min(plan.tokens_per_chunk, left)
            left -= size
            jitter = self._rng.uniform(-plan.jitter_s, plan.jitter_s) if plan.jitter_s else 0.0
            yield size, self._after(started_ns, max(0.0, work + jitter))
            work += plan.itl_s * min(plan.tokens_per_chunk, max(left, 1))

    def _after(self, begin_ns: int, work_s: float) -> int:
        """When so much work is done that began then: stalls are waited out."""
        at, left = begin_ns, round(work_s * _NS)
        first = self.logs[0].arrived_ns
        for begin_s, length_s in sorted(self.plan.stalls):
            begin = first + round(begin_s * _NS)
            end = begin + round(length_s * _NS)
            if end <= at:
                continue
            if at + left <= begin:
                break
            left -= max(0, begin - at)
            at = end
        return at + left


class _Events:
    """The event stream of one answer, in HTTP's chunked coding."""

    def __init__(self, plan: MockPlan, writer: asyncio.StreamWriter, *, chat: bool) -> None:
        self._plan, self._writer, self._chat = plan, writer, chat

    def open(self) -> None:
        self._writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )

    def chunk(
        self,
        text: str,
        *,
        finish: str | None = None,
        usage: dict[str, Any] | None = None,
        role: bool = False,
    ) -> dict[str, Any]:
        said: dict[str, Any] = {"text": text}
        if self._chat:
            said = {"delta": {"role": "assistant"} if role else {"content": text}}
        made = {"choices": [{"index": 0, **said, "finish_reason": finish}]}
        return made if usage is None else made | {"usage": usage}

    async def send(self, chunk: dict[str, Any]) -> None:
        await self.send_text(json.dumps(chunk, ensure_ascii=False))

    async def send_text(self, data: str) -> None:
        new = self._plan.newline
        comment = f": still here{new}" if self._plan.comments else ""
        raw = f"{comment}data: {data}{new}{new}".encode()
        size = self._plan.piece or len(raw)
        for first in range(0, len(raw), size):
            piece = raw[first : first + size]
            self._writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await self._writer.drain()
            if self._plan.piece:
                await asyncio.sleep(0)

    async def close(self) -> None:
        await self.send_text("[DONE]")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()


async def _go_wrong(fault: Fault, events: _Events) -> None:
    if fault == "stream_error":
        await events.send({"error": {"message": "the mock was told to give up"}})
        raise _GoneError
    if fault == "disconnect":
        raise _GoneError
    if fault == "malformed":
        await events.send_text('{"choices": [')
        raise _GoneError
    if fault == "hang":
        await asyncio.Event().wait()


async def _until(due_ns: int) -> None:
    while (left := (due_ns - perf_counter_ns()) / _NS) > 0:
        await asyncio.sleep(max(0.0, left - 0.001))


async def _whole(writer: asyncio.StreamWriter, status: int, answer: Any) -> None:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await writer.drain()


async def _serve(port: int, plan: MockPlan) -> None:
    mock = _Mock(plan)
    server = await asyncio.start_server(mock.serve, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - read by MockServer
    async with server:
        await server.serve_forever()


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve until killed; prints the port."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--plan", default="{}", help="MockPlan as JSON")
    parser.add_argument("--with-stdin", action="store_true", help="end when stdin is closed")
    arguments = parser.parse_args()
    if arguments.with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.port, MockPlan.model_validate_json(arguments.plan)))


class MockServer:
    """The mock in a process of its own, ended with the ``with`` block or with this process.

    >>> with MockServer(MockPlan(ttft_s=0.2)) as mock:      # doctest: +SKIP
    ...     logs = carry_out(mock.endpoint(), script)
    ...     truth = mock.logs()
    """

    def __init__(self, plan: MockPlan) -> None:
        module = "slmbench.loadgen.mock_server"
        command = [sys.executable, "-m", module, "--with-stdin", "--plan", plan.model_dump_json()]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.port}"

    def endpoint(
        self, api: Literal["completions", "chat"] = "completions", timeout_s: float = 60.0
    ) -> Endpoint:
        """For clients."""
        return Endpoint(url=f"{self.url}/v1", model="mock", api=api, timeout_s=timeout_s)

    def logs(self) -> tuple[MockLog, ...]:
        """What it did until now, in the order in which requests came."""
        with urllib.request.urlopen(f"{self.url}/log") as answer:  # noqa: S310 - loopback
            return tuple(MockLog(**one) for one in json.load(answer))


if __name__ == "__main__":
    main()
