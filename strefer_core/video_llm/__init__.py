"""The Video LLM: a model that looks at masks and at the clock, its inputs, and what it is asked."""
