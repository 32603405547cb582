"""One turn as a state machine: the state, the nodes, and build.py, which is the picture."""
