"""``module:function`` on a command line: code of the user's own, called by its name.

Naming it is running it, as ``python module.py`` would: that needs no further leave.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from edge_sdk.errors import EdgeError, UsageError

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def is_function_name(text: str) -> bool:
    """Whether it is written as ``package.module:function``."""
    return bool(_NAME.fullmatch(text))


def call(where: str) -> Any:
    """What the function returns; its module is looked for in the current folder first.

    Raises:
        UsageError: there is no such function, or it raised.
    """
    module, _, function = where.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), function)()
    except EdgeError:
        raise
    except Exception as error:
        # Any exception: it is the caller's code that raises it.
        raise UsageError(
            f"{where} failed: {type(error).__name__}: {error}",
            f'python -c "import {module}; {module}.{function}()"   # shows where',
        ) from error
    finally:
        sys.path.remove(here)
