"""What the controller remembers, in a file or on a server."""
