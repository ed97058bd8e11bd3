"""The report: one self-contained page, and the leaderboard behind it."""

from slmbench.report.cells import Cell
from slmbench.report.leaderboard import LeaderboardRow, leaderboard_rows
from slmbench.report.page import write_report

__all__ = ["Cell", "LeaderboardRow", "leaderboard_rows", "write_report"]
