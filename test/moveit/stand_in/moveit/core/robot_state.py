class RobotState:
    """As in moveit_core/robot_state/robot_state.cpp: what the process uses of it."""

    def __init__(self, robot_model):
        self._positions, self._attached = {}, []

    def __copy__(self):
        other = RobotState(None)
        other._positions, other._attached = dict(self._positions), list(self._attached)
        return other

    @property
    def joint_positions(self):
        return dict(self._positions)

    @joint_positions.setter
    def joint_positions(self, joint_positions):
        self._positions.update(joint_positions)

    def update(self, force=False, type="all"):
        pass
