"""A real fleet whose store is a real PostgreSQL, and a real agent: what SQLite does, it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest
from agent_samples import APP
from agent_site import Site, wait

pytestmark = pytest.mark.skipif(
    postgresql.binaries() is None, reason="PostgreSQL is not here: make test-postgresql"
)


@pytest.fixture
def server() -> Iterator[postgresql.PostgreSQL]:
    with postgresql.running() as found:
        yield found


def test_versions_go_out_and_a_restart_of_the_database_loses_nothing(
    server: postgresql.PostgreSQL, tmp_path: Path
) -> None:
    url = server.database().replace("+psycopg", "")  # as people write it
    site = Site(tmp_path / "site", "--database", url)
    try:
        site.begin()
        fleet = site.fleet
        assert not (fleet.data / "fleet.db").exists()
        before = fleet.edge("devices")["devices"][0]["inferences"]

        server.stop()
        wait(lambda: "messages could not be stored" in fleet.log, "no message was in need of it")
        assert fleet.process is not None
        assert fleet.process.poll() is None
        server.start()
        wait(lambda: fleet.edge("devices")["devices"][0]["inferences"] > before)

        second = site.roll_out("1.1.0")
        wait(lambda: site.agent.serves(second))
        fleet.kill()
        fleet.start()
        site.await_reported()
        (device,) = fleet.edge("devices")["devices"]
        assert device["apps"][APP]["serving"] == "colour@1.1.0"
        serving = [each for each in fleet.edge("models")["models"] if each["role"] == "serve"]
        assert {each["artifact"] for each in serving} == {"colour@1.0.0", "colour@1.1.0"}
        assert all(each["inferences"] > 0 == each["errors"] for each in serving)
        said = [entry["what"] for entry in fleet.edge("audit")["entries"]]
        assert said.count("enrolled") == 1
    finally:
        site.end()
