"""Becomes one part of the stack: reads what to execute from a private file, so that no secret is in an
argument list or in supervisord's file. Run by supervisord as `python -I -S launch.py FILE`."""

import json
import os
import sys


def main(path: str) -> None:
    """Replace this process by the command in the file: `argv`, `env`, `cwd`, `inherit`."""
    with open(path) as file:  # noqa: PTH123  (one import less: this runs before every part)
        spec = json.load(file)
    inherited = os.environ if spec["inherit"] else {}
    os.chdir(spec["cwd"])
    os.execvpe(spec["argv"][0], spec["argv"], {**inherited, **spec["env"]})  # noqa: S606  (no shell is meant)


if __name__ == "__main__":
    main(sys.argv[1])
