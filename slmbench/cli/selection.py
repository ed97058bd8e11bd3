"""From flags to a request."""

from __future__ import annotations

import argparse

from slmbench.api import DEMO_SUITES, Request
from slmbench.plan import Selection


def request_of(arguments: argparse.Namespace) -> Request:
    """The request that ``run`` and ``plan`` share."""
    suites = DEMO_SUITES if arguments.suites == ["all"] else tuple(arguments.suites)
    return Request(
        suites=suites,
        models=arguments.models,
        selection=Selection(
            size=arguments.size,
            variants=tuple(arguments.variant),
            targets=tuple(arguments.target),
        ),
        overrides=tuple(arguments.overrides),
        recipes=tuple(arguments.recipe),
    )
