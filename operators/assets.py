"""The assets that join the DAGs: the asset graph is the data flow."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from operators.triggers import DropWatchTrigger
from strefer_core.config import settings

DROPS = Asset(
    name="drops",
    uri=f"strefer://{settings().drop_prefix.strip('/')}",
    group="strefer",
    watchers=[
        AssetWatcher(
            name="drop_prefix",
            trigger=DropWatchTrigger(prefix=settings().drop_prefix, poll_s=settings().drop_poll_s),
        )
    ],
)
VIDEOS = Asset(name="videos", uri="strefer://videos", group="strefer")
INSTRUCTIONS = Asset(name="instructions", uri="strefer://instructions", group="strefer")
DATASETS = Asset(name="datasets", uri="strefer://datasets", group="strefer")
MODELS = Asset(name="models", uri="strefer://models", group="strefer")
