"""Called by Alembic: runs the revisions over the connection that the store gives it."""

from alembic import context

from fleet.stores.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()
