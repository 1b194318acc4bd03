"""What predicts an answer from text: the most frequent one, and a bag of words.

Everything is fitted on some videos and scored on others; a single video gives nothing (None).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = r"<[a-z_]+>|\w+"
FOLDS = 5
_MAX_LABELS, _MIN_COUNT = 30, 5  # of open answers: rarer ones nobody guesses


def _folds(videos: Sequence[str]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(train, test) places; no video is in both. None at all for a single video."""
    from sklearn.model_selection import GroupKFold

    count = min(FOLDS, len(set(videos)))
    return list(GroupKFold(count).split(videos, groups=videos)) if count > 1 else []


def by_majority(
    keys: Sequence[str], labels: Sequence[Hashable], videos: Sequence[str]
) -> NDArray[np.bool_] | None:
    """Per example, whether the label most frequent for its key elsewhere is its own."""
    right = np.zeros(len(labels), np.bool_)
    folds = _folds(videos)
    for train, test in folds:
        counts: dict[str, Counter[Hashable]] = defaultdict(Counter)
        for place in train:
            counts[keys[place]][labels[place]] += 1
        usual = Counter(labels[place] for place in train)
        for place in test:
            right[place] = (counts.get(keys[place]) or usual).most_common(1)[0][0] == labels[place]
    return right if folds else None


def by_words(
    texts: Sequence[str], labels: Sequence[Hashable], videos: Sequence[str]
) -> NDArray[np.bool_] | None:
    """Per example, whether a bag of words fitted elsewhere finds its label."""
    counts = Counter(labels).most_common(_MAX_LABELS)
    common = [label for label, count in counts if count >= _MIN_COUNT]
    numbers = np.array([common.index(label) if label in common else len(common) for label in labels])
    right = np.zeros(len(labels), np.bool_)
    folds = _folds(videos)
    for train, test in folds:
        found = _fitted([texts[place] for place in train], numbers[train])
        guessed = found.predict([texts[place] for place in test])
        right[test] = (guessed == numbers[test]) & (numbers[test] < len(common))
    return right if folds else None


def rates(keys: Sequence[str], is_right: Sequence[bool], videos: Sequence[str]) -> NDArray[np.float64] | None:
    """Per option, how often the same words were the right option of the same template elsewhere."""
    scores = np.zeros(len(keys))
    folds = _folds(videos)
    for train, test in folds:
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for place in train:
            counts[keys[place]][is_right[place]] += 1
        usual = float(np.mean([is_right[place] for place in train]))
        for place in test:
            wrong, right = counts.get(keys[place], (0, 0))
            scores[place] = (right + usual) / (right + wrong + 1)
    return scores if folds else None


def chances(
    texts: Sequence[str], is_right: Sequence[bool], videos: Sequence[str]
) -> NDArray[np.float64] | None:
    """Per option, how likely a bag of words fitted elsewhere takes it for the right one."""
    flags = np.asarray(is_right)
    scores = np.zeros(len(texts))
    folds = _folds(videos)
    for train, test in folds:
        found = _fitted([texts[place] for place in train], flags[train])
        scores[test] = found.predict_proba([texts[place] for place in test])[:, -1]
    return scores if folds else None


def _fitted(texts: Sequence[str], labels: NDArray[Any]) -> Any:
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = CountVectorizer(token_pattern=WORD, ngram_range=(1, 2), min_df=2)
    if len(set(labels.tolist())) < 2:
        return make_pipeline(words.set_params(min_df=1), DummyClassifier()).fit(texts, labels)
    return make_pipeline(words, LogisticRegression(max_iter=2000)).fit(texts, labels)
