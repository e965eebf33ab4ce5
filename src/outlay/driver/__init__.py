"""The driver: the one asynchronous loop around the market, with its journal."""

from outlay.driver.job import Compared, Job, Line, Progress, Summary, ToppedUp
from outlay.driver.rows import answer_row
from outlay.driver.run import run_job

__all__ = ["Compared", "Job", "Line", "Progress", "Summary", "ToppedUp", "answer_row", "run_job"]
