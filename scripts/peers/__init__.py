"""Environments of other systems, and what they answer; `make peers`, never part of the tests."""
