"""What a stage calls to see and to write: one file per real thing, behind the protocols in `interfaces`."""
