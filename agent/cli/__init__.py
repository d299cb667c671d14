"""`agentctl`: one file per command; every import a command needs is made inside it, so that help stays quick."""
