"""Real agents that are restarted while a candidate is on trial: what was asked for blames none."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from agent_samples import AgentProcess
from brokers import Server, eventually
from test_agent import played, world

from device_agent.core.update import MAX_BOOTS
from edge_sdk.spec.deployment import State

LONG_S = 600


async def answers(agent: AgentProcess, digest: str) -> None:
    """It is in the midst of inferences, of this artifact."""
    await eventually(lambda: agent.serves(digest) and agent.worker()["inferences"] > 2)


@played("nats")
async def test_only_restarts_that_nobody_asked_for_are_held_against_a_candidate(
    server: Server, folder: Path
) -> None:
    async with world(server, folder, stop_timeout_s=LONG_S) as (fleet, agent):
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        assert agent.stop() == 0
        agent.settings |= {"probation_s": LONG_S, "probation_deadline_s": LONG_S}
        agent.start()
        counter = fleet.want(second)
        await agent.reaches("probation", 2)

        for _ in range(MAX_BOOTS + 1):  # systemctl restart
            await answers(agent, second.digest)
            assert agent.stop() == 0
            assert agent.journal()["stopping"]
            agent.start()
        await answers(agent, second.digest)
        assert (agent.journal()["state"], agent.journal()["boots"]) == ("probation", 0)

        # A shutdown that has no patience with a worker that hangs.
        os.kill(agent.worker()["pid"], signal.SIGSTOP)
        assert agent.process is not None
        agent.process.send_signal(signal.SIGTERM)
        await eventually(lambda: agent.journal()["stopping"])
        agent.kill()
        agent.start()
        await answers(agent, second.digest)
        assert agent.journal()["boots"] == 0

        for times in range(MAX_BOOTS):  # it is killed amid inferences
            agent.kill()
            agent.start()
            await answers(agent, second.digest)
            assert agent.journal()["boots"] == times + 1
        assert agent.stop() == 0
        agent.start()
        await answers(agent, second.digest)
        agent.kill()
        agent.start()
        app = await fleet.settled(counter)
        assert (app.state, app.serving) == (State.ROLLED_BACK, first)
        assert app.refused == (second.digest,)
        assert f"restarted {MAX_BOOTS + 1} times unasked while probation" in app.reason
