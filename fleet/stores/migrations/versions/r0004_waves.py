"""Waves of rollouts, devices that were removed, and who speaks as a device.

Of a rollout from before, its canaries are wave 0 and all others wave 1, which is what they were.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and put waves in the place of canaries."""
    op.add_column("devices", sa.Column("removed_ms", sa.BigInteger(), nullable=True))
    op.add_column("devices", sa.Column("voices", sa.LargeBinary(), nullable=True))
    op.add_column("members", sa.Column("wave", sa.Integer(), server_default="1", nullable=False))
    members = sa.table("members", sa.column("wave"), sa.column("canary", sa.Boolean()))
    op.execute(members.update().where(members.c.canary).values(wave=0))
    with op.batch_alter_table("members") as batch:
        batch.drop_column("canary")
