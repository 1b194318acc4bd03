"""Batches shrink where memory ends. The device is faked; the error is the very one that PyTorch raises."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from strefer_core.errors import TooLargeForDevice
from strefer_core.warm.memory import in_batches, is_out_of_memory


class Device:
    """Squares numbers while their sum fits; notes the sizes of all batches that it was given."""

    def __init__(self, memory: int) -> None:
        self.memory, self.sizes = memory, list[int]()

    def square(self, items: Sequence[int]) -> list[int]:
        self.sizes.append(len(items))
        if sum(items) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return [item * item for item in items]


def test_what_fits_is_one_call_per_batch() -> None:
    device = Device(10)
    assert in_batches(device.square, [1] * 5, 2) == [1] * 5
    assert device.sizes == [2, 2, 1]


def test_a_batch_is_halved_and_the_size_that_fits_is_kept() -> None:
    device = Device(3)
    assert in_batches(device.square, [1] * 12, 8) == [1] * 12
    assert device.sizes == [8, 4, 2, 2, 2, 2, 2, 2]


def test_the_last_short_batch_is_halved_from_its_own_size() -> None:
    device = Device(4)
    assert in_batches(device.square, [1, 1, 1, 1, 2, 3], 4) == [1, 1, 1, 1, 4, 9]
    assert device.sizes == [4, 2, 1, 1]


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(9, 60), st.integers(1, 16))
def test_results_are_in_order_whatever_the_memory(items: list[int], memory: int, size: int) -> None:
    assert in_batches(Device(memory).square, items, size) == [item * item for item in items]


@pytest.mark.parametrize(
    ("items", "told"),
    [([1, 1, 7, 1], "item 2 of 4 (7)"), ([9], "item 0 of 1 (9)")],
)
def test_an_item_that_never_fits_is_named(items: list[int], told: str) -> None:
    device = Device(5)
    with pytest.raises(TooLargeForDevice) as caught:
        in_batches(device.square, items, 4)
    assert told in str(caught.value)
    assert not caught.value.is_retryable


def test_a_large_item_is_named_by_its_shape_not_by_its_values() -> None:
    def never(_: Sequence[torch.Tensor]) -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TooLargeForDevice, match=r"item 0 of 1 \(shape \(3, 720, 1280\)\)"):
        in_batches(never, [torch.zeros(3, 720, 1280)], 1)


def test_other_errors_go_through() -> None:
    def broken(_: Sequence[int]) -> list[int]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        in_batches(broken, [1, 2], 2)


def test_a_call_that_loses_results_is_found_out() -> None:
    with pytest.raises(ValueError, match="3 items gave 2 results"):
        in_batches(lambda items: items[1:], [1, 2, 3], 3)


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 item, not 0"):
        in_batches(Device(1).square, [1], 0)


def test_no_items_need_no_call() -> None:
    device = Device(0)
    assert in_batches(device.square, [], 4) == []
    assert device.sizes == []


def test_what_the_failed_batch_held_is_free_before_the_cache_is_emptied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error's own traceback would keep the tensors of the batch that did not fit."""
    watched: list[weakref.ref[torch.Tensor]] = []
    free_when_emptied: list[bool] = []

    def compute(items: Sequence[int]) -> list[int]:
        activations = torch.zeros(4)
        watched.append(weakref.ref(activations))
        if len(items) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [int(activations.sum()) + item for item in items]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: free_when_emptied.append(watched[-1]() is None))
    gc.disable()  # what only the collector would free stays
    try:
        monkeypatch.setattr("strefer_core.warm.memory.gc.collect", lambda: 0)
        assert in_batches(compute, [5, 6], 2) == [5, 6]
    finally:
        gc.enable()
    assert free_when_emptied == [True]


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (MemoryError("out of memory"), False),
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_which_errors_mean_that_memory_ended(error: Exception, is_it: bool) -> None:
    assert is_out_of_memory(error) is is_it


def test_the_call_may_be_any_callable() -> None:
    double: Callable[[Sequence[int]], Sequence[int]] = lambda items: tuple(2 * i for i in items)  # noqa: E731
    assert in_batches(double, (1, 2, 3), 2) == [2, 4, 6]
