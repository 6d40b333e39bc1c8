"""Cameras on their own libraries, without ROS: RealSense and Kinect v2."""
