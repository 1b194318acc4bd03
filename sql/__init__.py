"""The catalog's SQL: migrations, views, queries by name. Installed as the package `strefer_sql`."""
