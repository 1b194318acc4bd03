"""Names of backends, their ids and where they live; imports nothing heavy.

An id is part of every fingerprint: raise it when a backend's results change. Ids of served backends hold a
digest of their prompts, so that a changed prompt is a changed computation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from strefer_core import metrics
from strefer_core.errors import ConfigError
from strefer_core.served.prompt import digest


@dataclass(frozen=True)
class BackendEntry:
    """`id` goes into fingerprints; `factory` is `module:callable`, called once per process; `servers` are the
    served models that it asks. A factory that `takes_section` is called with the stage's configuration, every
    time, and keeps what is heavy elsewhere."""

    id: str
    factory: str
    servers: tuple[Literal["vlm", "llm"], ...] = ()
    takes_section: bool = False


_TRANSCRIBER, _WRITER = "rules-2", "rules-2"  # whose facts and pairs the served ones start from

BACKENDS: dict[tuple[str, str], BackendEntry] = {
    ("clips", "scenedetect"): BackendEntry(
        "scenedetect-2", "strefer_core.backends.clipper.survey:ScenedetectSurveyor"
    ),
    ("entities", "classical"): BackendEntry(
        "classical-4", "strefer_core.backends.classical:ClassicalPerception"
    ),
    ("entities", "vlm"): BackendEntry(
        f"vlm-1-{digest('recognize.v1', 'parse.v1')}",
        "strefer_core.backends.served.entities:ServedEntities",
        servers=("vlm", "llm"),
    ),
    ("masklets", "classical"): BackendEntry(
        "classical-3", "strefer_core.backends.classical:ClassicalPerception"
    ),
    ("masklets", "gpu"): BackendEntry(
        f"gpu-1-{digest('assign.v1')}",
        "strefer_core.backends.neural.perception:NeuralPerception",
        takes_section=True,
    ),
    ("transcript", "rules"): BackendEntry(_TRANSCRIBER, "strefer_core.backends.rules:RulesTranscriber"),
    ("transcript", "vlm"): BackendEntry(
        f"vlm-1-{digest('transcribe.v1')}-{_TRANSCRIBER}",
        "strefer_core.backends.served.transcript:ServedTranscriber",
        servers=("vlm",),
    ),
    ("instructions", "rules"): BackendEntry(_WRITER, "strefer_core.backends.rules:RulesWriter"),
    ("instructions", "llm"): BackendEntry(
        f"llm-1-{digest('ask_told.v1', 'reword.v1')}-{_WRITER}",
        "strefer_core.backends.served.instructions:ServedWriter",
        servers=("llm",),
    ),
}


def entry(stage: str, name: str) -> BackendEntry:
    """Look up a backend. Raises ConfigError naming the known ones."""
    try:
        return BACKENDS[stage, name]
    except KeyError:
        known = sorted(n for s, n in BACKENDS if s == stage)
        raise ConfigError(f"stage {stage} has no backend {name!r}; known: {', '.join(known)}") from None


def servers_of(stage: str, section: Any) -> tuple[Literal["vlm", "llm"], ...]:
    """The served models that a stage asks, configured like this."""
    name = getattr(section, "backend", None)
    return (*entry(stage, name).servers, *getattr(section, "servers", ())) if name else ()


def load(stage: str, section: Any) -> Any:
    """The warm backend that a stage's configuration names, or None for a stage that has only one way.

    It is built on first use and kept for the next videos; the models of one that takes its configuration are
    kept by `strefer_core.warm.keeper`.
    """
    name = getattr(section, "backend", None)
    if not name:
        return None
    found = entry(stage, name)
    return _callable(found.factory)(section) if found.takes_section else _build(found.factory)


@cache
def _build(factory: str) -> Any:
    started = time.perf_counter()
    make = _callable(factory)
    backend = make()
    metrics.backend_loaded(make.__name__, time.perf_counter() - started)
    return backend


def _callable(factory: str) -> Any:
    module, attribute = factory.split(":")
    return getattr(import_module(module), attribute)
