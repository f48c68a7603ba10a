"""Before the websocket opens: routing, limits, HTTP responses."""
