"""The ROS layer: one thin file a node."""
