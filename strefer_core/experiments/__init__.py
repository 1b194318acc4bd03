"""Experiments: variants of one training, each by several seeds, side by side, as tables and figures."""
