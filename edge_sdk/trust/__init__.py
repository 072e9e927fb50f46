"""Trust: what a fleet signs, and how anybody checks it. ``docs/trust.md`` explains.

Two signatures stand behind everything that a device does:

* **TUF** says which artifacts the fleet has published (``chain``). Its root is pinned when a device
  is enrolled; every file that is installed must be in its signed list, with length and digest.
* **The director** says what one device should run now (``signing``): an Ed25519 signature over a
  Desired, whose counter only grows.

``offline`` checks an artifact against a copy of a fleet's published metadata, for ``edge verify``.
Its modules need python-tuf and cryptography (``pip install 'edgeloop[agent]'``); this one does not.
"""
