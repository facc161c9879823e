"""Reading file formats lazily: one file per format, each giving a `LazyArray`."""
