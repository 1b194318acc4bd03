"""Where filters are and what they are called; imports nothing heavy, as every fingerprint asks for an id."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path

from strefer_core.errors import ConfigError

_SHIPPED = "strefer_core.quality.shipped"


@lru_cache(maxsize=1)
def shipped() -> tuple[str, ...]:
    """Names of the filters that come with the library."""
    found = (one.name for one in resources.files(_SHIPPED).iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in found if name.endswith(".json")))


@lru_cache(maxsize=8)
def filter_text(name: str) -> str:
    """The document of a shipped filter by its name, or of the file, where `name` ends in `.json`.

    Read once per process. Raises ConfigError where there is none.
    """
    is_file = name.endswith(".json")
    if not is_file and name not in shipped():
        known = ", ".join(shipped())
        raise ConfigError(f"there is no filter {name!r}; shipped: {known}; or give the path of a .json file")
    source = Path(name) if is_file else resources.files(_SHIPPED).joinpath(f"{name}.json")
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read filter {name}: {error}") from error


def filter_id(name: str) -> str:
    """Hash of a filter's document, 12 hex digits; "" for no filter. Raises as `filter_text`."""
    return hashlib.sha256(filter_text(name).encode()).hexdigest()[:12] if name else ""
