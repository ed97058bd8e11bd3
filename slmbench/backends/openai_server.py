"""Any OpenAI-compatible server, one that runs or one that is started for the target.

It answers what people ask of such servers: text for a prompt. Scoring and workloads by token ids
are other backends' business; under load a server is measured by the workload ``serving``.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from slmbench.backends import CAPABILITIES
from slmbench.backends.artefact_facts import facts_of
from slmbench.backends.options import read_options
from slmbench.backends.protocol import BackendError, Batching, Capabilities, LoadJob, Sharing
from slmbench.backends.server_process import (
    OPENER,
    ServerProcess,
    answers,
    command_of,
    free_port,
)
from slmbench.records import ModelInfo, Status
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    RollingRequest,
)
from slmbench.spec import Endpoint, Target
from slmbench.spec.base import Frozen

if TYPE_CHECKING:
    from slmbench.backends.protocol import LogprobMatrix

LLAMA_CPP_SERVER = (
    "{python} -m llama_cpp.server --model {model} --host 127.0.0.1 --port {port} "
    "--n_threads {threads} --n_threads_batch {threads} --n_ctx {context} "
    "--interrupt_requests false"
)
"""What serves a GGUF file where the target names no command: one request at a time, the others
wait (its default, interrupting a running answer for a new request, would lose answers)."""
_IN_PROCESS = "take a target with backend llama_cpp or transformers for that"


class OpenAiOptions(Frozen):
    """Options of the openai backend."""

    url: str = ""
    """A server that runs already, with the version: ``http://host:8000/v1``."""
    command: str = ""
    """Starts one; ``{model}`` (path of the artefact), ``{port}``, ``{threads}``, ``{context}``
    and ``{python}`` are filled in, and no shell reads it. Empty without a url:
    llama_cpp.server."""
    base: str = "/v1"
    """Path of the API on a server that is started."""
    health: str = "/v1/models"
    """Path that answers 200 when a server that is started can be asked."""
    model: str = "slmbench"
    """What requests name as their model."""
    api: Literal["completions", "chat"] = "completions"
    """Which API a load uses; quality tasks use the one that fits their prompt."""
    body: str = "{}"
    """JSON object of further fields of every request; the text ``"{max_tokens}"`` stands for the
    number of tokens asked for: ``{"min_tokens": "{max_tokens}"}``."""
    api_key_env: str = ""
    """Environment variable that holds the key; never the key."""
    start_timeout_s: float = Field(default=120.0, gt=0)
    request_timeout_s: float = Field(default=300.0, gt=0)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.url and self.command:
            raise ValueError("url and command exclude each other")
        if self.url and (urlsplit(self.url).scheme not in ("http", "https")):
            raise ValueError("url begins with http:// or https://")
        if self.url and "@" in urlsplit(self.url).netloc:
            raise ValueError("a url with a password would stand in every record: use api_key_env")
        if not isinstance(json.loads(self.body), dict):  # bad JSON is a ValueError too
            raise ValueError("body is a JSON object")
        return self


class OpenAiBackend:
    """One server."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES["openai"]

    def __init__(self) -> None:
        self._process: ServerProcess | None = None
        self._endpoint: Endpoint | None = None

    def load(self, job: LoadJob) -> ModelInfo:
        """Start the server and wait until it answers, or see that the one named does.

        Raises BackendError: crashed (its last lines are in the reason), timeout, invalid.
        """
        options = read_options(OpenAiOptions, job.target)
        if options.url:
            engine, base = "server that ran before", options.url
            if not answers(f"{options.url.rstrip('/')}/models"):
                raise BackendError(
                    Status.INVALID,
                    f"no server answers at {options.url}/models",
                    "start it, or give the target a command instead of a url",
                )
        else:
            base = self._start(options, job)
            engine = options.command or LLAMA_CPP_SERVER
        self._endpoint = Endpoint(
            url=base,
            model=options.model,
            api=options.api,
            body=json.loads(options.body),
            api_key_env=options.api_key_env or None,
            timeout_s=options.request_timeout_s,
        )
        try:
            return facts_of(job, f"openai: {engine}"[:200])
        except BaseException:
            self.close()
            raise

    def _start(self, options: OpenAiOptions, job: LoadJob) -> str:
        port = free_port()
        root = f"http://127.0.0.1:{port}"
        values = {
            "model": str(job.path),
            "port": str(port),
            "threads": str(job.target.threads or len(os.sched_getaffinity(0))),
            "context": str(job.target.context),
            "python": sys.executable,
        }
        try:
            command = command_of(options.command or LLAMA_CPP_SERVER, values)
        except ValueError as error:
            raise BackendError(
                Status.INVALID, f"{_place(job.target)}: command: {error}", "balance its quotes"
            ) from error
        self._process = process = ServerProcess(command)
        try:
            process.wait_for(root + options.health, options.start_timeout_s)
        except BaseException:
            self.close()
            raise
        return root + options.base

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go; BackendError when a server that was started is gone."""
        if self._endpoint is None:
            raise BackendError(Status.INVALID, "the server is not started: call load() first")
        if self._process is not None and not self._process.alive:
            raise self._process.ended("while it was asked")
        return self._endpoint

    @property
    def server_group(self) -> int | None:
        """Process group of the server that was started; None for one that ran before."""
        return self._process.group if self._process is not None else None

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        """One answer, not streamed: its text and the server's counts, no ids and no times."""
        if request.logprobs:
            _unsupported("log-probabilities of generated tokens")
        endpoint, start = self.endpoint, perf_counter_ns()
        plain = isinstance(request.prompt, str)
        path = "completions" if plain else "chat/completions"
        answer = self._post(endpoint, path, _body(endpoint, request))
        try:
            choice, usage = answer["choices"][0], answer["usage"]
            text = choice["text"] if plain else choice["message"]["content"]
            prompt = int(usage["prompt_tokens"])
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            finish = choice.get("finish_reason")
        except (KeyError, IndexError, TypeError) as error:
            raise BackendError(
                Status.INVALID,
                f"the server's answer is no completion with usage: {error!r} is missing in "
                f"{json.dumps(answer)[:120]}",
            ) from error
        text = text or ""
        return GenerateOutput(
            text=text,
            token_ids=(),
            prompt_tokens=prompt,
            evaluated_tokens=prompt - int(cached),
            start_ns=start,
            token_ns=(),
            finish="length" if finish == "length" else "stop",
            failure=None if text.strip() else "empty_output",
        )

    def _post(self, endpoint: Endpoint, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if endpoint.api_key_env:
            headers["Authorization"] = f"Bearer {_key(endpoint.api_key_env)}"
        asked = urllib.request.Request(  # noqa: S310 - the url's scheme was checked
            f"{endpoint.url.rstrip('/')}/{path}", json.dumps(body).encode(), headers
        )
        try:
            with OPENER.open(asked, timeout=endpoint.timeout_s) as answer:
                read: dict[str, Any] = json.load(answer)
                return read
        except urllib.error.HTTPError as error:
            said = error.read(200).decode(errors="replace")
            raise BackendError(
                Status.INVALID, f"the server refused: status {error.code}, {said}"
            ) from error
        except (OSError, ValueError) as error:
            if self._process is not None and not self._process.alive:
                raise self._process.ended("while it was asked") from error
            raise BackendError(Status.CRASHED, f"no answer from the server: {error}") from error

    def generate_many(self, requests: Sequence[GenerateRequest]) -> Iterator[GenerateOutput]:
        """One after another."""
        yield from map(self.generate, requests)

    def batching(self) -> Batching:
        """Each alone."""
        return Batching(1)

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest], *, share: bool = True
    ) -> Iterator[LoglikelihoodOutput]:
        """Unsupported: servers do not return a prompt's log-probabilities, or wrong ones."""
        _unsupported("log-likelihoods: such servers refuse, ignore or misplace them")

    def remember(self, file: Path | None) -> None:
        """Nothing is scored, so nothing is kept."""

    def sharing(self) -> Sharing:
        """Nothing is scored."""
        return Sharing(False, "a server scores nothing")

    def encode(self, text: str, *, special: bool) -> tuple[int, ...]:
        """Unsupported: the tokenizer is the server's."""
        _unsupported("token ids")

    def next_logprobs(self, ids: Sequence[int], first: int) -> LogprobMatrix:
        """Unsupported."""
        _unsupported("distributions over the vocabulary")

    def generate_ids(
        self, prompts: Sequence[Sequence[int]], n: int, *, depth: int = 0
    ) -> tuple[GenerateOutput, ...]:
        """Unsupported: the workload ``serving`` measures servers."""
        _unsupported("prompts of token ids")

    def vocab_size(self) -> int:
        """Unsupported."""
        _unsupported("token ids")

    def close(self) -> None:
        """End a server that was started; may be called again."""
        if self._process is not None:
            self._process.close()
        self._process = self._endpoint = None


def _unsupported(what: str) -> NoReturn:
    raise BackendError(Status.UNSUPPORTED, f"an OpenAI-compatible server gives no {what}",
                       _IN_PROCESS)  # fmt: skip


def _place(target: Target) -> str:
    return f"target {target.name!r}, backend {target.backend!r}"


def _key(variable: str) -> str:
    key = os.environ.get(variable)
    if not key:
        raise BackendError(
            Status.INVALID, f"the environment variable {variable} is not set", "export it"
        )
    return key


def _body(endpoint: Endpoint, request: GenerateRequest) -> dict[str, Any]:
    """The endpoint's further fields belong to loads (fixed lengths); answers end by themselves."""
    prompt = request.prompt
    asked: dict[str, Any] = (
        {"prompt": prompt}
        if isinstance(prompt, str)
        else {"messages": [turn.model_dump() for turn in prompt]}
    )
    stop = {"stop": list(request.stop)} if request.stop else {}
    return {
        "model": endpoint.model,
        **asked,
        **stop,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
