"""What the machine gives: memory, signals, one thread at a time."""
