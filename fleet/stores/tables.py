"""The tables. What they hold for programs is MessagePack; what they hold for questions, columns.

The shape is made and changed by the revisions in ``migrations`` alone; a test holds the two
together. Times are wall clock of the fleet in Unix milliseconds, but for those that a device says.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData()

# SQLite gives numbers of its own accord to INTEGER keys only.
_Id = BigInteger().with_variant(Integer, "sqlite")

# What was decided at the first start and holds for ever.
settings = Table(
    "settings",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("device", String(63), primary_key=True),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("password", Text, nullable=False),  # for the broker, which needs it in clear
    Column("labels", LargeBinary, nullable=False),  # msgpack map of text
    Column("profile", LargeBinary),  # DeviceProfile, once it has said hello
    Column("boot", String(64), nullable=False, server_default=""),
    Column("seen_ms", BigInteger),  # when anything last came from it
)

desired = Table(
    "desired",
    metadata,
    Column("device", String(63), ForeignKey("devices.device"), primary_key=True),
    Column("counter", BigInteger, nullable=False),
    Column("signed", LargeBinary, nullable=False),  # Signed, as it is sent
)

reported = Table(
    "reported",
    metadata,
    Column("device", String(63), ForeignKey("devices.device"), primary_key=True),
    Column("counter", BigInteger, nullable=False),
    Column("reported", LargeBinary, nullable=False),  # Reported
    Column("outbox", String(64), nullable=False),  # that the newest durable report came by
    Column("sequence", BigInteger, nullable=False),  # of that report; older ones come late
    Column("updated_ms", BigInteger, nullable=False),
)

# Durable messages that are stored, so that none is stored twice.
receipts = Table(
    "receipts",
    metadata,
    Column("device", String(63), nullable=False),
    Column("outbox", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("device", "outbox", "sequence"),
    sqlite_with_rowid=False,
)

windows = Table(
    "windows",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("device", String(63), ForeignKey("devices.device"), nullable=False),
    Column("app", String(63), nullable=False),
    Column("artifact", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),  # by the device's clock
    Column("inferences", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("crashes", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False, server_default="0"),
    Column("unrecorded", BigInteger, nullable=False, server_default="0"),
    Column("window", LargeBinary, nullable=False),  # Window, MessagePack
    Index("windows_by_model", "app", "artifact", "device", "role", "id"),
    Index("windows_by_time", "received_ms"),
)

# What models cost, as devices measured it: the newest of each model on each device.
benches = Table(
    "benches",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("device", String(63), ForeignKey("devices.device"), nullable=False),
    Column("model", String(128), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("report", LargeBinary, nullable=False),  # BenchReport, MessagePack
    Index("benches_by_device", "device", "model", unique=True),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("version", String(64), nullable=False),
    Column("manifest", LargeBinary, nullable=False),  # its JSON, byte by byte
    Column("baseline", LargeBinary),  # baseline.json, if it has one
    Column("published_ms", BigInteger, nullable=False),
    Index("artifacts_by_name", "name", "version", unique=True),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("number", _Id, primary_key=True),
    Column("rollout", String(64), nullable=False, unique=True),
    Column("app", String(63), nullable=False),
    Column("final", Boolean, nullable=False),
    Column("state", LargeBinary, nullable=False),  # Rollout
    Index("rollouts_by_app", "app", "final"),
)

# The devices of a rollout.
members = Table(
    "members",
    metadata,
    Column("rollout", String(64), ForeignKey("rollouts.rollout"), nullable=False),
    Column("device", String(63), ForeignKey("devices.device"), nullable=False),
    Column("canary", Boolean, nullable=False),
    Column("incumbent", LargeBinary),  # ArtifactRef; null where nothing served
    PrimaryKeyConstraint("rollout", "device"),
)

# The audit trail; nothing in it is ever changed.
events = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),  # operator, fleet, or a device's id
    Column("what", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("detail", Text, nullable=False),
    Index("events_by_subject", "subject", "id"),
)
