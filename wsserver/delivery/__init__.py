"""Events on their way to clients: live, replayed, and the end of a connection."""
