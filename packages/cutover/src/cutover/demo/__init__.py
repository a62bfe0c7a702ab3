"""A whole program on one machine: `cutover demo`. Real git, real processes, real traffic, invented people."""
