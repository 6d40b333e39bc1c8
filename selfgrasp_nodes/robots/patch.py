"""How large a patch is: the square of table that a grasp is judged by.

Pinto and Gupta (2016), section III-B: a patch is 1.5 times as large as the
projection of the gripper on the image, so that what lies beside the grasp is
seen as well.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from selfgrasp_nodes.errors import InvalidConfig
from selfgrasp_nodes.robots.gripper_spec import GripperSpec

CONTEXT = 1.5
"""A patch's side over the open hand's outer width (the paper's figure)."""

MARGIN = 1.5
"""A crop's side over a patch's: the square root of 2 lets a patch turn inside, the rest shift."""


@dataclass(frozen=True)
class PatchGeometry:
    """Sizes of patches, and of the larger crops that they are cut from.

    Both are windows in a horizontal plane at the height of the surface under the
    grasp, centred on the grasp; row = y and column = x, as in a heightmap.

    Attributes:
        patch_side: Of a patch [m].
        crop_side: Of a stored crop [m].
        crop_pixels: Rows and columns of a stored crop.
    """

    patch_side: float
    crop_side: float
    crop_pixels: int = 192

    def __post_init__(self) -> None:
        """Refuse sizes from which no patch can be cut.

        Raises:
            InvalidConfig: With the bounds.
        """
        if not (0 < self.patch_side <= self.crop_side < math.inf and self.crop_pixels >= 8):
            raise InvalidConfig(
                "a crop must be as large as its patch and have 8 pixels or more; got patch side "
                f"{self.patch_side} m, crop side {self.crop_side} m, {self.crop_pixels} pixels"
            )

    @classmethod
    def of(cls, gripper: GripperSpec, crop_pixels: int = 192) -> PatchGeometry:
        """The geometry for a gripper: 1.5 times the outer width of the open hand."""
        outer = gripper.width_max + 2 * gripper.finger_thickness
        side = CONTEXT * outer
        return cls(round(side, 6), round(MARGIN * side, 6), crop_pixels)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; :meth:`from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PatchGeometry:
        """Inverse of :meth:`as_dict`."""
        return cls(**values)
