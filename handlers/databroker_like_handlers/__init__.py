"""Handlers that databroker-like finds through the entry-point group ``databroker.handlers``."""
