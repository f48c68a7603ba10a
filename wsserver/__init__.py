"""The websocket server: reads the stream of events and sends each to the connected clients."""
