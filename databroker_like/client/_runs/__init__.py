"""Runs that a server has: found there, and read as they are read here."""
