"""The MuJoCo world: scenes, objects, robots, cameras, sensors."""
