"""Carries out one lifecycle event of one deployment."""
