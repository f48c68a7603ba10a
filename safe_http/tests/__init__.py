"""Requests: whatever a URL, a name server or a web server tries."""
