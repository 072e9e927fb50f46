"""A number of threads that engines would hang or crash of reaches none of them."""

import pytest

from edge_sdk.errors import UsageError
from edge_sdk.runtime.opening import thread_count


def test_without_one_there_is_a_default() -> None:
    assert thread_count(None) >= 1
    assert thread_count(3) == 3


@pytest.mark.parametrize(
    ("threads", "said"),
    [
        (0, "too few"),
        (-1, "too few"),
        (100_000, "too many"),
        ("2", "no number"),
        (1.5, "no number"),
    ],
)
def test_what_is_none_is_refused(threads: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        thread_count(threads)  # type: ignore[arg-type]
