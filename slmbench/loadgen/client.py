"""One request on an OpenAI-compatible server, streamed, each chunk stamped as it arrives."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp

from slmbench.errors import PrerequisiteError
from slmbench.loadgen.chunks import DONE, ChunkError, Delta, Usage, read_chunk, read_usage
from slmbench.loadgen.journal import Chunk, FailureKind, RequestLog
from slmbench.loadgen.sse import SseError, SseParser
from slmbench.spec import Endpoint

_IDLE_S = 2.0
"""Idle connections are given up earlier than servers do (uvicorn: 5 s), or a request may be sent
into one that is just being closed."""
_HEADERS = {"Content-Type": "application/json", "Accept": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class Ask:
    """What to send, and when it was due (perf_counter_ns)."""

    index: int
    prompt: str
    max_tokens: int
    sched_ns: int


@dataclass(slots=True)
class _Stream:
    """What has come of an answer so far."""

    parser: SseParser = field(default_factory=SseParser)
    chunks: list[Chunk] = field(default_factory=list)
    finish: str | None = None
    usage: Usage | None = None
    done: bool = False

    def take(self, data: bytes, at_ns: int) -> None:
        """Bytes that arrived; raises _FailedError for an error event and for what is no chunk."""
        try:
            for event in self.parser.feed(data):
                if event.strip() == DONE:
                    self.done = True
                    return
                if event.strip():  # some servers keep a connection alive with empty events
                    self._note(read_chunk(event), at_ns)
        except (SseError, ChunkError) as error:
            raise _FailedError("malformed", str(error)) from error

    def _note(self, delta: Delta, at_ns: int) -> None:
        if delta.error is not None:
            raise _FailedError("stream_error", delta.error)
        if delta.text:
            counted = delta.usage.completion if delta.usage is not None else None
            self.chunks.append(Chunk(at_ns, counted))
        self.usage = delta.usage or self.usage
        self.finish = delta.finish or self.finish

    def check(self) -> None:
        """Raise _FailedError unless the answer is whole."""
        if not self.done and self.finish is None:
            raise _FailedError("disconnect", "the stream ended without a finish reason and [DONE]")
        if not self.chunks:
            raise _FailedError("empty", "the answer has no text")


class _FailedError(Exception):
    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail


class Client:
    """Connections to one endpoint: as many as there are requests under way, none waits for one.

    >>> async with Client(endpoint) as client:       # doctest: +SKIP
    ...     log = await client.ask(Ask(0, "Once upon", 32, perf_counter_ns()))
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._open: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._open = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
            timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout_s),
            headers=key_header(self._endpoint),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            await self._open.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        assert self._open is not None
        return self._open

    async def ask(self, ask: Ask) -> RequestLog:
        """Send now and read to the end; every failure is an answer of its kind, none is raised."""
        stream, body = _Stream(), request_body(self._endpoint, ask.prompt, ask.max_tokens)
        payload = json.dumps(body).encode()
        name = str(uuid4())  # some servers refuse another form
        send_ns = perf_counter_ns()
        failed: _FailedError | None = None
        try:
            await self._read(payload, stream, name)
            stream.check()
        except _FailedError as error:
            failed = error
        except TimeoutError:
            failed = _FailedError("timeout", f"no end within {self._endpoint.timeout_s:g} s")
        except aiohttp.ClientConnectorError as error:
            failed = _FailedError("connect", str(error))
        except (aiohttp.ClientError, OSError) as error:
            failed = _FailedError("disconnect", str(error) or type(error).__name__)
        log = RequestLog(
            index=ask.index,
            name=name,
            sched_ns=ask.sched_ns,
            send_ns=send_ns,
            end_ns=perf_counter_ns(),
            max_tokens=ask.max_tokens,
            chunks=tuple(stream.chunks),
            finish=stream.finish,
            usage=stream.usage,
        )
        return replace(log, failure=failed.kind, detail=failed.detail[:200]) if failed else log

    async def _read(self, payload: bytes, stream: _Stream, name: str) -> None:
        headers = _HEADERS | {"X-Request-Id": name}
        address = self._endpoint.address()
        async with self._session.post(address, data=payload, headers=headers) as response:
            if response.status != 200:
                said = (await response.text(errors="replace"))[:120]
                raise _FailedError("http", f"status {response.status}: {said}")
            if response.content_type != "text/event-stream":
                raise _FailedError(
                    "malformed", f"the answer is {response.content_type}, not a stream"
                )
            async for data in response.content.iter_any():
                stream.take(data, perf_counter_ns())
                if stream.done:
                    return

    async def count_prompt(self, prompt: str) -> int | None:
        """Tokens of a prompt by the server's own count (one token is asked for, not streamed)."""
        body = request_body(self._endpoint, prompt, 1) | {"stream": False}
        body.pop("stream_options")
        try:
            async with self._session.post(self._endpoint.address(), json=body) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None
        usage = read_usage(answer.get("usage")) if isinstance(answer, dict) else None
        return usage.prompt if usage is not None else None


def key_header(endpoint: Endpoint) -> dict[str, str]:
    """The Authorization header, or nothing; PrerequisiteError for a variable that is not set."""
    if endpoint.api_key_env is None:
        return {}
    key = os.environ.get(endpoint.api_key_env)
    if not key:
        raise PrerequisiteError(
            f"the environment variable {endpoint.api_key_env} is not set",
            hint="export it; the key itself never stands in a file or a record",
        )
    return {"Authorization": f"Bearer {key}"}


def request_body(endpoint: Endpoint, prompt: str, max_tokens: int) -> dict[str, Any]:
    """The JSON of a streamed greedy request; the endpoint's own fields win."""
    asked: Mapping[str, Any] = (
        {"messages": [{"role": "user", "content": prompt}]}
        if endpoint.api == "chat"
        else {"prompt": prompt}
    )
    return {
        "model": endpoint.model,
        **asked,
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **endpoint.fields_for(max_tokens),
    }
