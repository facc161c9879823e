"""The demonstration: runs recorded by the real RunEngine, read back as labelled arrays.

``python -m scripts.demo`` records, opens, searches, reads, mends and draws; one file for each of those.
"""
