"""Each gate with a model that is broken on purpose: it must see it, and pass the whole one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("gguf", reason="needs gguf")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import gguf
from asking_here import ask_here, short_items, subject_of
from safetensors.torch import load_file, save_file

from slmbench.gates import measuring
from slmbench.gates.asking import UnanswerableError
from slmbench.gates.result import GateResult
from slmbench.gates.strings import strings
from slmbench.lifecycle import gguf_export
from slmbench.lifecycle.workbench import Workbench
from slmbench.spec.recipe import GgufExport
from tiny_smollm import SPECIAL, edit_json, save_tiny_smollm

pytestmark = pytest.mark.engine

TEXTS = strings(1000, marks=SPECIAL)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_here(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder ``hf`` and its export ``model.gguf``; the tokenizer puts a BOS first."""
    place = tmp_path_factory.mktemp("whole")
    folder = save_tiny_smollm(place / "hf", bos=True)
    bench = Workbench(folder, place, 1, lambda _: None)
    gguf_export.make(GgufExport(technique="gguf_export"), bench)
    return place


@pytest.fixture
def broken(whole: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    shutil.copytree(whole, tmp_path / "broken")
    return tmp_path / "broken"


def set_metadata(path: Path, key: str, value: float | bool) -> None:
    """Overwrite a number of a GGUF in place."""
    field = gguf.GGUFReader(path, "r+").fields[key]
    field.parts[field.data[0]][0] = value


def g1(place: Path, other: Path) -> GateResult:
    ours = subject_of(place / "hf", "transformers", dtype="float32")
    return measuring.tokenizer_parity(ours, subject_of(other / "model.gguf", "llama_cpp"), TEXTS)


def g2(place: Path, other: Path) -> GateResult:
    ours = subject_of(place / "hf", "transformers")
    theirs = subject_of(other / "model.gguf", "llama_cpp")
    return measuring.logprob_parity(ours, theirs, [short_items()])


def test_the_whole_model_passes(whole: Path) -> None:
    tokens, logprobs = g1(whole, whole), g2(whole, whole)
    assert tokens.verdict == "passed", (tokens.reason, tokens.details)
    assert logprobs.verdict == "passed", (logprobs.reason, logprobs.details)
    numbers = {n.name: n.value for n in logprobs.numbers}
    assert numbers["sums"] == 64
    positions = numbers["positions"]
    assert positions is not None
    assert positions >= 50


@pytest.mark.parametrize("where", ["gguf", "hf"])
def test_a_shifted_rope_base_fails_the_second_gate_only(
    whole: Path, broken: Path, where: str
) -> None:
    if where == "gguf":
        set_metadata(broken / "model.gguf", "llama.rope.freq_base", 10000.0)
        result = g2(whole, broken)
    else:
        rope = {"rope_type": "default", "rope_theta": 10000.0}
        edit_json(broken / "hf/config.json", rope_parameters=rope)
        result = g2(broken, whole)
        assert g1(broken, whole).verdict == "passed"
    assert result.verdict == "failed"
    assert "max |Δ| of a sum" in result.reason
    assert "mean KLD" in result.reason


def test_a_norm_epsilon_of_another_family_is_seen(whole: Path, broken: Path) -> None:
    set_metadata(broken / "model.gguf", "llama.attention.layer_norm_rms_epsilon", 1e-3)
    assert g2(whole, broken).verdict == "failed"


def test_a_dropped_bos_fails_the_first_gate(whole: Path, broken: Path) -> None:
    set_metadata(broken / "model.gguf", "tokenizer.ggml.add_bos_token", False)
    result = g1(whole, broken)
    assert result.verdict == "failed"
    assert "BOS handling differs" in result.reason
    numbers = {n.name: n.value for n in result.numbers}
    assert numbers["mismatches"] == len(TEXTS)
    assert numbers["mismatches without BOS"] == 0
    assert g2(whole, broken).verdict == "failed"


def swap_entries(folder: Path) -> None:
    """Two vocabulary entries change places."""
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    words = model["vocab"]
    words["he"], words["in"] = words["in"], words["he"]
    edit_json(path, model=model)


def swap_merges(folder: Path) -> None:
    """The first and the last rule change places: the vocabulary stays as it was."""
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    model["merges"][1], model["merges"][7] = model["merges"][7], model["merges"][1]
    edit_json(path, model=model)


def another_splitter(folder: Path) -> None:
    """GPT-2's, which keeps digits together: the fault of old GGUF files."""
    path = folder / "tokenizer.json"
    pre = json.loads(path.read_text())["pre_tokenizer"]
    model = json.loads(path.read_text())["model"]
    number = len(model["vocab"])
    model["vocab"]["12"] = number
    model["merges"].append(["1", "2"])
    edit_json(path, pre_tokenizer=pre["pretokenizers"][1], model=model)


@pytest.mark.parametrize("breaks", [swap_entries, swap_merges, another_splitter])
def test_a_swapped_tokenizer_fails_the_first_gate(
    whole: Path, broken: Path, breaks: Callable[[Path], None]
) -> None:
    breaks(broken / "hf")
    result = g1(broken, whole)
    assert result.verdict == "failed"
    assert result.details
    assert "transformers: [" in result.details[0]
    numbers = {n.name: n.value for n in result.numbers}
    assert numbers["BOS handling differs"] == 0


def put_nan(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})


def test_a_nan_weight_fails_both_gates_that_ask_for_numbers(whole: Path, broken: Path) -> None:
    put_nan(broken / "hf")
    subject = subject_of(broken / "hf", "transformers", dtype="float32")
    floor = measuring.noise_floor(subject, [short_items()], "short items")
    assert floor.verdict == "failed"
    assert {n.name: n.value for n in floor.numbers}["unscored items"] == 2 * 16
    parity = g2(broken, whole)
    assert parity.verdict == "failed"
    assert "unscored sums is 64" in parity.reason


@pytest.mark.parametrize(
    ("file", "backend", "rule"),
    [("hf", "transformers", "float32 bounds"), ("model.gguf", "llama_cpp", "floor reported")],
)
def test_the_floor_of_a_float_model_is_next_to_nothing(
    whole: Path, file: str, backend: str, rule: str
) -> None:
    subject = subject_of(whole / file, backend)
    result = measuring.noise_floor(subject, [short_items()], "short items")
    assert result.verdict == "passed", (result.reason, result.details)
    assert rule in result.reason
    numbers = {n.name: n.value for n in result.numbers}
    assert numbers["items"] == 16
    assert numbers["flip rate"] == 0


def test_a_model_that_cannot_be_loaded_is_no_pass(broken: Path) -> None:
    (broken / "hf/model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnanswerableError, match="invalid"):
        g1(broken, broken)
