"""Reads the plain .sql files of the repository's `sql/` folder, installed as the package `strefer_sql`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from strefer_core.errors import ConfigError

_PACKAGE = "strefer_sql"
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class SqlFile:
    """One numbered file, `0001_catalog.sql`: number "0001", name "catalog"."""

    number: str
    name: str
    text: str


def _folder(*parts: str) -> Traversable:
    try:
        return resources.files(_PACKAGE).joinpath(*parts)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the SQL files (package {_PACKAGE}) are not installed; run `pip install .` again"
        ) from error


@cache
def numbered(folder: str) -> tuple[SqlFile, ...]:
    """The files of `sql/<folder>` in the order of their numbers."""
    found = [path for path in _folder(folder).iterdir() if path.name.endswith(".sql")]
    files = []
    for path in sorted(found, key=lambda path: path.name):
        number, _, name = path.name.removesuffix(".sql").partition("_")
        files.append(SqlFile(number=number, name=name, text=path.read_text(encoding="utf-8")))
    return tuple(files)


@cache
def queries() -> dict[str, str]:
    """The statements of `sql/queries.sql` by the name in the `-- name:` line above each."""
    text = _folder("queries.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    names, bodies = parts[::2], parts[1::2]
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}
