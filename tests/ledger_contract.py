"""What every ledger must do: test classes derive from it and say which ledger (`ledger`, and how another
process opens the same one: `opener`, an expression)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Protocol

import pytest

from strefer_core import data_model as dm
from strefer_core.pipeline import Ledger
from tests import sample_results as sample

KEY = (sample.VIDEO_ID, "clips", sample.CHAIN["clips"])

HOLDER = """
import sys, time
from pathlib import Path
from strefer_core.store.catalog import Catalog
from strefer_core.store.ledger import FolderLedger
with {opener}.lock(*sys.argv[1:]) as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""


class SomeLedger(Ledger, Protocol):
    def set_filtered(self, video_id: str, stage: str, fingerprint: str, reason: str) -> None: ...
    def calls(self, video_id: str, stage: str, fingerprint: str) -> list[dm.ModelCall]: ...


def hold_elsewhere(opener: str) -> subprocess.Popen[str]:
    """Another process that takes the lock, says whether it got it, and keeps it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(opener=opener), *KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def close(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=20)


class LedgerContract:
    def test_what_was_never_begun_is_not_found(self, ledger: SomeLedger) -> None:
        assert ledger.find(*KEY) is None

    def test_a_start_is_found_as_running(self, ledger: SomeLedger) -> None:
        assert ledger.start(*KEY) == 1
        assert ledger.find(*KEY) == dm.StageRun(
            video_id=KEY[0], stage=KEY[1], fingerprint=KEY[2], status="running", attempts=1
        )

    @pytest.mark.parametrize(
        "run",
        [
            sample.done("clips"),
            sample.failed("clips"),
            sample.failed("clips", is_retryable=True),
            dm.StageRun(
                video_id=KEY[0], stage=KEY[1], fingerprint=KEY[2], status="filtered", reason="too dark"
            ),
        ],
        ids=["done", "failed", "retryable", "filtered"],
    )
    def test_an_outcome_is_found_as_it_was_written(self, ledger: SomeLedger, run: dm.StageRun) -> None:
        ledger.start(*KEY)
        ledger.finish(run, sample.RESULTS["clips"] if run.status == "done" else None)
        ledger.finish(run, sample.RESULTS["clips"] if run.status == "done" else None)
        assert ledger.find(*KEY) == run

    def test_starts_of_dead_processes_are_counted(self, ledger: SomeLedger) -> None:
        assert [ledger.start(*KEY) for _ in range(3)] == [1, 2, 3]

    def test_a_run_that_waits_keeps_its_number_and_its_calls(self, ledger: SomeLedger) -> None:
        waits = dm.StageRun(
            video_id=KEY[0], stage=KEY[1], fingerprint=KEY[2], status="running", reason="the server is away"
        )
        for _ in range(2):
            assert ledger.start(*KEY) == 1
            ledger.postpone(waits, [sample.call("unanswered", "failed")])
            found = ledger.find(*KEY)
            assert found is not None
            assert (found.status, found.reason, found.attempts) == ("running", "the server is away", 1)
        assert ledger.start(*KEY) == 1
        assert ledger.start(*KEY) == 2, "a process died after the wait"
        assert ledger.calls(*KEY) == [sample.call("unanswered", "failed")]

    def test_a_verdict_that_came_before_a_run_waits_stays(self, ledger: SomeLedger) -> None:
        ledger.start(*KEY)
        ledger.set_filtered(*KEY, "near-duplicate of x")
        ledger.postpone(
            dm.StageRun(video_id=KEY[0], stage=KEY[1], fingerprint=KEY[2], status="running", reason="away")
        )
        run = ledger.find(*KEY)
        assert run is not None
        assert (run.status, run.reason) == ("filtered", "near-duplicate of x")

    def test_a_settled_run_gets_a_new_budget_of_attempts(self, ledger: SomeLedger) -> None:
        ledger.start(*KEY)
        ledger.start(*KEY)
        ledger.finish(sample.failed("clips", is_retryable=True), None)
        assert [ledger.start(*KEY) for _ in range(2)] == [1, 2]

    def test_a_start_forgets_the_outcome_before_it(self, ledger: SomeLedger) -> None:
        ledger.finish(sample.failed("clips", is_retryable=True), None)
        ledger.start(*KEY)
        run = ledger.find(*KEY)
        assert run is not None
        assert (run.status, run.reason, run.error_class, run.is_retryable) == ("running", None, None, False)

    def test_fingerprints_stand_side_by_side(self, ledger: SomeLedger) -> None:
        ledger.finish(sample.done("clips"), sample.RESULTS["clips"])
        other = sample.done("clips", fingerprint="f" * 32)
        ledger.finish(other, sample.clips(name="other"))
        assert ledger.find(*KEY) == sample.done("clips")
        assert ledger.find(KEY[0], "clips", "f" * 32) == other

    def test_a_done_run_can_be_filtered_and_keeps_its_document(self, ledger: SomeLedger) -> None:
        ledger.finish(sample.done("clips"), sample.RESULTS["clips"])
        ledger.set_filtered(*KEY, "near-duplicate of x")
        run = ledger.find(*KEY)
        assert run is not None
        assert (run.status, run.reason) == ("filtered", "near-duplicate of x")
        assert run.result_key == sample.done("clips").result_key

    def test_calls_are_kept_with_their_run(self, ledger: SomeLedger) -> None:
        """Of every run, however it ended; written twice, a call is one call."""
        bad, good = sample.call("bad", "rejected", raw_text=sample.NASTY), sample.call("good")
        ledger.start(*KEY)
        ledger.finish(sample.failed("clips", is_retryable=True), None, [bad])
        ledger.start(*KEY)
        for _ in range(2):
            ledger.finish(sample.done("clips"), sample.RESULTS["clips"], [good])
        ledger.set_filtered(*KEY, "near-duplicate of x")
        assert ledger.calls(*KEY) == [bad, good]
        assert ledger.calls(KEY[0], "clips", "f" * 32) == []
        run = ledger.find(*KEY)
        assert run is not None
        assert run.status == "filtered"

    def test_a_call_may_know_next_to_nothing(self, ledger: SomeLedger) -> None:
        call = sample.call(
            "cut off", "failed", raw_text=None, prompt_tokens=None, completion_tokens=None, cost=None
        )
        ledger.start(*KEY)
        ledger.finish(sample.failed("clips"), None, [call])
        assert ledger.calls(*KEY) == [call]

    def test_a_lock_has_one_holder_at_a_time(self, ledger: SomeLedger) -> None:
        with ledger.lock(*KEY) as first, ledger.lock(*KEY) as second:
            assert (first, second) == (True, False)
            with ledger.lock(KEY[0], "entities", sample.CHAIN["entities"]) as other:
                assert other
        with ledger.lock(*KEY) as again:
            assert again

    def test_a_lock_is_given_back_after_an_error(self, ledger: SomeLedger) -> None:
        with pytest.raises(ZeroDivisionError), ledger.lock(*KEY):
            _ = 1 / 0
        with ledger.lock(*KEY) as again:
            assert again

    def test_of_two_processes_one_gets_the_lock(self, ledger: SomeLedger, opener: str) -> None:
        racers = [hold_elsewhere(opener), hold_elsewhere(opener)]
        try:
            assert sorted(said(racer) for racer in racers) == ["False", "True"]
            with ledger.lock(*KEY) as mine:
                assert not mine
        finally:
            for racer in racers:
                close(racer)
        with ledger.lock(*KEY) as mine:
            assert mine

    def test_the_lock_of_a_killed_process_is_free(self, ledger: SomeLedger, opener: str) -> None:
        holder = hold_elsewhere(opener)
        assert said(holder) == "True"
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
        deadline = time.monotonic() + 10
        is_free = False
        while not is_free and time.monotonic() < deadline:
            with ledger.lock(*KEY) as is_free:
                pass
            time.sleep(0.02)
        assert is_free
