"""The errors about handlers that are event-model's too; loaded when one is raised, for event-model loads numpy."""

from __future__ import annotations

import event_model

from databroker_like.errors import Conflict, NoSuchHandler

__all__ = ["DuplicateHandler", "UndefinedAssetSpecification"]


class UndefinedAssetSpecification(NoSuchHandler, event_model.UndefinedAssetSpecification):
    """A resource whose spec no handler is registered for."""


class DuplicateHandler(Conflict, event_model.DuplicateHandler):
    """Another handler is registered for this spec already."""
