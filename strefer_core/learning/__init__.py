"""The loop from a dataset to a better model: jobs, models, comparison with the champion, promotion."""
