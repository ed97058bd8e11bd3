"""The house rules: what the repository, the package and its pages promise."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import slmbench
from network_guard import BlockedNetworkError
from slmbench import errors
from slmbench.locations import cache_dir, suites_dir
from slmbench.spec.load import load_models, load_suite, models_names, suite_names

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path = ROOT) -> str:
    """Output of a command that must succeed."""
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def tracked() -> list[Path]:
    """Files under version control that exist."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    names = run("git", "ls-files", "-z").split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# --- the package ----------------------------------------------------------------------------


def test_public_names_are_few_and_all_there() -> None:
    assert len(slmbench.__all__) <= 20
    assert sorted(slmbench.__all__) == slmbench.__all__
    for name in slmbench.__all__:
        assert getattr(slmbench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = slmbench.nonsense


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, slmbench; print(*sorted(m.partition('.')[0] for m in sys.modules))"
    loaded = set(run(sys.executable, "-c", code).split())
    heavy = {"pandas", "numpy", "torch", "pydantic", "plotly", "lm_eval", "yaml", "jinja2"}
    assert loaded & heavy == set()


@pytest.mark.parametrize("module", ["slmbench.analysis", "slmbench.report", "slmbench.api"])
def test_reading_results_imports_no_engine(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(m.partition('.')[0] for m in sys.modules))"
    engines = {"torch", "transformers", "llama_cpp", "lm_eval", "datasets", "torchao"}
    assert set(run(sys.executable, "-c", code).split()) & engines == set()


def test_help_needs_no_pydantic() -> None:
    code = (
        "import sys\nfrom slmbench.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('LOADED', *(m for m in ('pydantic', 'pandas', 'yaml') if m in sys.modules))"
    )
    out = run(sys.executable, "-c", code)
    assert "usage: slmbench" in out
    assert out.splitlines()[-1] == "LOADED"


def test_error_tree_is_drawn_as_it_is() -> None:
    drawn: list[tuple[str, str, int]] = []
    parents: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)(\w+Error) +(\d+) ", line)
        if found:
            depth = len(found[1]) // 4
            parents[depth] = found[2]
            drawn.append((found[2], parents.get(depth - 1, "Exception"), int(found[3])))
    real = [
        (c.__name__, c.__bases__[0].__name__, c.exit_code)
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, errors.SlmbenchError)
    ]
    assert sorted(drawn) == sorted(real)
    assert len(real) >= 12


def test_hints_and_suggestions_are_part_of_the_message() -> None:
    assert str(errors.SlmbenchError("broken", hint="mend it")) == "broken\n  hint: mend it"
    assert str(errors.SlmbenchError("broken")) == "broken"
    assert errors.UnknownNameError("task", "pika", ["piqa", "boolq"]).hint == "did you mean piqa?"
    assert errors.UnknownNameError("task", "zzz", ["piqa", "boolq"]).hint == "known: boolq, piqa"
    assert errors.UnknownNameError("task", "zzz", []).hint == "known: none"
    differ = errors.IncomparableRunsError("machine", "a", "b")
    assert "differ in machine" in str(differ)
    assert "vary='machine'" in str(differ)


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMBENCH_CACHE", "/own")
    assert cache_dir("models") == Path("/own/models")
    monkeypatch.delenv("SLMBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/slmbench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir("data") == Path.home() / ".cache/slmbench/data"


# --- suites -----------------------------------------------------------------------------------


def test_shipped_suites_load_and_bear_their_file_name() -> None:
    assert {"accuracy", "hallucination", "bias", "latency", "memory", "energy"} <= set(
        suite_names()
    )
    for name in suite_names():
        suite = load_suite(name)
        assert suite.name == name
        assert set(suite.sizes) == {"demo", "standard", "full"}, name


def test_shipped_models_load() -> None:
    assert "demo" in models_names()
    for name in models_names():
        assert load_models(name).targets
    demo = load_models("demo")
    assert len(demo.variants) >= 6
    assert {t.backend for t in demo.targets} >= {"llama_cpp", "transformers"}


@pytest.mark.network
def test_wheel_holds_the_suites_where_the_package_looks(tmp_path: Path) -> None:
    """Built by pip in isolation (needs hatchling from the index), then used without installing."""
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("slmbench-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    assert "slmbench/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "scripts/", "docs/")) for name in names)
    shipped = {p.relative_to(suites_dir()).as_posix() for p in suites_dir().rglob("*.*")}
    shipped = {name for name in shipped if "__pycache__" not in name}
    assert {f"slmbench/suites/{name}" for name in shipped} <= names
    code = (
        "from slmbench.locations import suites_dir; from slmbench.spec.load import load_suite; "
        "print(suites_dir()); print(load_suite('accuracy').name)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.splitlines() == [str(tmp_path / "site/slmbench/suites"), "accuracy"], (
        ran.stderr
    )


# --- the repository ---------------------------------------------------------------------------

_HOMES = re.compile(rb"/(?:root|home/[a-z]\w*|Users/\w+|work)/[\w.]")
_HOSTS = [
    ".".join(parts).encode()
    for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("debian", "org"))
]


def test_no_file_names_a_home_folder_or_a_package_host() -> None:
    found = []
    for path in tracked():
        if path.suffix in {".png", ".woff2"}:
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if _HOMES.search(line) or any(host in line.lower() for host in _HOSTS):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line[:80]!r}")
    assert found == []


def test_no_large_file_is_tracked() -> None:
    assert [p.name for p in tracked() if p.stat().st_size > 1_000_000] == []


def test_no_module_is_named_for_nothing() -> None:
    banned = {"utils", "util", "helpers", "common", "manager", "handler", "misc"}
    assert [p for p in (ROOT / "slmbench").rglob("*.py") if p.stem in banned] == []


def test_sizes_and_generated_pages_are_current() -> None:
    run(sys.executable, "scripts/check_size.py")
    run(sys.executable, "scripts/make_docs.py", "--check")


def test_size_gate_sees_long_files_and_functions(tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    long.write_text("def f():\n" + "    x = 1\n" * 50 + "y = 2\n" * 400)
    command = [sys.executable, "scripts/check_size.py", str(long)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "long.py: 451 lines, at most 400" in ran.stdout
    assert "long.py::f: 51 lines, at most 50" in ran.stdout


def test_makefile_has_ten_targets_at_most_and_explains_each() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][\w-]*):", text, re.MULTILINE)
    assert len(targets) <= 10
    assert {"demo", "test", "check", "fix", "bench", "wheel", "clean", "help"} <= set(targets)
    assert all(re.search(rf"^{t}:.*## \S", text, re.MULTILINE) for t in targets)


def test_pre_commit_hooks_are_local() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert all(hook["language"] == "system" for hook in config["repos"][0]["hooks"])


def test_constraints_pin_every_direct_dependency() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted += [line for name, lines in extras.items() if name != "all" for line in lines]
    pinned = re.findall(r"^([a-z0-9-]+)==\S+$", (ROOT / "constraints.txt").read_text(), re.M)
    names = {re.split(r"[<>=\[ ]", line)[0].lower() for line in wanted}
    assert names <= set(pinned)
    assert len(pinned) == len(set(pinned))


# --- the pages --------------------------------------------------------------------------------


def pages() -> list[Path]:
    """README and docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_of(path: Path) -> list[str]:
    """The lines that begin with ``slmbench`` in code blocks of a page."""
    blocks = re.findall(r"```(?:console|bash|sh|text)?\n(.*?)```", path.read_text(), re.DOTALL)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("slmbench ")]


def test_pages_name_commands_and_flags_that_exist() -> None:
    from slmbench.cli.main import build_parser

    known: dict[str, set[str]] = {}
    for action in build_parser()._subparsers._group_actions:  # type: ignore[union-attr]
        for name, parser in action.choices.items():  # type: ignore[union-attr]
            known[name] = set(parser._option_string_actions)
    found = [(page, line) for page in pages() for line in commands_of(page)]
    assert len(found) >= 5
    for page, line in found:
        words = line.split("#")[0].split()
        assert words[1] in known, f"{page.name}: {line}"
        flags = {w.split("=")[0] for w in words[2:] if w.startswith("-")}
        assert flags <= known[words[1]], f"{page.name}: {line}"


def test_pages_name_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in pages():
        for named in re.findall(r"`(?:\w+=\S+ )?make ([a-z]+)`", page.read_text()):
            assert named in targets, f"{page.name}: make {named}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_decisions_have_their_three_parts() -> None:
    notes = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert len(notes) >= 5
    numbers = [int(note.name[:3]) for note in notes]
    assert numbers == list(range(1, len(notes) + 1))
    for note in notes:
        headings = re.findall(r"^## (.+)$", note.read_text(), re.MULTILINE)
        assert headings[:3] == ["Context", "Choice", "Cost"], note.name


def test_yaml_examples_in_pages_load(tmp_path: Path) -> None:
    """A block that begins with ``variants:`` is a whole models file, and must load as one."""
    found = 0
    for page in pages():
        for block in re.findall(r"```yaml\n(variants:\n.*?)```", page.read_text(), re.DOTALL):
            path = tmp_path / f"example{found}.yaml"
            path.write_text(block)
            assert load_models(path).variants
            found += 1
    assert found >= 1


# --- the tests themselves ---------------------------------------------------------------------


def test_tests_reach_no_other_machine() -> None:
    with socket.socket() as blocked, pytest.raises(BlockedNetworkError, match="connect to 198"):
        blocked.connect(("198.51.100.1", 80))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()


def test_tests_begin_with_a_clean_environment() -> None:
    """What the user's shell sets for engines and hubs is gone before the first import."""
    script = (
        "import os, conftest; conftest.clean_environment();"
        "print(sorted(n for n in os.environ if n.startswith(('HF_', 'CUDA_', 'SLMBENCH_'))))"
    )
    shell = {"HF_TOKEN": "x", "CUDA_VISIBLE_DEVICES": "0", "SLMBENCH_DATA": "x",
             "SLMBENCH_CACHE": "kept", "PYTHONPATH": str(ROOT / "tests")}  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", script], env=shell, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "['SLMBENCH_CACHE']"


def test_test_files_have_unique_names() -> None:
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


def test_no_test_is_empty() -> None:
    """Every test asserts or expects something (a helper of its own counts by its name)."""
    empty = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.unparse(node)
                if not re.search(r"\bassert|raises|check_|expect|run\(|assert_", text):
                    empty.append(f"{path.name}::{node.name}")
    assert empty == []
