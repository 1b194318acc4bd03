"""Names of backends, their ids and where they live; imports nothing heavy.

An id is part of every fingerprint: raise it when a backend's results change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from strefer_core.errors import ConfigError


@dataclass(frozen=True)
class BackendEntry:
    """`id` goes into fingerprints; `factory` is `module:callable`, called once per process."""

    id: str
    factory: str


BACKENDS: dict[tuple[str, str], BackendEntry] = {
    ("clips", "scenedetect"): BackendEntry("scenedetect-1", "strefer_core.backends.shots:SceneDetectShots"),
    ("entities", "classical"): BackendEntry(
        "classical-2", "strefer_core.backends.classical:ClassicalPerception"
    ),
    ("masklets", "classical"): BackendEntry(
        "classical-2", "strefer_core.backends.classical:ClassicalPerception"
    ),
    ("transcript", "rules"): BackendEntry("rules-1", "strefer_core.backends.rules:RulesTranscriber"),
    ("instructions", "rules"): BackendEntry("rules-1", "strefer_core.backends.rules:RulesWriter"),
}


def entry(stage: str, name: str) -> BackendEntry:
    """Look up a backend. Raises ConfigError naming the known ones."""
    try:
        return BACKENDS[stage, name]
    except KeyError:
        known = sorted(n for s, n in BACKENDS if s == stage)
        raise ConfigError(f"stage {stage} has no backend {name!r}; known: {', '.join(known)}") from None


def load(stage: str, name: str) -> Any:
    """The warm backend of this process: built on first use, kept for the next videos."""
    return _build(entry(stage, name).factory)


@cache
def _build(factory: str) -> Any:
    module, attribute = factory.split(":")
    return getattr(import_module(module), attribute)()
