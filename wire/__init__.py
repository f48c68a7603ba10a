"""The shapes that cross processes. Standard library only: every process may import it."""
