"""Benchmarks in the formats in which others published them: how questions are put and answers scored.

Questions and judges' orders are in words of ours, and the judge is whatever model the settings name: figures
compare models that were asked here, not with published tables.
"""
