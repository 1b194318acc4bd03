"""Fits a filter to pairs whose truth is known, and finds out how far it can be trusted.

Boosted trees (scikit-learn's HistGradientBoostingClassifier, which knows missing values and monotone
constraints), an isotonic curve over them, and a threshold per target error. Everything that is said of the
filter's quality comes from pairs of videos that the trees which judged them had not seen: the folds of the
cross-validation never share a video. A threshold is set so that the upper end of the accepted error's
interval over videos meets the target, not its mean: few videos make a careful filter, and so does the wish
that it also holds on a drop of few.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from strefer_core.errors import InputError
from strefer_core.quality.checks import CHECKS
from strefer_core.quality.features import direction, signal_of
from strefer_core.quality.filters import Bar, Bin, Data, Filter, Limit, SignalFigures, Tree
from strefer_core.quality.twins import worst_of_twins

TARGETS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
FOLDS = 5
BINS = 10
_RESAMPLES = 1000
_SURE = 0.9  # share of the resamples of videos in which a threshold must meet its target
_CANDIDATES = 200  # thresholds that are tried
_BEYOND = 0.5  # of the way from the median to the worst value seen: what is still judged beyond it
_LEAST_WRONG = 20  # pairs; fewer teach nothing

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One pair whose truth is known."""

    video: str  # pairs of one video stand or fall together
    features: Mapping[str, float]
    is_wrong: bool
    set_key: str = ""  # see `twins`


def fit_filter(
    examples: Sequence[Example],
    sources: Sequence[Mapping[str, Any]],
    seed: int = 0,
    drop_videos: int | None = None,
) -> Filter:
    """Fit a filter. The same examples in the same order give the same filter.

    Args:
        examples: pairs of at least `FOLDS` videos.
        sources: what they were made from, for the record.
        seed: of the resamples.
        drop_videos: on how few videos a target must be met; None: on as many as the examples are of.

    Raises:
        InputError: too few videos, or too few wrong or right pairs to learn from.
    """
    _check(examples)
    with threadpool_limits(1):  # on a busy machine more threads only wait for each other
        return _fit(examples, sources, seed, drop_videos)


def _fit(
    examples: Sequence[Example], sources: Sequence[Mapping[str, Any]], seed: int, drop_videos: int | None
) -> Filter:
    names = sorted({name for one in examples for name in one.features})
    table = np.array([[one.features.get(name, np.nan) for name in names] for one in examples])
    wrong = np.array([one.is_wrong for one in examples])
    videos = np.array([one.video for one in examples])
    raw, estimates = _out_of_fold(table, wrong, videos, names)
    curve = _curve(raw, wrong)
    judged = worst_of_twins(estimates, [_across(one) for one in examples])  # as the stage does
    model = _model(names).fit(table, wrong)
    made = Filter(
        made_by=f"strefer {installed_version('strefer')}, scikit-learn {installed_version('scikit-learn')}",
        features=tuple(names),
        baseline=float(np.ravel(model._baseline_prediction)[0]),
        trees=tuple(_tree(predictors[0].nodes) for predictors in model._predictors),
        curve=curve,
        limits=tuple(_limits(names, table)),
        bars=tuple(_bar(target, judged, wrong, videos, seed, drop_videos) for target in TARGETS),
        reliability=tuple(reliability(estimates, wrong)),
        signals=tuple(_signal_figures(names, table, wrong)),
        data=_data(examples, sources),
        drop_videos=drop_videos,
    )
    _check_same(made, model, table)
    return made


def _check(examples: Sequence[Example]) -> None:
    wrong = sum(one.is_wrong for one in examples)
    videos = len({one.video for one in examples})
    if videos < FOLDS or min(wrong, len(examples) - wrong) < _LEAST_WRONG:
        raise InputError(
            f"{len(examples)} pairs of {videos} videos, {wrong} of them wrong: a filter needs {FOLDS} videos "
            f"and {_LEAST_WRONG} pairs of each kind at least; calibrate on more videos or with more noise"
        )


def _across(one: Example) -> str:
    """Its set keys, told from those of other videos."""
    return "+".join(f"{one.video} {key}" for key in one.set_key.split("+") if key)


def _model(names: Sequence[str]) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=150,
        learning_rate=0.06,
        max_leaf_nodes=15,
        min_samples_leaf=30,
        l2_regularization=5.0,
        early_stopping=False,
        monotonic_cst=[direction(name) for name in names],
        random_state=0,
    )


def _out_of_fold(
    table: Floats, wrong: Bools, videos: NDArray[np.str_], names: Sequence[str]
) -> tuple[Floats, Floats]:
    """(pairs,) the chance that trees give each pair which saw none of its video, and (pairs,) what a curve
    makes of it that saw none either."""
    raw, estimates = np.zeros(len(wrong)), np.zeros(len(wrong))
    folds = list(GroupKFold(FOLDS).split(table, wrong, videos))
    for seen, held in folds:
        raw[held] = _model(names).fit(table[seen], wrong[seen]).predict_proba(table[held])[:, 1]
    for seen, held in folds:
        estimates[held] = np.interp(raw[held], *np.array(_curve(raw[seen], wrong[seen])).T)
    return raw, estimates


def _curve(raw: Floats, wrong: Bools) -> tuple[tuple[float, float], ...]:
    """Ascending corners of the isotonic map from raw chances to shares that were wrong.

    One corner in the middle of each of its steps: between them estimates still rise, so that a threshold may
    lie anywhere.
    """
    steps = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(raw, wrong)
    shares = np.unique(steps)
    return tuple((float(raw[steps == share].mean()), float(share)) for share in shares)


def _limits(names: Sequence[str], table: Floats) -> Iterator[Limit]:
    """Of signals with a bad direction and no end: half again as far from the median as the worst that was
    seen, so that a little worse is still judged by the trees."""
    for column, name in enumerate(names):
        values = table[np.isfinite(table[:, column]), column]
        is_floor = direction(name) < 0
        if not len(values) or not direction(name) or ((values >= 0).all() and (values <= 1).all()):
            continue
        worst, median = float(values.min() if is_floor else values.max()), float(np.median(values))
        yield Limit(feature=name, worst=worst + _BEYOND * (worst - median), is_floor=is_floor)


def _tree(nodes: Any) -> Tree:
    """A tree of scikit-learn's histogram boosting as columns."""
    is_leaf = nodes["is_leaf"].astype(bool)
    thresholds = np.where(is_leaf, 0.0, nodes["num_threshold"])
    if not np.isfinite(thresholds).all():  # "missing or not": every known value goes left
        thresholds = np.nan_to_num(thresholds, posinf=float(np.finfo(np.float64).max))
    return Tree(
        feature=tuple(np.where(is_leaf, -1, nodes["feature_idx"]).tolist()),
        threshold=tuple(thresholds.tolist()),
        missing_left=tuple(nodes["missing_go_to_left"].astype(bool).tolist()),
        left=tuple(nodes["left"].astype(int).tolist()),
        right=tuple(nodes["right"].astype(int).tolist()),
        value=tuple(np.where(is_leaf, nodes["value"], 0.0).tolist()),
    )


def _check_same(made: Filter, model: HistGradientBoostingClassifier, table: Floats) -> None:
    """What was written down must judge as what was fitted: its layout is scikit-learn's own affair."""
    rows = [dict(zip(made.features, row, strict=True)) for row in table]
    expected = np.interp(model.predict_proba(table)[:, 1], *np.array(made.curve).T)  # none beyond a limit
    if not np.allclose(made.estimate(rows), expected, atol=1e-6):
        raise AssertionError("the filter as written differs from the one that was fitted")


def _bar(
    target: float,
    estimates: Floats,
    wrong: Bools,
    videos: NDArray[np.str_],
    seed: int,
    drop_videos: int | None,
) -> Bar:
    threshold = safe_threshold(target, estimates, wrong, videos, seed, drop_videos)
    accepted = estimates <= threshold
    right = int((~wrong).sum())
    return Bar(
        target_error=target,
        threshold=threshold,
        error=float(wrong[accepted].mean()) if accepted.any() else 0.0,
        yield_of_right_pairs=float((accepted & ~wrong).sum() / right),
    )


def safe_threshold(
    target: float,
    estimates: Floats,
    wrong: Bools,
    videos: NDArray[np.str_],
    seed: int,
    drop_videos: int | None = None,
) -> float:
    """Largest threshold at which the share of wrong pairs among those accepted meets the target in 90 % of
    the resamples of videos; -1.0 where none does.

    Args:
        target: share of wrong pairs.
        estimates: (pairs,) of each pair of videos that were not fitted to.
        wrong: (pairs,).
        videos: (pairs,) which each pair is of.
        seed: of the resamples.
        drop_videos: in each resample; None: as many as there are.
    """
    candidates = np.unique(np.quantile(estimates, np.linspace(0, 1, _CANDIDATES)))
    names, owners = np.unique(videos, return_inverse=True)
    counts, faults = (_per_video(estimates, candidates, owners, len(names), of) for of in (None, wrong))
    rng = np.random.default_rng(seed)
    draws = drop_videos or len(names)
    drawn = rng.multinomial(draws, np.full(len(names), 1 / len(names)), size=_RESAMPLES)
    errors = (drawn @ faults) / np.maximum(drawn @ counts, 1)  # (resamples, candidates)
    is_safe = np.quantile(errors, _SURE, axis=0) <= target
    return float(candidates[is_safe].max()) if is_safe.any() else -1.0


def _per_video(
    estimates: Floats, candidates: Floats, owners: NDArray[np.int64], videos: int, of: Bools | None
) -> Floats:
    """(videos, candidates): pairs of each video at or below each threshold; only the wrong ones with `of`."""
    places = np.searchsorted(candidates, estimates, side="left")
    counts = np.zeros((videos, len(candidates) + 1))
    np.add.at(counts, (owners, places), 1.0 if of is None else of.astype(float))
    return np.asarray(counts.cumsum(axis=1)[:, :-1])


def reliability(estimates: Floats, wrong: Bools) -> list[Bin]:
    """The reliability diagram: pairs in bins of the estimate, with the share that was wrong in each."""
    edges = np.linspace(0, 1, BINS + 1)
    places = np.clip(np.digitize(estimates, edges) - 1, 0, BINS - 1)
    return [
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            pairs=int((places == i).sum()),
            estimated=float(estimates[places == i].mean()),
            wrong=float(wrong[places == i].mean()),
        )
        for i in range(BINS)
        if (places == i).any()
    ]


def _signal_figures(names: Sequence[str], table: Floats, wrong: Bools) -> list[SignalFigures]:
    """Every signal alone, at its default threshold, on the worst of what each pair rests on."""
    from strefer_core.config import QualityConfig

    found = []
    for column, name in enumerate(names):
        signal = signal_of(name)
        if signal is None or name.startswith(("any_", "named_")):
            continue
        check, values = CHECKS[signal], table[:, column]
        known = np.isfinite(values)
        limit = check.limit(QualityConfig())
        hits = known & ((values < limit) if check.is_floor else (values > limit))
        found.append(
            SignalFigures(
                check=signal,
                precision=float(wrong[hits].mean()) if hits.any() else None,
                recall=float(wrong[hits].sum() / wrong.sum()),
                area_under_roc=_area(-values[known] if check.is_floor else values[known], wrong[known]),
            )
        )
    return sorted(found, key=lambda one: one.check)


def _area(badness: Floats, wrong: Bools) -> float | None:
    if len(np.unique(badness)) < 2 or wrong.all() or not wrong.any():
        return None
    return float(roc_auc_score(wrong, badness))


def _data(examples: Sequence[Example], sources: Sequence[Mapping[str, Any]]) -> Data:
    lines = (
        json.dumps([one.video, dict(one.features), one.is_wrong, one.set_key], sort_keys=True)
        for one in examples
    )
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return Data(
        fingerprint=digest.hexdigest()[:16],
        pairs=len(examples),
        wrong=sum(one.is_wrong for one in examples),
        videos=len({one.video for one in examples}),
        sources=tuple(dict(source) for source in sources),
    )
