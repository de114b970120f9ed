"""What alembic runs: the migrations of our own tables, in the transaction it was given, with our version table.

Nobody calls alembic's command line for these: opening a store with an older database does it.
"""

from alembic import context

from cyborglib.store.migrating import settings

connection = context.config.attributes["connection"]
context.configure(connection=connection, **settings())
with context.begin_transaction():
    context.run_migrations()
