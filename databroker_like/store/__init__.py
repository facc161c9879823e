"""The embedded store: runs in a database and data files of its own."""
