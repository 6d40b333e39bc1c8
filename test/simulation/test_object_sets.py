"""Object sets: what ships, and what is refused."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import yaml

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.simulation.object_sets import load_object_set, sets_file

needs_meshes = pytest.mark.skipif(find_spec("pybullet_data") is None, reason="needs pybullet")


def test_the_shipped_sets_are_disjoint_and_leave_the_reserved_meshes_alone() -> None:
    content = yaml.safe_load(sets_file().read_text())["sets"]
    numbers = {s: [e["mesh"] for e in entries if "mesh" in e] for s, entries in content.items()}
    assert {s: len(e) for s, e in content.items()} == {
        "train_base": 75,
        "train_staged": 75,
        "test_novel": 15,
    }
    every = [number for some in numbers.values() for number in some]
    assert len(set(every)) == len(every) and max(every) < 900
    assert not [e for e in content["test_novel"] if "block" in e]


@needs_meshes
def test_the_shipped_sets_load_and_draw() -> None:
    both = load_object_set("train_base+train_staged")
    assert len(both.entries) == 150
    novel = load_object_set("test_novel")
    drawn = novel.draw(np.random.default_rng(3), 10)
    assert len({n for n, _ in drawn}) == 10 and {n for n, _ in drawn} <= {
        e.name for e in novel.entries
    }
    again = novel.draw(np.random.default_rng(3), 10)
    assert drawn == again
    assert len(novel.draw(np.random.default_rng(3), 20)) == 20


@needs_meshes
@pytest.mark.parametrize(
    "entries, message",
    [
        ("[{mesh: 950, sha256: '0123456789abcdef'}]", "mesh 950 is reserved"),
        ("[{mesh: 12, sha256: '0123456789abcdef'}]", "has digest"),
        ("[{mesh: 12}]", "needs sha256"),
        ("[{block: teapot}]", "valid: arch"),
        ("[{block: cube}, {block: cube}]", "one set, once"),
        ("[{block: cube, mesh: 3}]", "either a block or a mesh"),
        ("[]", "is empty"),
    ],
)
def test_a_wrong_set_is_refused(tmp_path, entries: str, message: str) -> None:
    file = tmp_path / "sets.yaml"
    file.write_text(f"gripper: rg2\nsets: {{a: {entries}}}")
    with pytest.raises(InvalidConfig, match=message):
        load_object_set("a", file)


def test_an_object_is_in_one_set_alone(tmp_path) -> None:
    file = tmp_path / "sets.yaml"
    file.write_text("gripper: rg2\nsets: {a: [{block: cube}], b: [{block: cube}]}")
    with pytest.raises(InvalidConfig, match="block/cube"):
        load_object_set("a", file)
    file.write_text("gripper: rg2\nsets: {a: [{block: cube}], b: [{block: tile}]}")
    with pytest.raises(UnknownName, match="valid: a, b"):
        load_object_set("c", file)
