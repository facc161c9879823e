"""``python -m databroker_like`` is the command ``databroker-like``."""

from databroker_like.cli import main

if __name__ == "__main__":
    main()
