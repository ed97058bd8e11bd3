"""The task index: found by a scan, kept as JSON, without lm-eval being imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slmbench.data.catalogue import by_hub
from slmbench.errors import MissingEngineError, UnknownNameError, UsageError
from slmbench.locations import suites_dir
from slmbench.tasks import definitions, index
from slmbench.tasks.texts import TextRule


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A made-up lm-eval with a few task files."""
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "lm_eval"
    tasks = package / "tasks"
    files = {
        "one/one.yaml": "task: one\ndataset_path: me/one\ndataset_name: small\n",
        "one/quoted.yaml": '"task": "quoted"  # a comment\ninclude: one.yaml\n',
        "one/copy.yaml": "task: one\n",
        "one/group.yaml": "group: many\ntask:\n  - one\n",
        "one/grouped.yaml": "group: many2\ntask: not_a_task\n",
        "one/base_yaml": "task: hidden\n",
        "two/py.yaml": "task: snake\nclass: !function code.Snake\n",
        "two/fn.yaml": "task: fn\ndoc_to_text: !function code.explode\n"
        "metric_list:\n  - metric: acc\n",
        "two/loop.yaml": "task: loop\ninclude: loop.yaml\n",
        "two/list.yaml": "task: [a, b]\n",
    }
    for name, text in files.items():
        (tasks / name).parent.mkdir(parents=True, exist_ok=True)
        (tasks / name).write_text(text)
    (package / "__init__.py").write_text("raise RuntimeError('lm-eval was imported')\n")
    monkeypatch.delitem(sys.modules, "lm_eval", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    index._table.cache_clear()
    yield tasks
    index._table.cache_clear()


def names(source: str) -> list[str]:
    return [task.name for task in index.list_tasks() if task.source == source]


def test_tasks_are_found_and_groups_are_not(root: Path) -> None:
    assert names("lm-eval") == ["fn", "loop", "one", "quoted", "snake"]
    one = index.find_task("one")
    assert (one.folder, Path(one.path).name) == ("one", "copy.yaml")


def test_own_tasks_are_listed_with_and_without_lm_eval(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sorted(path.stem for path in (suites_dir() / "tasks").glob("*.yaml"))
    assert {"slm_nonexistent", "slm_text_boolq_rolling"} < set(own)
    assert names("slmbench") == own
    monkeypatch.setattr(index, "find_spec", lambda _: None)
    index._table.cache_clear()
    assert [task.name for task in index.list_tasks()] == own
    with pytest.raises(MissingEngineError, match="lm-eval is not installed"):
        index.find_task("hellaswag")


def test_the_second_listing_reads_the_index_only(root: Path, tmp_path: Path) -> None:
    before = index.list_tasks()
    (root / "one" / "new.yaml").write_text("task: new\n")
    index._table.cache_clear()
    assert index.list_tasks() == before
    (file,) = (tmp_path / "cache" / "index").iterdir()
    file.write_text("{damaged")
    index._table.cache_clear()
    assert "new" in names("lm-eval")
    assert json.loads(file.read_text())


def test_unknown_task_is_answered_with_a_suggestion(root: Path) -> None:
    with pytest.raises(UnknownNameError, match="quoted"):
        index.find_task("quotd")


def test_listing_imports_neither_lm_eval_nor_pydantic(tmp_path: Path) -> None:
    code = (
        "import sys; from slmbench.tasks.index import list_tasks; list_tasks();"
        "print(sorted({'lm_eval', 'pydantic', 'yaml', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_definition_follows_includes_and_runs_nothing(root: Path) -> None:
    (root / "one" / "copy.yaml").unlink()
    assert definitions.dataset_of("quoted") == ("me/one", "small")
    function = definitions.define("fn")
    assert (function.metrics, function.output_type) == (("acc",), "generate_until")
    assert definitions.define("snake").python
    assert definitions.dataset_of("snake") is None
    with pytest.raises(UsageError, match="circle"):
        definitions.define("loop")


def test_digest_changes_with_yaml_include_and_python(root: Path) -> None:
    (root / "one" / "copy.yaml").unlink()
    seen = {definitions.definition_digest("quoted")}
    assert seen == {definitions.definition_digest("quoted")}
    for file, text in (
        ("quoted.yaml", '"task": "quoted"\ninclude: one.yaml\nnum_fewshot: 1\n'),
        ("one.yaml", "task: one\ndataset_path: me/two\n"),
        ("code.py", "x = 1\n"),
        ("code.py", "x = 2\n"),
    ):
        (root / "one" / file).write_text(text)
        digest = definitions.definition_digest("quoted")
        assert digest not in seen, file
        seen.add(digest)


def test_digest_covers_the_functions_of_slmbench_that_a_task_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = tmp_path / "t.yaml"
    yaml.write_text(
        "# not this: !function slmbench.tasks.published.gone.gone\n"
        "process_docs: !function slmbench.tasks.published.bbq.bbq\n"
        "doc_to_text: !function beside.text\n"
    )
    (found,) = definitions._own_modules(yaml)
    assert found == Path(definitions.__file__).parent / "published" / "bbq.py"
    assert found.is_file()
    before = definitions.definition_digest("slm_bbq")
    other = tmp_path / "bbq.py"
    other.write_text("changed = True\n")
    monkeypatch.setattr(definitions, "_own_modules", lambda _: {other})
    assert definitions.definition_digest("slm_bbq") != before


def test_digest_covers_what_those_functions_import_to_make_documents() -> None:
    root = Path(definitions.__file__).parent
    for task, modules in (
        ("slm_crows_pairs", {"published/associations.py", "orders.py"}),
        ("slm_truthfulqa_mc1", {"published/truthfulqa.py"}),
        ("slm_name_swap", {"orders.py"}),
        ("slm_unanswerable_score", set()),
    ):
        found = definitions._own_modules(definitions.define(task).path)
        assert {str(f.relative_to(root)) for f in found} == modules, task
        assert all(f.is_file() for f in found)


def test_own_definition_names_scorer_columns_and_data() -> None:
    task = definitions.define("slm_occupation_pronoun")
    assert (task.own, task.scorer, task.licence) == (True, "stereotype_pairs", "Apache-2.0")
    assert [task.column(c) for c in ("strata", "cluster", "group")] == [
        "stereotype",
        "template",
        "occupation",
    ]
    assert definitions.data_path(task).is_file()


def test_own_text_tasks_name_their_protocol_and_a_data_set_of_the_catalogue() -> None:
    rules = {}
    for name in ("rolling", "gptq_2048", "llama_cpp_512"):
        task = definitions.define(f"slm_text_boolq_{name}")
        assert (task.scorer, task.data_file) == ("perplexity", None)
        assert task.dataset is not None
        assert by_hub(*task.dataset) is not None
        assert task.column("distinct") == "passage"
        rules[name] = task.text
    assert rules == {
        "rolling": TextRule(),
        "gptq_2048": TextRule("gptq", 2048),
        "llama_cpp_512": TextRule("llama.cpp", 512),
    }
    assert not rules["rolling"].joins
    assert rules["gptq_2048"].joins
    raw = definitions.define("slm_wikitext2_llama_cpp_512")
    assert (raw.text.joiner, raw.dataset) == ("", ("Salesforce/wikitext", "wikitext-2-raw-v1"))


def test_an_unknown_protocol_is_refused(root: Path) -> None:
    (root / "one" / "copy.yaml").unlink()
    (root / "one" / "one.yaml").write_text("task: one\nmetadata: {protocol: strided}\n")
    with pytest.raises(UsageError, match=r"'strided'(.|\n)*one of: rolling, gptq, llama.cpp"):
        definitions.define("one")
