"""Grasps of a store of tries as examples for pixel values.

A stored crop is a camera's view laid onto the plane under the grasp, so that what
stands higher leans away from the camera. Its heights say where each point really
is: the crop is laid out anew as a piece of heightmap, the highest point of a cell
winning, as perception builds one.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.learning.pixelq_learner import Learner, Memory
from selfgrasp_nodes.learning.pixelq_store import PixelTry
from selfgrasp_nodes.policies.pixelq import windows
from selfgrasp_nodes.policies.pixelq.networks import Example
from selfgrasp_nodes.policies.pixelq.state import RESOLUTION
from selfgrasp_nodes.policies.pixelq.window_network import MARGIN, WindowNetwork
from selfgrasp_nodes.robots import RobotSpec, load_robot
from selfgrasp_nodes.trials.store import TrialStore
from selfgrasp_nodes.trials.store_record import StoredTry
from selfgrasp_nodes.types import Primitive


def pretrain(learner: Learner, path: Path, steps: int) -> int:
    """Learn grasps from a store before the first own try.

    Args:
        learner: With network ``window``; its own tries are not touched.
        path: Store of tries by the same gripper, seen by the overhead camera.
        steps: Of learning.

    Returns:
        How many tries were learnt from.

    Raises:
        InvalidConfig: If the network takes no windows, or the store has no grasp
            that can be used.
        StorageError: If the store is missing or damaged.
    """
    network = learner.online.network
    if not isinstance(network, WindowNetwork):
        raise InvalidConfig("pretraining from a store needs network 'window'")
    robot = load_robot(learner.config.robot)
    kept, config = learner.memories, learner.config
    learner.memories = []
    # No try of a store is newer than the others.
    replay = config.replay.model_copy(update={"newest": False, "opposite": False})
    learner.config = config.model_copy(update={"replay": replay})
    with TrialStore.open(path) as store:
        for stored in store.iterate("success IS NOT NULL"):
            if stored.view != robot.camera().name or stored.gripper != robot.arms[0].gripper.name:
                continue
            example = crop_example(stored, network, robot, store.geometry.crop_side)
            learner.memories.append(
                Memory(example, _tried(stored, example), _reward(stored), False)
            )
    if not learner.memories:
        raise InvalidConfig(
            f"{path} holds no grasp of gripper {robot.arms[0].gripper.name!r} that the overhead "
            "camera saw; collect one with 'selfgrasp collect --robot' and that robot"
        )
    done = learner.steps
    for _ in range(steps):
        learner.step()
    learner.steps = done  # these are not owed to own tries
    count = len(learner.memories)
    learner.memories, learner.config = kept, config
    return count


def crop_example(
    stored: StoredTry, network: WindowNetwork, robot: RobotSpec, crop_side: float
) -> Example:
    """A stored grasp as the network is shown it.

    Args:
        stored: The try.
        network: That asks.
        robot: Whose overhead camera saw it.
        crop_side: Of the crop [m].
    """
    reach = network.grasp.reach + MARGIN
    height, color = relaid(stored, robot, crop_side, reach)
    coded = np.where(
        np.isfinite(height),
        np.clip(np.rint(np.nan_to_num(height) / windows.CODE_STEP), 0, windows.UNKNOWN - 1),
        windows.UNKNOWN,
    ).astype(np.uint8)
    image = network.grasp.image(coded, color)
    middle = height[reach - 1 : reach + 2, reach - 1 : reach + 2]
    surface = float(np.nanmedian(middle)) if np.isfinite(middle).any() else stored.surface
    opening = int(np.argmin(np.abs(np.asarray(network.widths) - stored.width)))
    return Example(Primitive.GRASP, stored.angle, opening, image, {"surface": surface})


def relaid(
    stored: StoredTry, robot: RobotSpec, crop_side: float, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """The piece of heightmap around a stored grasp.

    Returns:
        (2 reach + 1, 2 reach + 1) float32 heights above the table [m], NaN where
        nothing was measured; as many uint8 colours.
    """
    pixels = stored.height.shape[0]
    axis = ((np.arange(pixels) + 0.5) / pixels - 0.5) * crop_side
    center = stored.pose[:2, 3]
    x, y = np.meshgrid(axis + center[0], axis + center[1])
    eye = robot.camera().pose.matrix[:3, 3]
    share = stored.height / (eye[2] - stored.surface)
    known = np.isfinite(share)
    cols = np.floor((x + (eye[0] - x) * share - center[0]) / RESOLUTION + 0.5)
    rows = np.floor((y + (eye[1] - y) * share - center[1]) / RESOLUTION + 0.5)
    known &= (np.abs(cols) <= reach) & (np.abs(rows) <= reach)
    r, c = (rows[known] + reach).astype(int), (cols[known] + reach).astype(int)
    z, paint = (stored.height + stored.surface)[known], stored.color[known]
    order = np.argsort(z, kind="stable")
    size = 2 * reach + 1
    height = np.full((size, size), -1.0, np.float32)
    color = np.zeros((size, size, 3), np.uint8)
    height[r[order], c[order]] = np.maximum(z[order], 0)
    color[r[order], c[order]] = paint[order]
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(height, cv2.MORPH_CLOSE, kernel)
    holes = (height < 0) & (closed >= 0)
    color = np.where(holes[..., None], cv2.dilate(color, kernel), color)
    height = np.where(height < 0, closed, height)
    return np.where(height < 0, np.nan, height).astype(np.float32), color


def _reward(stored: StoredTry) -> float:
    return float(bool(stored.success))


def _tried(stored: StoredTry, example: Example) -> PixelTry:
    success = bool(stored.success)
    return PixelTry(
        stored.episode, stored.try_, int(Primitive.GRASP), stored.angle, -1, -1, -1,
        example.opening, success, success, stored.code, float("nan"), -1, 0,
        bool(stored.held), b"", b"",
    )  # fmt: skip
