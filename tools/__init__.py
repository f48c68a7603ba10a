"""What sets the service up and runs it on one machine: `make run` and its relatives."""
