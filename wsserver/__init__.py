"""The websocket server: reads the stream of events and sends each to everyone who listens."""
