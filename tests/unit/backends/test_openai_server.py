"""The backend for servers: started, waited for, asked, and gone whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slmbench.backends import CAPABILITIES
from slmbench.backends.openai_server import OpenAiBackend
from slmbench.backends.protocol import BackendError, LoadJob, Serving
from slmbench.backends.server_process import ServerProcess, command_of, free_port
from slmbench.loadgen.mock_server import MockPlan, MockServer
from slmbench.records import Status
from slmbench.requests import ChatMessage, GenerateRequest, LoglikelihoodRequest
from slmbench.spec import Target

MOCK = "{python} -m slmbench.loadgen.mock_server --port {port} --plan '{\"ttft_s\": 0}'"


def job(**options: str | float) -> LoadJob:
    target = Target(name="t", backend="openai", threads=1, options=options)
    return LoadJob(Path(), "ab" * 32, target)


def ending(**options: str | float) -> BackendError:
    backend = OpenAiBackend()
    with pytest.raises(BackendError) as caught:
        backend.load(job(**options))
    assert backend.server_group is None, "nothing is left of a start that failed"
    return caught.value


def gone(group: int) -> bool:
    """Whether no process of the group is left (waits for it a little)."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def backend() -> Iterator[OpenAiBackend]:
    made = OpenAiBackend()
    made.load(job(command=MOCK, health="/health"))
    yield made
    made.close()


def test_a_started_server_answers_text_and_turns(backend: OpenAiBackend) -> None:
    assert isinstance(backend, Serving)
    assert type(backend).capabilities == CAPABILITIES["openai"]
    turns = (ChatMessage(role="user", content="Two words."),)
    for prompt, tokens in (("Four words to say", 5), (turns, 3)):
        answer = backend.generate(GenerateRequest(prompt=prompt, max_tokens=3))
        assert answer.text == " wé" * 3
        assert answer.finish == "length"
        assert answer.prompt_tokens == answer.evaluated_tokens == tokens
        assert answer.token_ids == answer.token_ns == ()
    many = [GenerateRequest(prompt="x", max_tokens=n) for n in (1, 2)]
    assert [o.text for o in backend.generate_many(many)] == [" wé", " wé wé"]


def test_what_a_server_cannot_do_is_unsupported_with_a_way_out(backend: OpenAiBackend) -> None:
    asked = [LoglikelihoodRequest(context="a", continuation="b")]
    attempts = (
        lambda: list(backend.loglikelihood(asked)),
        lambda: backend.generate_ids([[3, 4]], 2),
        lambda: backend.encode("a", special=True),
        lambda: backend.generate(GenerateRequest(prompt="a", max_tokens=1, logprobs=True)),
    )
    for attempt in attempts:
        with pytest.raises(BackendError) as caught:
            attempt()
        assert caught.value.status is Status.UNSUPPORTED
        assert "llama_cpp" in caught.value.hint


def test_closing_ends_the_whole_group() -> None:
    script = (
        "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print('up', flush=True);"
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    )
    process = ServerProcess([sys.executable, "-c", script])
    while not process.tail():
        time.sleep(0.02)
    assert process.alive
    process.close()
    process.close()
    assert gone(process.group), "a child, and a server that ignores SIGTERM, are gone too"


def test_a_server_does_not_outlive_whoever_started_it() -> None:
    code = (
        "import os, signal\nfrom slmbench.backends.server_process import ServerProcess\n"
        "print(ServerProcess(['sleep', '600']).group, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert gone(int(ran.stdout))


def test_a_server_that_dies_at_its_start_tells_its_last_lines() -> None:
    error = ending(command="{python} -c \"raise SystemExit('no such flag: --wrong')\"")
    assert error.status is Status.CRASHED
    assert "no such flag: --wrong" in error.reason
    assert "exit code 1" in error.reason
    missing = ending(command="{python} -m no_such_module_at_all")
    assert "slmbench[serving]" in missing.hint
    absent = ending(command="/no/such/server --port {port}")
    assert "/no/such/server: No such file" in absent.reason


def test_a_server_that_never_answers_is_a_timeout() -> None:
    error = ending(command="sleep 600", start_timeout_s=0.5)
    assert error.status is Status.TIMEOUT
    assert "start_timeout_s" in error.hint


def test_a_server_that_died_is_told_at_the_next_question(backend: OpenAiBackend) -> None:
    assert backend.server_group is not None
    os.killpg(backend.server_group, signal.SIGKILL)
    while backend._process is not None and backend._process.alive:
        time.sleep(0.02)
    with pytest.raises(BackendError, match="ended while it was asked"):
        _ = backend.endpoint


def test_a_server_that_runs_is_used_and_left_alone() -> None:
    with MockServer(MockPlan()) as mock:
        backend = OpenAiBackend()
        info = backend.load(job(url=f"{mock.url}/v1", api="chat", request_timeout_s=7))
        assert "ran before" in info.engine_version
        assert backend.endpoint.address() == f"{mock.url}/v1/chat/completions"
        assert backend.endpoint.timeout_s == 7
        backend.close()
        assert mock.logs() == ()
    error = ending(url=f"{mock.url}/v1")
    assert error.status is Status.INVALID
    assert "no server answers" in error.reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://a/v1", "command": "x"}, "exclude each other"),
        ({"url": "http://me:secret@a/v1"}, "api_key_env"),
        ({"url": "ftp://a"}, "http://"),
        ({"body": "[1]"}, "JSON object"),
        ({"command": 'serve "'}, "No closing quotation"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, str], words: str) -> None:
    error = ending(**options)
    assert error.status is Status.INVALID
    assert words in error.reason


def test_holes_are_filled_after_splitting_and_other_braces_stay() -> None:
    values = {"model": "/a b/m.gguf", "port": "1", "threads": "2", "context": "3", "python": "py"}
    words = command_of("{python} run {model} -p{port} --json '{\"n\": {threads}}'", values)
    assert words == ("py", "run", "/a b/m.gguf", "-p1", "--json", '{"n": 2}')
    assert json.loads(words[-1]) == {"n": 2}


def test_free_ports_are_free() -> None:
    assert 1024 < free_port() < 65536


def test_a_key_comes_from_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with MockServer(MockPlan()) as mock:
        backend = OpenAiBackend()
        info = backend.load(job(url=f"{mock.url}/v1", api_key_env="MY_KEY"))
        asked = GenerateRequest(prompt="a", max_tokens=1)
        with pytest.raises(BackendError, match="MY_KEY is not set"):
            backend.generate(asked)
        monkeypatch.setenv("MY_KEY", "do-not-keep-me")
        assert backend.generate(asked).text
        kept = info.model_dump_json() + backend.endpoint.model_dump_json()
        assert "do-not-keep-me" not in kept
        assert "MY_KEY" in kept
