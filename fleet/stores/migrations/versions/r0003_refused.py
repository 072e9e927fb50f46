"""Inputs that were refused, and answers that left no record."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Windows from before had neither."""
    for name in ("refused", "unrecorded"):
        op.add_column(
            "windows", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        )
