"""What every broker does for us, and what every connection does when a broker does not."""

import asyncio
import logging
import resource
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from brokers import ALL, DEADLINE_S, OVER_NETWORK, QUICK, Server, eventually, over, running

from edge_sdk.broker import Credentials, Incoming, Pace
from edge_sdk.broker.link import Link
from edge_sdk.broker.probe import Capabilities, probe
from edge_sdk.broker.sockets import open_socket
from edge_sdk.errors import FleetError, UsageError
from edge_sdk.spec.wire import MAX_MESSAGE_BYTES, UP_OF_ALL, down, up


@over(*ALL)
async def test_messages_travel_both_ways_at_both_qos(server: Server) -> None:
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    heard: list[Incoming] = []
    fleet.subscribe(UP_OF_ALL, heard.append, qos=1)
    device.subscribe(down("cam-1"), heard.append)
    async with running(fleet, device):
        for qos in (0, 1):
            heard.clear()
            await device.publish(up("cam-1"), b"to the fleet", qos=qos)
            await eventually(lambda: heard == [Incoming(up("cam-1"), b"to the fleet")])
            heard.clear()
            await fleet.publish(down("cam-1"), b"to the device", qos=qos)
            await eventually(lambda: heard == [Incoming(down("cam-1"), b"to the device")])


@over(*ALL)
async def test_patterns_hear_what_they_match(server: Server) -> None:
    fleet, other = server.connect("fleet"), server.connect("fleet")
    one: list[str] = []
    rest: list[str] = []
    fleet.subscribe("edge/v1/+/cam-1/up", lambda message: one.append(message.topic))
    fleet.subscribe("edge/v1/07/deep/#", lambda message: rest.append(message.topic))
    async with running(fleet, other):
        deep = ["edge/v1/07/deep", "edge/v1/07/deep/er", "edge/v1/07/deep/er/still"]
        for topic in (up("cam-2"), down("cam-1"), *deep, up("cam-1")):
            await other.publish(topic, b"", qos=1)
        await eventually(lambda: one and len(rest) >= 3)
    assert one == [up("cam-1")]
    assert rest == deep


@over(*ALL)
async def test_a_wrong_password_is_refused_in_words(
    server: Server,
) -> None:
    stranger, device = server.connect("cam-1", password="guessed"), server.connect("cam-2")
    async with running(stranger, wait=False):
        await eventually(lambda: stranger.refusal)
        assert stranger.refusal == "The broker refused the connection: not authorized."
        async with running(device):
            assert not stranger.connected
            with pytest.raises(FleetError, match="not authorized"):
                await stranger.publish(up("cam-1"), b"")


@over(*ALL)
async def test_a_device_speaks_only_for_itself(server: Server) -> None:
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    heard: list[Incoming] = []
    fleet.subscribe("edge/v1/#", heard.append)
    async with running(fleet, device):
        for topic in (up("cam-2"), down("cam-2"), down("cam-1"), "edge/v1/00/up"):
            for qos in (0, 1):
                try:
                    await device.publish(topic, b"forged", qos=qos)
                except FleetError:  # some brokers cut the connection instead of dropping it
                    await eventually(lambda: device.connected)
        await eventually(lambda: device.connected)
        await device.publish(up("cam-1"), b"honest", qos=1)
        await eventually(lambda: heard)
    assert heard == [Incoming(up("cam-1"), b"honest")]


@over(*ALL)
async def test_a_device_hears_only_what_is_for_it(server: Server) -> None:
    """Some brokers refuse the subscription, some grant it and deliver nothing."""
    fleet, spy = server.connect("fleet"), server.connect("cam-1")
    victim = server.connect("cam-2")
    overheard: list[Incoming] = []
    heard: list[Incoming] = []
    spy.subscribe(down("cam-2"), overheard.append)
    spy.subscribe("edge/v1/+/+/up", overheard.append)
    victim.subscribe(down("cam-2"), heard.append)
    async with running(fleet, victim), running(spy, wait=False):
        await eventually(lambda: spy.connected or "refused to let us hear" in spy.refusal)
        await fleet.publish(down("cam-2"), b"secret", qos=1)
        await victim.publish(up("cam-2"), b"secret", qos=1)
        await eventually(lambda: heard)
    assert not overheard


@over(*ALL)
async def test_messages_of_every_allowed_size_arrive_in_order(server: Server) -> None:
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    heard: list[bytes] = []
    device.subscribe(down("cam-1"), lambda message: heard.append(message.payload))
    sizes = [0, 1, 127, 128, 16_383, 256 * 1024, 5, MAX_MESSAGE_BYTES, *range(300)]
    sent = [bytes([size % 251]) * size for size in sizes]
    async with running(fleet, device):
        for qos in (0, 1):
            heard.clear()
            for payload in sent:
                await fleet.publish(down("cam-1"), payload, qos=qos)
            await eventually(lambda: len(heard) == len(sent))
            assert heard == sent


@over(*ALL)
async def test_many_at_once_wait_for_their_turn_and_keep_their_order(server: Server) -> None:
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    heard: list[bytes] = []
    fleet.subscribe(UP_OF_ALL, lambda message: heard.append(message.payload))
    sent = [b"%d" % number for number in range(1_000)]
    async with running(fleet, device):
        await asyncio.gather(*(device.publish(up("cam-1"), each, qos=1) for each in sent))
        await eventually(lambda: len(heard) == len(sent))
    assert heard == sent


@over(*ALL)
async def test_what_no_broker_takes_is_not_sent(server: Server) -> None:
    device = server.connect("cam-1")
    too_much = bytes(MAX_MESSAGE_BYTES + 1)
    async with running(device):
        for topic in ("", "a b", "a/+", "a/#", "/a", "a//b", "a/", "$SYS/a", "ä", "a" * 256, "a\0"):
            with pytest.raises(FleetError, match="no topic to publish to"):
                await device.publish(topic, b"")
        with pytest.raises(FleetError, match="over the limit"):
            await device.publish(up("cam-1"), too_much)
        with pytest.raises(UsageError, match="QoS 2"):
            await device.publish(up("cam-1"), b"", qos=2)
        for pattern in ("#", "a/#/b", "a/b+", "a b", "", "$SYS/#"):
            with pytest.raises(UsageError, match="no pattern"):
                device.subscribe(pattern, print)
        assert device.connected


@over(*ALL)
async def test_overlapping_patterns_are_refused(server: Server) -> None:
    """Of a message that matches both, some brokers send one copy and some two."""
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    first: list[Incoming] = []
    second: list[Incoming] = []
    fleet.subscribe(UP_OF_ALL, first.append)
    with pytest.raises(UsageError, match="overlap"):
        fleet.subscribe(up("cam-1"), second.append)
    fleet.subscribe(UP_OF_ALL, second.append)
    async with running(fleet, device):
        await device.publish(up("cam-1"), b"once", qos=1)
        await eventually(lambda: second)
    assert first == second == [Incoming(up("cam-1"), b"once")]


@over(*ALL)
async def test_a_listener_that_fails_loses_its_message_alone(
    server: Server,
) -> None:
    device = server.connect("cam-1")
    fleet = server.connect("fleet")
    heard: list[bytes] = []
    told: list[str] = []

    def fails_once(message: Incoming) -> None:
        heard.append(message.payload)
        if message.payload == b"bad":
            raise ValueError("a bug of the listener's")

    def fails() -> None:
        told.append("first")
        raise ValueError("a bug of the listener's")

    device.subscribe(down("cam-1"), fails_once)
    device.on_connected(fails)
    device.on_connected(lambda: told.append("second"))
    logging.disable(logging.CRITICAL)
    try:
        async with running(fleet, device):
            for payload in (b"good", b"bad", b"good"):
                await fleet.publish(down("cam-1"), payload)
            await eventually(lambda: len(heard) == 3)
            assert device.connected
    finally:
        logging.disable(logging.NOTSET)
    assert told == ["first", "second"]


@over(*ALL)
async def test_a_subscription_made_while_connected_is_heard_at_once(server: Server) -> None:
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    heard: list[bytes] = []
    async with running(fleet, device):
        fleet.subscribe(UP_OF_ALL, lambda message: heard.append(message.payload))

        async def say_until_heard() -> None:
            while not heard:
                await device.publish(up("cam-1"), b"hello", qos=1)

        await asyncio.wait_for(say_until_heard(), 30)


@over(*ALL)
async def test_after_a_broker_came_back_empty_everything_is_subscribed_anew(
    server: Server,
) -> None:
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    heard: list[bytes] = []
    connections: list[str] = []
    device.subscribe(down("cam-1"), lambda message: heard.append(message.payload))
    device.on_connected(lambda: connections.append("device"))
    async with running(fleet, device):
        await server.kill()
        await eventually(lambda: not device.connected and not fleet.connected)
        await eventually(lambda: device.refusal)
        for qos in (0, 1):
            with pytest.raises(FleetError, match="not sent"):
                await device.publish(up("cam-1"), b"lost", qos=qos)
        await server.start()
        await eventually(lambda: device.connected and fleet.connected)
        assert device.refusal == ""
        assert connections == ["device", "device"]
        await fleet.publish(down("cam-1"), b"welcome back", qos=1)
        await eventually(lambda: heard == [b"welcome back"])


@over(*ALL, start=False)
async def test_a_broker_that_is_away_at_the_start_is_awaited(server: Server) -> None:
    await server.stop()
    device = server.connect("cam-1")
    async with running(device, wait=False):
        await eventually(lambda: "cannot be reached" in device.refusal)
        await server.start()
        await eventually(lambda: device.connected)


@over(*OVER_NETWORK)
async def test_a_hung_broker_is_noticed(server: Server) -> None:
    pace = Pace(keepalive_s=1, retry_s=0.05, longest_retry_s=0.2, open_timeout_s=0.5)
    device = server.connect("cam-1", pace=pace)
    async with running(device):
        server.freeze()
        try:
            with pytest.raises(FleetError, match="said nothing for 2 s"):
                while True:  # the first may pass before the broker stands still
                    message = device.publish(up("cam-1"), b"not acknowledged", qos=1)
                    await asyncio.wait_for(message, DEADLINE_S)
            await eventually(lambda: "has not answered within 0.5 s" in device.refusal)
        finally:
            server.thaw()
        await eventually(lambda: device.connected)


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


@over(*OVER_NETWORK)
async def test_a_stalled_broker_holds_publishers_back(server: Server) -> None:
    fleet = server.connect("fleet")
    large = bytes(MAX_MESSAGE_BYTES)
    async with running(fleet):
        server.freeze()
        before = resident_bytes()
        try:
            many = [asyncio.ensure_future(fleet.publish(down("cam-1"), large)) for _ in range(100)]
            await eventually(lambda: any(each.done() for each in many))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not all(each.done() for each in many)
            assert resident_bytes() - before < 60 * MAX_MESSAGE_BYTES
            many[-1].cancel()  # who no longer waits, holds nobody up
        finally:
            server.thaw()
        ended = await asyncio.gather(*many, return_exceptions=True)
    assert ended[:-1] == [None] * 99
    assert isinstance(ended[-1], asyncio.CancelledError)


@over(*OVER_NETWORK)
async def test_a_process_with_more_descriptors_than_select_can_take(server: Server) -> None:
    fleet, device = server.connect("fleet"), server.connect("cam-1")
    heard: list[Incoming] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1_500:
        pytest.skip(f"this machine allows {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_500), hard))
    try:
        with ExitStack() as files:
            for _ in range(1_100):
                files.enter_context(tempfile.TemporaryFile())
            fleet.subscribe(UP_OF_ALL, heard.append)
            async with running(fleet, device):
                await device.publish(up("cam-1"), b"", qos=1)
                await eventually(lambda: heard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@over(*ALL)
async def test_clients_of_one_name_do_not_push_each_other_off(server: Server) -> None:
    clients = [server.connect("cam-1") for _ in range(3)]
    connections: list[int] = []
    for number, client in enumerate(clients):
        client.on_connected(lambda number=number: connections.append(number))
    async with running(*clients):
        for client in clients:
            await client.publish(up("cam-1"), b"", qos=1)
    assert sorted(connections) == [0, 1, 2]


@over(*OVER_NETWORK)
async def test_whoever_knows_a_name_cannot_take_the_connection_over(server: Server) -> None:
    victim = server.connect("cam-1")
    connections: list[None] = []
    victim.on_connected(lambda: connections.append(None))
    where = urlsplit(server.url)
    async with running(victim):
        sock = await open_socket(where.hostname or "", where.port or 0, None)
        thief = Link(sock, "cam-1", Credentials("cam-2", "2-secret"), QUICK, print)
        await thief.open()
        await victim.publish(up("cam-1"), b"still here", qos=1)
        await thief.close()
    assert len(connections) == 1


@over(*ALL)
async def test_a_cancelled_connection_is_over_and_can_be_run_again(server: Server) -> None:
    device = server.connect("cam-1")
    for _ in range(2):
        async with running(device):
            with pytest.raises(UsageError, match="runs already"):
                await device.run()
            await device.publish(up("cam-1"), b"", qos=1)
        assert not device.connected
        with pytest.raises(FleetError, match="not sent"):
            await device.publish(up("cam-1"), b"")


@over(*ALL)
async def test_a_connection_may_be_cancelled_at_any_moment(server: Server) -> None:
    """After each number of turns of the loop; what it leaves open is seen when all is over."""
    for turns in range(40):
        device = server.connect("cam-1")
        task = asyncio.ensure_future(device.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert not device.connected


@over(*ALL)
async def test_probing_says_what_works(server: Server) -> None:
    found = await probe(server.url, credentials=Credentials("fleet", "f-secret"), pace=QUICK)
    assert found == Capabilities(
        reached=True, delivers_qos0=True, delivers_qos1=True, in_order=True, carries_largest=True
    )


@over(*ALL)
async def test_probing_says_what_does_not_work(server: Server) -> None:
    wrong = Credentials("fleet", "guessed")
    found = await probe(server.url, credentials=wrong, pace=QUICK, timeout_s=0.5)
    assert not found.reached
    assert "not authorized" in found.problems[0]
    await server.kill()
    found = await probe(server.url, pace=QUICK, timeout_s=0.5)
    assert "cannot be reached" in found.problems[0]
