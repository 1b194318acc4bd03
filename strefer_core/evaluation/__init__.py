"""Benchmarks: what a Video LLM is asked, and how its answers are scored."""
