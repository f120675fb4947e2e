"""Run the command line by `python -m costaudit`."""

import sys

from costaudit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
