"""`netslim slim`: a recipe of steps, from a network to a small one."""
