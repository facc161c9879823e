"""What data looks like in bytes: arrays, tables and containers in every format in which they are sent."""
