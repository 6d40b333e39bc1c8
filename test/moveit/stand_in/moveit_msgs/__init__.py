"""Stands for moveit_msgs where MoveIt is not installed: the fields, and nothing else.

A message takes no attribute that the definition (moveit_msgs 851fe62) does not have.
"""
