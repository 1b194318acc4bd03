"""Contract tests of the models. The same files run in both environments: `make test` and `make test-gpu`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

OTHERS = (
    "ignore:Importing from timm.models.layers is deprecated:FutureWarning",
    "ignore:`torch.cuda.amp:FutureWarning",
)
"""Warnings of groundingdino-py about itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in OTHERS:
                item.add_marker(pytest.mark.filterwarnings(warning))
