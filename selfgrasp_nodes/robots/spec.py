"""What all descriptions share: strict dataclasses, and poses as written in YAML."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from selfgrasp_nodes import geometry

Vector3 = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class Spec(BaseModel):
    """Base of all descriptions: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PoseSpec(Spec):
    """A pose as written in YAML: translation [m], fixed-axis rpy [rad] or a quaternion.

    ``quaternion`` is (w, x, y, z) and wins over ``rpy`` where it is given.
    """

    xyz: Vector3 = (0.0, 0.0, 0.0)
    rpy: Vector3 = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] | None = None

    @property
    def matrix(self) -> np.ndarray:
        """The pose as a 4 x 4 transform."""
        if self.quaternion is not None:
            return geometry.from_quaternion(self.xyz, self.quaternion)
        return geometry.transform(self.xyz, self.rpy)
