"""The composition root: makes the parts, joins them, runs them in one event loop, ends them.

Order matters. What can be refused cheaply comes first (folder, port), then what must be there for
the next (store, trust, broker); the address is published last, when all of it answers. At the end
the same in reverse. If any part ends by an error, the whole fleet ends with it: a service manager
starts it again, and the store knows the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from edge_sdk.broker import Broker, Credentials, connect
from edge_sdk.broker.users import FLEET, device_user, fleet_user
from edge_sdk.errors import EdgeError, UnavailableError
from edge_sdk.spec.wire import UP_OF_ALL
from fleet.api.server import ApiServer
from fleet.clock import now_ms
from fleet.config import EMBEDDED, FleetSettings, host_and_port
from fleet.core.drift import Limits
from fleet.director import Director
from fleet.drift import DriftWatch
from fleet.embedded import EmbeddedBroker
from fleet.fleet import Fleet
from fleet.folder import Address, FleetFolder, read_secret
from fleet.ingest import Ingest
from fleet.latecomers import Latecomers
from fleet.nats_config import Tls
from fleet.registry import Admit, Registry
from fleet.rollouts import Rollouts
from fleet.stores import devices, telemetry
from fleet.stores import settings as decided
from fleet.stores.store import Store
from fleet.trust import TrustRepository

CONNECT_S = 15.0
HOUR_S = 3600.0
DAY_MS = 86_400_000

_log = logging.getLogger(__name__)


async def serve(settings: FleetSettings, ready: Callable[[Address], None]) -> None:
    """Run a fleet until SIGTERM, SIGINT or SIGHUP.

    Args:
        settings: its configuration.
        ready: called once, when everything answers.

    Raises:
        UsageError: a setting, or the folder, cannot be used.
        UnavailableError: a port is taken, another fleet runs there, or something is not installed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        folder = FleetFolder(Path(settings.data))
        stack.callback(folder.close)
        host, port = host_and_port(settings.listen)
        server = ApiServer(host, port)
        stack.callback(server.close)
        fleet = await _join(settings, folder, stack)
        connected = asyncio.Event()
        fleet.broker.on_connected(connected.set)
        tasks = [
            asyncio.create_task(part)
            for part in (
                fleet.broker.run(),
                fleet.ingest.run(),
                fleet.director.run(),
                fleet.rollouts.run(),
                fleet.latecomers.run(),
                fleet.drift.run(),
                _keep_house(fleet),
                server.run(fleet, folder.token(), stop),
            )
        ]
        stack.push_async_callback(_end, tasks, stop)
        await _first(tasks, connected.wait(), CONNECT_S)
        if not connected.is_set():
            _log.warning("The broker does not answer yet: %s", fleet.broker.refusal)
        address = Address(
            api=server.url,
            token_file=str(folder.token_file),
            broker=fleet.broker_url,
            pid=os.getpid(),
        )
        folder.publish(address)
        ready(address)
        await _first(tasks, stop.wait(), None)


async def _first(
    tasks: list[asyncio.Task[None]], other: Coroutine[Any, Any, object], timeout_s: float | None
) -> None:
    """Wait for ``other``; a part that ends before it has failed, and its error is raised."""
    waiting = asyncio.create_task(other)
    try:
        done, _ = await asyncio.wait(
            {*tasks, waiting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waiting.cancel()
    for task in done - {waiting}:
        task.result()


async def _end(tasks: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """End all parts; the API first, which has a little time to finish its answers."""
    stop.set()
    *parts, server = tasks
    await asyncio.wait({server})
    for part in parts:
        part.cancel()
    await asyncio.wait(parts)


async def _join(settings: FleetSettings, folder: FleetFolder, stack: AsyncExitStack) -> Fleet:
    """All parts, made and joined; whatever has to be ended is on the stack."""
    store = Store(settings.database or f"sqlite:///{folder.database}")
    stack.callback(store.close)
    trust = await asyncio.to_thread(TrustRepository, folder.trust)
    name = store.write_now(lambda c: decided.setting(c, "name", settings.name))
    broker, url, admit = await _broker(settings, folder, store, stack)
    director = Director(store, trust.sign_desired, broker.publish, now_ms)
    registry = Registry(
        store,
        director,
        trust,
        admit,
        now_ms,
        fleet=name,
        broker_url=url,
        broker_ca=read_secret(Path(settings.broker_ca)) if settings.broker_ca else "",
    )
    limits = Limits(min_windows=settings.drift_min_windows)
    latecomers = Latecomers(store, director, now_ms)
    ingest = Ingest(store, director, trust.read, registry.knows, latecomers.reported, now_ms)
    broker.subscribe(UP_OF_ALL, ingest.hear, qos=1)
    return Fleet(
        name=name,
        settings=settings,
        folder=folder,
        clock=now_ms,
        store=store,
        trust=trust,
        broker=broker,
        broker_url=url,
        director=director,
        registry=registry,
        rollouts=Rollouts(store, director, now_ms, away_s=settings.away_s),
        latecomers=latecomers,
        ingest=ingest,
        drift=DriftWatch(store, now_ms, limits, recent_s=settings.away_s),
    )


async def _broker(
    settings: FleetSettings, folder: FleetFolder, store: Store, stack: AsyncExitStack
) -> tuple[Broker, str, Admit]:
    """The connection, the URL for devices, and how to let devices in."""
    if settings.broker != EMBEDDED:
        password = settings.broker_password_file
        credentials = Credentials(
            username=settings.broker_username,
            password=read_secret(Path(password)) if password else "",
            ca_file=settings.broker_ca,
        )
        broker = connect(settings.broker, name=FLEET, credentials=credentials)
        return broker, settings.broker_public or settings.broker, _admit_nobody
    host, port = host_and_port(settings.broker_listen)
    if port == 0:
        port = int(store.write_now(lambda c: decided.setting(c, "broker_port", _free_port(host))))
    ours = fleet_user(secrets.token_urlsafe(24))

    def users(passwords: Mapping[str, str]) -> list[Any]:
        return [ours, *(device_user(device, text) for device, text in passwords.items())]

    embedded = EmbeddedBroker(
        folder.broker,
        host=host,
        port=port,
        users=users(store.read_now(devices.passwords)),
        tls=_tls(settings),
    )
    await embedded.start()
    stack.push_async_callback(embedded.stop)

    async def admit(passwords: Mapping[str, str]) -> bool:
        await embedded.set_users(users(passwords))
        return True

    credentials = Credentials(ours.name, ours.password, ca_file=settings.broker_ca)
    broker = connect(embedded.url, name=FLEET, credentials=credentials)
    return broker, settings.broker_public or embedded.url, admit


async def _admit_nobody(_passwords: Mapping[str, str]) -> bool:
    """A broker of the user's has its own list of who may; ``docs/brokers.md`` shows it."""
    return False


def _tls(settings: FleetSettings) -> Tls | None:
    if not settings.broker_certificate:
        return None
    return Tls(Path(settings.broker_certificate), Path(settings.broker_key))


def _free_port(host: str) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise UnavailableError(
                f"The embedded broker cannot listen on {host}: {error.strerror}.",
                "ip address   # which addresses this machine has",
            ) from error
        return str(probe.getsockname()[1])


async def _keep_house(fleet: Fleet) -> None:
    """Every hour: sign anew what would expire, and forget what is too old."""
    while True:
        age_ms = fleet.settings.retention_days * DAY_MS
        before_ms = fleet.clock() - age_ms
        try:
            await asyncio.to_thread(fleet.trust.refresh)
            await fleet.store.write(lambda c, t=before_ms: telemetry.forget(c, t))  # type: ignore[misc]
            await fleet.store.write(
                lambda c, t=before_ms - age_ms: telemetry.forget_receipts(c, t)  # type: ignore[misc]
            )
        except EdgeError as error:
            _log.error("Housekeeping failed, and is tried again in an hour: %s", error)
        await asyncio.sleep(HOUR_S)
