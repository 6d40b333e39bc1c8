"""In an asyncio program: plan and go on with other things; a cancelled task stops the arm."""

import asyncio

from selfgrasp_nodes.client import SelfGrasp


async def main() -> None:
    """Pick, and say so every second until it is done."""
    with SelfGrasp() as robot:
        grasps = await asyncio.wrap_future(robot.plan_async(max_candidates=5))
        print(f"{len(grasps)} grasps")
        picking = asyncio.wrap_future(robot.pick_async(seed=1))
        while not picking.done():
            print("picking ...", flush=True)
            await asyncio.wait([picking], timeout=1.0)
        print((await picking).trials[-1].outcome.reason)


asyncio.run(main())
