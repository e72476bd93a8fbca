"""C99: the instructions of a plan for one row as calls of C functions, a file of writers for each family of ops."""
