"""Text by a teacher: sampled behind the beginnings of passages, kept over interruptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from little_training import bench_at, passages, recipe

from slmbench.errors import ArtefactError
from slmbench.lifecycle.job import OtherInput
from slmbench.lifecycle.training import written
from slmbench.requests import GenerateOutput, GenerateRequest
from slmbench.spec.recipes.training import Written
from tiny_llama import save_tiny_llama

SHA = "b" * 64


class Scribe:
    """A teacher whose tokens are characters, and that dies after so many texts."""

    texts = 0
    dies_at = 10**9
    loaded: list[Any] = []  # noqa: RUF012 - read by tests
    closed = 0

    def load(self, job: Any) -> None:
        Scribe.loaded.append(job)

    def encode(self, text: str, *, special: bool) -> tuple[int, ...]:
        assert not special
        return tuple(text.encode())

    def generate_many(self, requests: Sequence[GenerateRequest]) -> Iterator[GenerateOutput]:
        for request in requests:
            Scribe.texts += 1
            if Scribe.texts == Scribe.dies_at:
                raise RuntimeError("killed")
            yield GenerateOutput(
                text=f" … {request.seed % 1000}",
                token_ids=(1,),
                prompt_tokens=1,
                evaluated_tokens=1,
                start_ns=0,
                token_ns=(1,),
                finish="length",
            )

    def close(self) -> None:
        Scribe.closed += 1


@pytest.fixture
def scribe(monkeypatch: pytest.MonkeyPatch) -> type[Scribe]:
    Scribe.texts, Scribe.dies_at, Scribe.loaded, Scribe.closed = 0, 10**9, [], 0
    monkeypatch.setattr(written.BACKENDS, "load", lambda _: Scribe)
    return Scribe


def asked(texts: int = 40, prompt: int = 16) -> Written:
    return Written(teacher="teacher", texts=texts, prompt_tokens=prompt, tokens=8)


def teacher(path: Path, format_: str = "gguf") -> dict[str, Any]:
    other = OtherInput(name="teacher", identity=SHA, sha256=SHA, path=str(path), format=format_)
    return {"others": {"teacher": other}}


def test_a_text_is_a_beginning_and_what_the_teacher_makes_of_it(
    tmp_path: Path, scribe: type[Scribe]
) -> None:
    texts = passages(50)
    found = written.write_texts(
        asked(), texts, seed=1, bench=bench_at(tmp_path, tmp_path, **teacher(tmp_path))
    )
    assert len(found.texts) == 40
    for text, passage in zip(found.texts, texts, strict=False):
        beginning, _, rest = text.partition(" … ")
        assert passage.startswith(beginning + " ")
        following = passage[len(beginning) :].split()[0]
        assert len(beginning) <= 16 < len(f"{beginning} {following}")
        assert rest.isdigit()
    assert len({text.partition(" … ")[2] for text in found.texts}) > 30  # seeds of their own
    assert scribe.closed == 1
    assert scribe.loaded[0].target.backend == "llama_cpp"
    assert SHA[:16] in found.source
    assert "temperature 0.8" in found.source


def test_an_interruption_loses_no_whole_batch(tmp_path: Path, scribe: type[Scribe]) -> None:
    texts, places = passages(50), {"checkpoints": tmp_path / "c", **teacher(tmp_path)}
    whole = written.write_texts(
        asked(), texts, seed=1, bench=bench_at(tmp_path, tmp_path, **teacher(tmp_path))
    )
    scribe.texts, scribe.dies_at = 0, 38
    with pytest.raises(RuntimeError, match="killed"):
        written.write_texts(asked(), texts, seed=1, bench=bench_at(tmp_path, tmp_path, **places))
    assert scribe.closed == 2
    scribe.texts, scribe.dies_at = 0, 10**9
    again = written.write_texts(
        asked(), texts, seed=1, bench=bench_at(tmp_path, tmp_path, **places)
    )
    assert again.texts == whole.texts
    assert scribe.texts == 40 - written.BATCH  # of 37 texts the five of an open batch are gone
    once_more = written.write_texts(
        asked(), texts, seed=1, bench=bench_at(tmp_path, tmp_path, **places)
    )
    assert once_more.texts == whole.texts
    assert scribe.texts == 8  # nothing is asked, and no teacher is loaded
    assert len(scribe.loaded) == 3


@pytest.mark.parametrize("change", ["seed", "texts", "teacher", "cut"])
def test_texts_of_other_settings_are_not_taken(
    tmp_path: Path, scribe: type[Scribe], change: str
) -> None:
    texts, places = passages(50), {"checkpoints": tmp_path / "c", **teacher(tmp_path)}
    written.write_texts(asked(), texts, seed=1, bench=bench_at(tmp_path, tmp_path, **places))
    scribe.texts = 0
    other = places["others"]["teacher"].model_copy(update={"sha256": "c" * 64})
    if change == "teacher":
        places["others"] = {"teacher": other}
    if change == "cut":
        file = tmp_path / "c" / written.FILE
        file.write_bytes(file.read_bytes()[:-20])
    settings = asked(prompt=10) if change == "texts" else asked()
    seed = 2 if change == "seed" else 1
    written.write_texts(settings, texts, seed=seed, bench=bench_at(tmp_path, tmp_path, **places))
    assert scribe.texts == (8 if change == "cut" else 40)


def test_what_cannot_be_written_is_named(tmp_path: Path, scribe: type[Scribe]) -> None:
    bench = bench_at(tmp_path, tmp_path, **teacher(tmp_path))
    with pytest.raises(ArtefactError, match="texts is 40, but there are 3 passages"):
        written.write_texts(asked(), passages(3), seed=1, bench=bench)
    bench = bench_at(tmp_path, tmp_path, **teacher(tmp_path, "onnx"))
    with pytest.raises(ArtefactError, match="teacher is of format onnx"):
        written.write_texts(asked(), passages(50), seed=1, bench=bench)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_student_learns_what_a_real_teacher_writes(
    tmp_path: Path, parent: Path, little_text: list[str]
) -> None:
    from slmbench.lifecycle.training.train import make

    folder = save_tiny_llama(tmp_path / "teacher", seed=9)
    text = {"written": {"teacher": "teacher", "texts": 12, "tokens": 24, "prompt_tokens": 20}}
    others = teacher(folder, "hf")
    said: list[str] = []
    made = make(
        recipe(text=text, update={"kind": "full"}),
        bench_at(tmp_path / "out", parent, report=said.append, **others),
    )
    facts = made.facts.training
    assert facts.text.texts == 12
    assert any("written by teacher" in source for source in facts.text.sources)
    assert facts.teacher_sha256 == (SHA,)
    assert facts.curve[-1].loss < facts.curve[0].validation * 2
