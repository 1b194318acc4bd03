"""What each `strefer` command does; `strefer_core.cli` only declares them."""
