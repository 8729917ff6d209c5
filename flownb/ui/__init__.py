"""What people see and touch: magics, displays, live progress."""
