"""A node of one's own picks from inside its callbacks: waiting in one, not waiting in the other.

The client has an executor of its own, so neither can wait for itself.
"""

import rclpy
from std_srvs.srv import Trigger

from selfgrasp_nodes.client import SelfGrasp
from selfgrasp_nodes.errors import SelfGraspError

rclpy.init()
node, robot = rclpy.create_node("my_application"), SelfGrasp()


def how_many(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
    """A service that waits for the answer."""
    try:
        response.message = f"{len(robot.plan())} grasps"
        response.success = True
    except SelfGraspError as error:
        response.message = str(error)
    return response


def pick(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
    """A service that answers at once; the pick goes on."""
    picking = robot.pick_async()
    picking.add_done_callback(lambda done: print(done.exception() or "picked", flush=True))
    response.success, response.message = True, "picking"
    return response


node.create_service(Trigger, "how_many", how_many)
node.create_service(Trigger, "pick_one", pick)
print("ready", flush=True)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    robot.close()
