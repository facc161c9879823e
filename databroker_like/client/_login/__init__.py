"""Who one is to a server: ways to log in, and what is remembered of it."""
