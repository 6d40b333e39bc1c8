"""A candidate to waypoints to joint trajectories."""
