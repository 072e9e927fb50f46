"""``timeout(seconds)``: what stands within takes no longer, or ``asyncio.TimeoutError`` is raised.

Not ``asyncio.wait_for``: before Python 3.12 it swallows a cancellation that comes in the same turn
of the loop as what it waits for, and a loop that waits so again and again never ends.
"""

import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

__all__ = ["timeout"]
