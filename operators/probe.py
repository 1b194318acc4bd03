"""`ProbeOperator`: the masklet cascades measured against known truth, figures stored; and the gate after it.

The probe runs in a process of its own, the very command `strefer probe`: the task imports nothing heavy,
killing the task ends the work, and whoever sees a bad figure can run the same line by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from strefer_core import __version__
from strefer_core.config import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from strefer_core.store.catalog import Probe

GATED = "strefer", "j_and_f"
_WRONG_CALL = 2  # exit code of `strefer`: another try would end the same


class ProbeOperator(BaseOperator):
    """Run `strefer probe` and write what it found to `probes` and `probe_figures`.

    A retry or a clear of the same run writes over its own rows. Where single videos failed the probe is
    stored with their reasons; the gate decides what that means.

    Args:
        seed: of the world; may be a template, as the others.
        videos: how many to render.
        perception: "world-noisy", "world-exact" or "classical".
        knobs: "plan", "default", "none" or names of knobs with commas between.
        noise: error rates that differ from the defaults, for world-noisy.
        jobs: processes; one leaves the machine to the workers.

    Returns:
        `{probe_id, videos, failed, j_and_f}`; the last is of the cascade `strefer`.
    """

    template_fields: Sequence[str] = ("seed", "videos", "perception", "knobs", "noise")
    ui_color = "#e8f2e0"

    def __init__(
        self,
        *,
        seed: int | str = 7,
        videos: int | str = 24,
        perception: str = "world-noisy",
        knobs: str = "plan",
        noise: str = "",
        jobs: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.videos = videos
        self.perception = perception
        self.knobs = knobs
        self.noise = noise
        self.jobs = jobs
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Probe, store, and hand the figure that is gated on."""
        from strefer_core import worker
        from strefer_core.store.probes import figures_of

        arguments = self.arguments()
        started_at = datetime.now(UTC)
        report = self._probe(arguments)
        probe = stored(report, probe_id(context["ti"], arguments), started_at, self.knobs)
        worker.catalog().record_probe(probe, list(figures_of(report)))
        for failure in report["failed"]:
            self.log.error("%s failed: %s", failure["video"], failure["reason"])
        cascade, metric = GATED
        found = report["cascades"].get(cascade, {}).get(metric)
        self.log.info("probe=%s videos=%d j_and_f=%s", probe.probe_id, probe.videos, found)
        return {
            "probe_id": probe.probe_id,
            "videos": probe.videos,
            "failed": report["failed"],
            "j_and_f": found,
        }

    def arguments(self) -> list[str]:
        """What follows `strefer probe`."""
        given = {
            "--seed": self.seed,
            "--videos": self.videos,
            "--perception": self.perception,
            "--knobs": self.knobs,
            "--noise": self.noise,
        }
        return [word for name, value in given.items() if str(value) for word in (name, str(value))]

    def _probe(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Raises AirflowFailException where a retry cannot help, AirflowException where it can."""
        if find_spec("cv2") is None:
            raise AirflowFailException(
                "a probe decodes video: install strefer[video] where this task runs, or give the task an "
                "executor or queue whose workers have it"
            )
        command = [sys.executable, "-m", "strefer_core.probe", *arguments, f"--jobs={self.jobs}", "--json"]
        self.log.info("running %s", " ".join(command))
        with TemporaryDirectory(prefix="strefer-probe-") as folder:  # what a killed probe leaves goes with it
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env={**os.environ, "TMPDIR": folder},
            )
            printed, said = self._process.communicate()
        code = self._process.returncode
        try:
            report: dict[str, Any] = json.loads(printed)
        except ValueError:
            kind = AirflowFailException if code == _WRONG_CALL else AirflowException
            raise kind(f"the probe ended with exit code {code}: {_last_line(said)}") from None
        return report

    def on_kill(self) -> None:
        """End the probe with its task."""
        if self._process and self._process.poll() is None:
            self._process.terminate()


def probe_id(ti: Any, arguments: Sequence[str]) -> str:
    """The same for every try of one task of one run with these arguments."""
    name = json.dumps([ti.dag_id, ti.run_id, ti.task_id, ti.map_index, list(arguments)])
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def stored(report: Mapping[str, Any], identity: str, started_at: datetime, knobs: str) -> Probe:
    """The row of `probes` for what `strefer probe --json` printed."""
    from strefer_core.store.catalog import Probe

    return Probe(
        probe_id=identity,
        started_at=started_at,
        version=__version__,
        seed=report["seed"],
        perception=report["perception"],
        knobs=knobs,
        noise=report["noise"],
        config=settings().pipeline.masklets.model_dump(mode="json"),
        videos=report["videos"],
        entities=report["entities"],
        failed=report["failed"],
    )


@task(trigger_rule=TriggerRule.ALL_DONE)
def gate(found: dict[str, Any] | None) -> float:
    """The run's only leaf: fails where the probe did, where a video did, or below the bar; returns J&F."""
    context: Any = get_current_context()
    bar = float(context["params"]["min_j_and_f"])
    if not found:
        raise AirflowFailException("the probe failed; its log says why")
    if failed := found["failed"]:
        reasons = "; ".join(f"{one['video']}: {one['reason']}" for one in failed[:5])
        raise AirflowFailException(f"{len(failed)} videos of probe {found['probe_id']} failed: {reasons}")
    j_and_f: float | None = found["j_and_f"]
    if j_and_f is None or j_and_f < bar:
        raise AirflowFailException(
            f"J&F of the cascade `strefer` is {'unknown' if j_and_f is None else f'{j_and_f:.3f}'}, the bar "
            f"is {bar:g}: compare it with earlier probes in the view `probe_history`, and look at the worst "
            "cases with `strefer probe --out`"
        )
    return j_and_f


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
