"""What runs inside the kernel: the magics, the handle of a run and its display."""
