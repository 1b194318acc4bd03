"""Which errors cost a process its GPU, and what a stage run makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from strefer_core.errors import BackendError, ProcessPoisoned
from strefer_core.pipeline import STAGES, PipelineConfig, StageRequest, run_stage
from strefer_core.store.ledger import FolderLedger
from strefer_core.store.objects import FolderObjects
from strefer_core.warm.poison import is_poisoned

HINT = "\nCUDA kernel errors might be asynchronously reported at some other API call"


def never() -> bool:
    pytest.fail("the device was asked")


def coded(code: int) -> Exception:
    error = torch.AcceleratorError("CUDA error: something new" + HINT)
    error.error_code = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: device-side assert triggered" + HINT),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered" + HINT),
        torch.AcceleratorError("CUDA error: unspecified launch failure" + HINT),
        torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered" + HINT),
        RuntimeError("CUDA error: misaligned address"),  # older versions of PyTorch have no class for it
        coded(710),
        coded(214),
    ],
    ids=str,
)
def test_errors_that_stay_are_believed(error: Exception) -> None:
    assert is_poisoned(error, never)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("an illegal memory access was encountered"),  # not of the device
        ValueError("CUDA error: device-side assert triggered"),  # somebody's words
        OSError("model.safetensors: unknown error"),
    ],
    ids=str,
)
def test_errors_that_do_not_stay_are_ordinary_failures(error: Exception) -> None:
    assert not is_poisoned(error, never)


@pytest.mark.parametrize("can_compute", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: invalid configuration argument" + HINT),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
    ids=str,
)
def test_of_other_errors_of_the_device_it_is_asked(error: Exception, can_compute: bool) -> None:
    assert is_poisoned(error, lambda: can_compute) is not can_compute


def wrapped(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except Exception as error:
            raise BackendError("the detector gave no answer") from error
    except BackendError as error:
        return error


def test_an_error_behind_another_counts() -> None:
    assert is_poisoned(wrapped(torch.AcceleratorError("CUDA error: device-side assert triggered")), never)
    assert not is_poisoned(wrapped(ValueError("no boxes")), never)


def test_errors_that_go_round_in_a_circle_end() -> None:
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    assert not is_poisoned(error, never)


class Bench:
    """The stage `videos`, whose function raises what a test wants."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.ledger, self.folder, self.patch, self.calls = FolderLedger(folder / "runs"), folder, patch, 0
        self.request = StageRequest.make("a" * 16, "videos", PipelineConfig())

    def run(self, error: Exception) -> str:
        def function(_: object) -> None:
            self.calls += 1
            raise error

        self.patch.setitem(vars(STAGES["videos"]), "run", function)
        return run_stage(
            self.request,
            ledger=self.ledger,
            blobs=FolderObjects(self.folder / "objects"),
            fetch_video=lambda video_id: self.folder / video_id,
            max_attempts=2,
        ).status


def test_a_video_that_costs_every_process_its_gpu_fails_after_all_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    poison = wrapped(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    for attempt in (1, 2):  # the caller would start a new process between them
        with pytest.raises(ProcessPoisoned, match="lost its GPU"):
            bench.run(poison)
        run = bench.ledger.find("a" * 16, "videos", bench.request.fingerprint)
        assert run is not None
        assert (run.status, run.attempts) == ("running", attempt)
        assert bench.calls == attempt, "no second try in a process that cannot compute"
    assert bench.run(poison) == "failed"
    run = bench.ledger.find("a" * 16, "videos", bench.request.fingerprint)
    assert run is not None
    assert (run.error_class, run.attempts, bench.calls) == ("WorkerLost", 3, 2)
    assert "did not end in 2 attempts" in str(run.reason)


def test_memory_that_ends_is_the_videos_own_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch)
    assert bench.run(torch.OutOfMemoryError("CUDA out of memory")) == "failed"
    run = bench.ledger.find("a" * 16, "videos", bench.request.fingerprint)
    assert run is not None
    assert (run.error_class, run.is_retryable) == ("OutOfMemoryError", True)
