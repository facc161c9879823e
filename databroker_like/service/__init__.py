"""What every service shares, with no web framework: who may read, what a wrong request is answered, settings."""

from databroker_like.service._access import Access, Caller
from databroker_like.service._budget import Budget, Hold
from databroker_like.service._problems import Problem, problem_of
from databroker_like.service._settings import Settings

__all__ = ["Access", "Budget", "Caller", "Hold", "Problem", "Settings", "problem_of"]
