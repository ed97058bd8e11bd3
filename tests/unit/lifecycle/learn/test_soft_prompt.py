"""Learnt prompts: the folder is ordinary, and everything that is read of it begins with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slmbench.backends import BACKENDS, Backend, LoadJob
from slmbench.errors import ArtefactError
from slmbench.requests import ChatMessage, GenerateRequest, LoglikelihoodRequest, RollingRequest
from slmbench.spec import Target
from tiny_llama import save_tiny_llama, sizes

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:.*np.object.*:DeprecationWarning"),
]
COUNT = 5


def prompted(parent: Path, *, seed: int = 1, learnt: float = 0.3) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from slmbench.lifecycle.training.soft_prompt import with_prompt

    model = AutoModelForCausalLM.from_pretrained(parent, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(parent)
    rows = torch.arange(96).view(2, 48) % 90 + 3
    found = with_prompt(model, tokenizer, rows, COUNT, seed)
    with torch.no_grad():
        found.prompt += learnt
    return found


@pytest.fixture(scope="module", params=["tied", "untied", "padded"])
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import LlamaConfig

    from slmbench.lifecycle.training.soft_prompt import save_prompt

    place = tmp_path_factory.mktemp(request.param)
    config = LlamaConfig(**sizes(262 if request.param == "padded" else 258))
    config.tie_word_embeddings = request.param != "untied"
    parent = save_tiny_llama(place / "parent", config=config)
    model = prompted(parent)
    saved = save_prompt(model, parent, place / "hf")
    return parent, saved, model


def loaded(folder: Path) -> Backend:
    backend = BACKENDS.load("transformers")()
    target = Target(name="t", backend="transformers", threads=2, context=256)
    backend.load(LoadJob(folder, artefact_sha256="0" * 64, target=target))
    return backend


def test_the_folder_gives_the_trained_logits(folders: Any) -> None:
    assert folders[1].max_logit_difference < 1e-4


def test_transformers_puts_the_prompt_first_in_texts_and_chats(folders: Any) -> None:
    from transformers import AutoTokenizer

    plain = AutoTokenizer.from_pretrained(folders[0])
    tokenizer = AutoTokenizer.from_pretrained(folders[1].path)
    lead = list(range(len(plain), len(plain) + COUNT))
    assert tokenizer("word").input_ids == lead + plain("word").input_ids
    turns = [{"role": "user", "content": "hi"}]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False)
    assert tokenizer(rendered, add_special_tokens=False).input_ids[:COUNT] == lead
    assert tokenizer.decode(lead + plain("word").input_ids, skip_special_tokens=True) == "word"


def _expected(model: Any, context: list[int], continuation: list[int]) -> float:
    """From the trained module, not from the folder."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([context + continuation[:-1]])).logits[0]
    scored = torch.log_softmax(logits, -1)[len(context) - 1 :]
    return float(scored.gather(1, torch.tensor(continuation)[:, None]).sum())


def test_the_backend_scores_behind_the_prompt(folders: Any) -> None:
    from transformers import AutoTokenizer

    parent, saved, _ = folders
    model = prompted(parent)  # saving resized the other one's embeddings
    words = AutoTokenizer.from_pretrained(parent)
    backend = loaded(saved.path)
    asked = [
        LoglikelihoodRequest(context="one two", continuation=" three"),
        LoglikelihoodRequest(context="", continuation="three"),
        RollingRequest(text="one two three"),
        LoglikelihoodRequest(
            context=(ChatMessage(role="user", content="one"),), continuation="two"
        ),
        RollingRequest(text="one two three four", protocol="gptq", window=8),
    ]
    ids = [words(text).input_ids for text in ("one two", " three", "three", "one two three")]
    chat = words("<user>one\n<assistant>").input_ids
    whole = words("one two three four").input_ids
    expected = [
        _expected(model, ids[0], ids[1]),
        _expected(model, [256], ids[2]),
        _expected(model, [256], ids[3]),
        _expected(model, chat, words("two").input_ids),
        sum(_expected(model, whole[i : i + 1], whole[i + 1 : i + 8]) for i in (0, 8)),
    ]
    for share in (False, True):
        found = [output.logprob for output in backend.loglikelihood(asked, share=share)]
        assert found == pytest.approx(expected, abs=1e-3)


def test_the_backend_writes_behind_the_prompt(folders: Any) -> None:
    import torch
    from transformers import AutoTokenizer

    parent, saved, _ = folders
    model, backend = prompted(parent), loaded(saved.path)
    words = AutoTokenizer.from_pretrained(parent)
    turns = (ChatMessage(role="user", content="one"),)
    for prompt, text in (("one two", "one two"), (turns, "<user>one\n<assistant>")):
        ids = words(text).input_ids
        output = backend.generate(GenerateRequest(prompt=prompt, max_tokens=1))
        assert output.prompt_tokens == len(ids) + COUNT
        with torch.inference_mode():
            assert output.token_ids[0] == int(model(torch.tensor([ids])).logits[0, -1].argmax())


def test_an_ordinary_folder_has_no_lead(folders: Any) -> None:
    backend = loaded(folders[0])
    output = backend.generate(GenerateRequest(prompt="one", max_tokens=1))
    assert output.prompt_tokens == 3


def test_a_prompt_of_an_untied_head_is_never_likely(tmp_path: Path) -> None:
    import torch
    from transformers import LlamaConfig

    from slmbench.lifecycle.training.soft_prompt import prompt_probability

    config = LlamaConfig(**sizes())
    config.tie_word_embeddings = False
    model = prompted(save_tiny_llama(tmp_path / "parent", config=config))
    rows = torch.arange(96).view(2, 48) % 90 + 3
    logits = model(rows).logits
    span = slice(model.words, model.words + COUNT)
    assert not (
        (logits.argmax(-1) >= model.words) & (logits.argmax(-1) < model.words + COUNT)
    ).any()
    found = model(rows[:, :-1]).logits.detach()
    by_hand = torch.softmax(found, -1)[..., span].sum(-1).mean()
    assert prompt_probability(model, rows) == pytest.approx(float(by_hand), rel=1e-4)


def test_more_tokens_than_words_is_an_error(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from slmbench.lifecycle.training.soft_prompt import with_prompt

    parent = save_tiny_llama(tmp_path / "parent")
    model = AutoModelForCausalLM.from_pretrained(parent)
    with pytest.raises(ArtefactError, match="has 2 different tokens"):
        with_prompt(model, AutoTokenizer.from_pretrained(parent), torch.tensor([[1, 2]]), 3, 1)


def test_formats_that_would_not_put_it_first_refuse_it(folders: Any) -> None:
    from slmbench.errors import UnsupportedModelError
    from slmbench.lifecycle.gguf_export import shape_of_folder

    shape_of_folder(folders[0])
    with pytest.raises(UnsupportedModelError, match="a learnt prompt, which"):
        shape_of_folder(folders[1].path)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_training_a_prompt_lowers_the_loss_and_leaves_the_model(
    tmp_path: Path, parent: Path, little_text: list[str]
) -> None:
    import torch
    from little_training import bench_at, recipe
    from transformers import AutoModelForCausalLM

    from slmbench.lifecycle.training.train import make

    asked = recipe(update={"kind": "prompt", "tokens": 4}, learning_rate=3e-2)
    made = make(asked, bench_at(tmp_path, parent))
    facts = made.facts
    curve = facts.training.curve
    assert curve[-1].validation < curve[0].validation - 0.005
    assert facts.training.trained_parameters == 4 * 64
    assert 0 < facts.prompt_probability < 0.05
    before = AutoModelForCausalLM.from_pretrained(parent).state_dict()
    after = AutoModelForCausalLM.from_pretrained(made.path).state_dict()
    for name, weight in before.items():
        assert torch.equal(weight, after[name][: len(weight)])


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_teacher_sees_the_parents_vocabulary(
    tmp_path: Path, parent: Path, little_text: list[str]
) -> None:
    from little_training import bench_at, recipe

    from slmbench.lifecycle.job import OtherInput
    from slmbench.lifecycle.training.train import make

    other = OtherInput(
        name="self", identity="a" * 64, sha256="a" * 64, path=str(parent), format="hf"
    )
    asked = recipe(
        update={"kind": "prompt", "tokens": 4},
        teacher={"variant": "self", "hidden": 0.1},
        tokens=256,
    )
    made = make(asked, bench_at(tmp_path, parent, others={"self": other}))
    assert made.facts.training.teacher_sha256 == ("a" * 64,)
