"""Which models keep their files: the champion, those before it, and the newest; rows stay for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from strefer_core.learning.registry import CARD, PREFIX, manifest_key

if TYPE_CHECKING:
    from strefer_core.store.catalog import Catalog, Model, Promotion
    from strefer_core.store.objects import ObjectStore


def to_keep(
    models: Sequence[Model], promotions: Sequence[Promotion], newest: int, champions: int
) -> set[str]:
    """Versions whose files stay.

    Args:
        models: all, oldest first.
        promotions: all decisions, oldest first.
        newest: so many models, whatever became of them.
        champions: so many of the last champions, the present one among them.
    """
    ruled = [one.model_version for one in promotions if one.is_promoted]
    last = list(dict.fromkeys(reversed(ruled)))[: max(champions, 1)]
    return {*last, *(model.version for model in models[len(models) - min(newest, len(models)) :])}


def drop_old(catalog: Catalog, objects: ObjectStore, *, newest: int, champions: int) -> list[str]:
    """Delete the files of models that are not kept, the manifest first and the card never; returns them."""
    models = catalog.models()
    kept = to_keep(models, catalog.promotions(), newest, champions)
    dropped = [m.version for m in models if m.version not in kept and objects.exists(manifest_key(m.version))]
    for version in dropped:
        objects.delete(manifest_key(version))  # from here on there is no such model
        for one in list(objects.list(f"{PREFIX}/{version}/")):
            if not one.key.endswith(f"/{CARD}"):
                objects.delete(one.key)
    return dropped
