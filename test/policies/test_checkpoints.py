from __future__ import annotations

import hashlib
import json
import pickle

import pytest
import yaml

torch = pytest.importorskip("torch")

from selfgrasp_nodes.errors import InvalidConfig, StorageError  # noqa: E402
from selfgrasp_nodes.policies.checkpoints import (  # noqa: E402
    Card,
    GripperCard,
    load_checkpoint,
    save_checkpoint,
    versions,
)
from selfgrasp_nodes.policies.patch.judge import input_card, load_judge  # noqa: E402
from selfgrasp_nodes.policies.patch.networks import make_network  # noqa: E402
from selfgrasp_nodes.robots import load_robot  # noqa: E402
from selfgrasp_nodes.robots.patch import PatchGeometry  # noqa: E402

NETWORK = {"name": "polar", "widths": [8, 8, 16, 16], "rings": 16}


@pytest.fixture
def gripper(robot):
    return robot.arms[0].gripper


@pytest.fixture
def saved(tmp_path, gripper):
    torch.manual_seed(0)
    network = make_network(**NETWORK)
    card = Card(
        policy="patch",
        network={**NETWORK, "members": 1},
        input=input_card(PatchGeometry.of(gripper), 32),
        gripper=GripperCard.of(gripper),
        robot="ur5_rg2",
        views=("overhead",),
        versions=versions(),
    )
    path = tmp_path / "net"
    card = save_checkpoint(path, card, {f"0.{k}": v for k, v in network.state_dict().items()})
    return path, card, network


def test_it_comes_back_as_it_was(saved, gripper) -> None:
    path, card, network = saved
    for given in (path, path.with_suffix(".yaml"), path.with_suffix(".safetensors")):
        loaded = load_checkpoint(given, digest=card.sha256, policy="patch", gripper=gripper)
        assert loaded.card == card and len(card.sha256) == 64
        for name, tensor in network.state_dict().items():
            assert torch.equal(loaded.weights[f"0.{name}"], tensor)
    assert card.gripper.strokes == (gripper.width_min, gripper.width_max)
    assert not list(path.parent.glob(".*"))  # no half-written file


def test_a_wrong_digest_is_refused(saved) -> None:
    path, _card, _ = saved
    with pytest.raises(StorageError, match="the caller says"):
        load_checkpoint(path, digest="0" * 64)
    weights = path.with_suffix(".safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(StorageError, match="its card says"):
        load_checkpoint(path)
    weights.write_bytes(bytes(data[:-40]))
    with pytest.raises(StorageError):
        load_checkpoint(path)


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_a_pickle_is_refused_and_never_run(saved, form, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, _, _ = saved
    weights = path.with_suffix(".safetensors")
    if form == "pickle":
        weights.write_bytes(pickle.dumps(_Bomb()))
    else:
        torch.save({"a": _Bomb()}, weights)
    with pytest.raises(StorageError, match="pickled"):
        load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("begin", [b"\x80\x05", b"PK"])
def test_safetensors_that_begin_like_a_pickle_are_read(begin, saved, tmp_path) -> None:
    """The first bytes are the length of the header: here just that of a pickle's or a zip's."""
    length = int.from_bytes(begin, "little")
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"a": tensor}).encode().ljust(length)
    data = length.to_bytes(8, "little") + header + b"\0\0\x80\x3f"
    assert data.startswith(begin)
    path, _, _ = saved
    path.with_suffix(".safetensors").write_bytes(data)
    card = path.with_suffix(".yaml")
    content = yaml.safe_load(card.read_text())
    content["sha256"] = hashlib.sha256(data).hexdigest()
    card.write_text(yaml.safe_dump(content))
    assert load_checkpoint(path).weights["a"] == 1.0


def test_a_card_cannot_carry_code(saved, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, _, _ = saved
    path.with_suffix(".yaml").write_text("!!python/object/apply:builtins.open ['exploded', 'w']")
    with pytest.raises(InvalidConfig):
        load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_another_gripper_policy_or_geometry_is_refused(saved, gripper) -> None:
    path, _, _ = saved
    electric = load_robot("baxter").arms[0].gripper
    with pytest.raises(InvalidConfig, match=r"'rg2'.*'electric'.*strokes"):
        load_checkpoint(path, gripper=electric)
    with pytest.raises(InvalidConfig, match="policy 'patch'"):
        load_checkpoint(path, policy="vpg")
    file = path.with_suffix(".yaml")
    content = yaml.safe_load(file.read_text())
    content["input"]["patch_side"] *= 1.2
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(InvalidConfig, match="geometry"):
        load_judge(path, gripper)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"format": 99}, "format"),
        ({"colour": 1}, "colour"),
        ({"network": {"name": "polar", "widths": [8, 8, 8, 8]}}, "do not fit"),
        ({"network": {"name": "resnet"}}, "resnet"),
        ({"input": {"pixels": 64}}, "patch_side"),
    ],
)
def test_a_wrong_card_says_what_is_wrong(saved, gripper, change, message) -> None:
    path, _, _ = saved
    file = path.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **change}))
    with pytest.raises(Exception, match=message) as caught:
        load_judge(path, gripper)
    assert "selfgrasp" in type(caught.value).__module__


def test_a_missing_part_is_named(saved) -> None:
    path, _, _ = saved
    with pytest.raises(StorageError, match="no checkpoint"):
        load_checkpoint(path.parent / "other")
    path.with_suffix(".yaml").unlink()
    with pytest.raises(StorageError, match="no card"):
        load_checkpoint(path)
