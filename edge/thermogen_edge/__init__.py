"""Thermogen Zero."""
