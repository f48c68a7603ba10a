"""The page at `/`, the dashboard, and the documentation of the API."""
