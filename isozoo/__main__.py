"""``python -m isozoo`` is the ``isozoo`` command."""

import sys

from isozoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
