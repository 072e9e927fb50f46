"""URLs of brokers, and how patient a connection is."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.broker import Credentials, Pace, connect
from edge_sdk.errors import UsageError


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://host", "no scheme of a broker"),
        ("mqtt:host", "a scheme, a host and a port"),
        ("host:1883", "no scheme of a broker"),
        ("mqtt://host:99999", "no broker's URL"),
        ("mqtt://me:secret@host", "credentials stay out of it"),
        ("mqtt://host/path", "a scheme, a host and a port"),
        ("mqtt://[::1", "no broker's URL"),
        ("", "no scheme of a broker"),
    ],
)
def test_what_is_no_url_of_a_broker(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        connect(url, name="agent")
    assert "mqtt://127.0.0.1:1883" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_name_has_letters_digits_and_dashes() -> None:
    with pytest.raises(UsageError, match="no client name"):
        connect("mqtt://host", name="a b")


@pytest.mark.parametrize("field", ["ca_file", "cert_file"])
def test_a_missing_tls_file_is_named(field: str) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.pem cannot be used: No such file"):
        connect("mqtts://host", name="agent", credentials=Credentials(**{field: "nowhere.pem"}))


def test_without_paho_the_line_to_type_is_said() -> None:
    program = (
        "import sys; sys.modules['paho'] = None\n"
        "from edge_sdk.broker import connect\n"
        "from edge_sdk.errors import UnavailableError\n"
        "try: connect('mqtt://host', name='agent')\n"
        "except UnavailableError as error: print(error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "pip install 'edgeloop[agent]'", done.stderr


@given(st.integers(1, 10_000), st.booleans(), st.floats(0, 1, exclude_max=True), st.integers(1, 10))
def test_delays_are_drawn_from_nothing_to_a_growing_ceiling(
    failures: int, refused: bool, drawn: float, more: int
) -> None:
    pace = Pace(retry_s=1, longest_retry_s=60, refused_retry_s=5, longest_refused_retry_s=300)
    ceiling = pace.delay_s(failures, refused=refused, random=lambda: 1.0)
    assert (5 if refused else 1) <= ceiling <= (300 if refused else 60)
    assert ceiling <= pace.delay_s(failures + more, refused=refused, random=lambda: 1.0)
    assert pace.delay_s(failures, refused=refused, random=lambda: drawn) == drawn * ceiling
    assert pace.delay_s(failures, refused=False, random=lambda: drawn) <= ceiling
