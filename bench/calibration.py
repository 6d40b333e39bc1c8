"""How well calibration finds a simulated camera that was described 5 cm and 5 degrees wrong.

``python -m bench.calibration --seeds 6``: for UR5's fixed camera and Baxter's hand camera, with
and without the sensors' noise; each seed has its own noise and its own wrong direction.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.spatial.transform import Rotation

from selfgrasp_nodes import geometry
from selfgrasp_nodes.perception.calibration_board import Board
from selfgrasp_nodes.perception.calibration_solve import calibrate
from selfgrasp_nodes.robots import load_robot
from selfgrasp_nodes.simulation.calibrating import simulated_session

CASES = (
    ("ur5_rg2", "overhead", Board.parse("checkerboard:8x5:0.024")),
    ("baxter", "left_hand_camera", Board()),
)


def wrong(seed: int) -> np.ndarray:
    """A transform of 5 cm and 5 degrees in a random direction."""
    rng = np.random.default_rng(seed)
    axis, way = rng.normal(size=(2, 3))
    pose = geometry.transform(0.05 * way / np.linalg.norm(way))
    turn = np.radians(5) * axis / np.linalg.norm(axis)
    pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    return pose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--camera", default="", help="only this one")
    args = parser.parse_args()
    for name, camera, board in CASES:
        if args.camera not in ("", camera):
            continue
        robot = load_robot(name)
        true = robot.camera(camera).pose.matrix
        for noise in (False, True):
            errors = []
            for seed in range(args.first, args.first + args.seeds):
                session = simulated_session(
                    robot, camera, board, true @ wrong(seed), noise=noise, seed=seed
                )
                found = calibrate(session)
                turn = Rotation.from_matrix(found.parent_T_camera[:3, :3] @ true[:3, :3].T)
                shift = np.linalg.norm(found.parent_T_camera[:3, 3] - true[:3, 3])
                errors.append((1e3 * shift, np.degrees(turn.magnitude()), len(found.used)))
            worst, middle = np.max(errors, axis=0), np.median(errors, axis=0)
            print(
                f"{camera}, {'noise' if noise else 'no noise'}, {len(errors)} seeds: "
                f"worst {worst[0]:.3f} mm, {worst[1]:.4f} deg; "
                f"median {middle[0]:.3f} mm, {middle[1]:.4f} deg; "
                f"pictures used {min(e[2] for e in errors)} to {int(worst[2])}",
                flush=True,
            )


if __name__ == "__main__":
    main()
