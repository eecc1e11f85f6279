"""The report of a study whose changes pile up: what they do together, one after the other, and each alone."""

from reports.abstract import change_answers as answers
from reports.sections import all_sections as body

__all__ = ["answers", "body"]
