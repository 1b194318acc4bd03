"""Kept models: loaded once, within a budget, the longest unused goes; measured; one keeper per process."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from strefer_core import metrics
from strefer_core.config import settings
from strefer_core.warm.keeper import Keeper, keeper, model_bytes


class Model:
    """Something that a weak reference can watch."""


def size(_: Model) -> int:
    return 10


def counted(loads: list[str], name: str) -> Any:
    def load() -> Model:
        loads.append(name)
        return Model()

    return load


def use(keeper: Keeper, loads: list[str], *names: str) -> None:
    for name in names:
        keeper.get(name, counted(loads, name), size)


def test_a_model_is_loaded_once_and_kept() -> None:
    kept, loads = Keeper(None), list[str]()
    first = kept.get("a", counted(loads, "a"), size)
    assert kept.get("a", counted(loads, "a"), size) is first
    assert (loads, kept.kept_bytes) == (["a"], 10)


def test_the_longest_unused_goes_where_the_budget_ends() -> None:
    kept, loads = Keeper(30), list[str]()
    use(kept, loads, "a", "b", "c", "a", "d")
    assert kept.names == ["c", "a", "d"]
    use(kept, loads, "b", "a")
    assert loads == ["a", "b", "c", "d", "b"]
    assert kept.kept_bytes == 30


def test_memory_of_what_went_is_free() -> None:
    kept = Keeper(10)
    gone = weakref.ref(kept.get("a", Model, size))
    kept.get("b", Model, size)
    assert gone() is None


def test_a_size_that_is_known_makes_room_before_the_load() -> None:
    kept, there = Keeper(10), list[list[str]]()

    def load() -> Model:
        there.append(kept.names)
        return Model()

    for name in ("a", "b", "a"):
        kept.get(name, load, size)
    assert there == [[], ["a"], []], "of b nobody knows yet; a comes the second time"


def test_a_model_above_the_whole_budget_is_kept_alone() -> None:
    kept, loads = Keeper(15), list[str]()
    use(kept, loads, "a")
    kept.get("big", counted(loads, "big"), lambda _: 100)
    assert kept.names == ["big"]
    kept.get("big", counted(loads, "big"), lambda _: 100)
    assert loads == ["a", "big"]


def test_no_memory_for_a_load_lets_the_others_go_and_tries_once_more() -> None:
    kept, gone = Keeper(None), list[weakref.ref[Model]]()
    gone.append(weakref.ref(kept.get("a", Model, size)))

    def load() -> Model:
        if gone[0]() is not None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return Model()

    kept.get("b", load, size)
    assert kept.names == ["b"]


def test_a_load_that_never_fits_or_fails_is_an_error_and_is_not_kept() -> None:
    kept = Keeper(None)

    def fail(error: Exception) -> Any:
        def load() -> Model:
            raise error

        return load

    for error in (torch.OutOfMemoryError("CUDA out of memory"), OSError("no such file")):
        with pytest.raises(type(error)):
            kept.get("b", fail(error), size)
    assert kept.names == []
    kept.get("b", Model, size)
    assert kept.names == ["b"]


def test_threads_that_want_the_same_wait_for_one_load() -> None:
    kept, loads, together = Keeper(None), list[str](), threading.Barrier(4)

    def ask(_: int) -> Model:
        together.wait(10)
        return kept.get("a", counted(loads, "a"), size)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert loads == ["a"]


def test_one_load_does_not_hold_up_another_models_users() -> None:
    kept, begun, end = Keeper(None), threading.Event(), threading.Event()

    def slow() -> Model:
        begun.set()
        assert end.wait(10)
        return Model()

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(kept.get, "slow", slow, size)
        assert begun.wait(10)
        kept.get("quick", Model, size)
        end.set()
        loading.result(10)
    assert kept.names == ["quick", "slow"]


def test_a_load_that_fails_lets_the_next_thread_try() -> None:
    kept, begun, end = Keeper(None), threading.Event(), threading.Event()

    def fails() -> Model:
        begun.set()
        assert end.wait(10)
        raise OSError("no such file")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "a", fails, size)
        assert begun.wait(10)
        second = pool.submit(kept.get, "a", Model, size)
        end.set()
        with pytest.raises(OSError, match="no such file"):
            first.result(10)
        assert isinstance(second.result(10), Model)


def test_a_load_that_asks_for_itself_is_told_so() -> None:
    kept = Keeper(None)
    with pytest.raises(RuntimeError, match="asks for a itself"):
        kept.get("a", lambda: kept.get("a", Model, size), size)


def test_evict_and_clear() -> None:
    kept, loads = Keeper(None), list[str]()
    use(kept, loads, "a", "b", "c")
    kept.evict("b")
    kept.evict("never there")
    assert kept.names == ["a", "c"]
    kept.clear()
    assert (kept.names, kept.kept_bytes) == ([], 0)


def test_bytes_of_a_model_are_its_parameters_and_buffers() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 5, bias=False), torch.nn.BatchNorm1d(5)).half()
    # Weights 15, scale and shift 5 each, running mean and variance 5 each, in 2 bytes; one int64 counter.
    assert model_bytes(model) == 2 * (15 + 4 * 5) + 8
    tied = torch.nn.Linear(5, 3, bias=False)
    other = torch.nn.Linear(5, 3, bias=False)
    other.weight = tied.weight
    assert model_bytes(torch.nn.ModuleList([tied, other])) == 4 * 15


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    metrics.start(reader)
    yield reader
    metrics.stop()


def test_loads_hits_evictions_and_bytes_are_measured(reader: InMemoryMetricReader) -> None:
    use(Keeper(10), [], "a", "a", "a", "b")
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, *sorted(dict(point.attributes or {}).values())): point
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    values = {key: point.value for key, point in found.items() if hasattr(point, "value")}
    assert values == {
        ("strefer.model.uses", "a", "load"): 1,
        ("strefer.model.uses", "a", "hit"): 2,
        ("strefer.model.uses", "b", "load"): 1,
        ("strefer.model.evictions", "a"): 1,
        ("strefer.model.kept", "a"): 0,
        ("strefer.model.kept", "b"): 10,
    }
    assert found["strefer.model.load.duration", "a"].count == 1


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setattr("strefer_core.warm.keeper._of_process", {})
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def _is_there(names: Any) -> None:
    names.send(keeper().names)


def test_a_process_has_one_keeper_and_its_child_another(fresh: pytest.MonkeyPatch) -> None:
    keeper().get("a", Model, size)
    assert keeper() is keeper()
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_is_there, args=(theirs,))
    child.start()
    assert ours.recv() == []
    child.join(10)
    assert keeper().names == ["a"]


def test_the_budget_comes_from_the_settings_or_the_device(fresh: pytest.MonkeyPatch) -> None:
    assert keeper().budget_bytes is None, "a CPU has no limit of its own"
    fresh.setenv("STREFER_MODELS__DEVICE_SHARE", "0.25")
    fresh.setattr(torch.cuda, "is_available", lambda: True)
    fresh.setattr(torch.cuda, "current_device", lambda: 0)
    device = type("Device", (), {"total_memory": 80_000})
    fresh.setattr(torch.cuda, "get_device_properties", lambda _: device)
    fresh.setattr("strefer_core.warm.keeper._of_process", {})
    settings.cache_clear()
    assert keeper().budget_bytes == 20_000
    fresh.setenv("STREFER_MODELS__BUDGET_BYTES", "123")
    fresh.setattr("strefer_core.warm.keeper._of_process", {})
    settings.cache_clear()
    assert keeper().budget_bytes == 123


def test_the_devices_own_cache_is_emptied_after_an_eviction(fresh: pytest.MonkeyPatch) -> None:
    emptied: list[int] = []
    fresh.setattr(torch.cuda, "is_available", lambda: True)
    kept = Keeper(10)
    watched = weakref.ref(kept.get("a", Model, size))
    fresh.setattr(torch.cuda, "empty_cache", lambda: emptied.append(watched() is None))
    kept.get("b", Model, size)
    assert emptied == [True], "after the model is gone, or nothing would be given back"
    gc.collect()
