"""Gates: checks that a number must have passed before it is published.

G1 tokenizer parity, G2 log-probability parity, G3 A/A noise floor, G4 sentinel models. Each is
one module with a pure judge (numbers in, :class:`GateResult` out); what needs an engine runs in
child processes. G5, shortcut baselines, is shown beside each task instead: analysis makes it.
"""

from slmbench.gates.result import TITLES, GateResult

__all__ = ["TITLES", "GateResult"]
