"""The pages: what this is for, seen and tried in a browser."""
