"""Measures `agentctl run-local` beside the plain tools it replaces, in one run; not shipped, imported by nothing."""
