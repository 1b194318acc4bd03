"""Where a model runs and in which precision. The device changes no result that is meant to be the same, so
it is a setting; the precision changes results, so it is configuration."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from strefer_core.config import Settings
from strefer_core.errors import ConfigError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def device(settings: Settings) -> str:
    """`cpu` or `cuda[:n]`; `auto` is the first GPU where there is one.

    Raises ConfigError where the settings name a GPU that this process does not see.
    """
    import torch

    if settings.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    _, _, number = settings.device.partition(":")
    if settings.device != "cpu" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"STREFER_DEVICE is {settings.device}, but this process sees {torch.cuda.device_count()} GPUs: "
            "check the driver and CUDA_VISIBLE_DEVICES, or set STREFER_DEVICE=auto"
        )
    return settings.device


def dtype(precision: Precision, device: str) -> torch.dtype:
    """The type that a model computes in; `auto` is float32 on a CPU, and on a GPU bfloat16 where it has that,
    else float16."""
    import torch

    if precision == "auto":
        if not device.startswith("cuda"):
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    found: torch.dtype = getattr(torch, precision)
    return found


def mixed(device: str, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Inside, weights in float32 are used in `dtype` where that is safe; float32 changes nothing."""
    import torch

    kind = torch.device(device).type
    return torch.autocast(kind, dtype=dtype, enabled=dtype != torch.float32)
