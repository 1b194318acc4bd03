"""How far options can be told apart without a video: two predictors fitted to items of other videos.

`rates` counts how often the same option of the same question template was right; `words` is a bag of words
(words and pairs of neighbours, logistic regression) over question and option. The surest option is chosen;
ties count in shares. Where nothing is given to fit to, both are fitted and scored with cross-validation whose
folds never share a video.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from strefer_core.audit.examples import question_template
from strefer_core.audit.predictors import FOLDS, WORD
from strefer_core.evaluation.items import Item

Floats = NDArray[np.float64]
Predictor = Callable[[Sequence[Item], Sequence[Item]], Floats]
"""(fitted to, scored) -> per item of the latter, how far it is right, 0..1."""


def by_text(items: Sequence[Item], fit: Sequence[Item] | None = None) -> dict[str, Floats]:
    """How far text alone is right about each item, (items,), by predictor; none for a single video.

    Args:
        items: to be answered.
        fit: items of other videos; None: cross-validation.
    """
    found = {name: np.zeros(len(items)) for name in PREDICTORS}
    folds = [(list(fit), range(len(items)))] if fit is not None else _folds(items)
    for train, places in folds:
        for name, predict in PREDICTORS.items():
            found[name][list(places)] = predict(train, [items[place] for place in places])
    return found if folds else {}


def _folds(items: Sequence[Item]) -> list[tuple[list[Item], Sequence[int]]]:
    from sklearn.model_selection import GroupKFold

    videos = [item.video for item in items]
    count = min(FOLDS, len(set(videos)))
    if count < 2:
        return []
    splits = GroupKFold(count).split(videos, groups=videos)
    return [([items[place] for place in train], [int(place) for place in test]) for train, test in splits]


def _rates(train: Sequence[Item], test: Sequence[Item]) -> Floats:
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for item in train:
        for place in range(len(item.options)):
            seen[_key(item, place)] += 1
            right[_key(item, place)] += place == item.right
    usual = right.total() / max(seen.total(), 1)
    return np.array(
        [_chosen(item, [_rate(item, p, right, seen, usual) for p in _places(item)]) for item in test]
    )


def _rate(item: Item, place: int, right: Counter[str], seen: Counter[str], usual: float) -> float:
    key = _key(item, place)
    return (right[key] + usual) / (seen[key] + 1)


def _words(train: Sequence[Item], test: Sequence[Item]) -> Floats:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        CountVectorizer(token_pattern=WORD, ngram_range=(1, 2), min_df=2, binary=True),
        LogisticRegression(max_iter=300),
    )
    model.fit(_texts(train), [place == item.right for item in train for place in _places(item)])
    scores = iter(model.predict_proba(_texts(test))[:, -1].tolist())
    return np.array([_chosen(item, [next(scores) for _ in _places(item)]) for item in test])


PREDICTORS: dict[str, Predictor] = {"rates": _rates, "words": _words}


def _places(item: Item) -> range:
    return range(len(item.options))


def _chosen(item: Item, scores: Sequence[float]) -> float:
    best = [place for place, score in enumerate(scores) if score >= max(scores) - 1e-12]
    return (item.right in best) / len(best)


def _key(item: Item, place: int) -> str:
    # The template of a premise says whether it is false.
    template = "" if item.form == "premise" else question_template(item.template)
    return f"{item.task_type} {item.form} {template} | {item.options[place]}"


def _texts(items: Sequence[Item]) -> list[str]:
    return [_text(item, place) for item in items for place in _places(item)]


def _text(item: Item, place: int) -> str:
    """An option in words of its own, with the question's, its place, and how far it is like the others."""
    words = re.findall(WORD, item.options[place].lower())
    others = [word for i, text in enumerate(item.options) if i != place for word in text.lower().split()]
    own = " ".join(f"{prefix}{word}" for prefix in ("opt_", f"{item.task_type}_") for word in words)
    alike = min(sum(word in others for word in words), 8)
    said_before = sum(word in item.question.lower() for word in words)
    return (
        f"form_{item.form} {item.question} {own} place_{place}_of_{len(item.options)} alike_{alike} "
        f"words_{min(len(words), 20)} repeated_{min(said_before, 8)}"
    )
