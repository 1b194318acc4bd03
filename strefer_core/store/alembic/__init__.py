"""Alembic's environment for the catalog; see `strefer_core.store.migrations`."""
