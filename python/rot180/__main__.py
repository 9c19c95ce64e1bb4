"""``python -m rot180`` is the ``rot180`` command."""

from __future__ import annotations

import sys

from rot180.cli import main

if __name__ == "__main__":
    sys.exit(main())
