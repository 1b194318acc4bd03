"""The review queue: what waits, and one decision at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from strefer_core import data_model as dm
from strefer_core.dashboards.errors import NotFound
from strefer_core.dashboards.ids import Place, Word
from strefer_core.dashboards.rendering import page
from strefer_core.dashboards.scenes import PLACEHOLDERS, turn_parts
from strefer_core.dashboards.services import CatalogDep, ViewerDep
from strefer_core.errors import InputError
from strefer_core.stages.task_table import task_rows
from strefer_core.store.catalog import Catalog, Review
from strefer_core.store.pages import Pair, QueueItem, turns_of

router = APIRouter()

QueueName = Literal["borderline", "sample"]
CSRF_HEADER = "X-Strefer-Review"
AT_ONCE = 20


class Decided(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid")

    review_id: Annotated[str, Field(pattern=r"^[0-9a-f-]{32,36}$")]
    instruction_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")]
    pair_key: Annotated[str, Field(max_length=100)]  # of what was shown
    decision: Literal["accept", "reject", "fix"]
    answers: Annotated[list[Annotated[str, Field(min_length=1, max_length=4000)]], Field(max_length=20)] = []
    note: Annotated[str, Field(max_length=1000)] = ""
    queue: Literal["", "borderline", "sample"] = ""


def same_site(request: Request) -> None:
    """Raise 403 unless a script of these very pages asked.

    The login's cookie goes along with top-level requests of other sites. A header of our own makes the
    browser ask first whether another site may send it, and nobody says that it may.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.get(CSRF_HEADER) != "1" or site != "same-origin":
        raise HTTPException(403, "decisions are taken from the review page only")


@router.get("/review", response_class=HTMLResponse)
def review(
    request: Request, viewer: ViewerDep, catalog: CatalogDep,
    queue: QueueName = "borderline", group: Word = "", task_type: Word = "",
) -> HTMLResponse:  # fmt: skip
    """The pairs that a person's look is worth most for."""
    rows = task_rows()
    return page(
        request, viewer, "review.html",
        items=_items(catalog, queue, group, task_type, ""), totals=catalog.totals(),
        queue=queue, group=group, task_type=task_type, header=CSRF_HEADER,
        groups=sorted({row.group for row in rows}), task_types=sorted({row.task_type for row in rows}),
    )  # fmt: skip


@router.get("/review/items")
def items(
    catalog: CatalogDep, queue: QueueName = "borderline", group: Word = "", task_type: Word = "",
    after: Place = "",
) -> list[dict[str, Any]]:  # fmt: skip
    """More of the queue, after the last one seen."""
    return _items(catalog, queue, group, task_type, after)


@router.post("/reviews", status_code=201, dependencies=[Depends(same_site)])
def decide(catalog: CatalogDep, viewer: ViewerDep, decided: Decided) -> dict[str, str]:
    """Write one decision; sent again, it is the same one."""
    if not viewer.may_review:
        raise HTTPException(403, f"{viewer.name} may look but not decide: ask for a role above viewer")
    pair = catalog.find_pair(decided.instruction_id)
    if pair is None:
        raise NotFound(f"pair {decided.instruction_id} was made anew since it was shown: reload the page")
    if not pair.pair_key or pair.pair_key != decided.pair_key:
        raise HTTPException(409, "the pair says something else than what was shown: reload the page")
    catalog.record_review(
        Review(
            review_id=decided.review_id,
            video_id=pair.video_id,
            pair_key=pair.pair_key,
            instruction_id=pair.instruction_id,
            decision=decided.decision,
            turns=mended(pair, decided.answers) if decided.decision == "fix" else None,
            note=decided.note,
            reviewer=viewer.name,
            queue=decided.queue,
        )
    )
    return {"review_id": decided.review_id, "reviewer": viewer.name}


def mended(pair: Pair, answers: Sequence[str]) -> tuple[dm.Turn, ...]:
    """A pair's turns with other answers.

    Raises InputError where these are not one per answer, one is empty, or the pair's regions and times are
    not all left in: masks and times belong to them by number.
    """
    turns = turns_of(pair)
    if len(answers) != sum(turn.role == "gpt" for turn in turns) or not all(map(str.strip, answers)):
        raise InputError("a fix gives every answer of the pair, none of them empty")
    rest = iter(answers)
    made = tuple(replace(t, text=next(rest).strip()) if t.role == "gpt" else t for t in turns)
    if _placeholders(made) != _placeholders(turns):
        raise InputError("a fix keeps <region>, <start_time> and <end_time>, each as often as before")
    return made


def _placeholders(turns: Sequence[dm.Turn]) -> Counter[str]:
    return Counter(word for turn in turns for word in PLACEHOLDERS.findall(turn.text))


def _items(
    catalog: Catalog, queue: QueueName, group: str, task_type: str, after: str
) -> list[dict[str, Any]]:
    try:
        found = catalog.review_queue(queue, group=group, task_type=task_type, after=after, count=AT_ONCE)
    except ValueError as error:
        raise InputError("this place is in no queue") from error
    return [_item(item) for item in found]


def _item(item: QueueItem) -> dict[str, Any]:
    """What the page shows of one pair; the frames come with its scene."""
    pair = item.pair
    return {
        "instruction_id": pair.instruction_id,
        "video_id": pair.video_id,
        "pair_key": pair.pair_key,
        "after": item.after,
        "group": pair.group_name,
        "task_type": pair.task_type,
        "verdict": pair.verdict,
        "failed_checks": pair.failed_checks or [],
        "error_estimate": pair.error_estimate,
        "error_threshold": pair.error_threshold,
        "is_negative": pair.is_negative,
        "region_entity_ids": pair.region_entity_ids,
        "turns": turn_parts(pair, ()),
    }
