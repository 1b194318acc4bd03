"""What the README's figures come from. `make bench` runs all of it; nothing here is a test."""
