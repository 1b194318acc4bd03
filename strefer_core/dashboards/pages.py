"""Overview, drops, quality and datasets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from strefer_core.config import settings
from strefer_core.dashboards import charts
from strefer_core.dashboards.access import drops_of_run, run_viewer
from strefer_core.dashboards.errors import NotFound
from strefer_core.dashboards.ids import DropId, Word, WordId
from strefer_core.dashboards.rendering import page
from strefer_core.dashboards.services import CatalogDep, PicturesDep, ViewerDep
from strefer_core.quality.checks import CHECKS
from strefer_core.store.pages import CheckTotals
from strefer_core.store.validations import SubjectKind
from strefer_core.validation.pages import docs_key

router = APIRouter(default_response_class=HTMLResponse)

_VALIDATES: dict[str, SubjectKind] = {"validate_drops": "drop", "validate_dataset": "dataset"}


@router.get("/")
def overview(request: Request, viewer: ViewerDep, catalog: CatalogDep) -> HTMLResponse:
    """All drops over time."""
    drops = catalog.newest_drop_figures()
    wanted = settings().pipeline.quality
    target = wanted.target_error if wanted.filter else None
    figures = {
        "videos": charts.videos_of_drops(drops),
        "pairs": charts.pairs_of_drops(drops),
        "errors": charts.errors_of_drops(drops, target),
        "costs": charts.costs_of_drops(drops),
    }
    return page(
        request, viewer, "overview.html",
        totals=catalog.totals(), drops=drops, figures=figures, target=target,
    )  # fmt: skip


@router.get("/drops")
def newest_drop(request: Request, viewer: ViewerDep, catalog: CatalogDep) -> Response:
    """The drop that came last."""
    drop_id = catalog.newest_drop()
    if drop_id is None:
        return page(request, viewer, "no_drop.html")
    return RedirectResponse(f"{request.scope['root_path']}{charts.drop_path(drop_id)}", status_code=303)


@router.get("/drops/{drop_id}")
def drop(request: Request, viewer: ViewerDep, catalog: CatalogDep, drop_id: DropId) -> HTMLResponse:
    """One drop: how far it got, why not further, whether it may be published."""
    figures = catalog.drop_figures(drop_id)
    if figures is None:
        raise NotFound(f"no drop {drop_id} was ever registered")
    previous, following = catalog.neighbour_drops(drop_id)
    progress = catalog.drop_progress(drop_id)
    mixture = catalog.drop_mixture(drop_id)
    before = catalog.drop_mixture(previous) if previous else []
    drifts = {
        by: charts.drift(charts.shares(mixture, by), charts.shares(before, by))
        for by in ("group_name", "task_type")
    }
    return page(
        request, viewer, "drop.html",
        drop=figures, previous=previous, following=following, progress=progress,
        reasons=catalog.drop_reasons(drop_id), checks=catalog.drop_failed_checks(drop_id),
        gate=catalog.newest_gates([drop_id]).get(drop_id),
        validations=catalog.newest_validations("drop", drop_id),
        funnel=charts.funnel_of_drop(progress, drop_id), drifts=drifts, has_pairs=bool(mixture),
    )  # fmt: skip


@router.get("/runs", dependencies=[Depends(run_viewer)])
def run(
    request: Request,
    viewer: ViewerDep,
    catalog: CatalogDep,
    dag_id: Annotated[str, Query(max_length=250)],
    run_id: Annotated[str, Query(max_length=250)],
    task_id: Annotated[str, Query(max_length=250)] = "",
) -> Response:
    """From an Airflow run to the drops that it is about: to the page itself where it is one drop.

    From a task that validated one drop or dataset, to its validation.
    """
    base = request.scope["root_path"]
    if (kind := _VALIDATES.get(task_id)) and len(found := catalog.validations_of_run(run_id, kind)) == 1:
        return RedirectResponse(f"{base}/validations/{found[0]}", status_code=303)
    drop_ids = drops_of_run(dag_id, run_id) or catalog.drops_of_dag_run(run_id)
    drops = [figures for drop_id in drop_ids[:50] if (figures := catalog.drop_figures(drop_id))]
    if len(drops) == 1:
        return RedirectResponse(f"{base}{charts.drop_path(drops[0].drop_id)}", status_code=303)
    return page(request, viewer, "run.html", dag_id=dag_id, run_id=run_id, drops=drops)


@router.get("/validations/{validation_id}")
def validation(pictures: PicturesDep, validation_id: WordId) -> HTMLResponse:
    """The page of a validation as it was written: every expectation, and the ids that break it."""
    key = docs_key(validation_id)
    if not pictures.objects.exists(key):
        raise NotFound(f"there is no page of a validation {validation_id}")
    return HTMLResponse(pictures.objects.get_bytes(key).decode())


@router.get("/quality")
def quality(request: Request, viewer: ViewerDep, catalog: CatalogDep, check: Word = "") -> HTMLResponse:
    """Every check, and one of them closely: its distribution and its worst examples."""
    totals = catalog.check_totals()
    chosen = check or _first(totals)
    found = catalog.distribution(chosen) if chosen else None
    known = CHECKS.get(chosen)
    is_floor = known.is_floor if known else False
    fitted = catalog.shown_filter()
    bins = (fitted["document"].get("reliability") or []) if fitted else []
    worst = catalog.worst_flags(chosen, is_floor=is_floor) if chosen else []
    names = catalog.video_names({flag.video_id for flag in worst})
    return page(
        request, viewer, "quality.html",
        totals=totals, chosen=chosen, means=known.means if known else "", is_floor=is_floor,
        distribution=found, histogram=charts.histogram(found, chosen) if found else None,
        worst=worst, names=names, fitted=fitted, bins=bins,
        reliability=charts.reliability(bins) if bins else None,
    )  # fmt: skip


@router.get("/datasets")
def datasets(request: Request, viewer: ViewerDep, catalog: CatalogDep) -> HTMLResponse:
    """Published versions."""
    return page(request, viewer, "datasets.html", datasets=catalog.shown_datasets())


@router.get("/datasets/{dataset_version}")
def dataset(
    request: Request, viewer: ViewerDep, catalog: CatalogDep, dataset_version: WordId, after: Word = ""
) -> HTMLResponse:
    """One version: its mixture, and the drops and videos behind it."""
    found = catalog.shown_dataset(dataset_version)
    if found is None:
        raise NotFound(f"no dataset version {dataset_version}")
    mixture = {
        "groups": charts.counts(_counted(found.counts, "groups"), "pairs"),
        "task_types": charts.counts(_counted(found.counts, "task_types"), "pairs"),
    }
    videos = catalog.dataset_video_page(dataset_version, after)
    return page(
        request, viewer, "dataset.html",
        dataset=found, mixture=mixture, drops=catalog.dataset_drops(dataset_version), videos=videos,
        validations=catalog.newest_validations("dataset", dataset_version), after=after,
    )  # fmt: skip


@router.get("/models")
def models(request: Request, viewer: ViewerDep, catalog: CatalogDep) -> HTMLResponse:
    """Trained models, what each scored and what was decided."""
    return page(request, viewer, "models.html", models=catalog.shown_models())


@router.get("/models/{model_version}")
def model(request: Request, viewer: ViewerDep, catalog: CatalogDep, model_version: WordId) -> HTMLResponse:
    """One model: its scores, its training, and the dataset and drops that it saw."""
    found = catalog.shown_models(model_version)
    if not found:
        raise NotFound(f"no model {model_version}")
    (shown,) = found
    figures = list(catalog.training_figures(shown.job_id)) if shown.job_id else []
    return page(
        request, viewer, "model.html",
        model=shown, drops=catalog.model_drops(model_version), loss=charts.training(figures, "loss"),
        groups=charts.groups_of_model((shown.figures or {}).get("groups", {})), has_loss=bool(figures),
    )  # fmt: skip


def _first(totals: list[CheckTotals]) -> str:
    """The check that is shown where none is chosen: the filter's, else the one with most findings."""
    names = [total.check_name for total in totals]
    return "error_estimate" if "error_estimate" in names else (names or [""])[0]


def _counted(counts: dict[str, Any], name: str) -> dict[str, int]:
    values = counts.get(name)
    return dict(sorted(values.items())) if isinstance(values, dict) else {}
