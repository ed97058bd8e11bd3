"""``slmbench``: the parser, and one place where errors become messages and exit codes."""

from __future__ import annotations

import argparse
import errno
import importlib
import sys
import traceback
from collections.abc import Sequence

from slmbench import __version__
from slmbench.errors import SlmbenchError

EPILOG = """exit codes:
  0 ok    1 internal error    2 usage or configuration    3 some cells failed
  4 a gate failed    5 something must be installed or fetched first
  6 no gate failed, but one could not be decided    130 interrupted

examples:
  slmbench demo                              everything on the embedded defaults, then the report
  slmbench plan accuracy --models mine.yaml  what would run, what not and why
  slmbench run accuracy latency --models mine.yaml --size standard
  slmbench show suite bias                   what a suite does and does not measure
  slmbench report                            HTML pages about results/
"""

_PLACES = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC, errno.EDQUOT,
)  # fmt: skip
"""Errors of a path, not of the program."""

FORMATS = ("table", "json", "csv", "md")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        module = importlib.import_module(f"slmbench.cli.{arguments.module}")
        code: int = module.execute(arguments)
        return code
    except SlmbenchError as error:
        print(f"slmbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("slmbench: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as in `slmbench list | head`
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort
        return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    """A path that this user or this disk does not give is said; anything else is a bug."""
    if isinstance(error, OSError) and error.filename and error.errno in _PLACES:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space" if full else "give another path, or make this one accessible"
        print(f"slmbench: {error.filename}: {error.strerror}\n  hint: {hint}", file=sys.stderr)
        return 5 if full else 2
    traceback.print_exception(error)
    print("slmbench: internal error, please report it with the lines above", file=sys.stderr)
    return 1


def build_parser() -> argparse.ArgumentParser:
    """All commands and flags; imports nothing but argparse."""
    parser = argparse.ArgumentParser(
        prog="slmbench",
        description="Measure every lifecycle variant of a small language model, on quality and "
        "cost, on the hardware it will run on.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"slmbench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_derive(commands)
    _add_reading(commands)
    _add_looking(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _command(commands, "run", "run", "run suites; finished cells are not run again")
    _selection(run)
    run.add_argument("--force", action="store_true", help="run finished cells again as well")
    run.add_argument(
        "--retry-failed", action="store_true", help="run cells again that did not end ok"
    )
    plan = _command(
        commands, "plan", "plan", "show the cells, the skips, time and memory; run nothing"
    )
    _selection(plan)
    _format(plan)
    _add_experiment(commands)
    demo = _command(
        commands, "demo", "demo", "all seven suites on the embedded defaults, then the report"
    )
    demo.add_argument("--results", default="results", help="results folder (default: results)")
    demo.add_argument(
        "--out", default="reports/demo", help="folder of the page (default: reports/demo)"
    )
    demo.add_argument(
        "--retry-failed", action="store_true", help="run cells again that did not end ok"
    )


def _add_experiment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    experiment = _command(
        commands, "experiment", "experiment",
        "make an experiment's variants, run its suites, and say what came of it",
    )  # fmt: skip
    experiment.add_argument("name", help="experiment (`slmbench list experiments`) or YAML file")
    experiment.add_argument(
        "--results", default="results", help="results folder (default: results)"
    )
    experiment.add_argument("--out", default="reports/latest", help="folder of the pages")
    experiment.add_argument("--title", default="slmbench", help="title of the pages")
    experiment.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="override a value of the experiment's file, or of its models file (variants…, "
        "targets…), e.g. suites.0.size=standard, targets.*.threads=1",
    )  # fmt: skip
    experiment.add_argument(
        "--retry-failed", action="store_true", help="run cells again that did not end ok"
    )
    experiment.add_argument(
        "--dry-run", action="store_true", help="show what would run; make and run nothing"
    )
    _format(experiment)


def _add_derive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    derive = _command(
        commands, "derive", "derive", "make variants by recipes, parents first, or estimate it"
    )
    derive.add_argument(
        "names", nargs="*", metavar="NAME",
        help="a recipe (`slmbench list recipes`), a recipe file, or a variant of the models file",
    )  # fmt: skip
    derive.add_argument(
        "--models", default=None,
        help="models file or name with the parents (default: the recipe's own, else demo); with no "
        "NAME all of its variants",
    )  # fmt: skip
    derive.add_argument(
        "--dry-run", action="store_true", help="estimate time and memory; make and fetch nothing"
    )
    derive.add_argument(
        "--force", action="store_true",
        help="also make what is estimated to need more memory than there is",
    )  # fmt: skip
    derive.add_argument("--list", action="store_true", help="the recipes that ship with slmbench")
    _format(derive)


def _add_reading(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = _command(commands, "report", "report", "write the HTML pages about a results folder")
    report.add_argument("--results", default="results", help="results folder (default: results)")
    report.add_argument("--out", default="reports/latest", help="folder of the pages")
    report.add_argument("--title", default="slmbench", help="title of the pages")
    show = _command(
        commands, "show", "show", "the numbers of a results folder, a row each; or a suite"
    )
    show.add_argument(
        "names", nargs="*", metavar="RUN | suite NAME",
        help="only this run id, digest or variant; or what a suite does and does not measure",
    )  # fmt: skip
    show.add_argument("--results", default="results", help="results folder (default: results)")
    show.add_argument(
        "--ids", action="store_true", help="the items that were asked, as `items:` of a suite"
    )
    _format(show)
    rescore = _command(
        commands, "rescore", "rescore", "judge kept answers again with today's scorers; no model"
    )
    rescore.add_argument(
        "results", nargs="?", default="results", help="results folder (default: results)"
    )
    rescore.add_argument(
        "--check", action="store_true", help="write nothing; exit 4 when a score would differ"
    )
    _format(rescore)
    lineage = _command(
        commands, "lineage", "lineage", "what was made of what, at what cost, and what it changed"
    )
    lineage.add_argument(
        "results", nargs="?", default=None, help="results folder (default: results)"
    )
    lineage.add_argument("--models", default=None, help="the variants of this models file instead")
    lineage.add_argument(
        "--format", choices=("table", "mermaid", "json"), default="table",
        help="a tree, a Mermaid flowchart, or data",
    )  # fmt: skip
    _add_compare(commands)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = _command(
        commands, "compare", "compare",
        "paired differences of every variant against its parent, or of B against A",
    )  # fmt: skip
    compare.add_argument(
        "names", nargs="*", metavar="NAME",
        help="[RESULTS] [A B]: the results folder, and two variants to compare B against A",
    )  # fmt: skip
    compare.add_argument("--results", default=None, help="results folder (default: results)")
    compare.add_argument(
        "--against", default=None, metavar="REFERENCE",
        help="parent (default), base (the root of the lineage), or a variant's name",
    )  # fmt: skip
    compare.add_argument(
        "--gate", action="append", default=[], metavar="METRIC:BOUND",
        help='what must hold, e.g. "acc_norm:-1pp", "flips:<3%%", "ttft:+10%%" (repeatable)',
    )  # fmt: skip
    compare.add_argument(
        "--inconclusive", choices=("pass", "fail"), default="inconclusive",
        help="what an undecided gate counts as (default: its own outcome, exit code 6)",
    )  # fmt: skip
    compare.add_argument(
        "--margin", default=None, help="largest loss of a share that counts as none, e.g. 1pp"
    )
    compare.add_argument(
        "--explain", action="store_true",
        help="split each difference into compression, runtime, tokenizer and chat template",
    )  # fmt: skip
    compare.add_argument(
        "--vary", action="append", default=[], metavar="FIELD",
        help="a field that may differ between the two (repeatable)",
    )  # fmt: skip
    compare.add_argument(
        "--format", choices=(*FORMATS, "markdown", "junit"), default="table",
        help="form of the data on stdout",
    )  # fmt: skip


def _add_list(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = _command(commands, "list", "listing", "what there is to run, and to run it with")
    listing.add_argument(
        "what",
        choices=(
            "suites",
            "tasks",
            "models",
            "recipes",
            "experiments",
            "backends",
            "metrics",
            "meters",
        ),
    )
    listing.add_argument("filter", nargs="?", default="", help="only names that contain this")
    listing.add_argument(
        "--results", default=None,
        help="with `models`: a column of the failure signatures that this folder's runs show",
    )  # fmt: skip
    _format(listing)


def _add_looking(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add_list(commands)
    data = _command(commands, "data", "data", "the data sets: list, fetch, where")
    data.add_argument("action", choices=("list", "fetch", "where"))
    data.add_argument("names", nargs="*", help="data sets (default: all)")
    _format(data)
    doctor = _command(
        commands, "doctor", "doctor", "check engines, CPU, meters and data, and say how to fix"
    )
    doctor.add_argument("--offline", action="store_true", help="do not fetch the small test model")
    instead = doctor.add_mutually_exclusive_group()
    instead.add_argument(
        "--gates", action="store_true",
        help="check instead whether numbers of a models file's variants can be trusted",
    )  # fmt: skip
    instead.add_argument(
        "--noise", action="store_true",
        help="measure instead what this machine shows between a variant and itself (A/A)",
    )  # fmt: skip
    instead.add_argument(
        "--peaks", action="store_true",
        help="measure instead what this machine can do: read bandwidth and matrix products",
    )  # fmt: skip
    doctor.add_argument("--minutes", type=float, default=5.0, help="with --noise: about how long")
    doctor.add_argument("--target", default=None, help="with --noise: target (default: the first)")
    doctor.add_argument(
        "--models", default="demo", help="with --gates and --noise: models file or name"
    )
    doctor.add_argument(
        "--variant", action="append", default=[],
        help="with --gates: only this one (repeatable); with --noise: this one",
    )  # fmt: skip
    doctor.add_argument(
        "--results", default="results", help="with --gates and --noise: results folder"
    )
    _format(doctor)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    module: str,
    text: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(module=module)
    return parser


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "suites", nargs="+", help="suite names or YAML files; `all` for those of the demo"
    )
    parser.add_argument("--models", default="demo", help="models file or name (default: demo)")
    parser.add_argument(
        "--recipe", action="append", default=[], metavar="NAME",
        help="add what this recipe makes to the models file (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--size", default="demo", choices=("demo", "standard", "full"), help="default: demo"
    )
    parser.add_argument(
        "--variant", action="append", default=[], help="only this variant (repeatable)"
    )
    parser.add_argument(
        "--target", action="append", default=[], help="only this target (repeatable)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="override a value of the files, e.g. sizes.demo.items=20, targets.*.threads=1",
    )  # fmt: skip
    parser.add_argument("--results", default="results", help="results folder (default: results)")


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="form of the data on stdout"
    )


if __name__ == "__main__":
    sys.exit(main())
