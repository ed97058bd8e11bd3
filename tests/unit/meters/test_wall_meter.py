"""A wall meter of known watts: integrals by hand, a file that grows, an endpoint that answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from slmbench.errors import UsageError
from slmbench.meters import wall, wall_sources
from slmbench.meters.wall import SETTING, WallMeter, integrate, source_of
from slmbench.meters.wall_sources import CsvSource, HttpSource, Sample, parse, unix_now
from slmbench.records import Measurement, Provenance

BEGIN = 1_700_000_000.0


def samples(*pairs: tuple[float, float]) -> list[Sample]:
    """Samples at seconds after BEGIN."""
    return [Sample(BEGIN + at, watts) for at, watts in pairs]


def test_forty_two_watts_for_a_minute() -> None:
    found = integrate(samples(*((float(t), 42.0) for t in range(-1, 62))), BEGIN, BEGIN + 60)
    assert found.joules == pytest.approx(42.0 * 60)
    assert found.reason == ""


def test_edges_are_cut_and_slopes_are_trapezoids() -> None:
    ramp = samples((0, 0), (1, 10), (2, 20), (3, 30))
    assert integrate(ramp, BEGIN + 0.5, BEGIN + 2.5).joules == pytest.approx(30.0)
    assert integrate(ramp, BEGIN + 1.2, BEGIN + 1.4).joules == pytest.approx(0.2 * 13)
    step = samples((0, 10), (1, 10), (2, 30), (3, 30))
    assert integrate(step, BEGIN, BEGIN + 3).joules == pytest.approx(10 + 20 + 30)


def test_short_windows_say_so() -> None:
    found = integrate(samples((0, 10), (1, 10), (2, 10)), BEGIN, BEGIN + 2)
    assert "2.0 sampling periods" in found.reason


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "no sample near"),
        ([(1, 42), (2, 42), (31, 42)], "1.0 s after the window began"),
        ([(-1, 42), (0, 42), (27, 42)], "3.0 s before the window's end"),
        ([*((float(t), 42) for t in range(-1, 11)), (15, 42), *((float(t), 42) for t in
          range(16, 32))], "no sample for 5.0 s, usually one in 1.0 s"),
    ],
)  # fmt: skip
def test_missing_samples_are_no_energy(given: list[tuple[float, float]], words: str) -> None:
    found = integrate(samples(*given), BEGIN, BEGIN + 30)
    assert found.joules is None
    assert words in found.reason


def test_lines_of_a_file() -> None:
    text = "time,watts\n# a note\n1700000000,40\n2023-11-14T22:13:22+00:00,44\n1700000001.0; 42\n"
    assert parse(text.splitlines(), "log") == samples((0, 40), (1, 42), (2, 44))


@pytest.mark.parametrize("line", ["yesterday,42", "1700000000", "1700000000,much", "170,-4",
                                  "nan,4", "170,inf"])  # fmt: skip
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"log\.csv, line 2: .* is not timestamp,watts"):
        parse(["1700000000,41", line], "log.csv")


def test_only_finished_lines_are_read(tmp_path: Path) -> None:
    file = tmp_path / "watts.csv"
    file.write_text("1700000000,40\n1700000001,42\n1700000002,4")
    assert CsvSource(file).close(BEGIN, BEGIN) == samples((0, 40), (1, 42))


def test_a_file_that_grows_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated meter of 42 W: the sample after the window comes after the stop."""
    file = tmp_path / "watts.csv"
    now = unix_now()
    file.write_text("".join(f"{now - 3 + i / 10:.3f},42\n" for i in range(31)))
    monkeypatch.setenv(SETTING, f"csv:{file}")
    over = threading.Event()

    def log() -> None:
        while not over.wait(0.05):
            with file.open("a") as out:
                out.write(f"{unix_now():.3f},42\n")

    logger = threading.Thread(target=log)
    logger.start()
    try:
        assert WallMeter.availability().ok
        meter = WallMeter.create("cpu")
        begin = time.perf_counter()
        meter.start()
        time.sleep(0.5)
        seconds = time.perf_counter() - begin
        (one,) = meter.stop().measurements
    finally:
        over.set()
        logger.join()
    assert (one.metric, one.scope, one.method) == ("energy_gross", "wall, whole machine", "sampled")
    assert one.provenance is Provenance.MEASURED
    assert one.samples[0] == pytest.approx(42.0 * seconds, rel=0.2)


def _refused(monkeypatch: pytest.MonkeyPatch, setting: str) -> tuple[str, str, Measurement]:
    monkeypatch.setenv(SETTING, setting)
    state = WallMeter.availability()
    assert not state.ok
    meter = WallMeter.create("cpu")
    meter.start()
    (one,) = meter.stop().measurements
    assert one.provenance is Provenance.UNAVAILABLE
    return state.reason, state.fix, one


def test_a_logger_that_stopped_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "watts.csv"
    file.write_text("".join(f"{1_700_000_000 + i},42\n" for i in range(10)))
    monkeypatch.setenv(SETTING, f"csv:{file}")
    meter = WallMeter.create("cpu")
    meter.start()
    begin = time.perf_counter()
    (one,) = meter.stop().measurements
    assert time.perf_counter() - begin < wall_sources.WAIT_S / 2
    assert one.provenance is Provenance.UNAVAILABLE
    assert "before the window's end" in one.reason


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("csv:/nowhere/watts.csv", "cannot be read"),
        ("watts.csv", "neither csv:PATH nor"),
        ("csv:", "neither csv:PATH nor"),
        ("ftp://host/x", "neither csv:PATH nor"),
    ],
)
def test_settings_that_lead_nowhere_say_so(
    setting: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason, fix, one = _refused(monkeypatch, setting)
    assert words in reason
    assert fix
    assert words in one.reason


def test_without_a_setting_there_is_no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    assert not wall.configured()
    assert "not set" in WallMeter.availability().reason
    assert source_of({}) is None
    with pytest.raises(UsageError):
        source_of({SETTING: "nonsense"})


ANSWERS = ["42", '{"watts": 42.0}', '{"apower": 42}']


@pytest.fixture
def plug() -> Iterator[tuple[str, list[str]]]:
    """A plug on this machine that draws 42 W in three dialects; its answers can be replaced."""
    answers = list(ANSWERS)

    class Plug(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers[0].encode()
            answers.append(answers.pop(0))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Plug)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/power", answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_endpoint_is_asked_at_both_ends_and_between(plug: tuple[str, list[str]]) -> None:
    before = set(threading.enumerate())
    meter = WallMeter(HttpSource(plug[0], period_s=0.05))
    meter.start()
    begin = time.perf_counter()
    time.sleep(0.4)
    seconds = time.perf_counter() - begin
    (one,) = meter.stop().measurements
    assert one.samples[0] == pytest.approx(42.0 * seconds, rel=0.2)
    assert {t.name for t in set(threading.enumerate()) - before} <= set()


def test_an_endpoint_that_fails_gives_a_reason(
    plug: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, answers = plug
    answers[:] = ['{"state": "off"}']
    reason, _, _ = _refused(monkeypatch, address)
    assert "none of watts" in reason
    answers[:] = ["<html>"]
    assert "neither a number nor JSON" in HttpSource(address).probe()
    answers[:] = ["true"]
    assert "is no power" in HttpSource(address).probe()


def test_answers_that_end_within_the_window_are_a_gap(plug: tuple[str, list[str]]) -> None:
    address, answers = plug
    source = HttpSource(address, period_s=0.05)
    meter = WallMeter(source)
    meter.start()
    answers[:] = ["broken"]
    time.sleep(0.3)
    (one,) = meter.stop().measurements
    assert one.provenance is Provenance.UNAVAILABLE
    assert "before the window's end" in one.reason
