"""What a client asks for and may receive: the query, its token, the filters."""
