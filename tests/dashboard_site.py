"""The dashboards' application on a real catalog, mounted below a prefix as Airflow mounts it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from strefer_core import data_model as dm
from strefer_core.dashboards import services
from strefer_core.dashboards.access import Viewer, run_viewer, viewer
from strefer_core.dashboards.app import create_app
from strefer_core.dashboards.pictures import Pictures
from strefer_core.store.catalog import Catalog, DropObject
from strefer_core.store.objects import FolderObjects
from tests import sample_results as sample

PREFIX = "/airflow"
BASE = f"{PREFIX}/strefer"
PAGE = {"Accept": "text/html"}
CSRF = {"X-Strefer-Review": "1"}
ANN = Viewer(name="ann", may_review=True)


def with_keys(result: dm.InstructionsResult) -> dm.InstructionsResult:
    """The sample's instructions as a stage writes them: with a key of their content."""
    items = [replace(i, pair_key=f"key-{i.instruction_id}") for i in result.instructions]
    return dm.InstructionsResult(instructions=tuple(items))


def estimate(instruction_id: str, value: float, threshold: float = 0.1) -> dm.Flag:
    """What a filter says of a pair."""
    return dm.Flag(
        object_id=instruction_id,
        object_kind="instruction",
        check="error_estimate",
        value=value,
        threshold=threshold,
        severity="fail" if value > threshold else "info",
    )


def fill(catalog: Catalog, *flags: dm.Flag) -> None:
    """The sample video through all stages, in the drop `monday`; `flags` beside those of the sample."""
    results = dict(sample.RESULTS)
    instructions = results["instructions"]
    quality = results["quality"]
    assert isinstance(instructions, dm.InstructionsResult)
    assert isinstance(quality, dm.QualityResult)
    results["instructions"] = with_keys(instructions)
    results["quality"] = replace(quality, flags=(*quality.flags, *flags))
    catalog.register_drop("monday", "drops/monday/")
    key = "drops/monday/a video.mp4"
    catalog.add_drop_objects(
        "monday", [DropObject(key=key, etag="e", size_bytes=7, video_id=sample.VIDEO_ID)]
    )
    for stage, result in results.items():
        catalog.finish(sample.done(stage), result)


@dataclass(frozen=True, kw_only=True)
class Site:
    """The application, and what it reads."""

    app: FastAPI  # the mounted one: its dependencies may be overridden
    client: TestClient
    catalog: Catalog
    objects: FolderObjects


def new_site(catalog: Catalog, folder: Path) -> Site:
    """The application over a catalog and an object store in `folder`; logged in as `ann`, who may decide."""
    objects = FolderObjects(folder / "objects")
    objects.create()
    pictures = Pictures(
        objects=objects,
        folder=folder / "pictures",
        video_folder=folder / "videos",
        max_video_bytes=2**30,
    )
    app = create_app()
    app.dependency_overrides |= {
        services.catalog: lambda: catalog,
        services.pictures: lambda: pictures,
        viewer: lambda: ANN,
        run_viewer: lambda: None,
    }
    host = FastAPI(root_path=PREFIX)
    host.mount("/strefer", app)
    client = TestClient(host, follow_redirects=False)
    return Site(app=app, client=client, catalog=catalog, objects=objects)
