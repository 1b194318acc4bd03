"""A filter: from what is known of a pair to the chance that it is wrong, and a threshold per target error.

A filter is a document of plain numbers (boosted trees, a monotone curve, figures of the data that it was
fitted to), read with pydantic and evaluated with NumPy: no pickle, no scikit-learn at run time. How one is
fitted: see `fitting`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from strefer_core.errors import ConfigError
from strefer_core.quality.filter_files import filter_text

FORMAT: Literal["strefer-filter/1"] = "strefer-filter/1"
_LEAF = -1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tree(_Part):
    """A binary tree as columns over its nodes, the root first; `feature` is -1 at a leaf."""

    feature: tuple[int, ...]
    threshold: tuple[float, ...]  # values up to it go left
    missing_left: tuple[bool, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]  # log odds that a leaf adds

    @model_validator(mode="after")
    def _is_a_tree(self) -> Tree:
        size = len(self.feature)
        columns = (self.threshold, self.missing_left, self.left, self.right, self.value)
        if not size or any(len(column) != size for column in columns):
            raise ValueError("the columns of a tree differ in length")
        for node, feature in enumerate(self.feature):
            children = (self.left[node], self.right[node])
            if feature != _LEAF and not all(node < child < size for child in children):
                raise ValueError(f"node {node} of a tree leads outside it or back")
        return self

    def depth(self) -> int:
        """Steps from the root to the deepest leaf."""
        depths = [0] * len(self.feature)
        for node, feature in enumerate(self.feature):
            if feature != _LEAF:
                for child in (self.left[node], self.right[node]):
                    depths[child] = depths[node] + 1
        return max(depths)

    def log_odds(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """(pairs,) what this tree adds, of a table (pairs, features) with NaN where a value is missing."""
        nodes = np.zeros(len(table), dtype=np.int64)
        columns = np.array(self.feature), np.array(self.left), np.array(self.right)
        thresholds, missing_left = np.array(self.threshold), np.array(self.missing_left)
        rows = np.arange(len(table))
        for _ in range(self.depth()):
            feature = columns[0][nodes]
            values = table[rows, np.maximum(feature, 0)]
            goes_left = np.where(np.isnan(values), missing_left[nodes], values <= thresholds[nodes])
            nodes = np.where(
                feature == _LEAF, nodes, np.where(goes_left, columns[1][nodes], columns[2][nodes])
            )
        return np.array(self.value)[nodes]


class Bin(_Part):
    """One step of the reliability diagram, on pairs of videos that the trees had not seen."""

    low: float
    high: float
    pairs: int
    estimated: float  # mean chance that was estimated
    wrong: float  # share that was wrong


class Bar(_Part):
    """Up to which estimate pairs are accepted for the share of wrong ones to stay below `target_error`."""

    target_error: float
    threshold: float  # -1: no threshold was found safe enough; nothing is accepted
    error: float  # share of wrong ones among those accepted
    yield_of_right_pairs: float


class SignalFigures(_Part):
    """How well one check alone, at its default threshold, tells wrong pairs."""

    check: str
    precision: float | None  # of its findings: share that are wrong; None: it found nothing
    recall: float  # share of the wrong pairs that it finds
    area_under_roc: float | None  # of its value, over all thresholds; None: one value only


class Data(_Part):
    """What a filter was fitted to."""

    fingerprint: str  # hash of every pair's features and verdict
    pairs: int
    wrong: int
    videos: int
    sources: tuple[dict[str, str | int | float | None], ...]  # seeds, perceptions, noise, knobs


class Limit(_Part):
    """How bad a signal may be for the filter to know what to make of it."""

    feature: str
    worst: float
    is_floor: bool  # worse is lower

    def is_passed(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(pairs,) False where a value is missing."""
        return np.asarray(values < self.worst if self.is_floor else values > self.worst)


class Filter(_Part):
    """See the module."""

    format: Literal["strefer-filter/1"] = FORMAT
    made_by: str  # versions of strefer and scikit-learn
    features: tuple[str, ...]
    baseline: float  # log odds before any tree
    trees: tuple[Tree, ...]
    curve: tuple[tuple[float, float], ...]  # (raw chance, chance), both ascending: makes estimates honest
    limits: tuple[Limit, ...] = ()  # what is beyond one of them is not like anything the filter was fitted to
    bars: tuple[Bar, ...] = Field(min_length=1)  # ascending by target
    reliability: tuple[Bin, ...]
    signals: tuple[SignalFigures, ...]
    data: Data
    drop_videos: int | None = None  # on how few videos the bars are met; None: on as many as in `data`

    @model_validator(mode="after")
    def _fits_together(self) -> Filter:
        if any(feature >= len(self.features) for tree in self.trees for feature in tree.feature):
            raise ValueError("a tree asks for a feature that the filter does not have")
        if unknown := {limit.feature for limit in self.limits} - set(self.features):
            raise ValueError(f"there are limits of features that the filter does not have: {unknown}")
        return self

    def text(self) -> str:
        """The document as it is stored; its hash is the filter's id."""
        return self.model_dump_json() + "\n"

    def table(self, rows: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """(pairs, features) of features by name; NaN where a pair lacks one. Unknown names are left out."""
        return np.array([[row.get(name, np.nan) for name in self.features] for row in rows], dtype=np.float64)

    def estimate(self, rows: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """(pairs,) chance that each is wrong, 0..1; 1 of a pair with a signal that is worse, and by far, than
        in any pair that the filter was fitted to: nobody knows what that means."""
        if not rows:
            return np.zeros(0)
        table = self.table(rows)
        return np.where(self._is_unknown(table), 1.0, self._chances(table))

    def _is_unknown(self, table: NDArray[np.float64]) -> NDArray[np.bool_]:
        places = {name: place for place, name in enumerate(self.features)}
        passed = [limit.is_passed(table[:, places[limit.feature]]) for limit in self.limits]
        return np.any(passed, axis=0) if passed else np.zeros(len(table), dtype=np.bool_)

    def _chances(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        odds = self.baseline + sum((tree.log_odds(table) for tree in self.trees), np.zeros(len(table)))
        raw = 1 / (1 + np.exp(-odds))
        given, meant = np.array(self.curve).T
        return np.interp(raw, given, meant)

    def threshold(self, target_error: float) -> float:
        """Largest estimate of a pair to accept, that of the strictest bar at or below the target.

        Raises ConfigError where the filter has no bar as strict as that.
        """
        met = [bar for bar in self.bars if bar.target_error <= target_error + 1e-9]
        if not met:
            least = min(bar.target_error for bar in self.bars)
            raise ConfigError(
                f"quality.target_error {target_error} is below what the filter was calibrated for ({least}); "
                "raise it, or fit another filter with `strefer calibrate`"
            )
        return met[-1].threshold


@lru_cache(maxsize=8)
def load_filter(name: str) -> Filter:
    """A shipped filter by its name, or the one in a file, where `name` ends in `.json`.

    Raises ConfigError where there is none, or it is damaged.
    """
    try:
        return Filter.model_validate_json(filter_text(name))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"filter {name} is damaged at {where}: {first['msg']}") from None
