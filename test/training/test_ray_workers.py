"""Pins `polymorph train --ray`, on a cluster of two nodes on this machine: the same weights as in
one process although a worker is killed while it works, only what is missing is made again, a
mistake is one line.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from polymorph_ros.cli.main import app
from polymorph_ros.errors import PolymorphError
from polymorph_ros.training.config import TrainConfig
from polymorph_ros.training.pipeline import train_bundle

ray_cluster = pytest.importorskip("ray.cluster_utils", reason="Ray is an optional extra")
if True:  # after Ray was found
    from polymorph_ros.training.ray_workers import RayWorkers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
DEADLINE_S = 240.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[ray_cluster.Cluster]:
    two = ray_cluster.Cluster(initialize_head=True, head_node_args=NODE)
    two.add_node(**NODE)
    yield two
    two.shutdown()


@pytest.fixture
def workers(cluster: ray_cluster.Cluster) -> Iterator[RayWorkers]:
    found = RayWorkers(cluster.address, cpus=1)
    yield found
    found.close()


def nothing(*_: object) -> dict[str, float]:
    return {}


def say(_: str) -> None:
    pass


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return {
        f"{file.relative_to(folder)} {name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def kill_a_worker_that_trains(cluster: ray_cluster.Cluster, work: Path) -> int:
    """End without notice a worker that has begun an adapter; the number of its process."""
    raylets = {
        node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()
    }  # fmt: skip
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for pid in busy_children(raylets) if any(work.glob(".adapter-*.part")) else ():
            os.kill(pid, signal.SIGKILL)
            return pid
    raise AssertionError("no worker began an adapter")


def busy_children(parents: set[int]) -> list[int]:
    """Workers of these processes that are in a task: Ray names them after it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in parents and b"ray::_make" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue  # it has ended
    return found


def test_a_cluster_trains_the_same_bundle_although_a_worker_is_killed(
    cluster: ray_cluster.Cluster, workers: RayWorkers, quick_config: TrainConfig, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    train_bundle(quick_config, here / "bundle", here / "work", nothing, say)

    with ThreadPoolExecutor(1) as pool:
        run: Future[object] = pool.submit(
            train_bundle, quick_config, there / "bundle", there / "work", nothing, say,
            workers=workers,
        )  # fmt: skip
        killed = kill_a_worker_that_trains(cluster, there / "work")
        run.result(DEADLINE_S)

    assert killed
    expected, found = weights_of(here / "bundle"), weights_of(there / "bundle")
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, atol=1e-6, rtol=0, err_msg=name)
    assert sorted(p.name for p in (there / "work").iterdir() if p.name != ".lock") == sorted(
        p.name for p in (here / "work").iterdir() if p.name != ".lock"
    )  # shards, locks and attempts are gone

    # Started again with a part missing, it makes that part and leaves the others.
    made = {folder: folder.stat().st_mtime_ns for folder in (there / "work").glob("adapter-*")}
    lost = sorted(made)[1]
    shutil.rmtree(lost)
    train_bundle(quick_config, there / "bundle", there / "work", nothing, say, workers=workers)
    assert weights_of(there / "bundle").keys() == expected.keys()
    kept = {folder: folder.stat().st_mtime_ns for folder in (there / "work").glob("adapter-*")}
    assert kept.keys() == made.keys()
    assert [folder for folder in made if kept[folder] != made[folder]] == [lost]


def test_more_threads_than_a_node_has_is_one_line(cluster: ray_cluster.Cluster) -> None:
    with pytest.raises(
        PolymorphError, match=r"expected a node with 3 core\(s\).*found nodes with 1"
    ):
        RayWorkers(cluster.address, cpus=3)


def test_no_cluster_at_the_address_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text((Path(__file__).parents[2] / "config/rooms_and_streets.yaml").read_text())

    result = CliRunner().invoke(
        app, ["train", str(config), "--out", str(tmp_path / "b"), "--ray", "127.0.0.1:1"]
    )

    assert isinstance(result.exception, PolymorphError)
    assert "expected a Ray cluster" in str(result.exception)
