"""Errors after which a process can compute no more on its GPU.

A CUDA context is a process's own. Some errors (a kernel that reads outside of its memory, a failed assertion
on the device, a bit that flipped) stay in it: every later call fails with them, whatever it asks. Only a new
process helps. Which errors do so: the CUDA runtime's list of `cudaError`, "must terminate and relaunch".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from strefer_core.warm.memory import is_out_of_memory

STICKY_CODES = frozenset({4, 46, 100, 214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 999})
"""Of `cudaError`, as `torch.AcceleratorError.error_code` has them."""

STICKY_TEXTS = (
    "an illegal memory access was encountered",
    "an illegal instruction was encountered",
    "context is destroyed",
    "device-side assert triggered",
    "driver shutting down",
    "hardware stack error",
    "invalid program counter",
    "is/are busy or unavailable",
    "memory over nvlink or a hardware error",
    "misaligned address",
    "no CUDA-capable device is detected",
    "operation not supported on global/shared address space",
    "the launch timed out and was terminated",
    "uncorrectable ECC error encountered",
    "uncorrectable NVLink error detected",
    "unknown error",
    "unspecified launch failure",
)
"""What `cudaGetErrorString` says of them; the number does not come with every error."""

_OF_THE_DEVICE = ("CUDA error", "CUDA driver error", "cuDNN error", "CUBLAS_STATUS_", "CUDNN_STATUS_")


def can_compute() -> bool:
    """Whether this process's GPU still adds one and one; True where there is none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return True
    try:
        return bool((torch.ones(1, device="cuda") + 1).item() == 2)
    except RuntimeError as error:
        return is_out_of_memory(error)


def is_poisoned(error: BaseException, can_compute: Callable[[], bool] = can_compute) -> bool:
    """Whether this error, or one behind it, leaves the process without its GPU.

    An error that is known to stay is believed; of any other error of the device `can_compute` is asked.
    """
    errors = [one for one in _chain(error) if _is_of_device(one)]
    return any(map(_is_sticky, errors)) or (bool(errors) and not can_compute())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _is_of_device(error: BaseException) -> bool:
    return (
        isinstance(error, RuntimeError)  # as `torch.AcceleratorError` is, and what older ones raise
        and not is_out_of_memory(error)
        and any(text in str(error) for text in _OF_THE_DEVICE)
    )


def _is_sticky(error: BaseException) -> bool:
    code = getattr(error, "error_code", None)
    return code in STICKY_CODES or any(text in str(error) for text in STICKY_TEXTS)
