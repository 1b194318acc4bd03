"""ProbeOperator and its gate without servers: what is run, what is stored, what ends the task."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from operators import probe as module
from operators.probe import ProbeOperator, gate, probe_id
from strefer_core import worker
from strefer_core.store.catalog import Probe, ProbeFigure

TI = SimpleNamespace(dag_id="probe_masklets", run_id="weekly", task_id="probe", map_index=-1, try_number=1)


class FakeCatalog:
    """Keeps what is recorded, by probe."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Probe, list[ProbeFigure]]] = {}

    def record_probe(self, probe: Probe, figures: Sequence[ProbeFigure]) -> None:
        self.kept[probe.probe_id] = probe, list(figures)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> FakeCatalog:
    fake = FakeCatalog()
    monkeypatch.setattr(worker, "catalog", lambda: fake)
    return fake


def operator(**changes: Any) -> ProbeOperator:
    plain = {"task_id": "probe", "seed": 3, "videos": 1, "perception": "world-exact", "knobs": "default"}
    return ProbeOperator(**{**plain, **changes})


def run(one: ProbeOperator, **ti: Any) -> dict[str, Any]:
    return one.execute({"ti": SimpleNamespace(**{**vars(TI), **ti})})  # type: ignore[typeddict-item]


def interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Let the operator run `code` in place of the probe."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\n{code}")
    script.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(script))


def test_a_probe_is_run_and_stored_once_per_run(catalog: FakeCatalog) -> None:
    found = run(operator())
    assert found == run(operator(), try_number=2)
    ((identity, (probe, figures)),) = catalog.kept.items()
    assert found["probe_id"] == identity == probe.probe_id
    assert (probe.seed, probe.perception, probe.knobs, probe.videos) == (3, "world-exact", "default", 1)
    assert probe.started_at.tzinfo is not None
    assert probe.config["cascade"] == "strefer"
    assert {one.cascade for one in figures} == {"first_frame", "paper", "strefer"}
    (j_and_f,) = (
        one.value for one in figures if (one.cascade, one.knob, one.metric) == ("strefer", "all", "j_and_f")
    )
    assert found["j_and_f"] == j_and_f > 0.5
    assert found["failed"] == []


def test_a_probe_id_tells_runs_and_parameters_apart() -> None:
    ids = {
        probe_id(TI, ["--videos", "24"]),
        probe_id(TI, ["--videos", "25"]),
        probe_id(SimpleNamespace(**{**vars(TI), "run_id": "next"}), ["--videos", "24"]),
    }
    assert len(ids) == 3
    assert probe_id(SimpleNamespace(**{**vars(TI), "try_number": 2}), ["--videos", "24"]) in ids


def test_what_is_empty_is_not_passed_on() -> None:
    assert "--noise" not in operator(noise="").arguments()
    assert operator(noise="miss=0.2").arguments()[-2:] == ["--noise", "miss=0.2"]


def test_a_wrong_parameter_fails_at_once_and_says_which(catalog: FakeCatalog) -> None:
    with pytest.raises(AirflowFailException, match="no knob 'foggy'"):
        run(operator(knobs="foggy"))
    assert not catalog.kept


def test_a_probe_that_dies_may_be_tried_again(
    catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interpreter(monkeypatch, tmp_path, "import sys; sys.exit('out of memory')")
    with pytest.raises(AirflowException, match="exit code 1: out of memory") as raised:
        run(operator())
    assert not isinstance(raised.value, AirflowFailException)
    assert not catalog.kept


def test_without_the_video_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(AirflowFailException, match=r"strefer\[video\]"):
        run(operator())


def test_killing_the_task_ends_the_probe_and_leaves_nothing(
    catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(rooms))
    code = (
        "import os, pathlib, time\npathlib.Path(os.environ['TMPDIR'], 'half a video').touch()\ntime.sleep(60)"
    )
    interpreter(monkeypatch, tmp_path, code)
    one = operator()
    raised: list[Exception] = []

    def work() -> None:
        try:
            run(one)
        except AirflowException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not list(rooms.glob("*/half a video")):
        time.sleep(0.02)
    one.on_kill()
    thread.join(20)
    assert not thread.is_alive()
    assert "exit code -15" in str(raised[0])
    assert not list(rooms.iterdir())


def judge(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any] | None, bar: float = 0.7) -> float:
    monkeypatch.setattr(module, "get_current_context", lambda: {"params": {"min_j_and_f": bar}})
    return float(gate.function(found))


def measured(j_and_f: float | None, **changes: Any) -> dict[str, Any]:
    return {"probe_id": "p", "videos": 24, "failed": [], "j_and_f": j_and_f, **changes}


def test_the_gate_lets_a_good_probe_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge(monkeypatch, measured(0.7)) == 0.7
    assert judge(monkeypatch, measured(0.71)) == 0.71


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "the probe failed"),
        (measured(0.699), r"J&F .* is 0\.699, the bar is 0\.7"),
        (measured(None), "is unknown"),
        (
            measured(0.9, failed=[{"video": "world-7-03.mp4", "reason": "InputError: no truth"}]),
            "1 videos of probe p failed: world-7-03.mp4: InputError: no truth",
        ),
    ],
)
def test_the_gate_says_why_it_fails(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Any] | None, said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        judge(monkeypatch, found)
