"""Text that a teacher writes: black-box distillation at the level of sequences.

Kim & Rush 2016 (arXiv 1606.07947) train a student on what the teacher would say. The teacher is
one of our backends, so it may be of any format that one of them loads; it goes on, sampled, from
the first words of each passage. Every text is written down as soon as it is there: after an
interruption the teacher goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slmbench.backends import BACKENDS, Backend, LoadJob
from slmbench.backends.protocol import BackendError
from slmbench.errors import ArtefactError
from slmbench.lifecycle.job import OtherInput
from slmbench.lifecycle.workbench import Workbench
from slmbench.requests import GenerateRequest
from slmbench.spec import Target
from slmbench.spec.recipes.training import Written

ENGINES = {"gguf": "llama_cpp", "hf": "transformers"}
"""Format of the teacher -> backend that writes."""
FILE = "written.jsonl"
"""Below the checkpoints: a line of settings, then a line a text."""
BATCH = 32
"""Texts that are written together, and what an interruption may lose."""
_REPORTS = 10
"""Lines of progress."""


@dataclass(frozen=True, slots=True)
class TeacherText:
    """What the teacher wrote."""

    texts: tuple[str, ...]
    """Prompt and continuation, joined."""
    source: str
    """Who wrote it, from what, with which settings: for :class:`slmbench.made.TextFacts`."""


def write_texts(
    written: Written, passages: Sequence[str], *, seed: int, bench: Workbench
) -> TeacherText:
    """As many texts as ``written.texts`` asks for, from the first passages, in their order.

    Raises ArtefactError where there are too few passages, the teacher's format has no backend
    here, or it writes nothing.
    """
    if len(passages) < written.texts:
        raise ArtefactError(
            f"text.written.texts is {written.texts}, but there are {len(passages)} passages to "
            "begin with",
            hint="ask for fewer texts, or name more data sets in text.passages",
        )
    teacher = bench.other(written.teacher)
    if teacher.format not in ENGINES:
        raise ArtefactError(
            f"{teacher.name} is of format {teacher.format}, which no backend can write text with",
            hint=f"take a teacher of format {' or '.join(ENGINES)}",
        )
    key = _key(written, passages[: written.texts], teacher, seed)
    file = None if bench.checkpoints is None else bench.checkpoints / FILE
    texts = _kept(file, key)[: written.texts]
    if len(texts) < written.texts:
        del texts[len(texts) // BATCH * BATCH :]  # the same batches again, and the same rounding
    if texts:
        bench.report(f"{len(texts)} of {written.texts} texts by {teacher.name} are there already")
    if len(texts) < written.texts:
        keep = _keeper(file, key, texts)
        for text in _write(written, passages[: written.texts], len(texts), (teacher, seed), bench):
            keep(text)
            texts.append(text)
            if len(texts) % max(1, written.texts // _REPORTS) == 0:
                bench.report(f"{len(texts)} of {written.texts} texts by {teacher.name}")
    return TeacherText(tuple(texts), _source(written, teacher, seed))


def _write(
    written: Written,
    passages: Sequence[str],
    done: int,
    who: tuple[OtherInput, int],
    bench: Workbench,
) -> Iterator[str]:
    """Texts number ``done`` and on; the teacher is loaded here and closed at the end."""
    teacher, seed = who
    room = _room(written)
    backend: Backend = BACKENDS.load(ENGINES[teacher.format])()
    target = Target(
        name="teacher", backend=ENGINES[teacher.format], threads=bench.threads, context=room
    )
    try:
        backend.load(
            LoadJob(Path(teacher.path), artefact_sha256=teacher.sha256, target=target, seed=seed)
        )
        for first in range(done, len(passages), BATCH):
            prompts = [
                _beginning(backend, text, written.prompt_tokens)
                for text in passages[first : first + BATCH]
            ]
            asked = [
                GenerateRequest(
                    prompt=prompt,
                    max_tokens=written.tokens,
                    temperature=written.temperature,
                    seed=_seed(seed, first + number),
                )
                for number, prompt in enumerate(prompts)
            ]
            for prompt, answer in zip(prompts, backend.generate_many(asked), strict=True):
                yield prompt + answer.text
    except BackendError as error:
        raise ArtefactError(
            f"the teacher {teacher.name} cannot write: {error.reason}", hint=error.hint or None
        ) from error
    finally:
        backend.close()


def _beginning(backend: Backend, text: str, tokens: int) -> str:
    """The longest prefix of the text that the teacher's first ``tokens`` tokens cover.

    Found by halving over the text's words, so that no tokenizer has to give its ids back as text.
    """
    words = text.split(" ")
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if len(backend.encode(" ".join(words[:middle]), special=False)) <= tokens:
            low = middle
        else:
            high = middle - 1
    return " ".join(words[:low])


def _room(written: Written) -> int:
    """Context for a prompt (a first word may be long) and its continuation [tokens]."""
    return max(64, 4 * written.prompt_tokens + written.tokens)


def _seed(seed: int, number: int) -> int:
    """A seed for each text, so that equal beginnings go on differently."""
    digest = hashlib.sha256(f"written:{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _source(written: Written, teacher: OtherInput, seed: int) -> str:
    return (
        f"written by {teacher.name} (sha256 {teacher.sha256[:16]}) with "
        f"{ENGINES[teacher.format]}: {written.prompt_tokens} tokens of a passage given, up to "
        f"{written.tokens} more at temperature {written.temperature:g}, seed {seed}"
    )


def _key(written: Written, passages: Sequence[str], teacher: OtherInput, seed: int) -> str:
    """Digest of all that the texts depend on."""
    told = json.dumps([written.model_dump(mode="json"), list(passages), teacher.sha256, seed])
    return hashlib.sha256(told.encode()).hexdigest()


def _kept(file: Path | None, key: str) -> list[str]:
    """Whole lines of an earlier attempt with the same settings."""
    if file is None or not file.is_file():
        return []
    texts: list[str] = []
    with suppress(ValueError, KeyError, TypeError):  # a last line may have been cut
        lines = file.read_text("utf-8").splitlines()
        if not lines or json.loads(lines[0])["key"] != key:
            return []
        for line in lines[1:]:
            texts.append(str(json.loads(line)["text"]))
    return texts


def _keeper(file: Path | None, key: str, texts: Sequence[str]) -> Callable[[str], None]:
    """Start the file anew with what is whole; the function adds a text to it."""
    if file is None:
        return lambda _: None
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"key": key}), *(json.dumps({"text": text}) for text in texts)]
    partial = file.with_suffix(".partial")
    partial.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    partial.replace(file)

    def keep(text: str) -> None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"text": text}) + "\n")

    return keep
