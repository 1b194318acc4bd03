"""Perception by neural models that run in this process: see `devices` for where, in which precision.

This file imports nothing, so that a scheduler may ask for a backend's id.
"""
