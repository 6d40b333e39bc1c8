"""Collection on a local Ray cluster of two nodes, one of which is killed."""

from __future__ import annotations

import os
import sqlite3
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from selfgrasp_nodes.errors import InvalidConfig, MissingDependency
from selfgrasp_nodes.learning.collect import collect
from selfgrasp_nodes.learning.collect_config import CollectConfig

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")
SETS = "gripper: rg2\nsets:\n  blocks: [{block: cube}, {block: brick}, {block: tile}]\n"
RECIPES = "recipes:\n  ur5_rg2: {objects: [2, 4], tries: 3}\n"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "sets.yaml").write_text(SETS)
    (tmp_path / "recipes.yaml").write_text(RECIPES)
    return CollectConfig(
        "ur5_rg2",
        objects="blocks",
        seed=3,
        recipes=tmp_path / "recipes.yaml",
        sets=tmp_path / "sets.yaml",
    )


def content(path) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        return list(connection.execute('SELECT * FROM tries ORDER BY run, episode, "try"'))


@pytest.fixture
def cluster(monkeypatch):
    from ray.cluster_utils import Cluster

    root = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8},
    )
    yield made
    made.shutdown()


@needs_ray
def test_a_node_is_killed_in_the_middle_and_the_store_is_the_same(
    config, cluster, tmp_path, caplog
):
    import ray

    second = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    tries = 48
    killed = []

    def kill_when_both_work(progress) -> None:
        if killed or progress.episodes < 2:
            return
        # An actor takes its node's only CPU. The second node may be known, and its actor start,
        # long after the first, which gets no further episode before this returns. Both figures
        # come with a delay: they must stand for a while.
        limit, stood = time.monotonic() + 120, 0
        while stood < 20:
            both = ray.cluster_resources().get("CPU") == 2
            stood = stood + 1 if both and not ray.available_resources().get("CPU") else 0
            assert time.monotonic() < limit, f"no second worker: {ray.available_resources()}"
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        killed.append(progress.labelled)

    done = collect(config, tmp_path / "ray.store", tries, 2, cluster.address, kill_when_both_work)
    assert killed and killed[0] < tries <= done.labelled and done.left_out == 0
    assert "a worker of the cluster was lost" in caplog.text
    collect(config, tmp_path / "here.store", tries, 1)
    assert content(tmp_path / "ray.store") == content(tmp_path / "here.store")


def test_no_cluster_says_so(config, tmp_path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InvalidConfig, match="ray start --head"):
        collect(config, tmp_path / "a.store", 3, 1, "auto")


def test_without_ray_it_says_what_to_install(config, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'selfgrasp\[cluster\]"):
        collect(config, tmp_path / "a.store", 3, 1, "auto")
