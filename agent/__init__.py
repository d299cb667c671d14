"""deploy-agent: puts a revision on this host, and says exactly why not when it cannot."""
