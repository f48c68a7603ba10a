"""The Redis stream of events, and its one reader."""
