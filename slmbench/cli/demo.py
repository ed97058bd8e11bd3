"""``slmbench demo``: the main job on the embedded defaults."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slmbench import api
from slmbench.api import DEMO_SUITES, Request
from slmbench.campaign import Policy
from slmbench.cli.leaderboard import print_leaderboard
from slmbench.cli.run import conclude, run_with_progress


def execute(arguments: argparse.Namespace) -> int:
    """Run all seven suites in their demo size, write the page, print a short leaderboard."""
    results, request = Path(arguments.results), Request(suites=DEMO_SUITES)
    policy = Policy(retry_failed=arguments.retry_failed)
    summary = run_with_progress(request, results, policy, "slmbench demo (or: make demo)")
    digests = {s.cell.spec.digest for s in summary.states}
    page = api.report(
        results, Path(arguments.out), title="slmbench demo: SmolLM2-135M-Instruct", only=digests
    )
    print_leaderboard(results, digests)
    print(f"\nreport: {page}")
    code = conclude(summary)
    print(f"open it in a browser: file://{page.resolve()}", file=sys.stderr)
    return code
