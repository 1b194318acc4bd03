"""`python -m strefer_core.probe`: the command `strefer probe`, for callers that know only the interpreter."""

from __future__ import annotations

import sys

from strefer_core.cli import main

if __name__ == "__main__":
    main(["probe", *sys.argv[1:]], prog_name="strefer")
