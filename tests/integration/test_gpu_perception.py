"""The gpu perception on the embedded stack, from the command line, with tiny random models.

A stack of its own: what it sees with is in the environment that it is started in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from strefer_core import local
from strefer_core.config import PipelineConfig, settings
from strefer_core.ingest import video_id_of
from strefer_core.perception import chosen
from strefer_core.pipeline import STAGES, fingerprints
from tests.integration import scenes
from tests.integration.platform_drops import rows

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

SETTINGS = {
    "STREFER_DEVICE": "cpu",
    "STREFER_PIPELINE__MASKLETS__MAX_ANCHORS": "1",
    "STREFER_PIPELINE__MASKLETS__MIN_MATCH": "0",  # random weights: whatever is seen is matched with somebody
}


@pytest.fixture
def home(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    find_processes: Callable[[Path], list[psutil.Process]],
) -> Iterator[Path]:
    """The state folder of another stack, with nothing of the session's stack in the environment."""
    folder = tmp_path_factory.mktemp("gpu-stack")
    for name in [name for name in os.environ if name.startswith("STREFER_")]:
        monkeypatch.delenv(name)
    for name, value in (SETTINGS | {"STREFER_HOME": str(folder)}).items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield folder
    local.down(folder)
    settings.cache_clear()
    assert not find_processes(folder)


def test_a_drop_goes_through_the_stack_with_neural_models(home: Path, tiny: Path, tmp_path: Path) -> None:
    good = [scenes.write_scene(tmp_path / f"good-{seed}.mp4", seed) for seed in (1, 2)]
    (tmp_path / "bad.mp4").write_bytes(b"")
    command = [sys.executable, "-c", "from strefer_core.cli import main; main()"]
    options = ["demo", "--videos", tmp_path, "--perception", "gpu", "--models", tiny, "--keep"]
    done = subprocess.run([*command, *map(str, options)], capture_output=True, text=True, check=False)
    assert (home / "stack.env").exists(), f"the stack did not start: {done.stdout}\n{done.stderr}"
    settings.cache_clear()  # it has written where it is
    found = rows("select video_id, stage, status, reason, fingerprint from stage_runs")
    said = f"{done.stdout}\n{done.stderr}\n{found}"
    states = {(run["video_id"], run["stage"]): run["status"] for run in found}
    assert states.pop((video_id_of(tmp_path / "bad.mp4"), "videos")) == "failed", said
    ids = [video_id_of(path) for path in good]
    assert states == {(video_id, stage): "done" for video_id in ids for stage in STAGES}, said
    expected = fingerprints(ids[0], chosen(settings().pipeline, "gpu", tiny))
    assert {run["stage"]: run["fingerprint"] for run in found if run["video_id"] == ids[0]} == expected
    assert expected["masklets"] != fingerprints(ids[0], PipelineConfig())["masklets"]
    assert done.returncode == 0, said
