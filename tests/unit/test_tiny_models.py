"""The tiny models must be able to show a fault: no part of them may do nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file


@pytest.mark.parametrize("name", ["groundingdino", "sam2"])
def test_no_parameter_is_all_zeros(tiny: Path, name: str) -> None:
    weights = load_file(tiny / name / "model.safetensors")
    assert [key for key, value in weights.items() if not value.any()] == []
