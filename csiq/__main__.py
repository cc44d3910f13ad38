"""``python -m csiq`` is the command ``csiq``."""

import sys

from csiq.cli import main

if __name__ == "__main__":
    sys.exit(main())
