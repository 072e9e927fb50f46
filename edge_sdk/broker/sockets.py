"""Connected sockets without a blocking call: name lookup, TCP and TLS in asyncio's loop."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

from edge_sdk.broker.base import Credentials
from edge_sdk.errors import UnavailableError, UsageError


def tls_context(credentials: Credentials) -> ssl.SSLContext:
    """What a client trusts and shows.

    Raises:
        UsageError: a named file is missing, or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=credentials.ca_file or None)
        if credentials.cert_file:
            context.load_cert_chain(credentials.cert_file, credentials.key_file or None)
    except OSError as error:  # ssl.SSLError is one
        files = (credentials.ca_file, credentials.cert_file, credentials.key_file)
        named = ", ".join(file for file in files if file)
        raise UsageError(
            f"The TLS files {named} cannot be used: {error.strerror or error}.",
            "openssl x509 -noout -text -in FILE   # is it a PEM certificate?",
        ) from error
    return context


async def open_socket(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    """A connected, non-blocking socket to the first address of ``host`` that answers.

    Raises:
        UnavailableError: there is no such host, nobody answers, or TLS fails.
    """
    try:
        sock = await _first_that_answers(host, port)
    except OSError as error:
        raise UnavailableError(
            f"The broker {host}:{port} cannot be reached: {_reason(error)}."
        ) from error
    if tls is None:
        return sock
    try:
        wrapped = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        await _handshake(wrapped)
    except ssl.SSLCertVerificationError as error:
        wrapped.close()
        raise UnavailableError(
            f"The broker {host}:{port} is not trusted: {error.verify_message}.",
            "Name the authority that signed its certificate as ca_file.",
        ) from error
    except OSError as error:
        wrapped.close()
        raise UnavailableError(
            f"TLS with the broker {host}:{port} failed: {_reason(error)}."
        ) from error
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def _reason(error: OSError) -> str:
    """asyncio words its own errors; the system's words are the ones people know."""
    if isinstance(error, (socket.gaierror, ssl.SSLError)) or error.errno is None:
        return str(error.strerror or error)
    return os.strerror(error.errno)


async def _first_that_answers(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure = OSError("no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _handshake(sock: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(sock, loop.add_reader, loop.remove_reader)
        except ssl.SSLWantWriteError:
            await _ready(sock, loop.add_writer, loop.remove_writer)
        else:
            return


async def _ready(
    sock: ssl.SSLSocket, add: Callable[..., None], remove: Callable[[int], bool]
) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(sock.fileno(), _wake, ready)
    try:
        await ready
    finally:
        remove(sock.fileno())


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
