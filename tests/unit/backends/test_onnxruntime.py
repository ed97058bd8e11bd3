"""What the onnxruntime backend reads of a folder, and that going back in its cache is exact."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip(
    "onnxruntime_genai", reason="needs onnxruntime-genai: pip install 'slmbench[onnxruntime]'"
)

from slmbench.backends.chat_template import render_chat
from slmbench.backends.onnxruntime import OnnxRuntimeBackend
from slmbench.backends.onnxruntime_folder import FolderTokenizer, read_folder
from slmbench.backends.onnxruntime_graph import read_graph
from slmbench.backends.onnxruntime_session import PIECE, _cuts
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.lifecycle.gguf_tokenizer import PROBES
from slmbench.records import ModelInfo, Status
from slmbench.requests import ChatMessage, LoglikelihoodRequest
from slmbench.spec import Target
from tiny_onnx import save_tiny_onnx
from tiny_smollm import save_tiny_smollm

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_smollm(tmp_path_factory.mktemp("parent") / "hf", tie_word_embeddings=False)


@pytest.fixture(scope="module")
def folder(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """int4, with an embedding of its own."""
    return save_tiny_onnx(parent, tmp_path_factory.mktemp("onnx") / "made", "int4")


def load(path: Path, **changes: Any) -> tuple[OnnxRuntimeBackend, ModelInfo]:
    backend = OnnxRuntimeBackend()
    settings = {"name": "t", "backend": "onnxruntime", "threads": 1, "context": 256, **changes}
    return backend, backend.load(LoadJob(path, "0" * 64, Target.model_validate(settings)))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def refused(path: Path, **changes: Any) -> BackendError:
    with pytest.raises(BackendError) as caught:
        load(path, **changes)
    assert caught.value.hint
    return caught.value


def test_an_embedding_of_its_own_is_not_read_by_decoding(folder: Path, parent: Path) -> None:
    from transformers import AutoModelForCausalLM

    graph = read_graph(folder / "model.onnx")
    model = AutoModelForCausalLM.from_pretrained(parent)
    embedding = model.get_input_embeddings().weight.numel()
    assert graph.parameters == sum(p.numel() for p in model.parameters())
    assert graph.matmul_parameters == graph.parameters - embedding
    assert graph.weight_bytes - graph.decode_weight_bytes == 4 * embedding, "it stays float32"
    assert graph.quantized_matmuls == 11
    assert graph.kv_bits == 32
    _, info = load(folder)
    assert info.decode_weight_bytes == graph.decode_weight_bytes
    assert info.bits_per_weight == 8 * graph.weight_bytes / graph.parameters


def test_the_graph_is_what_the_onnx_library_reads(folder: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    tables = {"cos_cache", "sin_cache"}
    held = sum(
        int(entry.value)
        for tensor in graph.initializer
        if tensor.name not in tables and tensor.data_type not in (6, 7)
        for entry in tensor.external_data
        if entry.key == "length"
    )
    small = sum(
        len(t.raw_data) for t in graph.initializer if t.data_type not in (6, 7) and t.raw_data
    )
    assert read_graph(folder / "model.onnx").weight_bytes == held + small


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x3a\xff\xff\x03", b"\x08\x0a"])
def test_what_is_no_graph_is_refused(copy: Path, content: bytes) -> None:
    (copy / "model.onnx").write_bytes(content)
    error = refused(copy)
    assert error.status is Status.INVALID
    assert "model.onnx: not an ONNX model" in error.reason


@pytest.mark.parametrize("name", ["genai_config.json", "tokenizer.json", "model.onnx"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    error = refused(copy)
    assert error.status is Status.INVALID
    assert f"{name} is missing" in error.reason


def test_weights_that_are_cut_off_are_invalid(copy: Path) -> None:
    data = copy / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:100])
    error = refused(copy)
    assert error.status is Status.INVALID
    assert "onnxruntime cannot load it" in error.reason


def test_settings_of_another_kind_of_model(copy: Path) -> None:
    (copy / "genai_config.json").write_text('{"model": {"encoder": {}}}', "utf-8")
    assert "not that of a causal language model" in refused(copy).reason


@pytest.mark.parametrize(
    ("changes", "why"), [({"device": "cuda"}, "device 'cuda'"), ({"dtype": "float16"}, "own types")]
)
def test_what_the_engine_cannot_do(folder: Path, changes: Any, why: str) -> None:
    error = refused(folder, **changes)
    assert error.status is Status.UNSUPPORTED
    assert why in error.reason


def test_running_states_and_windows_are_told(copy: Path) -> None:
    config = json.loads((copy / "genai_config.json").read_text("utf-8"))
    config["model"]["decoder"]["sliding_window"] = {"window_size": 64}
    (copy / "genai_config.json").write_text(json.dumps(config), "utf-8")
    assert read_folder(copy).odd_cache == "some layers have a sliding window"
    del config["model"]["decoder"]["inputs"]["past_key_names"]
    (copy / "genai_config.json").write_text(json.dumps(config), "utf-8")
    assert "running state" in read_folder(copy).odd_cache


def test_the_arena_changes_no_bit_and_prepacking_picks_other_kernels(folder: Path) -> None:
    asked = [LoglikelihoodRequest(context="The sky is", continuation=c) for c in (" blue", " red")]
    found = []
    for options in ({}, {"arena": False}, {"prepack": False}):
        backend, info = load(folder, options=options)
        found.append([o.logprob for o in backend.loglikelihood(asked)])
        assert info.engine_version.endswith(" off") == bool(options)
        backend.close()
    assert found[0] == found[1]
    assert found[0] == pytest.approx(found[2], abs=1.0)


def test_rewinding_gives_the_same_bits(folder: Path) -> None:
    backend, _ = load(folder)
    ids = tuple(int(i) for i in np.random.default_rng(1).integers(3, 250, 200))
    whole = backend.next_logprobs(ids, 1)
    assert len(whole) == 199
    session = backend._session
    for first, fed in (
        (150, ids[:180]),
        (20, ids[:150]),
        (40, ids[:60] + ids[:40]),
        (99, ids[:-1]),
    ):
        rows = np.concatenate(list(session.after(fed, first)))
        assert len(rows) == len(fed) - first
        session.keep(0)
        assert np.array_equal(rows, np.concatenate(list(session.after(fed, first))))
    backend.close()


def test_what_was_written_token_by_token_is_not_scored_upon(folder: Path) -> None:
    backend, _ = load(folder)
    asked = [LoglikelihoodRequest(context="In the wood and on", continuation=" the water")]
    (before,) = backend.loglikelihood(asked)
    ids = backend.encode("In the wood and on the water", special=True)
    backend._session.keep(0)
    for token in ids:
        backend._session.append((token,))
    (after,) = backend.loglikelihood(asked)
    assert after.logprob == before.logprob
    backend.close()


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 2), (0, PIECE + 1), (3, 700), (5, 5)])
def test_no_piece_is_a_single_token(start: int, stop: int) -> None:
    ends = [start, *_cuts(start, stop)]
    pieces = [b - a for a, b in pairwise(ends)]
    assert sum(pieces) == stop - start
    assert all(1 < p <= PIECE for p in pieces) or pieces == [1]


def test_the_tokenizer_is_the_parents(folder: Path, parent: Path) -> None:
    from transformers import AutoTokenizer

    theirs, ours = AutoTokenizer.from_pretrained(parent), FolderTokenizer(folder)
    for text in PROBES:
        ids = theirs.encode(text)
        assert ours.encode(text, special=True) == tuple(ids)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
    assert ours.id_of("eos_token") == theirs.eos_token_id
    assert ours.vocabulary() == theirs.get_vocab()


TURNS = (
    ChatMessage(role="system", content="Be brief. <&>"),
    ChatMessage(role="user", content="  Say “yes”.\n"),
    ChatMessage(role="assistant", content="yes"),
    ChatMessage(role="user", content="again"),
)
TEMPLATES = (
    "{% for m in messages %}<{{ m.role }}>{{ m['content'] | trim }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}",
    "{{ bos_token }}\n{%- for m in messages %}\n  {% if loop.first %}\n    first\n  {% endif %}\n"
    "{{ m | tojson }}\n{%- if m.role == 'assistant' %}{% break %}{% endif %}\n{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}"
    "{{ m.content[:2] | upper }}{% endfor %}",
)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("reply", [True, False])
def test_templates_are_rendered_as_transformers_does(
    template: str, reply: bool, parent: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(parent)
    special = {"eos_token": str(tokenizer.eos_token), "bos_token": str(tokenizer.bos_token)}
    turns = [{"role": t.role, "content": t.content} for t in TURNS]
    wanted = tokenizer.apply_chat_template(
        turns, chat_template=template, tokenize=False, add_generation_prompt=reply
    )
    assert render_chat(template, TURNS, special, reply=reply) == wanted


@pytest.mark.parametrize(
    ("template", "status", "why"),
    [
        ("{{ raise_exception('roles must alternate') }}", Status.UNSUPPORTED, "roles must altern"),
        ("{% for %}", Status.INVALID, "cannot be rendered"),
        ("{{ messages.append(1) }}", Status.INVALID, "cannot be rendered"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", Status.INVALID, "cannot be rendered"),
    ],
)
def test_templates_that_are_refused(template: str, status: Status, why: str) -> None:
    with pytest.raises(BackendError, match=why) as caught:
        render_chat(template, TURNS, {}, reply=True)
    assert caught.value.status is status
