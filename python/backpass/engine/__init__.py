"""What trains: a network, a loss and an optimizer on a backend, and the passes that run them."""
