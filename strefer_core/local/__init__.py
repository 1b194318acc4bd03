"""The embedded stack: every server of the platform on one machine, from Python wheels, under one folder.

`up`, `down` and `status` are the whole of it. Nothing here is imported by the stages: they see settings
(`strefer_core.config.settings`), and cannot tell these servers from outside ones.
"""

from strefer_core.local.look import status
from strefer_core.local.options import (
    AIRFLOW,
    ALL_PARTS,
    SERVERS,
    WORKERS,
    PartStatus,
    StackInfo,
    StackOptions,
    StackStatus,
)
from strefer_core.local.stack import down, up

__all__ = [
    "AIRFLOW",
    "ALL_PARTS",
    "SERVERS",
    "WORKERS",
    "PartStatus",
    "StackInfo",
    "StackOptions",
    "StackStatus",
    "down",
    "status",
    "up",
]
