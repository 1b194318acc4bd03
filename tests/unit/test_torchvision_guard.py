"""The guard, in child processes: what a broken import leaves behind stays out of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MISFIT = "raise RuntimeError('operator torchvision::nms does not exist')\n"


def torchvision(folder: Path, code: str) -> Path:
    """A folder to import from, with a torchvision that pip would say is installed."""
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(code)
    (folder / "torchvision-0.28.0.dist-info").mkdir()
    (folder / "torchvision-0.28.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n"
    )
    return folder


COMMANDS = {
    "run": ["run", "videos", "--out", "out"],
    "probe": ["probe", "--videos", "1"],
    "eval": ["eval", "model", "--bench", "world", "--out", "out"],
    "train": ["train", "--dataset", "data", "--out", "out"],
    "ablate": ["ablate", "groups", "--dataset", "data", "--bench", "bench", "--out", "out"],
    "doctor": ["doctor", "--json"],
    "config": ["config", "--json"],
}
CALL_EACH = """
import json, sys
from click.testing import CliRunner
from strefer_core.cli import main
done = {name: CliRunner().invoke(main, call) for name, call in json.loads(sys.argv[1]).items()}
print(json.dumps({n: [r.exit_code, r.stdout, r.stderr] for n, r in done.items()}))
"""
CELERY = "import sys; from celery.__main__ import main; sys.exit(main())"


def child(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "STREFER_HOME": str(folder / "home"),
        "STREFER_BROKER_URL": "memory://",
    }
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)


def is_named(text: str) -> bool:
    told = ("torchvision 0.28.0 is installed but cannot be imported", "nms", "pip uninstall torchvision")
    return all(part in text for part in told)


def test_every_command_that_loads_models_names_the_misfit(tmp_path: Path) -> None:
    done = json.loads(child(torchvision(tmp_path, MISFIT), CALL_EACH, json.dumps(COMMANDS)).stdout)
    for name in ("run", "probe", "eval", "train", "ablate"):
        code, _, said = done[name]
        assert (code, is_named(said)) == (2, True), name
    assert done["config"][0] == 0, "it loads no model"
    code, findings, _ = done["doctor"]
    (finding,) = [f for f in json.loads(findings) if f["check"] == "torchvision"]
    assert (code, finding["state"], is_named(finding["detail"])) == (1, "broken", True)


def test_a_worker_does_not_start_beside_it(tmp_path: Path) -> None:
    worker = ("-A", "strefer_core.worker", "worker", "-P", "solo", "-Q", "gpu")
    done = child(torchvision(tmp_path, MISFIT), CELERY, *worker)
    assert done.returncode != 0
    assert is_named(done.stderr)
    assert "Traceback" not in done.stderr


def test_one_that_can_be_imported_is_no_misfit(tmp_path: Path) -> None:
    calls = {"run": ["run", "no-such-folder", "--out", "out"]}
    done = json.loads(child(torchvision(tmp_path, ""), CALL_EACH, json.dumps(calls)).stdout)
    code, _, said = done["run"]
    assert (code, "no-such-folder" in said) == (2, True)
