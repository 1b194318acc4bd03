"""What the pages read from, as dependencies: tests put others in their place."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from strefer_core.dashboards.access import Viewer, viewer
from strefer_core.dashboards.pictures import Pictures
from strefer_core.store.catalog import Catalog


def catalog() -> Catalog:
    """The process's catalog."""
    from strefer_core import worker

    return worker.catalog()


def pictures() -> Pictures:
    """The process's frames and masks."""
    from strefer_core import worker
    from strefer_core.config import settings

    now = settings()
    return Pictures(
        objects=worker.objects(),
        folder=now.picture_cache_dir,
        video_folder=now.video_cache_dir,
        max_video_bytes=now.cache_max_bytes,
    )


CatalogDep = Annotated[Catalog, Depends(catalog)]
PicturesDep = Annotated[Pictures, Depends(pictures)]
ViewerDep = Annotated[Viewer, Depends(viewer)]

__all__ = ["CatalogDep", "PicturesDep", "ViewerDep", "catalog", "pictures"]
