"""The ledger without a server: the contract, and what is special about files."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from strefer_core.errors import StoreError
from strefer_core.store.ledger import FolderLedger
from tests import sample_results as sample
from tests.ledger_contract import KEY, LedgerContract


@pytest.fixture
def ledger(tmp_path: Path) -> FolderLedger:
    return FolderLedger(tmp_path / "runs")


class TestFolderLedger(LedgerContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> str:
        return f"FolderLedger(Path({str(tmp_path / 'runs')!r}))"

    def test_a_damaged_file_is_named(self, ledger: FolderLedger, tmp_path: Path) -> None:
        ledger.finish(sample.done("clips"), None)
        (file,) = (tmp_path / "runs").rglob("*.json")
        file.write_text("{")
        with pytest.raises(StoreError, match=file.name):
            ledger.find(*KEY)

    def test_nothing_but_states_is_left(self, ledger: FolderLedger, tmp_path: Path) -> None:
        with ledger.lock(*KEY):
            ledger.start(*KEY)
            ledger.finish(sample.done("clips"), None)
        files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
        assert [path.name for path in files] == [f"clips-{KEY[2]}.json"]

    def test_threads_exclude_each_other(self, ledger: FolderLedger) -> None:
        inside, most = 0, 0

        def work() -> None:
            nonlocal inside, most
            for _ in range(50):
                with ledger.lock(*KEY) as is_ours:
                    if is_ours:
                        inside += 1
                        most = max(most, inside)
                        inside -= 1

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (inside, most) == (0, 1)
