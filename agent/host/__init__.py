"""Effects on this machine."""
