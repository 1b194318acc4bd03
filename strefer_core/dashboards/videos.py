"""Videos: the list, one video, one of its pairs, and the pictures of both."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from strefer_core.config import settings
from strefer_core.dashboards.errors import NotFound
from strefer_core.dashboards.ids import FrameIndex, Place, Text, VideoId, WordId
from strefer_core.dashboards.lineage import lineage, steps
from strefer_core.dashboards.rendering import page
from strefer_core.dashboards.scenes import Scene, frame_times, scene, turn_parts
from strefer_core.dashboards.services import CatalogDep, PicturesDep, ViewerDep
from strefer_core.store.files import os_errors
from strefer_core.store.pages import VideoPage

router = APIRouter()

State = Literal["", "through", "quarantined", "filtered", "failed"]
ROWS = 50


@router.get("/videos", response_class=HTMLResponse)
def videos(
    request: Request, viewer: ViewerDep, catalog: CatalogDep,
    drop: Text = "", text: Text = "", state: State = "", after: Place = "",
) -> HTMLResponse:  # fmt: skip
    """Videos of one drop or of all, by name."""
    found = catalog.listed_videos(drop_id=drop, text=text, state=state, after=_place(after), count=ROWS + 1)
    last = found[ROWS - 1] if len(found) > ROWS else None
    return page(
        request, viewer, "videos.html",
        videos=found[:ROWS], drop=drop, text=text, state=state, after=after,
        following="\t".join((last.key, last.drop_id, last.video_id)) if last else "",
        drops=[one.drop_id for one in catalog.drops()][::-1][:200],
    )  # fmt: skip


def _place(after: str) -> tuple[str, str, str]:
    """(key, drop, video) of the last row seen."""
    key, drop, video = [*after.split("\t"), "", "", ""][:3]
    return key, drop, video


@router.get("/videos/{video_id}", response_class=HTMLResponse)
def video(
    request: Request, viewer: ViewerDep, catalog: CatalogDep, video_id: VideoId,
    frame: Annotated[int | None, Query(ge=0, lt=32)] = None,
) -> HTMLResponse:  # fmt: skip
    """One video: frames with masks, transcript, pairs, flags, runs."""
    found = _video(catalog, video_id)
    colours = {entity.entity_id: entity.index for entity in found.entities}
    return page(
        request, viewer, "video.html",
        video=found, scene=scene(found, frame=frame), steps=steps(found, settings().pipeline),
        duration_s=_duration_s(found), colours=colours,
        turns={pair.instruction_id: turn_parts(pair, found.entities) for pair in found.pairs},
        findings=[flag for flag in found.flags if flag.severity != "info"],
    )  # fmt: skip


@router.get("/pairs/{instruction_id}", response_class=HTMLResponse)
def pair(request: Request, viewer: ViewerDep, catalog: CatalogDep, instruction_id: WordId) -> HTMLResponse:
    """One pair, and all that it was made from."""
    found = catalog.find_pair(instruction_id)
    if found is None:
        raise NotFound(f"no current pair {instruction_id}: unknown, or its video was made anew since")
    of = _video(catalog, found.video_id)
    return page(
        request, viewer, "pair.html",
        pair=found, video=of, scene=scene(of, found), turns=turn_parts(found, of.entities),
        lineage=lineage(found, of, settings().pipeline), duration_s=_duration_s(of),
        reviews=[review for review in of.reviews if review.pair_key == found.pair_key],
    )  # fmt: skip


@router.get("/pairs/{instruction_id}/scene")
def pair_scene(catalog: CatalogDep, instruction_id: WordId) -> Scene:
    """What the frame viewer needs to show one pair."""
    found = catalog.find_pair(instruction_id)
    if found is None:
        raise NotFound(f"no current pair {instruction_id}")
    return scene(catalog.video_page(found.video_id), found)


@router.get("/frames/{video_id}/{index}.jpg")
def frame_picture(
    pictures: PicturesDep, catalog: CatalogDep, video_id: VideoId, index: FrameIndex
) -> Response:
    """A sampled frame."""
    if not catalog.drops_of(video_id):
        raise NotFound(f"no video {video_id}")
    with os_errors("read", "a frame"):
        data = pictures.frame(video_id, index).read_bytes()
    # The id is of the video's bytes: this picture never changes.
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/masks/{video_id}/{entity_id}/{index}.png")
def mask_picture(
    pictures: PicturesDep, catalog: CatalogDep, video_id: VideoId, entity_id: WordId, index: FrameIndex
) -> Response:
    """One entity's mask on a sampled frame, clear beside it."""
    of = catalog.find_masks(video_id, entity_id)
    if of is None:
        raise NotFound(f"no masklet of {entity_id} in video {video_id}")
    key, entity_index = of
    with os_errors("read", "a mask"):
        data = pictures.mask(key, video_id, entity_id, entity_index, index).read_bytes()
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=300"})


def _video(catalog: CatalogDep, video_id: str) -> VideoPage:
    found = catalog.video_page(video_id)
    if not found.names and not found.runs:
        raise NotFound(f"no video {video_id}")
    return found


def _duration_s(found: VideoPage) -> float:
    """Of the video, or what is known of it; never 0, for times are shown as shares of it."""
    if found.facts is not None:
        return float(found.facts["duration_s"]) or 1.0
    return max(frame_times(found), default=1.0) or 1.0
