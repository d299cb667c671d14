"""Effects over AWS APIs."""
