"""Which mixture is best, by a regression over small runs (Liu et al., "RegMix", arXiv 2407.01492).

Mixtures that were tried predict what others would score; of many drawn ones the best predicted are averaged,
which asks less of the regression's edges than its one maximum. Ours differs in the regression: a ridge on
shares and their products, since there are tens of runs and not hundreds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from strefer_core.errors import InputError

_CANDIDATES, _BEST = 20_000, 100
_LEAST_RUNS = 6


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Weights that are expected to score best, and how far the regression can be trusted."""

    weights: dict[str, float]  # sum to 1
    predicted: float
    best_tried: float
    rank_correlation: float  # Spearman's, of scores and of what runs left out were predicted


def propose(tried: Sequence[Mapping[str, float]], scores: Sequence[float], *, seed: int = 0) -> Proposal:
    """Propose a mixture.

    Args:
        tried: weights of each run, of the same parts.
        scores: what each run scored; more is better.
        seed: of the drawn mixtures.

    Raises:
        InputError: too few runs, or all scored the same.
    """
    if len(tried) < _LEAST_RUNS or len(set(scores)) < 2:
        raise InputError(
            f"{len(tried)} runs teach nothing about mixtures: at least {_LEAST_RUNS}, not all alike"
        )
    parts = list(tried[0])
    table = np.array([[one[name] for name in parts] for one in tried])
    table /= table.sum(1, keepdims=True)
    made = make_pipeline(
        PolynomialFeatures(2, include_bias=False), StandardScaler(), RidgeCV(alphas=np.logspace(-2, 3, 12))
    )
    left_out = cross_val_predict(made, table, scores, cv=LeaveOneOut())
    made.fit(table, scores)
    drawn = np.random.default_rng(seed).dirichlet(np.ones(len(parts)), size=_CANDIDATES)
    best = drawn[np.argsort(made.predict(drawn))[-_BEST:]].mean(0)
    return Proposal(
        weights={name: round(float(weight), 4) for name, weight in zip(parts, best, strict=True)},
        predicted=float(made.predict(best[None])[0]),
        best_tried=float(max(scores)),
        rank_correlation=float(spearmanr(scores, left_out).statistic),
    )
